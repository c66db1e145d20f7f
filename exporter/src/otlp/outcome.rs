//! How an attempt to deliver ends.

use std::time::Duration;

/// How an attempt to deliver ended. A reason is for the log: no content, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination took it.
    Delivered {
        /// Spans or data points among them that it refused for good (`partial_success`).
        rejected: u64,
    },
    /// A passing failure.
    Retry {
        /// Its Retry-After.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// No response came: the body may have been accepted all the same.
    Unanswered {
        /// Why.
        reason: String,
    },
    /// A refusal that stands until someone changes something.
    Misconfigured {
        /// Why.
        reason: String,
    },
    /// This body, whole, will never be taken; a part of it may.
    Refused {
        /// Why.
        reason: String,
    },
}

/// An outcome with the endpoint's response: for a test of the endpoint, never for the log.
#[derive(Clone, Debug)]
pub struct Heard {
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// The beginning of the response's text, without what was sent in headers.
    pub said: Option<String>,
}

/// Which of OTLP's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Traces.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// The method's path over gRPC.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}
