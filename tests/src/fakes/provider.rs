//! A fake provider: answers by script with recorded responses and remembers every request, or only counts them.
//!
//! It understands nothing of what it is asked, so that a test sees exactly what the gateway sent
//! and the gateway exactly what the script says, cut into pieces where the script says so.

use std::{
    collections::VecDeque,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::BodyExt;
use tokio::sync::watch;

use crate::{
    fakes::{
        fixtures,
        server::{Cut, Server},
    },
    system::wait,
};

/// How long a connection stays quiet before it breaks.
const BEFORE_BREAK: Duration = Duration::from_millis(200);

/// A request as the provider received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Every header; over HTTP/2, `:authority` stands as `host`.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The trailers, where there were any.
    pub trailers: Option<HeaderMap>,
}

impl Received {
    /// A header's value, where it came once. Panics when it came twice or is not text: no test expects that.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("a header that is text"));
        assert!(values.next().is_none(), "the header {name} came twice");
        value
    }
}

/// How an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// After so long a time.
    After(Duration),
    /// Not before [`Provider::release`].
    Held,
    /// Never: the connection is cut instead.
    Cut,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As it should.
    Complete,
    /// After so many bytes the connection breaks.
    Break(usize),
    /// After so many bytes nothing comes until [`Provider::release`].
    Hold(usize),
}

/// What to answer.
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    status: u16,
    content_type: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    pieces: Vec<usize>,
    pause: Duration,
    begin: Begin,
    end: End,
}

impl Answer {
    /// A JSON fixture with status 200, in one piece.
    pub fn json(fixture: &str) -> Self {
        Self::of("application/json", fixtures::bytes(fixture))
    }

    /// A stream fixture with status 200, one piece an event.
    pub fn stream(fixture: &str) -> Self {
        Self::events(fixtures::bytes(fixture))
    }

    /// A stream of server-sent events with status 200, one piece an event.
    pub fn events(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let ends = body.windows(2).enumerate().filter(|(_, pair)| pair == b"\n\n").map(|(at, _)| at + 2);
        let pieces = ends.collect();
        Self { pieces, ..Self::of("text/event-stream; charset=utf-8", body) }
    }

