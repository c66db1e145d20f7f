//! A provider for floods: answers chats, in one piece or as a stream, with the trace id that their prompt holds, and
//! counts how often each came.
//!
//! What it counts is what it read whole; it counts before it answers, so nothing it answers is uncounted.

#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use std::{
    collections::HashMap,
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::{
    MARK, TraceId, marked,
    scripted::{self, Scripted, Shared, lock},
};

/// Pieces of content in a stream.
const PIECES: usize = 10;

/// Pause before an answer, and before each piece of a stream.
const PAUSE: Duration = Duration::from_millis(20);

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// With this status.
    Failing(u16),
    /// As it should, so much later.
    Late(Duration),
}

/// What it saw of one trace.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// How often it came.
    pub times: u32,
    /// When it came last.
    pub last: Instant,
}

/// What a provider keeps.
#[derive(Debug, Default)]
pub struct Record {
    mood: Mood,
    keeps: bool,
    count: u64,
    seen: HashMap<TraceId, Seen>,
}

impl scripted::Record for Record {
    type Mood = Mood;
    fn mood(&mut self) -> &mut Mood {
        &mut self.mood
    }
}

/// A running provider.
pub type Provider = Scripted<Record>;

impl Provider {
    /// Starts one. Without `keeps` it only counts, so that a long run stays small.
    pub async fn start(keeps: bool) -> Self {
        Self::over(Record { keeps, ..Record::default() }, Router::new().fallback(answer)).await
    }

    /// How many requests came.
    pub fn count(&self) -> u64 {
        self.record().count
    }

    /// What came, by trace.
    pub fn seen(&self) -> HashMap<TraceId, Seen> {
        self.record().seen.clone()
    }
}

async fn answer(State(record): State<Shared<Record>>, body: Bytes) -> Response {
    let Some(trace) = marked(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let mood = {
        let mut record = lock(&record);
        record.count += 1;
        if record.keeps {
            let seen = record.seen.entry(trace).or_insert(Seen { times: 0, last: Instant::now() });
            *seen = Seen { times: seen.times + 1, last: Instant::now() };
        }
        record.mood
    };
    match mood {
        Mood::Failing(status) => return failure(status),
        Mood::Late(by) => tokio::time::sleep(by).await,
        Mood::Well => {}
    }
    tokio::time::sleep(PAUSE).await;
    let streams = body.windows(13).any(|window| window == b"\"stream\":true");
    if streams { streamed(trace) } else { whole(trace) }
}

fn failure(status: u16) -> Response {
    let error =
        json!({ "error": { "message": "scripted", "type": "server_error", "param": null, "code": null } });
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(CONTENT_TYPE, "application/json")], error.to_string()).into_response()
}

fn whole(trace: TraceId) -> Response {
    let body = json!({
        "id": "chatcmpl-load", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-11-20",
        "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": { "role": "assistant", "content": format!("{MARK}{trace:032x}"), "refusal": null } }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30 },
    });
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The trace id comes with the first piece, `[DONE]` with the last.
fn streamed(trace: TraceId) -> Response {
    let piece = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-load", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o-2024-11-20",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let mut pieces =
        vec![piece(json!({ "role": "assistant", "content": format!("{MARK}{trace:032x}") }), None)];
    pieces.extend((1..PIECES).map(|_| piece(json!({ "content": " water under the bridge" }), None)));
    pieces.push(format!("{}data: [DONE]\n\n", piece(json!({}), Some("stop"))));
    let paused = stream::unfold(pieces.into_iter(), |mut pieces| async move {
        let piece = pieces.next()?;
        tokio::time::sleep(PAUSE).await;
        Some((Ok::<_, Infallible>(piece), pieces))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(paused)).into_response()
}
