//! A fake OTLP endpoint: takes traces and metrics over HTTP (protobuf and JSON) and gRPC, and answers by script.
//!
//! It counts events by their ids; one that records also retains every request, and so every span. Taken is what it
//! meant to answer with success, whether the response arrived or not. Metrics are taken always, unless refused by
//! [`Endpoint::refuse_metrics`]. Reading fails once something came that is not OTLP.

mod event;
mod message;
mod reply;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::span::SpanKind,
};

pub use self::{
    event::{Reported, events},
    reply::Reply,
};
use super::server::{Cut, Server};
use crate::{
    callers::client::Trace,
    system::wait,
    telemetry::{
        metrics::{self, Point},
        spans::{self, Span},
    },
};

/// Within this time events come: one that was in hand when something ended comes after the ack wait.
const DEADLINE: Duration = Duration::from_secs(180);

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
    /// The body without gRPC's frame, unzipped where it came zipped.
    pub body: Bytes,
    /// The message in it.
    pub export: ExportTraceServiceRequest,
    /// The status that it was answered with; 200 where it was taken.
    pub status: u16,
}

/// A push of metrics that the endpoint took.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The media type that they came as.
    pub kind: String,
    /// Every header.
    pub headers: HeaderMap,
    /// The body, unzipped.
    pub body: Bytes,
    /// The points in it.
    pub points: Vec<Point>,
}

#[derive(Debug, Default)]
struct Record {
    records: bool,
    key: Option<String>,
    next: VecDeque<Reply>,
    standing: Reply,
    poison: HashSet<String>,
    poisoned: u16,
    refuse: Option<(u16, usize)>,
    refuse_metrics: Option<(u16, usize)>,
    canary: Option<String>,
    received: Vec<Received>,
    pushed: Vec<Pushed>,
    events: HashMap<String, Reported>,
    repeated: usize,
    changed: u64,
    times: Vec<Instant>,
    headers: HeaderMap,
    leaked: bool,
    refused_metrics: usize,
    undecodable: usize,
}

/// A running endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// The server, to stop and restart it.
    pub server: Server,
    record: Arc<Mutex<Record>>,
}

