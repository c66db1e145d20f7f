//! `ship`: reads events from the stream, one task a destination, and delivers them as spans.
//!
//! An event is acknowledged only after its destination has taken it. While a batch waits, JetStream is told
//! that it is still being worked on; at shutdown what was not sent is handed back, so it is delivered again
//! at once. One batch is in hand at a time.

mod backoff;
mod batch;
mod pull;

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, consumer::DeliverPolicy};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use backoff::Backoff;
pub use batch::MAX_ENCODED;

use crate::{
    bus::{ACK_WAIT, Bus, BusError, ConsumerSettings},
    console::Console,
    destination::{DestinationSettings, Kind},
    metrics::ShipMetrics,
    otlp::{OtlpError, OtlpSender, Outcome},
    settings::BatchSettings,
    spans::View,
};
use batch::{Hand, Payload};

/// Pause after NATS did not give what was asked.
const PULL_PAUSE: Duration = Duration::from_secs(1);

/// Pause between attempts while a refusal stands.
const SLOW_RETRY: Duration = Duration::from_secs(30);

/// How often JetStream is told that a batch is still being worked on.
const PROGRESS: Duration = Duration::from_secs(ACK_WAIT.as_secs() / 3);

/// How long a round of acknowledgements may take to be handed to the client.
const ACK_DEADLINE: Duration = Duration::from_secs(5);

/// Batches of a destination that may be unacknowledged at once, so that several exporters can share one.
const BATCHES_PENDING: usize = 4;

/// Where encoded spans go.
enum Sink {
    Otlp(OtlpSender),
    Console(Console),
}

/// The consumer that a destination reads by.
pub fn consumer(destination: &DestinationSettings, batch: &BatchSettings) -> ConsumerSettings {
    ConsumerSettings {
        name: format!("ship-{}", destination.name),
        max_ack_pending: batch.events.saturating_mul(BATCHES_PENDING),
        deliver: DeliverPolicy::All,
        needed: true,
    }
}

