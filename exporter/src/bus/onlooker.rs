//! A consumer that only looks: nothing is acknowledged to it, nothing waits for it, and it goes when nobody asks it
//! any more.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};

use super::{client::Bus, error::BusError, names::STREAM};

/// After so long without a pull the server removes it.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Where an onlooker begins.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// So many events before the last one.
    Latest(u64),
    /// After this sequence of the stream that was made at this time, or at the start of a newer stream.
    After(i128, u64),
}

/// An onlooker, and the stream that it looks at.
pub struct Onlooker {
    /// Its consumer.
    pub consumer: PullConsumer,
    /// When the stream was made, in Unix nanoseconds: a stream made anew counts from 1 again.
    pub stream: i128,
}

impl Bus {
    /// Makes an onlooker.
    ///
    /// # Errors
    ///
    /// [`BusError`].
    pub async fn onlooker(&self, from: From) -> Result<Onlooker, BusError> {
        let found = self.look(STREAM).await?;
        let info = found.cached_info();
        let (made, last) = (info.created.unix_timestamp_nanos(), info.state.last_sequence);
        let start_sequence = match from {
            From::Latest(count) => (last + 1).saturating_sub(count),
            From::After(stream, sequence) if stream == made => sequence.min(last) + 1,
            From::After(..) => 1,
        };
        let config = pull::Config {
            description: Some("the page of one weir-exporter".to_owned()),
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start_sequence.max(1) },
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let made_consumer = self.context.create_consumer_on_stream(config, STREAM).await;
        let consumer = made_consumer.map_err(|error| BusError::JetStream {
            what: "look at the stream for the page".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Onlooker { consumer, stream: made })
    }
}
