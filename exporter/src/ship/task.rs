//! One destination's task: pulls, maps and hands batches to its lanes.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::{
    batch::{Mapper, Pulled},
    consumer::consumer_name,
    deliver::stopped_within,
    encode::Encoder,
    growth::Growth,
    health::Health,
    lane::Lane,
    recognize::Recognizer,
    sink::Sink,
};
use crate::{
    bus::{Bus, ReadError, Reader},
    destination::DestinationSettings,
    ledger::Ledger,
    metrics::ShipMetrics,
    otlp::{EncodeError, OtlpError},
};

/// Pause after NATS did not give what was asked.
const PULL_PAUSE: Duration = Duration::from_millis(500);

/// Why a destination's task could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// Its client could not be set up.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Its resource could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// One destination's task.
pub struct Ship {
    consumer: String,
    lane: Arc<Lane>,
}

impl Ship {
    /// A task for this destination.
    ///
    /// # Errors
    ///
    /// [`ShipError`] where its client cannot be set up.
    pub fn new(
        settings: DestinationSettings,
        bus: Bus,
        ledger: Ledger,
        health: Arc<Health>,
        metrics: ShipMetrics,
    ) -> Result<Self, ShipError> {
        let sink = Sink::new(&settings)?;
        let mapper = Mapper {
            destination: settings.name.to_string(),
            profile: settings.profile.clone(),
            when: settings.when.clone(),
            encoder: Encoder::new(sink.format(), &settings.resource)?,
        };
        let recognizer = settings.recognizer.as_deref().map(Recognizer::new).transpose()?;
        info!(destination = &*settings.name, to = settings.target(), "shipping");
        let consumer = consumer_name(&settings.name);
        let growth = Growth::default();
        let lane = Lane { settings, bus, sink, recognizer, mapper, growth, ledger, health, metrics };
        Ok(Self { consumer, lane: Arc::new(lane) })
    }

    /// Pulls and delivers until `stop`; what is in hand then is delivered or handed back.
    pub async fn run(self, stop: CancellationToken) {
        let lane = &self.lane;
        tokio::select! {
            () = stop.cancelled() => return,
            there = lane.ledger.ready() => if !there { return },
        }
        let places = Arc::new(Semaphore::new(lane.settings.concurrency));
        let (mut lanes, mut reader) = (JoinSet::new(), Reader::durable(lane.bus.clone(), self.consumer));
        while !stop.is_cancelled() {
            while lanes.try_join_next().is_some() {}
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            match lane.pull(&mut reader, &stop).await {
                Ok(pulled) if pulled.is_empty() => {}
                Ok(pulled) => {
                    let (lane, stop) = (Arc::clone(lane), stop.clone());
                    lanes.spawn(async move {
                        lane.work(pulled, &stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    lane.lost(error);
                    stopped_within(&stop, PULL_PAUSE).await;
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }
}

impl Lane {
    /// Maps what was pulled and delivers it.
    async fn work(self: Arc<Self>, pulled: Vec<Pulled>, stop: &CancellationToken) {
        let lane = Arc::clone(&self);
        let pulled = self.searched(pulled, stop).await;
        let map = move || {
            let bytes = pulled.iter().map(|one| one.message.payload.len()).sum();
            let mapped = lane.mapper.map(pulled, lane.growth.after(bytes), &lane.metrics)?;
            lane.growth.saw(bytes, mapped.batch.fragments.bytes());
            Ok::<_, EncodeError>(mapped)
        };
        let mapped = tokio::task::spawn_blocking(map).await;
        match mapped {
            Ok(Ok(mapped)) => self.deliver(mapped, stop).await,
            // It comes again once the ack wait is over.
            Ok(Err(error)) => error!(destination = self.name(), %error, "cannot encode a batch"),
            Err(error) => error!(destination = self.name(), %error, "mapping a batch ended early"),
        }
    }

    /// The consumer did not give what was asked: the bus looks whether it is still there.
    fn lost(&self, error: ReadError) {
        let ReadError::Failed(error) = error else { return };
        debug!(destination = self.name(), %error, "cannot pull");
        if self.bus.state().is_ok() {
            self.bus.look_again();
        }
    }
}
