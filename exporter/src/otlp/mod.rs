//! OTLP/HTTP: posts spans and metrics as gzipped protobuf and reads the answer (OpenTelemetry Protocol specification
//! 1.x, "OTLP/HTTP").
//!
//! What a refusal does: nothing is dropped. A passing failure is tried again soon, a refusal that will stand
//! until someone changes a setting is tried again slowly, and in both cases the events stay in the stream.
//! Finding the one event that an endpoint refuses, and setting it aside, comes later.
//!
//! Bodies of answers are read up to a cap and never logged: they may repeat what was sent.

mod classify;

use std::{io::Write as _, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::{
    Client, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use tracing::warn;

pub use classify::{MAX_RETRY_AFTER, Verdict, classify, retry_after};

use crate::destination::{OtlpSettings, shown, travels_in_the_clear};

/// How long one POST may take, answer included.
pub const POST_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How much of an answer is read.
const MAX_ANSWER: usize = 64 << 10;

/// Media type of a request and its answer.
const PROTOBUF: &str = "application/x-protobuf";

/// Why a sender could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The HTTP client could not be set up, its trust anchors for instance.
    #[error("cannot set up the HTTP client")]
    Client(#[from] reqwest::Error),
}

/// How an attempt to deliver ended.
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
        /// Why, for the log: no content, no secret.
        reason: String,
    },
    /// A refusal that stands until someone changes something.
    Misconfigured {
        /// Why, for the log: no content, no secret.
        reason: String,
    },
}

/// Encodes and compresses a request.
///
/// # Errors
///
/// The compressor's, which does not happen when writing to memory.
pub fn encode(request: &impl prost::Message) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&request.encode_to_vec())?;
    encoder.finish().map(Bytes::from)
}

/// Posts to one endpoint.
#[derive(Clone, Debug)]
pub struct OtlpSender {
    client: Client,
    settings: OtlpSettings,
}

impl OtlpSender {
    /// A sender for this endpoint.
    ///
    /// # Errors
    ///
    /// [`OtlpError::Client`].
    pub fn new(settings: OtlpSettings) -> Result<Self, OtlpError> {
        if travels_in_the_clear(&settings.url) && !settings.headers.is_empty() {
            warn!(url = shown(&settings.url), "the key goes over plain http to another machine: use https");
        }
        let client = Client::builder()
            .user_agent(concat!("weir-exporter/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(POST_DEADLINE)
            .connect_timeout(CONNECT_DEADLINE)
            .build()?;
        Ok(Self { client, settings })
    }

    /// Where it posts, for logs.
    pub fn target(&self) -> String {
        shown(&self.settings.url)
    }

    /// Posts an encoded request once.
    pub async fn post(&self, body: Bytes) -> Outcome {
        let sent = self
            .client
            .post(self.settings.url.clone())
            .headers(self.settings.headers.clone())
            .header(CONTENT_TYPE, PROTOBUF)
            .header(CONTENT_ENCODING, "gzip")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => answered(response).await,
            Err(error) => classify::failed(&error.without_url()),
        }
    }
}

async fn answered(response: Response) -> Outcome {
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| retry_after(value, std::time::SystemTime::now()));
    let reason = format!("HTTP {}", status.as_u16());
    match classify(status.as_u16(), asked) {
        Verdict::Retry { after } => Outcome::Retry { after, reason },
        Verdict::Misconfigured => Outcome::Misconfigured { reason },
        // A success whose answer cannot be read is still a success: the events were taken.
        Verdict::Final => Outcome::Delivered { rejected: rejected(&read(response).await) },
    }
}

async fn read(mut response: Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Bytes::new();
        }
        body.extend_from_slice(&chunk);
    }
    body.freeze()
}

/// How many spans an answer of success refuses all the same ("Partial Success"). The answer to metrics has
/// its `rejected_data_points` in the same place.
fn rejected(body: &Bytes) -> u64 {
    ExportTraceServiceResponse::decode(body.clone())
        .ok()
        .and_then(|response| response.partial_success)
        .and_then(|partial| u64::try_from(partial.rejected_spans).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
