//! JetStream's report on the stream's consumers.

use async_nats::jetstream::consumer::PullConsumer;
use futures_util::TryStreamExt as _;

use super::{
    client::Bus,
    error::BusError,
    names::{STREAM, destination_of},
    seen::Seen,
};

impl Bus {
    /// JetStream's report on the stream and a consumer.
    pub async fn seen(&self, consumer: &str) -> Result<Seen, BusError> {
        let stream = self.look(STREAM).await?;
        let info = stream.cached_info();
        let found = stream.consumer_info(consumer).await;
        let found = found.map_err(BusError::cannot(format_args!("look at consumer {consumer}")))?;
        Ok(Seen {
            stream: info.created.unix_timestamp_nanos().to_string(),
            first: info.state.first_sequence,
            last: info.state.last_sequence.max(found.delivered.stream_sequence),
            ack_floor: found.ack_floor.stream_sequence,
            backlog: found.num_pending + u64::try_from(found.num_ack_pending).unwrap_or_default(),
        })
    }

    /// The names of the consumers that destinations have, also those that no configuration names any more.
    pub async fn consumers(&self) -> Result<Vec<String>, BusError> {
        let stream = self.look(STREAM).await?;
        let names: Result<Vec<String>, _> = stream.consumer_names().try_collect().await;
        let mut names = names.map_err(BusError::cannot("list consumers"))?;
        names.retain(|name| destination_of(name).is_some());
        Ok(names)
    }

    /// Deletes a consumer.
    pub async fn delete_consumer(&self, name: &str) -> Result<(), BusError> {
        let deleted = self.context.delete_consumer_from_stream(name, STREAM).await;
        deleted.map(drop).map_err(BusError::cannot(format_args!("delete consumer {name}")))
    }

    /// A durable consumer.
    pub async fn consumer(&self, name: &str) -> Result<PullConsumer, BusError> {
        let found = self.context.get_consumer_from_stream(name, STREAM).await;
        found.map_err(BusError::cannot(format_args!("find consumer {name}")))
    }
}
