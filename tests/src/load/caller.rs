//! Callers: requests of several kinds at a constant rate, open loop, each with a record of what came of it.
//!
//! A request is due by the clock, not by the answer to the one before it, and its time is counted from when it was
//! due: a gateway that stalls cannot hide it (coordinated omission).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{MARK, TraceId, marked, weighted};

/// The model with a fallback from provider `a` to provider `b`.
pub const SAFE: &str = "safe";

/// The model that provider `a` alone serves.
pub const ALONE: &str = "alone";

/// The key of all callers.
pub const KEY: &str = "sk-caller-canary-2c7e";

/// After this time a request counts as never answered.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Requests under way at once, at most: callers that pile up without end would measure themselves.
const MOST: usize = 2000;

/// Requests that are overdue by so much are not made up for.
const OVERDUE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// A chat in one piece.
    Chat,
    /// A chat as a stream.
    Stream,
    /// A chat of a model that has no other target.
    Alone,
    /// A stream whose caller goes away after the first piece.
    Leaving,
    /// A model that there is none of.
    UnknownModel,
    /// A chat without a key.
    NoKey,
    /// A body that is no JSON.
    NoJson,
}

impl Ask {
    /// All of them, each as often as it comes among 40.
    const MIX: [(Self, u32); 7] = [
        (Self::Chat, 21),
        (Self::Stream, 8),
        (Self::Alone, 6),
        (Self::Leaving, 2),
        (Self::UnknownModel, 1),
        (Self::NoKey, 1),
        (Self::NoJson, 1),
    ];

    fn draw(rng: &mut fastrand::Rng) -> Self {
        weighted(rng, &Self::MIX, |(_, share)| *share).map_or(Self::Chat, |(ask, _)| ask)
    }

    /// The status that the gateway refuses it with, for those that never reach a provider.
    pub fn refusal(self) -> Option<u16> {
        match self {
            Self::UnknownModel => Some(404),
            Self::NoKey => Some(401),
            Self::NoJson => Some(400),
            _ => None,
        }
    }

    fn body(self, trace: TraceId) -> String {
        let model = match self {
            Self::Alone => ALONE,
            Self::UnknownModel => "no-such-model",
            _ => SAFE,
        };
        let mut body = json!({
            "model": model,
            "messages": [{ "role": "user", "content": format!("{MARK}{trace:032x} What is a weir, and what is it for?") }],
        });
        if matches!(self, Self::Stream | Self::Leaving)
            && let Some(map) = body.as_object_mut()
        {
            map.insert("stream".to_owned(), true.into());
        }
        let text = body.to_string();
        if self == Self::NoJson { format!("{text}]") } else { text }
    }
}

/// What came of a request, as its caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer. `whole`: to its end, and the answer to this request; of an error, in the shape of OpenAI's errors.
    Answered {
        /// Its status.
        status: u16,
        /// Whether it was whole.
        whole: bool,
    },
    /// The caller went away as it meant to.
    Left,
    /// No connection could be made, so nothing was sent.
    Unsent,
    /// The connection broke before an answer.
    Broken,
    /// No answer within [`DEADLINE`].
    Hung,
}

/// What a caller knows of its request.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its trace.
    pub trace: TraceId,
    /// What was asked.
    pub ask: Ask,
    /// When it was due.
    pub due: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When the first byte of the answer's body came.
    pub first: Option<Instant>,
    /// When it was over.
    pub ended: Instant,
    /// What came of it.
    pub outcome: Outcome,
}

/// What callers do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The gateway.
    pub address: SocketAddr,
    /// Requests a second.
    pub rate: u32,
    /// From which the kinds and trace ids are drawn.
    pub seed: u64,
}

