//! Reading a consumer for as long as it takes: it is opened once NATS is there, and anew after a pull that failed.
//!
//! To the consumer of a tail reader nothing is acknowledged and for it nothing waits; the server removes it after the
//! last pull.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};

use super::{
    client::Bus,
    error::BusError,
    names::STREAM,
    pull::{Ask, Ended, Pull},
};

/// After so long without a pull the server removes it.
const INACTIVE: Duration = Duration::from_secs(30);

/// Where a tail reader begins.
#[derive(Clone, Copy, Debug)]
enum From {
    /// So many events before the last one.
    Latest(u64),
    /// After this sequence of the stream that was made at this time, or at the start of a newer stream.
    After(i128, u64),
}

/// Where a reader reads.
enum Source {
    /// A durable consumer, by its name.
    Durable(String),
    /// The end of the stream, from where it was read last.
    Tail(From),
}

/// Reads a consumer.
pub struct Reader {
    bus: Bus,
    source: Source,
    consumer: Option<PullConsumer>,
    /// When the stream of a tail reader was made.
    stream: i128,
}

/// Why a pull brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// NATS is not ready, which the bus reports itself.
    #[error("NATS is not ready")]
    NotReady,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] BusError),
}

impl Reader {
    /// Reads a durable consumer.
    pub fn durable(bus: Bus, consumer: impl Into<String>) -> Self {
        Self { bus, source: Source::Durable(consumer.into()), consumer: None, stream: 0 }
    }

    /// Reads the end of the stream without acknowledging, from so many of its latest events on.
    pub fn tail(bus: Bus, latest: u64) -> Self {
        Self { bus, source: Source::Tail(From::Latest(latest)), consumer: None, stream: 0 }
    }

    /// Pulls once; an event that is larger than a whole pull comes alone. After an error the next pull opens
    /// the consumer anew.
    pub async fn pull(&mut self, ask: Ask) -> Result<Pull, ReadError> {
        if self.consumer.is_none() {
            if self.bus.state().is_err() {
                return Err(ReadError::NotReady);
            }
            self.consumer = Some(self.open().await?);
        }
        let Some(consumer) = &self.consumer else { return Err(ReadError::NotReady) };
        let pulled = self.bus.pull(consumer, ask).await;
        if pulled.is_err() {
            self.consumer = None;
        }
        Ok(pulled?)
    }

    /// Pulls once more, from the consumer that the last pull opened.
    pub async fn more(&self, ask: Ask) -> Result<Pull, ReadError> {
        let consumer = self.consumer.as_ref().ok_or(ReadError::NotReady)?;
        Ok(self.bus.ask(consumer, ask).await?)
    }

    /// Opens the consumer anew before the next pull where this one did not come to its end.
    pub fn reopen_after(&mut self, ended: Ended) {
        if ended == Ended::Failed {
            self.consumer = None;
        }
    }

    /// Lets a tail reader continue after this sequence, also when it is reopened.
    pub fn passed(&mut self, sequence: u64) {
        if let Source::Tail(from) = &mut self.source {
            *from = From::After(self.stream, sequence);
        }
    }

    /// Skips to what comes after this sequence.
    pub fn skip_to(&mut self, sequence: u64) {
        self.passed(sequence);
        self.consumer = None;
    }

    async fn open(&mut self) -> Result<PullConsumer, BusError> {
        match &self.source {
            Source::Durable(name) => self.bus.consumer(name).await,
            Source::Tail(from) => {
                let (consumer, stream) = self.bus.tail(*from).await?;
                self.stream = stream;
                Ok(consumer)
            }
        }
    }
}

impl Bus {
    /// Makes a tail reader's consumer; gives it with the time at which the stream was made, in Unix nanoseconds: a
    /// stream made anew counts from 1 again.
    async fn tail(&self, from: From) -> Result<(PullConsumer, i128), BusError> {
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
        let consumer = consumer.map_err(BusError::cannot("look at the stream for the page"))?;
        Ok((consumer, made))
    }
}
