//! Where a tail reader reads: a consumer to which nothing is acknowledged and for which nothing waits. The server
//! removes it after the last pull.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};

use super::{client::Bus, error::BusError, names::STREAM};

/// After so long without a pull the server removes it.
const INACTIVE: Duration = Duration::from_secs(30);

/// Where a tail reader begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// So many events before the last one.
    Latest(u64),
    /// After this sequence of the stream that was made at this time, or at the start of a newer stream.
    After(i128, u64),
}

impl Bus {
    /// Makes a tail reader's consumer; gives it with the time at which the stream was made, in Unix nanoseconds: a
    /// stream made anew counts from 1 again.
    ///
    /// # Errors
    ///
    /// [`BusError`].
    pub(super) async fn tail(&self, from: From) -> Result<(PullConsumer, i128), BusError> {
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
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, STREAM).await;
        let consumer = consumer.map_err(|error| BusError::JetStream {
            what: "look at the stream for the page".to_owned(),
            why: error.to_string(),
        })?;
        Ok((consumer, made))
    }
}