/// One destination's task.
pub struct Ship {
    bus: Bus,
    consumer: String,
    batch: BatchSettings,
    sink: Arc<Sink>,
    resource: Arc<[(&'static str, String)]>,
    view: Arc<View>,
    metrics: ShipMetrics,
    rng: fastrand::Rng,
    /// The last failure that was told, so that each is told once.
    told: Option<String>,
}

impl Ship {
    /// A task for this destination.
    ///
    /// # Errors
    ///
    /// [`OtlpError`] where its HTTP client cannot be set up.
    pub fn new(
        settings: DestinationSettings,
        batch: BatchSettings,
        bus: Bus,
        metrics: ShipMetrics,
    ) -> Result<Self, OtlpError> {
        let consumer = consumer(&settings, &batch).name;
        let sink = match settings.kind {
            Kind::Otlp(otlp) => Sink::Otlp(OtlpSender::new(otlp)?),
            Kind::Console => Sink::Console(Console::stdout()),
        };
        let to = match &sink {
            Sink::Otlp(sender) => sender.target(),
            Sink::Console(_) => "standard output".to_owned(),
        };
        info!(destination = settings.name, to, "shipping");
        Ok(Self {
            bus,
            consumer,
            batch,
            sink: Arc::new(sink),
            resource: settings.resource.into(),
            view: Arc::new(settings.view),
            metrics,
            rng: fastrand::Rng::new(),
            told: None,
        })
    }

    /// Pulls and delivers until `stop`; what is in hand then is delivered or handed back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut consumer = None;
        while !stop.is_cancelled() {
            let pulled = match &consumer {
                Some(consumer) => self.pull(consumer, &stop).await,
                None if self.bus.state().is_err() => Err(None),
                None => match self.bus.consumer(&self.consumer).await {
                    Ok(found) => {
                        consumer = Some(found);
                        continue;
                    }
                    Err(error) => Err(Some(error)),
                },
            };
            match pulled {
                Ok(hand) => self.deliver(hand, &stop).await,
                Err(error) => {
                    consumer = None;
                    self.lost(error);
                    stopped_within(&stop, PULL_PAUSE).await;
                }
            }
        }
    }

    /// The consumer did not give what was asked: the bus looks whether it is still there.
    fn lost(&self, error: Option<BusError>) {
        let Some(error) = error else { return };
        debug!(destination = self.metrics.destination, %error, "cannot pull");
        if self.bus.state().is_ok() {
            self.bus.look_again();
        }
    }

    /// Delivers a batch however long it takes; hands the rest back once `stop` comes.
    async fn deliver(&mut self, mut hand: Hand, stop: &CancellationToken) {
        while !hand.is_empty() {
            let (events, payload) = match self.prepare(&mut hand).await {
                Ok(prepared) => prepared,
                Err(error) => {
                    // What was not acknowledged is handed back below and comes again.
                    error!(destination = self.metrics.destination, %error, "cannot encode a batch");
                    break;
                }
            };
            if !self.send(&hand, &payload, stop).await {
                break;
            }
            hand.acknowledge(events).await;
        }
        if !hand.is_empty() {
            hand.hand_back().await;
        }
    }

    /// Encodes as many events from the front as fit one POST.
    async fn prepare(&self, hand: &mut Hand) -> std::io::Result<(usize, Payload)> {
        let (events, spans) = hand.front(MAX_ENCODED);
        let (sink, resource) = (Arc::clone(&self.sink), Arc::clone(&self.resource));
        let encoded = tokio::task::spawn_blocking(move || {
            let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
            let body = match &*sink {
                Sink::Otlp(_) => crate::otlp::encode(&crate::spans::request(&resource, spans))?,
                Sink::Console(console) => console.render(&resource, &spans),
            };
            std::io::Result::Ok(Payload { body, spans: count })
        });
        Ok((events, encoded.await.map_err(std::io::Error::other)??))
    }

    /// Sends until it is taken (true) or `stop` comes (false).
    async fn send(&mut self, hand: &Hand, payload: &Payload, stop: &CancellationToken) -> bool {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let pause = match with_progress(hand, self.attempt(payload)).await {
                Outcome::Delivered { rejected } => {
                    self.delivered(payload, rejected);
                    return true;
                }
                Outcome::Retry { after, reason } => {
                    self.metrics.posted("retry");
                    self.tell(&reason, false);
                    backoff.next(&mut self.rng).max(after.unwrap_or_default())
                }
                Outcome::Misconfigured { reason } => {
                    self.metrics.posted("misconfigured");
                    self.tell(&reason, true);
                    SLOW_RETRY
                }
            };
            with_progress(hand, stopped_within(stop, pause)).await;
            self.metrics.retries.inc_by(u64::from(!stop.is_cancelled()));
        }
        false
    }

    async fn attempt(&self, payload: &Payload) -> Outcome {
        let body = payload.body.clone();
        self.metrics.bytes.inc_by(u64::try_from(body.len()).unwrap_or(u64::MAX));
        match &*self.sink {
            Sink::Otlp(sender) => sender.post(body).await,
            Sink::Console(console) => console.print(&body).await,
        }
    }

    fn delivered(&mut self, payload: &Payload, rejected: u64) {
        let destination = self.metrics.destination;
        self.metrics.posted("delivered");
        self.metrics.spans.inc_by(payload.spans.saturating_sub(rejected));
        if rejected > 0 {
            self.metrics.rejected.inc_by(rejected);
            warn!(
                destination,
                rejected, "the destination took the batch and refused some of its spans for good"
            );
        }
        if self.told.take().is_some() {
            info!(destination, "delivering again");
        }
    }

    /// Says why a batch waits, once for each reason.
    fn tell(&mut self, reason: &str, misconfigured: bool) {
        if self.told.as_deref() == Some(reason) {
            return;
        }
        let destination = self.metrics.destination;
        if misconfigured {
            let every = SLOW_RETRY.as_secs();
            error!(
                destination,
                reason,
                "REFUSED: check the destination's settings; events are kept, retrying every {every} s"
            );
        } else {
            warn!(destination, reason, "not delivered: events are kept, retrying");
        }
        self.told = Some(reason.to_owned());
    }
}

/// Waits for `future` and tells JetStream all the while that what is in hand is being worked on.
async fn with_progress<F: Future>(hand: &Hand, future: F) -> F::Output {
    tokio::pin!(future);
    let mut ticks = interval_at(Instant::now() + PROGRESS, PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            output = &mut future => return output,
            _ = ticks.tick() => hand.tell_all(AckKind::Progress).await,
        }
    }
}

async fn stopped_within(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(pause) => {}
    }
}
