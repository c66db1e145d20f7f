//! A source of events as a gateway's worker is one: makes up batches and posts them to ingest, without Envoy.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use prost::Message;
use weir_event::{
    EventId, INGEST_PATH,
    v1::{
        Api, Attempt, BatchAnswer, Caller, Capture, Content, Ending, EventBatch, Request, Response, Timing,
        Totals, TraceContext, TraceEvent, Usage,
    },
};

use crate::{callers::client, system::wait};

/// As many words as make a text about as hard to compress as prose: gzip leaves two fifths of it.
static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut word = || {
        let mut letter = |of: &str| char::from(of.as_bytes()[rng.usize(..of.len())]);
        let syllables = ["bcdfglmnprstvw", "aeiou", "nrstl"];
        let word: String = (0..2).flat_map(|_| syllables).map(&mut letter).collect();
        word + " "
    };
    (0..1024).map(|_| word()).collect()
});

/// A source with its sequence.
#[derive(Clone, Debug)]
#[must_use]
pub struct Source {
    id: [u8; 16],
    next: u64,
    accepted: u64,
    bytes: usize,
    key: &'static str,
    prompt: String,
    is_newer: bool,
}

/// A field that nobody knows (number 1000), as a filter of the next version might send one.
const UNKNOWN_FIELD: [u8; 3] = [0xc0, 0x3e, 0x01];

/// A batch ready to be posted, as often as it takes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The ids of its events.
    pub ids: Vec<String>,
    /// Its body.
    pub body: Bytes,
}

impl Default for Source {
    fn default() -> Self {
        Self::new()
    }
}

impl Source {
    /// A new one.
    pub fn new() -> Self {
        let id = fastrand::u128(..).to_be_bytes();
        let (key, prompt) = ("team-a", "What is a weir?".to_owned());
        Self { id, next: 1, accepted: 0, bytes: 0, key, prompt, is_newer: false }
    }

    /// One version ahead: events and batches have a field that the exporter does not know.
    pub fn newer(self) -> Self {
        Self { is_newer: true, ..self }
    }

    /// With events of about so many bytes.
    pub fn of_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// With events of the caller that has this key.
    pub fn of_key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// With this prompt in every event.
    pub fn saying(self, prompt: &str) -> Self {
        Self { prompt: prompt.to_owned(), ..self }
    }

    /// The next events, as a batch.
    pub fn batch(&mut self, count: usize) -> Batch {
        let (mut ids, mut events) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            ids.push(EventId { source: self.id, sequence: self.next }.to_string());
            let mut event = self.event().encode_to_vec();
            if self.is_newer {
                event.extend(UNKNOWN_FIELD);
            }
            events.push(event.into());
            self.next += 1;
        }
        let (created, accepted) = (self.next - 1, self.accepted);
        let totals = Some(Totals { created, accepted, pending: created - accepted, ..Totals::default() });
        let source = self.id.to_vec().into();
        let batch = EventBatch { source, events, totals, ..EventBatch::default() };
        let mut body = batch.encode_to_vec();
        if self.is_newer {
            body.extend(UNKNOWN_FIELD);
        }
        Batch { ids, body: body.into() }
    }

    /// Makes so many events and posts them, in batches, until each is stored; gives their ids.
    pub async fn store(&mut self, url: &str, count: usize) -> Vec<String> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let batch = self.batch(256.min(count - ids.len()));
            batch.store(url).await;
            self.accepted += batch.ids.len() as u64;
            ids.extend(batch.ids);
        }
        ids
    }

    fn event(&self) -> TraceEvent {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let now = u64::try_from(now).unwrap_or_default();
        let at = |milliseconds: u64| now + milliseconds * 1_000_000;
        let mut trace_id = self.id[..8].to_vec();
        trace_id.extend(self.next.to_be_bytes());
        let mut event = TraceEvent {
            source: self.id.to_vec().into(),
            sequence: self.next,
            trace: Some(TraceContext { trace_id: trace_id.into(), flags: 1, ..TraceContext::default() }),
            request: Some(Request {
                api: Api::OpenaiChat.into(),
                method: "POST".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                scheme: "http".to_owned(),
                authority: "127.0.0.1:8080".to_owned(),
                client_address: "127.0.0.1".to_owned(),
                user_agent: "weir-tests".to_owned(),
                body_bytes: 120,
                model: "gpt-4o".to_owned(),
                ..Request::default()
            }),
            attempts: vec![Attempt {
                number: 1,
                provider: "openai".to_owned(),
                provider_kind: "openai".to_owned(),
                scheme: "https".to_owned(),
                host: "api.openai.com".to_owned(),
                port: 443,
                path: "/v1/chat/completions".to_owned(),
                model: "gpt-4o".to_owned(),
                started_ns: at(2),
                ended_ns: at(900),
                status: 200,
                ..Attempt::default()
            }],
            response: Some(Response {
                status: 200,
                id: format!("chatcmpl-{}", self.next),
                model: "gpt-4o-2024-08-06".to_owned(),
                finish_reasons: vec!["stop".to_owned()],
                usage: Some(Usage { input_tokens: Some(12), output_tokens: Some(34), ..Usage::default() }),
                ..Response::default()
            }),
            timing: Some(Timing {
                received_ns: at(0),
                resolved_ns: at(1),
                done_ns: at(900),
                ..Timing::default()
            }),
            ending: Ending::Completed.into(),
            caller: Some(Caller {
                key_name: self.key.to_owned(),
                metadata: [("team".to_owned(), self.key.to_owned())].into(),
                ..Caller::default()
            }),
            ..TraceEvent::default()
        };
        let padding = self.bytes.saturating_sub(event.encoded_len() + self.prompt.len() + 80);
        let mut rng = fastrand::Rng::with_seed(self.next);
        let mut text = String::with_capacity(padding + 16);
        while text.len() < padding {
            text.push_str(&WORDS[rng.usize(..WORDS.len())]);
        }
        let request = format!(
            r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{} {text}"}}]}}"#,
            self.prompt
        );
        event.content = Some(Content {
            capture: Capture::Kept.into(),
            request: request.into_bytes().into(),
            ..Content::default()
        });
        event
    }
}

impl Batch {
    /// Posts it once: the status and what ingest answered.
    pub async fn post(&self, url: &str) -> reqwest::Result<(u16, BatchAnswer)> {
        let request = client::http().post(format!("{url}{INGEST_PATH}")).body(self.body.clone());
        let response = request.header("content-type", weir_event::CONTENT_TYPE).send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        let answer = if matches!(status, 200 | 503) {
            BatchAnswer::decode(body).expect("an answer")
        } else {
            BatchAnswer::default()
        };
        Ok((status, answer))
    }

    /// Posts it until it is stored.
    pub async fn store(&self, url: &str) {
        let stored = wait::poll(Duration::from_secs(60), || async {
            matches!(self.post(url).await, Ok((200, _))).then_some(())
        });
        assert!(stored.await.is_some(), "a batch was not stored");
    }
}
