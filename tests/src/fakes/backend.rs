//! A backend for floods and faults: takes OTLP over HTTP (protobuf and JSON) and gRPC, counts events by their id
//! instead of keeping them, and answers as badly as it is told to.
//!
//! What it counts as taken is what it answered with success, however that answer ended. Metrics it takes always,
//! and counts nothing of them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{self, Read},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::any_value::Value,
};
use prost::Message;

use crate::{
    fakes::server::{Cut, Server},
    system::wait,
    telemetry::metrics::{Point, flatten},
};

/// Within this time events come: one that was in hand when something ended comes after the ack wait.
const DEADLINE: Duration = Duration::from_secs(180);

/// How one request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With success.
    Take,
    /// With this status and these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// With this status and the time, on this backend's clock, at which to come again.
    RetryIn(u16, Duration),
    /// With success, and so many spans rejected.
    Partial(i64),
    /// With success, and a body that is no OTLP.
    Garbage,
    /// Not with HTTP at all: the connection breaks.
    Cut,
    /// The same, though the events were taken.
    TakeAndCut,
    /// Never.
    Nothing,
    /// With success, and a body that breaks off.
    Half,
    /// With a redirect to a place that would take it.
    Redirect,
    /// With success, and a body of 100 MB.
    Huge,
}

impl Reply {
    /// A status without headers.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new())
    }

    fn takes(&self) -> bool {
        matches!(
            self,
            Self::Take | Self::TakeAndCut | Self::Partial(_) | Self::Garbage | Self::Half | Self::Huge
        )
    }
}

#[derive(Debug)]
struct Record {
    next: VecDeque<Reply>,
    standing: Reply,
    poison: HashSet<String>,
    poisoned: u16,
    /// How often each event was taken.
    taken: HashMap<String, usize>,
    requests: usize,
    times: Vec<Instant>,
    largest: usize,
    canary: Option<String>,
    leaked: bool,
    headers: HeaderMap,
    pushed: Vec<Push>,
}

/// Metrics that were pushed.
#[derive(Clone, Debug)]
pub struct Push {
    /// The media type that they came as.
    pub kind: String,
    /// Every point.
    pub points: Vec<Point>,
}

/// A running backend.
#[derive(Debug)]
pub struct Backend {
    server: Server,
    record: Arc<Mutex<Record>>,
}

impl Backend {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        let record = Record {
            next: VecDeque::new(),
            standing: Reply::Take,
            poison: HashSet::new(),
            poisoned: 400,
            taken: HashMap::new(),
            requests: 0,
            times: Vec::new(),
            largest: 0,
            canary: None,
            leaked: false,
            headers: HeaderMap::new(),
            pushed: Vec::new(),
        };
        let record = Arc::new(Mutex::new(record));
        let router =
            Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&record));
        Self { server: Server::start(router).await, record }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where traces are posted.
    pub fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address())
    }

    /// The server, to stop and restart it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Answers every request like this from now on.
    pub fn answer(&self, reply: Reply) {
        self.lock().standing = reply;
    }

    /// Answers the next requests like this, before what stands.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.lock().next.extend(replies);
    }

    /// Refuses every request that holds one of these events.
    pub fn poison(&self, events: impl IntoIterator<Item = String>, status: u16) {
        let mut record = self.lock();
        record.poison = events.into_iter().collect();
        record.poisoned = status;
    }

    /// Looks for this text in all that comes from now on.
    pub fn look_for(&self, canary: &str) {
        self.lock().canary = Some(canary.to_owned());
    }

    /// Whether it came.
    pub fn leaked(&self) -> bool {
        self.lock().leaked
    }

    /// How often each event was taken.
    pub fn taken(&self) -> HashMap<String, usize> {
        self.lock().taken.clone()
    }

    /// How many different events were taken.
    pub fn events(&self) -> usize {
        self.lock().taken.len()
    }

    /// How many events were taken more than once.
    pub fn repeated(&self) -> usize {
        self.lock().taken.values().map(|times| times - 1).sum()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// When each request came.
    pub fn times(&self) -> Vec<Instant> {
        self.lock().times.clone()
    }

    /// The headers of the last request.
    pub fn headers(&self) -> HeaderMap {
        self.lock().headers.clone()
    }

    /// The metrics that were pushed.
    pub fn pushed(&self) -> Vec<Push> {
        self.lock().pushed.clone()
    }

    /// Waits until all of these were taken.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn wait_for(&self, events: &[String]) {
        self.wait_for_within(events, DEADLINE).await;
    }

    /// The same within another time.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn wait_for_within(&self, events: &[String], deadline: Duration) {
        // What has come stays, so each is looked for once.
        let mut come = 0;
        let all = || {
            let record = self.lock();
            let left = events.get(come..).unwrap_or_default();
            come += left.iter().take_while(|event| record.taken.contains_key(*event)).count();
            std::future::ready((come == events.len()).then_some(()))
        };
        if wait::poll(deadline, all).await.is_none() {
            let record = self.lock();
            let missing = events.iter().filter(|event| !record.taken.contains_key(*event)).count();
            panic!("{missing} of {} events did not come; {} requests did", events.len(), record.requests);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }
}

