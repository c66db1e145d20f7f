//! Reading a consumer for as long as it takes: it is opened once NATS is there, and anew after a pull that failed.

use async_nats::jetstream::consumer::PullConsumer;

use super::{
    client::Bus,
    error::BusError,
    pull::{Ask, Ended, Pull},
    tail::From,
};

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

    /// Pulls once; an event that is larger than a whole pull comes alone.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; the next pull opens the consumer anew.
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
    ///
    /// # Errors
    ///
    /// [`ReadError`].
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

    /// Has a tail reader go on after this sequence, whatever it is opened anew for.
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
