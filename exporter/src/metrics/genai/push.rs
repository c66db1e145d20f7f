//! Pushing: one task per endpoint posts the counts at an interval, and once at the end.
//!
//! A failed push is not repeated: the next one carries all counts again, or with delta temporality those since the
//! last push that was accepted. So nothing is stored for an endpoint that is away.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{aggregate::Aggregate, counts::GenAi, otlp, settings::PushSettings};
use crate::{
    destination::shown,
    metrics::own::CountingMetrics,
    otlp::{EncodeError, OtlpError, OtlpSender, Outcome, Signal, compress},
    spans::resource::Attributes,
};

/// How long the last push may take.
const LAST_DEADLINE: Duration = Duration::from_secs(5);

/// What helps where a destination takes spans only.
const OFF: &str = "the destination's `metrics: false`, or OTEL_METRICS_EXPORTER=none, turns pushing off";

/// Tells the processes of a service apart, so that their counts are added up and not taken for one another's.
const INSTANCE_ID: &str = "service.instance.id";

/// With delta temporality, what the last push that was taken held, and when it was put together.
type Taken = Option<(Aggregate, SystemTime)>;

/// The endpoints that metrics are pushed to: started, changed and stopped, at the start and by every reload.
///
/// All name this process by the same `service.instance.id`, drawn at random, unless a destination's resource has
/// one.
#[derive(Clone)]
pub struct Pushes {
    instance: Arc<str>,
    counts: Arc<GenAi>,
    metrics: CountingMetrics,
    running: Arc<Mutex<Vec<Running>>>,
}

/// An endpoint that is pushed to.
struct Running {
    settings: PushSettings,
    stop: CancellationToken,
    task: JoinHandle<Taken>,
}

impl Pushes {
    /// None yet.
    pub fn new(counts: Arc<GenAi>, metrics: CountingMetrics) -> Self {
        Self { instance: instance_id().into(), counts, metrics, running: Arc::default() }
    }

    /// Makes these the endpoints that are pushed to. One whose settings stay the same goes on undisturbed; one
    /// that goes or changes is pushed to once more. Where a client cannot be set up, nothing has changed.
    pub async fn run(&self, wanted: Vec<PushSettings>) -> Result<(), OtlpError> {
        let (mut new, mut ending) = (Vec::new(), Vec::new());
        {
            let mut running = self.lock();
            for settings in &wanted {
                if !running.iter().any(|one| one.settings == *settings) {
                    new.push(MetricsPush::new(settings.clone(), self)?);
                }
            }
            let (stay, go): (Vec<_>, Vec<_>) =
                running.drain(..).partition(|one| wanted.contains(&one.settings));
            *running = stay;
            ending.extend(go);
        }
        for (settings, taken) in ended(ending).await {
            // Counts that were accepted are not sent again.
            let same = new.iter_mut().find(|push| push.settings.name == settings.name);
            if let (Some(push), Some(taken)) = (same.filter(|push| push.settings.delta), taken) {
                push.taken = Some(taken);
            }
        }
        for push in new {
            let (settings, stop) = (push.settings.clone(), CancellationToken::new());
            let task = tokio::spawn(push.run(stop.clone()));
            self.lock().push(Running { settings, stop, task });
        }
        Ok(())
    }

    /// Pushes once more everywhere and ends.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *self.lock());
        ended(running).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops these side by side; gives what each had pushed.
async fn ended(ending: Vec<Running>) -> Vec<(PushSettings, Taken)> {
    ending.iter().for_each(|one| one.stop.cancel());
    let mut all = Vec::new();
    for Running { settings, task, .. } in ending {
        match task.await {
            Ok(taken) => all.push((settings, taken)),
            Err(_) => error!(destination = &*settings.name, "pushing metrics ended on its own"),
        }
    }
    all
}

/// One endpoint's task.
struct MetricsPush {
    settings: PushSettings,
    sender: OtlpSender,
    resource: Attributes,
    taken: Taken,
    counts: Arc<GenAi>,
    metrics: CountingMetrics,
    /// The last failure that was logged, so that each is logged once.
    logged: Option<String>,
}

impl MetricsPush {
    fn new(settings: PushSettings, pushes: &Pushes) -> Result<Self, OtlpError> {
        let sender = OtlpSender::new(settings.otlp.clone(), Signal::Metrics)?;
        info!(
            destination = &*settings.name,
            to = shown(&settings.otlp.url),
            every = ?settings.interval,
            "pushing metrics"
        );
        let counts = Arc::clone(&pushes.counts);
        let taken = settings.delta.then(|| (Aggregate::default(), counts.started()));
        let mut resource = settings.resource.clone();
        resource.entry(INSTANCE_ID.to_owned()).or_insert_with(|| pushes.instance.to_string());
        Ok(Self { settings, sender, resource, taken, counts, metrics: pushes.metrics.clone(), logged: None })
    }

