//! A fake OTLP endpoint: decodes and remembers the spans and the metrics that it gets, and refuses by script.
//!
//! What it refused is not among its spans. What came twice stands once, as in any backend that
//! goes by span id; [`Endpoint::received`] has every request.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    trace::v1::span::SpanKind,
};
use prost::Message;

use crate::{
    callers::client::Trace,
    fakes::server::Server,
    system::wait,
    telemetry::{
        metrics::{self, Point},
        spans::{self, Span},
    },
};

/// Where metrics are pushed.
const METRICS_PATH: &str = "/v1/metrics";

/// A request with spans as the endpoint received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// Every header.
    pub headers: HeaderMap,
    /// The body as it came.
    pub raw: Bytes,
    /// The body, unzipped where it came zipped.
    pub body: Bytes,
    /// The message in it.
    pub export: ExportTraceServiceRequest,
    /// The status that it was answered with.
    pub status: u16,
}

/// A push of metrics that the endpoint took.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Every header.
    pub headers: HeaderMap,
    /// The body, unzipped.
    pub body: Bytes,
    /// The points in it.
    pub points: Vec<Point>,
}

#[derive(Debug, Default)]
struct Record {
    key: Option<String>,
    refuse: Option<(u16, usize)>,
    received: Vec<Received>,
    refuse_metrics: Option<(u16, usize)>,
    refused_metrics: usize,
    pushed: Vec<Pushed>,
    undecodable: usize,
}

/// A running endpoint.
#[derive(Debug)]
pub struct Endpoint {
    server: Server,
    record: Arc<Mutex<Record>>,
}

impl Endpoint {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// The same at another address of this machine.
    pub async fn start_at(ip: IpAddr) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let router = Router::new()
            .route(METRICS_PATH, post(take_metrics))
            .fallback(take)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&record));
        Self { server: Server::start_at(ip, router).await, record }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server, to stop and restart it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Answers the next requests with spans by this status and keeps nothing of them.
    pub fn refuse_next(&self, count: usize, status: u16) {
        self.record.lock().unwrap().refuse = (count > 0).then_some((status, count));
    }

    /// From now on only who sends this key in `authorization` is let in; others are told so.
    pub fn require_key(&self, key: &str) {
        self.record.lock().unwrap().key = Some(key.to_owned());
    }

    /// Answers the next pushes of metrics by this status and keeps nothing of them.
    pub fn refuse_metrics(&self, count: usize, status: u16) {
        self.record.lock().unwrap().refuse_metrics = (count > 0).then_some((status, count));
    }

    /// How many pushes of metrics were refused by script.
    pub fn refused_metrics(&self) -> usize {
        self.record.lock().unwrap().refused_metrics
    }

    /// Every push of metrics that was taken.
    ///
    /// # Panics
    /// When one of them could not be decoded: no test expects that.
    pub fn pushed(&self) -> Vec<Pushed> {
        let record = self.record.lock().unwrap();
        assert_eq!(record.undecodable, 0, "requests that are not OTLP");
        record.pushed.clone()
    }

    /// Every request with spans so far, refused ones too.
    ///
    /// # Panics
    /// When one of them could not be decoded: no test expects that.
    pub fn received(&self) -> Vec<Received> {
        let record = self.record.lock().unwrap();
        assert_eq!(record.undecodable, 0, "requests that are not OTLP");
        record.received.clone()
    }

    /// How many requests were refused by script.
    pub fn refused(&self) -> usize {
        self.received().iter().filter(|received| received.status != 200).count()
    }

    /// Every span that was taken, once.
    pub fn spans(&self) -> Vec<Span> {
        let mut by_id = BTreeMap::new();
        for received in self.received().iter().filter(|received| received.status == 200) {
            for span in spans::flatten(&received.export) {
                let key = (span.trace_id.clone(), span.span_id.clone());
                if let Some(earlier) = by_id.insert(key, span.clone()) {
                    assert_eq!(earlier, span, "a redelivered span is the same");
                }
            }
        }
        by_id.into_values().collect()
    }

    /// The spans of one trace so far.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }

    /// Waits until the trace that this caller started has a SERVER span, with which come all the
    /// others of the request.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn wait_for(&self, trace: &Trace) -> Vec<Span> {
        let is_server = |span: &Span| span.kind == SpanKind::Server;
        self.wait_until(trace, "a SERVER span", |spans| spans.iter().any(is_server)).await
    }

    /// Waits until what there is of a trace passes.
    ///
    /// # Panics
    /// When it does not in time; the message says `what` was waited for and what there was.
    pub async fn wait_until(&self, trace: &Trace, what: &str, passes: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let look = || std::future::ready(Some(self.trace(&trace.trace_id)).filter(|spans| passes(spans)));
        match wait::poll(wait::DEADLINE, look).await {
            Some(spans) => spans,
            None => panic!(
                "{what} of trace {} did not come; there are {} requests in all and of this trace:\n{}",
                trace.trace_id,
                self.received().len(),
                spans::outline(&self.trace(&trace.trace_id)),
            ),
        }
    }
}

