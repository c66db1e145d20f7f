//! OTLP/HTTP, protobuf or JSON.

use std::{sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::{
    Certificate, Client, Identity, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;

use super::{
    classify::{self, Verdict, retry_after},
    error::OtlpError,
    limits::{CONNECT_DEADLINE, MAX_RESPONSE, USER_AGENT},
    outcome::{Heard, Outcome},
    words,
};
use crate::{
    config::wire::{Compression, Protocol},
    destination::{Guarded, OtlpSettings, shown},
};

/// A client with its connections.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
}

impl Http {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let failed = |source| OtlpError::Client { url: shown(&settings.url), source };
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .timeout(settings.timeout)
            .connect_timeout(CONNECT_DEADLINE);
        if !settings.proxy {
            builder = builder.no_proxy();
        }
        if let Some(guard) = settings.guard {
            builder = builder.dns_resolver(Arc::new(Guarded::to(guard, &settings.url)));
        }
        if let Some(ca) = &settings.tls.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca).map_err(failed)?);
        }
        if let Some((certificate, key)) = &settings.tls.identity {
            let pem = [certificate.as_slice(), b"\n", key.expose().as_bytes()].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(failed)?);
        }
        Ok(Self { client: builder.build().map_err(failed)? })
    }

    /// Posts; returns the response with the outcome.
    pub(super) async fn probe(&self, settings: &OtlpSettings, body: Bytes, most: usize) -> Heard {
        let response = match self.send(settings, body).await {
            Ok(response) => response,
            Err(error) => {
                return Heard { outcome: classify::failed(&error.without_url()), status: None, said: None };
            }
        };
        let status = response.status().as_u16();
        let (verdict, reason) = judged(&response, settings);
        let kind = response.headers().get(CONTENT_TYPE);
        let is_text = kind.is_none_or(|kind| kind != media_type(Protocol::HttpProtobuf));
        let (start, is_whole) = start(response).await;
        let said = if is_text || status >= 300 { words::said(&start, &settings.headers, most) } else { None };
        let body = if is_whole { start } else { Bytes::new() };
        Heard { outcome: outcome(verdict, reason, settings, &body), status: Some(status), said }
    }

    pub(super) async fn post(&self, settings: &OtlpSettings, body: Bytes) -> Outcome {
        match self.send(settings, body).await {
            Ok(response) => answered(response, settings).await,
            Err(error) => classify::failed(&error.without_url()),
        }
    }

    async fn send(&self, settings: &OtlpSettings, body: Bytes) -> Result<Response, reqwest::Error> {
        let mut request = self
            .client
            .post(settings.url.clone())
            .headers(settings.headers.clone())
            .header(CONTENT_TYPE, media_type(settings.protocol));
        if settings.compression == Compression::Gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        request.body(body).send().await
    }
}

fn media_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::HttpJson => "application/json",
        Protocol::HttpProtobuf | Protocol::Grpc => "application/x-protobuf",
    }
}

async fn answered(response: Response, settings: &OtlpSettings) -> Outcome {
    let (verdict, reason) = judged(&response, settings);
    // Only a success says more than its status.
    let body = if verdict == Verdict::Final { read(response).await } else { Bytes::new() };
    outcome(verdict, reason, settings, &body)
}

/// What a response's head says.
fn judged(response: &Response, settings: &OtlpSettings) -> (Verdict, String) {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A date is meant by the endpoint's clock, which may not be ours.
    let now = header(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let asked = header(RETRY_AFTER).and_then(|value| retry_after(value, now.unwrap_or_else(SystemTime::now)));
    (classify::classify(status, asked, settings.retry_server_errors), format!("HTTP {status}"))
}

fn outcome(verdict: Verdict, reason: String, settings: &OtlpSettings, body: &Bytes) -> Outcome {
    match verdict {
        Verdict::Retry { after } => Outcome::Retry { after, reason },
        Verdict::Misconfigured => Outcome::Misconfigured { reason },
        Verdict::Refused => Outcome::Refused { reason },
        // A success whose body cannot be read is still a success: the events were accepted.
        Verdict::Final => {
            let rejected = match settings.protocol {
                Protocol::HttpJson => rejected_json(body),
                Protocol::HttpProtobuf | Protocol::Grpc => rejected(body),
            };
            Outcome::Delivered { rejected }
        }
    }
}

async fn read(response: Response) -> Bytes {
    let (start, is_whole) = start(response).await;
    if is_whole { start } else { Bytes::new() }
}

/// The beginning of a body, and whether that is all of it.
async fn start(mut response: Response) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_RESPONSE.saturating_sub(body.len());
        if chunk.len() > room {
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return (body.freeze(), false);
        }
        body.extend_from_slice(&chunk);
    }
    (body.freeze(), true)
}

/// How many spans a successful response rejects ("Partial Success"). The response to metrics has its
/// `rejected_data_points` in the same place.
pub(super) fn rejected(body: &Bytes) -> u64 {
    ExportTraceServiceResponse::decode(body.clone())
        .ok()
        .and_then(|response| response.partial_success)
        .and_then(|partial| u64::try_from(partial.rejected_spans).ok())
        .unwrap_or_default()
}

/// The same of a response in JSON, where a whole number may stand as text.
fn rejected_json(body: &Bytes) -> u64 {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = answer.get("partialSuccess");
    let count = ["rejectedSpans", "rejectedDataPoints"].iter().find_map(|name| partial?.get(name));
    count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn rejected_spans_are_read_from_a_success_and_nothing_else() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "no".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        assert_eq!(rejected(&response.encode_to_vec().into()), 3);
        for body in [&b""[..], b"{}", b"ok", b"\xff\xff"] {
            assert_eq!(rejected(&Bytes::from_static(body)), 0);
        }
        for (body, expected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3"}}"#, 3),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
            (r#"{"partialSuccess":{}}"#, 0),
            (r#"{"partialSuccess":{"rejectedSpans":-1}}"#, 0),
            ("garbage", 0),
        ] {
            assert_eq!(rejected_json(&Bytes::from_static(body.as_bytes())), expected, "{body}");
        }
    }
}