    /// Pushes until `stop`, then once more; gives what was taken.
    async fn run(mut self, stop: CancellationToken) -> Taken {
        let interval = self.settings.interval;
        let mut pause = interval;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
            let asked = tokio::select! {
                () = stop.cancelled() => break,
                asked = self.push() => asked,
            };
            pause = interval.max(asked.unwrap_or_default());
        }
        if timeout(LAST_DEADLINE, self.push()).await.is_err() {
            warn!(destination = &*self.settings.name, "the last metrics were not taken in time");
        }
        self.taken
    }

    /// Posts the counts once; returns the Retry-After of the endpoint.
    async fn push(&mut self) -> Option<Duration> {
        let (now, all) = (SystemTime::now(), self.counts.snapshot());
        let (counts, start, temporality, held) = match &self.taken {
            None => (all, self.counts.started(), AggregationTemporality::Cumulative, None),
            Some((taken, when)) => (all.since(taken), *when, AggregationTemporality::Delta, Some((all, now))),
        };
        if counts.is_empty() {
            return None;
        }
        let period = otlp::Period { start, end: now.max(start), temporality };
        let (resource, protocol) = (self.resource.clone(), self.settings.otlp.protocol);
        let compression = self.sender.compression();
        let encode = move || {
            let body = otlp::body(&otlp::request(&resource, &counts, period), protocol)?;
            compress(body, compression)
        };
        let encoded = tokio::task::spawn_blocking(encode).await.map_err(std::io::Error::other);
        let body = match encoded.map_err(EncodeError::Gzip).flatten() {
            Ok(body) => body,
            Err(error) => {
                error!(destination = &*self.settings.name, %error, "cannot encode metrics");
                return None;
            }
        };
        match self.sender.post(body).await {
            Outcome::Delivered { rejected } => {
                self.taken = held;
                self.delivered(rejected);
                None
            }
            Outcome::Retry { after, reason } => {
                self.failed("retry", reason, "the next push says it all again");
                after
            }
            Outcome::Unanswered { reason } => {
                self.failed("retry", reason, "the next push says it all again");
                None
            }
            Outcome::Misconfigured { reason } => {
                // Some backends take spans only.
                self.failed("misconfigured", reason, OFF);
                None
            }
            Outcome::Refused { reason } => {
                self.failed("refused", reason, OFF);
                None
            }
        }
    }

    fn delivered(&mut self, rejected: u64) {
        let destination = &*self.settings.name;
        self.metrics.pushed(destination, "delivered");
        let reason = "the destination refused some of the metrics for good";
        if rejected > 0 && self.logged.as_deref() != Some(reason) {
            warn!(destination, rejected, "{reason}");
            self.logged = Some(reason.to_owned());
        } else if rejected == 0 && self.logged.take().is_some() {
            info!(destination, "metrics are taken again");
        }
    }

    /// Says why a push was not taken, once for each reason.
    fn failed(&mut self, outcome: &'static str, reason: String, hint: &str) {
        let destination = &*self.settings.name;
        self.metrics.pushed(destination, outcome);
        if self.logged.as_deref() != Some(&reason) {
            warn!(destination, reason, "metrics were not taken: {hint}");
            self.logged = Some(reason);
        }
    }
}

/// A UUID, version 4 (RFC 9562, section 5.4).
fn instance_id() -> String {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{random:032x}");
    let mut id = String::with_capacity(36);
    for (place, digit) in hex.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

#[cfg(test)]
mod tests;
