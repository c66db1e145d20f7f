//! The durable consumer that a destination reads by.

use async_nats::jetstream::consumer::DeliverPolicy;

use crate::{
    bus::{CONSUMER_PREFIX, ConsumerSettings},
    destination::DestinationSettings,
};

/// How many exporters may share a destination with all of their lanes full.
const SHARED_BY: usize = 4;

/// The consumer that a destination reads by.
pub fn consumer(destination: &DestinationSettings) -> ConsumerSettings {
    let lanes = destination.concurrency.saturating_add(1);
    ConsumerSettings {
        name: consumer_name(&destination.name),
        max_ack_pending: destination.batch.events.saturating_mul(lanes).saturating_mul(SHARED_BY),
        deliver: DeliverPolicy::All,
        needed: true,
    }
}

/// The name of a destination's consumer.
pub fn consumer_name(destination: &str) -> String {
    format!("{CONSUMER_PREFIX}{destination}")
}
