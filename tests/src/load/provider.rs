//! Providers for floods: they answer chats, in one piece or as a stream, with the trace id that the prompt holds,
//! and count how often each came, before it is answered.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{MARK, TraceId, marked};
use crate::fakes::provider::{Answer, Provider as Fake};

/// Pieces of content in a stream.
const PIECES: usize = 10;

/// Pause before an answer, and before each piece of a stream.
const PAUSE: Duration = Duration::from_millis(20);

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
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

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    /// What answers, with its server, to stop and restart it.
    pub fake: Fake,
    seen: Option<Arc<Mutex<HashMap<TraceId, Seen>>>>,
}

impl Provider {
    /// Starts one. Unless it `records` traces it only counts, so that a long run stays small.
    pub async fn start(records: bool) -> Self {
        let provider = Self { fake: Fake::counting().await, seen: records.then(Arc::default) };
        provider.set(Mood::Well);
        provider
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.fake.address()
    }

    /// Answers like this from now on.
    pub fn set(&self, mood: Mood) {
        let seen = self.seen.clone();
        self.fake.answers_by(move |received| {
            let Some(trace) = marked(&received.body) else { return Answer::error(400) };
            if let Some(seen) = &seen {
                let (mut seen, last) = (seen.lock().unwrap(), Instant::now());
                let times = seen.get(&trace).map_or(0, |seen| seen.times) + 1;
                seen.insert(trace, Seen { times, last });
            }
            let streams = received.body.windows(13).any(|window| window == b"\"stream\":true");
            let answer = if streams { streamed(trace) } else { whole(trace) };
            match mood {
                Mood::Failing(status) => Answer::error(status),
                Mood::Late(by) => answer.after(PAUSE + by),
                Mood::Well => answer.after(PAUSE),
            }
        });
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.fake.count()
    }

    /// What came, by trace.
    pub fn seen(&self) -> HashMap<TraceId, Seen> {
        self.seen.as_ref().map(|seen| seen.lock().unwrap().clone()).unwrap_or_default()
    }
}

fn whole(trace: TraceId) -> Answer {
    let message = json!({ "role": "assistant", "content": format!("{MARK}{trace:032x}"), "refusal": null });
    let body = json!({
        "id": "chatcmpl-load", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-11-20",
        "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null, "message": message }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30 },
    });
    Answer::text(body.to_string())
}

/// The trace id comes with the first piece.
fn streamed(trace: TraceId) -> Answer {
    let piece = |delta: Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-load", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o-2024-11-20",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let mut body = piece(json!({ "role": "assistant", "content": format!("{MARK}{trace:032x}") }), None);
    body.push_str(&piece(json!({ "content": " water under the bridge" }), None).repeat(PIECES - 1));
    body.push_str(&piece(json!({}), Some("stop")));
    Answer::events(body + "data: [DONE]\n\n").pausing(PAUSE)
}