    /// A fixture as its provider sends it: with the status and the content-type of `expected.json`, a
    /// stream in pieces that end anywhere.
    pub fn fixture(name: &str) -> Self {
        let expected = fixtures::expected().remove(name).unwrap_or_else(|| panic!("no fixture {name}"));
        let content_type = expected["content_type"].as_str().expect("a content-type");
        let status = expected["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let answer = Self::of(content_type, fixtures::bytes(name)).status(status.expect("a status"));
        if expected["stream"] == true { answer.in_pieces_of(97) } else { answer }
    }

    /// A JSON text with status 200, in one piece.
    pub fn text(json: impl Into<Bytes>) -> Self {
        Self::of("application/json", json.into())
    }

    fn of(content_type: &str, body: Bytes) -> Self {
        let content_type = content_type.to_owned();
        let (headers, pieces, pause) = (Vec::new(), Vec::new(), Duration::from_millis(1));
        let begin = Begin::After(Duration::ZERO);
        Self { status: 200, content_type, headers, body, pieces, pause, begin, end: End::Complete }
    }

    /// With this status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Called by this content type, whatever it is.
    pub fn called(self, content_type: &str) -> Self {
        Self { content_type: content_type.to_owned(), ..self }
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Cut into pieces of so many bytes.
    pub fn in_pieces_of(self, bytes: usize) -> Self {
        let pieces = (bytes..self.body.len()).step_by(bytes).collect();
        Self { pieces, ..self }
    }

    /// With a pause between its pieces.
    pub fn pausing(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// An error with this status, in OpenAI's shape.
    pub fn error(status: u16) -> Self {
        Self::json("openai/error_500.json").status(status)
    }

    /// No answer: the connection is cut once the request is there.
    pub fn cut_off() -> Self {
        Self { begin: Begin::Cut, ..Self::error(500) }
    }

    /// Beginning so much later.
    pub fn after(self, delay: Duration) -> Self {
        Self { begin: Begin::After(delay), ..self }
    }

    /// Without a byte before [`Provider::release`].
    pub fn held(self) -> Self {
        Self { begin: Begin::Held, ..self }
    }

    /// Breaking off after so many bytes.
    pub fn breaking_after(self, bytes: usize) -> Self {
        Self { end: End::Break(bytes), ..self }
    }

    /// Stopping after so many bytes until [`Provider::release`].
    pub fn holding_after(self, bytes: usize) -> Self {
        Self { end: End::Hold(bytes), ..self }
    }

    /// The pieces of the body, in order.
    fn cut(&self) -> VecDeque<Bytes> {
        let (ends, len) = (&self.pieces, self.body.len());
        let limit = if let End::Break(bytes) | End::Hold(bytes) = self.end { Some(bytes) } else { None };
        let mut ends: Vec<usize> = ends.iter().copied().chain(limit).chain([len]).collect();
        ends.retain(|end| *end <= len);
        ends.sort_unstable();
        ends.dedup();
        let pieces = std::iter::once(0).chain(ends.iter().copied()).zip(&ends);
        pieces.filter(|(start, end)| start < *end).map(|(start, end)| self.body.slice(start..*end)).collect()
    }
}

/// Chooses an answer by the request.
type Choose = Box<dyn FnMut(&Received) -> Answer + Send>;

struct Script {
    next: VecDeque<Answer>,
    otherwise: Choose,
    /// `None` where they are only counted.
    received: Option<Vec<Received>>,
    count: usize,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("count", &self.count).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    released: watch::Sender<bool>,
}

/// A running fake provider.
#[derive(Debug)]
pub struct Provider {
    /// The server, to stop and restart it.
    pub server: Server,
    shared: Arc<Shared>,
}

impl Provider {
    /// Starts one that answers everything with `openai/chat.json`.
    pub async fn start() -> Self {
        Self::over(Some(Vec::new())).await
    }

    /// The same, but it only counts requests: for floods and long runs.
    pub async fn counting() -> Self {
        Self::over(None).await
    }

    async fn over(received: Option<Vec<Received>>) -> Self {
        let usual = Answer::json("openai/chat.json");
        let otherwise: Choose = Box::new(move |_| usual.clone());
        let script = Mutex::new(Script { next: VecDeque::new(), otherwise, received, count: 0 });
        let shared = Arc::new(Shared { script, released: watch::Sender::new(false) });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        Self { server: Server::start(router).await, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Answers every request so from now on.
    pub fn answers(&self, answer: Answer) {
        self.answers_by(move |_| answer.clone());
    }

    /// Answers every request from now on as this says.
    pub fn answers_by(&self, choose: impl FnMut(&Received) -> Answer + Send + 'static) {
        self.shared.script.lock().unwrap().otherwise = Box::new(choose);
    }

    /// Answers one request so, the next that has no such answer yet.
    pub fn answers_once(&self, answer: Answer) {
        self.shared.script.lock().unwrap().next.push_back(answer);
    }

    /// Lets every answer that is held go on, and those that would be.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Holds answers again, after a release.
    pub fn hold_again(&self) {
        self.shared.released.send_replace(false);
    }

    /// How many requests there were since the last time that they were taken.
    pub fn count(&self) -> usize {
        self.shared.script.lock().unwrap().count
    }

    /// Takes the requests since the last time.
    pub fn take(&self) -> Vec<Received> {
        let mut script = self.shared.script.lock().unwrap();
        script.count = 0;
        script.received.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.script.lock().unwrap().received.clone().unwrap_or_default()
    }

    /// The last request, once there is one.
    pub async fn last(&self) -> Received {
        wait::until("a request to the provider", || !self.received().is_empty()).await;
        self.received().pop().expect("a request")
    }
}

impl Shared {
    /// Waits for a release. The sender lives here, so this ends only by it or with the connection.
    async fn released(&self) {
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(cut): Extension<Cut>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Body::empty()).expect("an answer");
    };
    let trailers = body.trailers().cloned();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let mut headers = head.headers;
    if let Some(authority) = head.uri.authority() {
        headers.insert("host", authority.as_str().parse().expect("an authority is a header value"));
    }
    let received = Received { method: head.method, path, headers, body: body.to_bytes(), trailers };
    let answer = {
        let mut script = shared.script.lock().unwrap();
        let answer = script.next.pop_front().unwrap_or_else(|| (script.otherwise)(&received));
        script.count += 1;
        if let Some(all) = &mut script.received {
            all.push(received);
        }
        answer
    };
    match answer.begin {
        Begin::After(delay) => tokio::time::sleep(delay).await,
        Begin::Held => shared.released().await,
        Begin::Cut => cut.now().await,
    }
    let mut response = Response::builder().status(answer.status).header("content-type", &answer.content_type);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let whole = answer.pieces.is_empty() && answer.end == End::Complete;
    let body = if whole { Body::from(answer.body) } else { Body::from_stream(pieces(&answer, shared)) };
    response.body(body).expect("an answer")
}

/// The answer's pieces, with its pauses, up to its end.
fn pieces(answer: &Answer, shared: Arc<Shared>) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let pieces = answer.cut();
    let (pause, end) = (answer.pause, answer.end);
    stream::unfold((pieces, 0, shared), move |(mut pieces, sent, shared)| async move {
        match end {
            End::Break(bytes) if sent >= bytes => {
                // What was sent must have left before the connection breaks, or it is lost with it.
                tokio::time::sleep(BEFORE_BREAK).await;
                return Some((Err(io::Error::other("scripted")), (pieces, sent, shared)));
            }
            End::Hold(bytes) if sent >= bytes => shared.released().await,
            _ => {}
        }
        let piece = pieces.pop_front()?;
        tokio::time::sleep(pause).await;
        let sent = sent + piece.len();
        Some((Ok::<_, io::Error>(piece), (pieces, sent, shared)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callers::client;

    #[tokio::test]
    async fn a_request_is_remembered_byte_for_byte_and_answered_by_script() {
        let provider = Provider::start().await;
        provider.answers_once(Answer::json("openai/error_429.json").status(429).header("retry-after", "2"));
        let url = format!("http://{}/v1/chat/completions?x=1", provider.address());
        let request = || client::http().post(&url).header("x-a", "b").body("{ \"a\" :1}");
        let first = request().send().await.expect("an answer");
        assert_eq!((first.status().as_u16(), first.headers()["retry-after"].as_bytes()), (429, &b"2"[..]));
        let second = request().send().await.expect("an answer");
        assert_eq!(second.bytes().await.expect("a body"), fixtures::bytes("openai/chat.json"));
        let received = provider.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].path, "/v1/chat/completions?x=1");
        assert_eq!(received[0].header("x-a"), Some("b"));
        assert_eq!(received[0].body, "{ \"a\" :1}");
    }

    #[tokio::test]
    async fn a_stream_arrives_whole_however_it_is_cut() {
        let provider = Provider::start().await;
        let whole = fixtures::bytes("openai/chat_stream.sse");
        for answer in [
            Answer::stream("openai/chat_stream.sse"),
            Answer::stream("openai/chat_stream.sse").in_pieces_of(7).pausing(Duration::ZERO),
        ] {
            assert!(answer.cut().len() > 3);
            assert_eq!(answer.cut().iter().flatten().copied().collect::<Vec<u8>>(), whole);
            provider.answers_once(answer);
            let url = format!("http://{}/", provider.address());
            let response = client::http().get(url).send().await.expect("an answer");
            assert_eq!(response.bytes().await.expect("a body"), whole);
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error_to_its_reader() {
        let provider = Provider::start().await;
        provider.answers(Answer::stream("openai/chat_stream.sse").breaking_after(100));
        let response =
            client::http().get(format!("http://{}/", provider.address())).send().await.expect("headers");
        assert!(response.bytes().await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_is_held_comes_whole_after_its_release() {
        let provider = Provider::start().await;
        provider.answers(Answer::stream("openai/chat_stream.sse").holding_after(300));
        let mut response =
            client::http().get(format!("http://{}/", provider.address())).send().await.expect("headers");
        let mut body = Vec::new();
        while body.len() < 300 {
            body.extend(response.chunk().await.expect("a piece").expect("more"));
        }
        assert_eq!(body.len(), 300);
        provider.release();
        while let Some(piece) = response.chunk().await.expect("a piece") {
            body.extend(piece);
        }
        assert_eq!(body, fixtures::bytes("openai/chat_stream.sse"));
    }
}
