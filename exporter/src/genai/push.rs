//! Pushing: one task an endpoint posts the counts at an interval, and once at the end.
//!
//! A push that fails is not repeated: the next one says it all again, or with delta temporality what came
//! since the last one that was taken. So nothing is kept for an endpoint that is away.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{GenAi, PushSettings, aggregate::Aggregate, otlp};
use crate::{
    destination::OtlpSettings,
    metrics::CountingMetrics,
    otlp::{OtlpError, OtlpSender, Outcome},
};

/// How long the last push may take.
const LAST_DEADLINE: Duration = Duration::from_secs(5);

/// Tells the processes of a service apart, so that their counts are added up and not taken for one another's.
const INSTANCE_ID: &str = "service.instance.id";

/// Where metrics are pushed.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The destination's name, for logs and as a label.
    pub name: &'static str,
    /// Where they are posted, and with which headers.
    pub otlp: OtlpSettings,
    /// Attributes of the resource that they belong to.
    pub resource: Vec<(&'static str, String)>,
}

/// One endpoint's task.
pub struct MetricsPush {
    name: &'static str,
    sender: OtlpSender,
    resource: Vec<(&'static str, String)>,
    interval: Duration,
    /// With delta temporality, what the last push that was taken held, and when it was put together.
    taken: Option<(Aggregate, SystemTime)>,
    counts: Arc<GenAi>,
    metrics: CountingMetrics,
    /// The last failure that was told, so that each is told once.
    told: Option<String>,
}

impl MetricsPush {
    /// A task for each endpoint. All name this process by the same `service.instance.id`, drawn at random,
    /// unless the destination's resource has one.
    ///
    /// # Errors
    ///
    /// [`OtlpError`] where an HTTP client cannot be set up.
    pub fn all(
        settings: PushSettings,
        counts: &Arc<GenAi>,
        metrics: &CountingMetrics,
    ) -> Result<Vec<Self>, OtlpError> {
        let (PushSettings { endpoints, interval, delta }, instance) = (settings, instance_id());
        let push = |Endpoint { name, otlp, mut resource }| {
            if !resource.iter().any(|(key, _)| *key == INSTANCE_ID) {
                resource.push((INSTANCE_ID, instance.clone()));
            }
            let sender = OtlpSender::new(otlp)?;
            info!(destination = name, to = sender.target(), every = ?interval, "pushing metrics");
            Ok(Self {
                name,
                sender,
                resource,
                interval,
                taken: delta.then(|| (Aggregate::default(), counts.started())),
                counts: Arc::clone(counts),
                metrics: metrics.clone(),
                told: None,
            })
        };
        endpoints.into_iter().map(push).collect()
    }

    /// Pushes until `stop`, then once more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.interval;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
            let asked = tokio::select! {
                () = stop.cancelled() => break,
                asked = self.push() => asked,
            };
            pause = self.interval.max(asked.unwrap_or_default());
        }
        if timeout(LAST_DEADLINE, self.push()).await.is_err() {
            warn!(destination = self.name, "the last metrics were not taken in time");
        }
    }

    /// Posts the counts once; gives how long the endpoint asked to be left alone.
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
        let resource = self.resource.clone();
        let encode = move || crate::otlp::encode(&otlp::request(&resource, &counts, period));
        let body = match tokio::task::spawn_blocking(encode).await.map_err(std::io::Error::other).flatten() {
            Ok(body) => body,
            Err(error) => {
                error!(destination = self.name, %error, "cannot encode metrics");
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
            Outcome::Misconfigured { reason } => {
                // Some backends take spans only.
                self.failed("misconfigured", reason, "OTEL_METRICS_EXPORTER=none turns pushing off");
                None
            }
        }
    }

    fn delivered(&mut self, rejected: u64) {
        let destination = self.name;
        self.metrics.pushed(destination, "delivered");
        let reason = "the destination refused some of the metrics for good";
        if rejected > 0 && self.told.as_deref() != Some(reason) {
            warn!(destination, rejected, "{reason}");
            self.told = Some(reason.to_owned());
        } else if rejected == 0 && self.told.take().is_some() {
            info!(destination, "metrics are taken again");
        }
    }

    /// Says why a push was not taken, once for each reason.
    fn failed(&mut self, outcome: &'static str, reason: String, hint: &str) {
        let destination = self.name;
        self.metrics.pushed(destination, outcome);
        if self.told.as_deref() != Some(&reason) {
            warn!(destination, reason, "metrics were not taken: {hint}");
            self.told = Some(reason);
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