impl Endpoint {
    /// Starts one that takes and records everything.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into()).await
    }

    /// The same at another address of this machine.
    pub async fn start_at(ip: IpAddr) -> Self {
        Self::over(ip, true).await
    }

    /// Starts one that only counts, for floods and long runs.
    pub async fn counting() -> Self {
        Self::over(Ipv4Addr::LOCALHOST.into(), false).await
    }

    async fn over(ip: IpAddr, records: bool) -> Self {
        let record = Arc::new(Mutex::new(Record { records, ..Record::default() }));
        let router =
            Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&record));
        Self { server: Server::start_at(ip, router).await, record }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where traces are posted.
    pub fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address())
    }

    /// Answers every request with spans like this from now on.
    pub fn answer(&self, reply: Reply) {
        self.record().standing = reply;
    }

    /// Answers the next requests with spans like this, before what stands.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.record().next.extend(replies);
    }

    /// Answers the next requests with spans by this status and takes nothing of them.
    pub fn refuse_next(&self, count: usize, status: u16) {
        self.record().refuse = (count > 0).then_some((status, count));
    }

    /// Refuses every request that holds one of these events.
    pub fn poison(&self, events: impl IntoIterator<Item = String>, status: u16) {
        let mut record = self.record();
        record.poison = events.into_iter().collect();
        record.poisoned = status;
    }

    /// From now on refuses spans from whoever does not send this key in `authorization`.
    pub fn require_key(&self, key: &str) {
        self.record().key = Some(key.to_owned());
    }

    /// Answers the next pushes of metrics by this status and takes nothing of them.
    pub fn refuse_metrics(&self, count: usize, status: u16) {
        self.record().refuse_metrics = (count > 0).then_some((status, count));
    }

    /// How many pushes of metrics were refused by script.
    pub fn refused_metrics(&self) -> usize {
        self.record().refused_metrics
    }

    /// Every push of metrics that was taken.
    pub fn pushed(&self) -> Vec<Pushed> {
        self.record().pushed.clone()
    }

    /// Looks for this text in all spans that come from now on.
    pub fn look_for(&self, canary: &str) {
        self.record().canary = Some(canary.to_owned());
    }

    /// Whether it came.
    pub fn leaked(&self) -> bool {
        self.record().leaked
    }

    /// What was reported, by event.
    pub fn reported(&self) -> HashMap<String, Reported> {
        self.record().events.clone()
    }

    /// How many different events were taken.
    pub fn events(&self) -> usize {
        self.record().events.len()
    }

    /// How often an event was taken that had been taken before.
    pub fn repeated(&self) -> usize {
        self.record().repeated
    }

    /// How often one came again and reported something else.
    pub fn changed(&self) -> u64 {
        self.record().changed
    }

    /// How many requests with spans came.
    pub fn requests(&self) -> usize {
        self.record().times.len()
    }

    /// When each of them came.
    pub fn times(&self) -> Vec<Instant> {
        self.record().times.clone()
    }

    /// The headers of the last of them.
    pub fn headers(&self) -> HeaderMap {
        self.record().headers.clone()
    }

    /// Every request with spans so far, refused ones too, of one that records.
    pub fn received(&self) -> Vec<Received> {
        self.record().received.clone()
    }

    /// How many requests were refused by script, of one that records.
    pub fn refused(&self) -> usize {
        self.record().received.iter().filter(|received| received.status != 200).count()
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
    pub async fn wait_for(&self, trace: &Trace) -> Vec<Span> {
        let is_server = |span: &Span| span.kind == SpanKind::Server;
        self.wait_until(trace, "a SERVER span", |spans| spans.iter().any(is_server)).await
    }

    /// Waits until what there is of a trace passes.
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

    /// Waits until all of these were taken.
    pub async fn wait_for_events(&self, events: &[String]) {
        self.wait_for_events_within(events, DEADLINE).await;
    }

    /// The same within another time.
    pub async fn wait_for_events_within(&self, events: &[String], deadline: Duration) {
        // What has come stays, so each is looked for once.
        let mut come = 0;
        let all = || {
            let record = self.record();
            let left = events.get(come..).unwrap_or_default();
            come += left.iter().take_while(|event| record.events.contains_key(*event)).count();
            std::future::ready((come == events.len()).then_some(()))
        };
        if wait::poll(deadline, all).await.is_none() {
            let record = self.record();
            let missing = events.iter().filter(|event| !record.events.contains_key(*event)).count();
            panic!("{missing} of {} events did not come; {} requests did", events.len(), record.times.len());
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        let record = self.record.lock().unwrap();
        assert_eq!(record.undecodable, 0, "requests that are not OTLP");
        record
    }
}

async fn take(
    State(record): State<Arc<Mutex<Record>>>,
    Extension(cut): Extension<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or("application/x-protobuf").to_owned();
    let path = uri.path().to_owned();
    let reply = if path.ends_with("/v1/metrics") || path.contains(".MetricsService/") {
        record.lock().unwrap().take_metrics(&kind, headers, &raw)
    } else {
        let (body, export) = (Bytes::new(), ExportTraceServiceRequest::default());
        let received = Received { method, path, headers, raw, body, export, status: 0 };
        record.lock().unwrap().take_spans(&kind, received)
    };
    match reply {
        Ok(reply) => reply.send(&cut, &kind).await,
        Err(refusal) => refusal.into_response(),
    }
}

type Refusal = (StatusCode, &'static str);

impl Record {
    fn take_spans(&mut self, kind: &str, received: Received) -> Result<Reply, Refusal> {
        let known = received.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        if self.key.as_ref().is_some_and(|key| known != Some(key.as_bytes())) {
            return Err((StatusCode::UNAUTHORIZED, "this key is not known here"));
        }
        let decoded = message::decode::<ExportTraceServiceRequest>(kind, &received.headers, &received.raw);
        let (body, export) = decoded.ok_or_else(|| self.undecodable())?;
        let events = event::reported(&export);
        self.times.push(Instant::now());
        self.headers.clone_from(&received.headers);
        let leaks = |canary: &String| body.windows(canary.len()).any(|part| part == canary.as_bytes());
        self.leaked |= self.canary.as_ref().is_some_and(leaks);
        let reply = match refusal(&mut self.refuse).or_else(|| self.next.pop_front()) {
            Some(reply) => reply,
            None if events.iter().any(|(id, _)| self.poison.contains(id)) => Reply::status(self.poisoned),
            None => self.standing.clone(),
        };
        if reply.takes() {
            for (id, event) in events {
                if let Some(before) = self.events.get(&id) {
                    self.repeated += 1;
                    self.changed += u64::from(*before != event);
                } else {
                    self.events.insert(id, event);
                }
            }
        }
        if self.records {
            self.received.push(Received { body, export, status: reply.code(), ..received });
        }
        Ok(reply)
    }

    fn take_metrics(&mut self, kind: &str, headers: HeaderMap, raw: &Bytes) -> Result<Reply, Refusal> {
        let decoded = message::decode(kind, &headers, raw);
        let (body, export) = decoded.ok_or_else(|| self.undecodable())?;
        if let Some(refusal) = refusal(&mut self.refuse_metrics) {
            self.refused_metrics += 1;
            return Ok(refusal);
        }
        let points = metrics::flatten(&export);
        self.pushed.push(Pushed { kind: kind.to_owned(), headers, body, points });
        Ok(Reply::Take)
    }

    fn undecodable(&mut self) -> Refusal {
        self.undecodable += 1;
        (StatusCode::BAD_REQUEST, "this is not OTLP")
    }
}

/// The next refusal, where one is scripted.
fn refusal(script: &mut Option<(u16, usize)>) -> Option<Reply> {
    let (status, left) = script.take()?;
    *script = (left > 1).then_some((status, left - 1));
    Some(Reply::status(status))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan};
    use prost::Message;

    use super::*;
    use crate::callers::client;

    fn export(span_id: u8) -> Vec<u8> {
        let (trace_id, span_id) = (vec![7; 16], vec![span_id; 8]);
        let span = OtlpSpan { trace_id, span_id, name: "s".into(), ..Default::default() };
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