impl Load {
    /// Calls until `stop` is set, waits for the last answers, and hands every record to `keep` as it is made.
    pub async fn run(self, stop: Arc<AtomicBool>, mut keep: impl FnMut(Record)) {
        // An error means that it is installed already. The load is plain HTTP, but the client asks.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().timeout(DEADLINE).no_proxy();
        let Ok(client) = builder.pool_idle_timeout(Duration::from_secs(10)).build() else { return };
        let url: Arc<str> = format!("http://{}/v1/chat/completions", self.address).into();
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let step = Duration::from_secs(1) / self.rate.max(1);
        let (mut calls, mut due) = (JoinSet::new(), Instant::now());
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep_until(due.into()).await;
            let (ask, trace) = (Ask::draw(&mut rng), rng.u128(..) | 1);
            calls.spawn(call(client.clone(), Arc::clone(&url), ask, trace, due));
            due += step;
            while let Some(Ok(record)) = calls.try_join_next() {
                keep(record);
            }
            while calls.len() >= MOST
                && let Some(Ok(record)) = calls.join_next().await
            {
                keep(record);
            }
            if due.elapsed() > OVERDUE {
                due = Instant::now();
            }
        }
        while let Some(joined) = calls.join_next().await {
            if let Ok(record) = joined {
                keep(record);
            }
        }
    }
}

async fn call(client: reqwest::Client, url: Arc<str>, ask: Ask, trace: TraceId, due: Instant) -> Record {
    let (mut first, sent) = (None, Instant::now());
    let outcome = exchange(&client, &url, ask, trace, &mut first).await;
    Record { trace, ask, due, sent, first, ended: Instant::now(), outcome }
}

async fn exchange(
    client: &reqwest::Client,
    url: &str,
    ask: Ask,
    trace: TraceId,
    first: &mut Option<Instant>,
) -> Outcome {
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .header("traceparent", format!("00-{trace:032x}-{:016x}-01", fastrand::u64(..) | 1))
        .body(ask.body(trace));
    if ask != Ask::NoKey {
        request = request.bearer_auth(KEY);
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Outcome::Unsent,
        Err(error) if error.is_timeout() => return Outcome::Hung,
        Err(_) => return Outcome::Broken,
    };
    let status = response.status().as_u16();
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(error) if error.is_timeout() => return Outcome::Hung,
            Err(_) => return Outcome::Answered { status, whole: false },
        }
        first.get_or_insert_with(Instant::now);
        if ask == Ask::Leaving && status == 200 {
            return Outcome::Left;
        }
    }
    Outcome::Answered { status, whole: is_whole(ask, trace, status, &body) }
}

fn is_whole(ask: Ask, trace: TraceId, status: u16, body: &[u8]) -> bool {
    if status != 200 {
        let error: Option<Value> = serde_json::from_slice(body).ok();
        return error.is_some_and(|error| error.pointer("/error/message").is_some_and(Value::is_string));
    }
    let complete = match ask {
        Ask::Stream | Ask::Leaving => body.ends_with(b"data: [DONE]\n\n"),
        _ => serde_json::from_slice::<Value>(body).is_ok(),
    };
    complete && marked(body) == Some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_somebody_else_is_not_whole() {
        let of = |trace: TraceId| format!("{{\"content\":\"{MARK}{trace:032x}\"}}").into_bytes();
        assert!(is_whole(Ask::Chat, 5, 200, &of(5)));
        assert!(!is_whole(Ask::Chat, 5, 200, &of(6)));
        assert!(!is_whole(Ask::Stream, 5, 200, &of(5)), "a stream has an end of its own");
        assert!(!is_whole(Ask::Chat, 5, 200, &of(5)[..50]));
    }

    #[test]
    fn an_error_is_whole_in_the_shape_of_the_api() {
        assert!(is_whole(Ask::Chat, 5, 503, br#"{"error":{"message":"no","type":"x"}}"#));
        assert!(!is_whole(Ask::Chat, 5, 503, b"upstream connect error"));
    }

    #[test]
    fn only_what_is_meant_to_be_no_json_is_none() {
        for (ask, _) in Ask::MIX {
            let parsed = serde_json::from_str::<Value>(&ask.body(9));
            assert_eq!(parsed.is_err(), ask == Ask::NoJson, "{ask:?}");
            assert_eq!(marked(ask.body(9).as_bytes()), Some(9));
        }
    }
}
