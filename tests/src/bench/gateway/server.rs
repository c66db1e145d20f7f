//! The provider and the OTLP endpoint of the benchmark: they read what they are sent, and answer at once.
//!
//! Each has a thread and a runtime of its own, on the core of all others.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::measure::cpu::Pins;

/// Chunks of a stream where nothing else is asked for, the first of them at once.
const CHUNKS: usize = 50;
/// The pause before each chunk but the first.
const PAUSE: Duration = Duration::from_millis(20);
/// What a request holds that asks for a stream.
pub const WANTS_STREAM: &[u8] = b"\"stream\":true";
/// Where a request that asks for a stream says so, counted from the end of its body, in bytes.
const TAIL: usize = 64;

const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there, friend."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

/// What a server answers with.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// Completions, whole or as a stream.
    Provider,
    /// 200 and nothing.
    Nothing,
}

/// One that runs.
#[derive(Clone, Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    habits: Arc<Habits>,
}

/// How a provider answers, unless changed.
#[derive(Debug)]
struct Habits {
    /// How much later a whole answer comes than it could, in µs.
    thinks: AtomicU64,
    /// How many chunks a stream has.
    chunks: AtomicUsize,
}

impl Served {
    /// From now on a whole answer comes so much later than it could.
    pub fn think(&self, pause: Duration) {
        self.habits.thinks.store(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// From now on a stream has so many chunks.
    pub fn stream(&self, chunks: usize) {
        self.habits.chunks.store(chunks, Ordering::Relaxed);
    }
}

/// Starts one on a free port. It ends with this process.
pub fn start(pins: &Pins, answers: Answers) -> anyhow::Result<Served> {
    let (pins, (sender, address)) = (pins.clone(), std::sync::mpsc::channel());
    let habits = Arc::new(Habits { thinks: AtomicU64::new(0), chunks: AtomicUsize::new(CHUNKS) });
    let its = Arc::clone(&habits);
    std::thread::Builder::new().name("server".to_owned()).spawn(move || {
        let serve = || -> anyhow::Result<()> {
            pins.move_here()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                sender.send(listener.local_addr()).context("nobody waits for the address")?;
                loop {
                    let (connection, _) = listener.accept().await?;
                    connection.set_nodelay(true)?;
                    let habits = Arc::clone(&its);
                    tokio::spawn(http1::Builder::new().serve_connection(
                        TokioIo::new(connection),
                        service_fn(move |it| answer(it, answers, Arc::clone(&habits))),
                    ));
                }
            })
        };
        // Whoever waits for the address hears of it by the channel's end.
        drop(serve());
    })?;
    let address = address.recv().context("the server ended before it listened")?.context("no free port")?;
    Ok(Served { address, habits })
}

type Body = Either<Full<Bytes>, StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

async fn answer(
    request: Request<Incoming>,
    answers: Answers,
    habits: Arc<Habits>,
) -> Result<Response<Body>, hyper::Error> {
    let mut body = request.into_body();
    let mut tail = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let last = data.len().saturating_sub(TAIL);
        tail.extend_from_slice(data.get(last..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
    let whole =
        |text: &'static str| Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    let mut response = match answers {
        Answers::Nothing => return Ok(whole("")),
        Answers::Provider if tail.windows(WANTS_STREAM.len()).any(|it| it == WANTS_STREAM) => {
            let mut response =
                Response::new(Either::Right(StreamBody::new(chunks(habits.chunks.load(Ordering::Relaxed)))));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            return Ok(response);
        }
        Answers::Provider => {
            let pause = Duration::from_micros(habits.thinks.load(Ordering::Relaxed));
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            whole(WHOLE)
        }
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn chunks(count: usize) -> stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    let next = move |at: usize| async move {
        if at > count {
            return None;
        }
        if at > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let bytes = if at == count {
            Bytes::from_static(b"data: [DONE]\n\n")
        } else {
            Bytes::from_static(
                b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n",
            )
        };
        Some((Ok(Frame::data(bytes)), at + 1))
    };
    Box::pin(stream::unfold(0, next))
}
