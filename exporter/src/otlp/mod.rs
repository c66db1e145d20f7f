//! OTLP: posts bodies over HTTP or gRPC and reads the answer (OpenTelemetry Protocol specification 1.x).
//!
//! What an answer means is one of four: taken, a passing failure, a setting that someone must change, or a body
//! that will never be taken. Bodies of answers are read up to a cap and never logged: they may repeat what was
//! sent. A redirect is never followed.

mod classify;
mod grpc;
mod http;
mod words;

use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

pub use classify::{MAX_RETRY_AFTER, Verdict, classify, retry_after};
pub use words::advice;

use crate::{
    config::wire::{Compression, Protocol},
    destination::{OtlpSettings, shown, travels_in_the_clear},
};

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How much of an answer is read.
const MAX_ANSWER: usize = 64 << 10;

/// Who posts.
const USER_AGENT: &str = concat!("weir-exporter/", env!("CARGO_PKG_VERSION"));

/// Why a sender could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The HTTP client could not be set up, its trust anchors for instance.
    #[error("cannot set up the HTTP client for {url}")]
    Client {
        /// Where it was to post.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The gRPC client could not be set up.
    #[error("cannot set up the gRPC client for {url}")]
    Grpc {
        /// Where it was to post.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// A header cannot be sent over gRPC.
    #[error("the header {name} cannot be sent over gRPC")]
    Header {
        /// The header.
        name: String,
    },
}

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
        /// How long the destination asked to be left alone.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// No answer came to what was sent: it may have been taken all the same.
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

/// An outcome, with what the endpoint answered: for whoever tests it, never for the log.
#[derive(Clone, Debug)]
pub struct Heard {
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// The beginning of the answer's text, without what was sent in headers.
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
    fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// Posts to one endpoint.
#[derive(Clone, Debug)]
pub struct OtlpSender {
    settings: OtlpSettings,
    wire: Wire,
}

#[derive(Clone, Debug)]
enum Wire {
    Http(http::Http),
    Grpc(Box<grpc::Grpc>),
}

impl OtlpSender {
    /// A sender for this endpoint. Over HTTP the settings' URL says which signal, whole.
    ///
    /// # Errors
    ///
    /// [`OtlpError`].
    pub fn new(settings: OtlpSettings, signal: Signal) -> Result<Self, OtlpError> {
        if travels_in_the_clear(&settings.url) && !settings.headers.is_empty() {
            warn!(url = shown(&settings.url), "the key goes over plain http to another machine: use https");
        }
        let wire = match settings.protocol {
            Protocol::Grpc => Wire::Grpc(Box::new(grpc::Grpc::new(&settings, signal)?)),
            Protocol::HttpProtobuf | Protocol::HttpJson => Wire::Http(http::Http::new(&settings)?),
        };
        Ok(Self { settings, wire })
    }

    /// How a body is to be compressed before it is given to [`Self::post`]; gRPC compresses by itself.
    pub fn compression(&self) -> Compression {
        match self.wire {
            Wire::Http(_) => self.settings.compression,
            Wire::Grpc(_) => Compression::None,
        }
    }

    /// The same as [`Self::post`], with at most so many bytes of what came back.
    pub async fn probe(&self, body: Bytes, most: usize) -> Heard {
        match &self.wire {
            Wire::Http(http) => http.probe(&self.settings, body, most).await,
            Wire::Grpc(grpc) => grpc.probe(&self.settings, body, most).await,
        }
    }

    /// Posts an encoded request once, within the timeout.
    pub async fn post(&self, body: Bytes) -> Outcome {
        match &self.wire {
            Wire::Http(http) => http.post(&self.settings, body).await,
            Wire::Grpc(grpc) => grpc.post(&self.settings, body).await,
        }
    }
}

#[cfg(test)]
mod tests;