async fn take(
    State(record): State<Arc<Mutex<Record>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let mut record = record.lock().unwrap();
    let known = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if record.key.as_ref().is_some_and(|key| known != Some(key.as_bytes())) {
        return (StatusCode::UNAUTHORIZED, "this key is not known here").into_response();
    }
    let Some((body, export)) = decode::<ExportTraceServiceRequest>(&headers, &raw) else {
        record.undecodable += 1;
        return StatusCode::BAD_REQUEST.into_response();
    };
    let status = next(&mut record.refuse);
    record.received.push(Received {
        method,
        path: uri.path().to_owned(),
        headers,
        raw,
        body,
        export,
        status,
    });
    answered(status, &ExportTraceServiceResponse { partial_success: None })
}

async fn take_metrics(State(record): State<Arc<Mutex<Record>>>, headers: HeaderMap, raw: Bytes) -> Response {
    let mut record = record.lock().unwrap();
    let Some((body, export)) = decode::<ExportMetricsServiceRequest>(&headers, &raw) else {
        record.undecodable += 1;
        return StatusCode::BAD_REQUEST.into_response();
    };
    let status = next(&mut record.refuse_metrics);
    if status == 200 {
        record.pushed.push(Pushed { headers, body, points: metrics::flatten(&export) });
    } else {
        record.refused_metrics += 1;
    }
    answered(status, &ExportMetricsServiceResponse { partial_success: None })
}

/// The status to answer with, by script.
fn next(script: &mut Option<(u16, usize)>) -> u16 {
    let Some((status, left)) = script.take() else { return 200 };
    *script = (left > 1).then_some((status, left - 1));
    status
}

fn answered(status: u16, message: &impl Message) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::CONTENT_TYPE, "application/x-protobuf")], message.encode_to_vec()).into_response()
}

fn decode<M: Message + Default>(headers: &HeaderMap, raw: &Bytes) -> Option<(Bytes, M)> {
    let body = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => raw.clone(),
        Some(b"gzip") => {
            let mut body = Vec::new();
            GzDecoder::new(raw.as_ref()).read_to_end(&mut body).ok()?;
            body.into()
        }
        Some(_) => return None,
    };
    let export = M::decode(body.clone()).ok()?;
    Some((body, export))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan};

    use super::*;
    use crate::callers::client;

    fn export(span_id: u8) -> Vec<u8> {
        let span = OtlpSpan {
            trace_id: vec![7; 16],
            span_id: vec![span_id; 8],
            name: "s".into(),
            ..Default::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
        let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).expect("gzip");
        gzip.finish().expect("gzip")
    }

    async fn post(endpoint: &Endpoint, body: Vec<u8>) -> u16 {
        let url = format!("http://{}/v1/traces", endpoint.address());
        let request = client::http().post(url).header("content-encoding", "gzip").body(body);
        request.send().await.expect("an answer").status().as_u16()
    }

    #[tokio::test]
    async fn what_is_refused_is_not_among_the_spans_and_what_comes_twice_is_there_once() {
        let endpoint = Endpoint::start().await;
        endpoint.refuse_next(1, 503);
        assert_eq!(post(&endpoint, export(1)).await, 503);
        assert_eq!(endpoint.spans(), []);
        assert_eq!(post(&endpoint, export(1)).await, 200);
        assert_eq!(post(&endpoint, export(1)).await, 200);
        assert_eq!(post(&endpoint, export(2)).await, 200);
        assert_eq!(endpoint.trace(&"07".repeat(16)).len(), 2);
        assert_eq!((endpoint.refused(), endpoint.received().len()), (1, 4));
    }

    #[tokio::test]
    async fn bytes_that_are_not_otlp_are_refused() {
        let endpoint = Endpoint::start().await;
        assert_eq!(post(&endpoint, b"no gzip".to_vec()).await, 400);
    }
}