async fn take(
    State(record): State<Arc<Mutex<Record>>>,
    Extension(cut): Extension<Cut>,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = unpack(&kind, &headers, &raw);
    if uri.path().ends_with("/v1/metrics") || uri.path().contains(".MetricsService/") {
        let points = flatten(&metrics(&kind, &body));
        record.lock().unwrap().pushed.push(Push { points, kind: kind.clone() });
        return answer(Reply::Take, &cut, &kind).await;
    }
    let events = events(&traces(&kind, &body));
    let reply = {
        let mut record = record.lock().unwrap();
        record.requests += 1;
        record.times.push(Instant::now());
        record.largest = record.largest.max(raw.len());
        record.headers = headers;
        if let Some(canary) = &record.canary
            && body.windows(canary.len()).any(|window| window == canary.as_bytes())
        {
            record.leaked = true;
        }
        let reply = match record.next.pop_front() {
            Some(reply) => reply,
            None if events.iter().any(|event| record.poison.contains(event)) => {
                Reply::status(record.poisoned)
            }
            None => record.standing.clone(),
        };
        if reply.takes() {
            for event in events {
                *record.taken.entry(event).or_default() += 1;
            }
        }
        reply
    };
    answer(reply, &cut, &kind).await
}

async fn answer(reply: Reply, cut: &Cut, kind: &str) -> Response {
    if kind == "application/grpc" { grpc(reply, cut).await } else { http(reply, cut, kind).await }
}

async fn http(reply: Reply, cut: &Cut, kind: &str) -> Response {
    let typed = |body: Body| ([(header::CONTENT_TYPE, kind.to_owned())], body).into_response();
    match reply {
        Reply::Take if kind == "application/json" => typed("{}".into()),
        Reply::Take => typed(Body::empty()),
        Reply::Partial(rejected) if kind == "application/json" => {
            typed(format!(r#"{{"partialSuccess":{{"rejectedSpans":"{rejected}"}}}}"#).into())
        }
        Reply::Partial(rejected) => typed(partial(rejected).into()),
        Reply::Garbage => typed("\u{fffd}<html>{{{".into()),
        Reply::Status(status, headers) => {
            let mut response = StatusCode::from_u16(status).expect("a status").into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            response
        }
        Reply::RetryIn(status, pause) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let date = httpdate::fmt_http_date(SystemTime::now() + pause);
            (status, [(header::RETRY_AFTER, date)]).into_response()
        }
        Reply::Redirect => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response()
        }
        Reply::Half => {
            let parts = [Ok(Bytes::from_static(b"\x0a\x10")), Err(io::Error::other("half"))];
            let mut response = typed(Body::from_stream(stream::iter(parts)));
            response.headers_mut().insert(header::CONTENT_LENGTH, 4096.into());
            response
        }
        Reply::Huge => {
            let part = Bytes::from(vec![0; 1 << 20]);
            typed(Body::from_stream(stream::iter((0..100).map(move |_| io::Result::Ok(part.clone())))))
        }
        Reply::Cut | Reply::TakeAndCut => {
            cut.now().await;
            StatusCode::OK.into_response()
        }
        Reply::Nothing => std::future::pending().await,
    }
}

/// Over gRPC a status is its code.
async fn grpc(reply: Reply, cut: &Cut) -> Response {
    let head = |code: u16| {
        let code = code.to_string();
        ([(header::CONTENT_TYPE.as_str(), "application/grpc"), ("grpc-status", code.as_str())], Body::empty())
            .into_response()
    };
    let message = match reply {
        Reply::Take => Vec::new(),
        Reply::Partial(rejected) => partial(rejected),
        Reply::Status(code, _) => return head(code),
        Reply::Cut | Reply::TakeAndCut => {
            cut.now().await;
            return head(2);
        }
        other => panic!("{other:?} is no answer over gRPC"),
    };
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [Frame::data(frame.freeze()), Frame::trailers(trailers)].map(io::Result::Ok);
    let body = Body::new(StreamBody::new(stream::iter(frames)));
    ([(header::CONTENT_TYPE, "application/grpc")], body).into_response()
}

fn partial(rejected: i64) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "no".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

/// A body as it was before it was framed and compressed.
fn unpack(kind: &str, headers: &HeaderMap, raw: &Bytes) -> Vec<u8> {
    let unzip = |zipped: &[u8]| {
        let mut body = Vec::new();
        GzDecoder::new(zipped).read_to_end(&mut body).expect("gzip");
        body
    };
    match kind {
        "application/grpc" if raw[0] == 1 => unzip(&raw[5..]),
        "application/grpc" => raw[5..].to_vec(),
        _ if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip") => unzip(raw),
        _ => raw.to_vec(),
    }
}

fn traces(kind: &str, body: &[u8]) -> ExportTraceServiceRequest {
    match kind {
        "application/json" => serde_json::from_slice(body).expect("OTLP as JSON"),
        _ => ExportTraceServiceRequest::decode(body).expect("OTLP"),
    }
}

fn metrics(kind: &str, body: &[u8]) -> ExportMetricsServiceRequest {
    match kind {
        "application/json" => serde_json::from_slice(body).expect("OTLP as JSON"),
        _ => ExportMetricsServiceRequest::decode(body).expect("OTLP"),
    }
}

/// The ids of the events that an export holds.
pub fn events(export: &ExportTraceServiceRequest) -> Vec<String> {
    let spans = export.resource_spans.iter().flat_map(|all| &all.scope_spans).flat_map(|all| &all.spans);
    let ids = spans.flat_map(|span| &span.attributes).filter(|attribute| attribute.key == "weir.event.id");
    ids.map(|attribute| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(id)) => id.clone(),
        other => panic!("an event's id is {other:?}"),
    })
    .collect()
}
