//! Load at a constant rate, and streams.
//!
//! A request's latency counts from the moment at which it was due, not from when a connection was free
//! for it, so a gateway that stalls is charged for all who wait (no coordinated omission).

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};

use crate::measure::statistics::quantile;

/// Where requests go.
pub const PATH: &str = "/v1/chat/completions";
/// The caller's key.
pub const KEY: &str = "wk-bench";
/// What requests say of themselves.
pub const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("authorization", "Bearer wk-bench")];

/// The prompts' sizes, by the names they have in the summary.
pub const SIZES: [(&str, usize); 3] = [("1KB", 1 << 10), ("10KB", 10 << 10), ("100KB", 100 << 10)];

/// Connections of the constant rate: enough that none has to wait for another at half load.
const CONNECTIONS: usize = 64;

/// How long the last answers may take of a gateway that has to carry all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a request with a prompt of this size in bytes.
pub fn body(size: usize, stream: bool) -> String {
    const WORDS: &str = "word and ";
    let text = WORDS.repeat(size / WORDS.len());
    // Where the provider looks for it: at the end.
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!(r#"{{"model":"smart","messages":[{{"role":"user","content":"{text}"}}]{stream}}}"#)
}

/// Where one kind of request goes.
#[derive(Clone, Debug)]
pub struct Target {
    port: u16,
    body: Bytes,
    headers: Headers,
}

/// What a request says of itself.
pub type Headers = Vec<(&'static str, String)>;

/// [`HEADERS`].
pub fn headers() -> Headers {
    HEADERS.map(|(name, value)| (name, value.to_owned())).into()
}

impl Target {
    /// Whole answers to prompts of this size.
    pub fn new(port: u16, size: usize) -> Self {
        Self { port, body: body(size, false).into(), headers: headers() }
    }

    /// Streams.
    pub fn streamed(port: u16) -> Self {
        Self { port, body: body(SIZES[0].1, true).into(), headers: headers() }
    }

    /// The same with other headers.
    pub fn with(self, headers: &Headers) -> Self {
        Self { headers: headers.clone(), ..self }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // How it ends, the request on it tells.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::post(PATH).header("host", "gateway");
        let request = self.headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
        Ok(request.body(Full::new(self.body.clone()))?)
    }
}

/// The latencies of a round at a constant rate, in ms.
#[derive(Clone, Copy, Debug)]
pub struct Latencies {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are below.
    pub p99: f64,
}

/// Sends `rate` requests a second for this long.
pub async fn constant_rate(target: Target, rate: f64, each: Duration) -> anyhow::Result<Latencies> {
    let round = at_rate(target, rate, each, PATIENCE).await?;
    ensure!(round.answered == round.due, "{} of {} requests were answered by 200", round.answered, round.due);
    Ok(round.latencies)
}

/// What a round at a constant rate brought, whether all of it was carried or not.
#[derive(Clone, Copy, Debug)]
pub struct AtRate {
    /// Requests that were due.
    pub due: usize,
    /// Those among them that were answered by 200 in time.
    pub answered: usize,
    /// Of all that were due; who was not answered has waited until the end, at least.
    pub latencies: Latencies,
}

/// Sends `rate` requests a second for this long, and waits so much longer for the last answers.
pub async fn at_rate(
    target: Target,
    rate: f64,
    each: Duration,
    patience: Duration,
) -> anyhow::Result<AtRate> {
    let count = ((rate * each.as_secs_f64()) as u32).max(1);
    let (jobs, queue) = async_queue(count as usize);
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(target.connect().await?);
    }
    let start = Instant::now();
    let end = start + each + patience;
    let mut workers = JoinSet::new();
    for mut sender in senders {
        let (target, queue) = (target.clone(), queue.clone());
        workers.spawn(async move {
            let mut latencies: Vec<f64> = Vec::new();
            while let Some(due) = next(&queue).await {
                match tokio::time::timeout_at(end.into(), asked(&mut sender, &target)).await {
                    // No more will be answered in time.
                    Err(_) => return latencies,
                    Ok(Ok(StatusCode::OK)) => latencies.push(due.elapsed().as_secs_f64() * 1e3),
                    Ok(_) => {}
                }
            }
            latencies
        });
    }
    for number in 0..count {
        let due = start + Duration::from_secs_f64(f64::from(number) / rate);
        tokio::time::sleep_until(due.into()).await;
        // It has room for all.
        jobs.send(due).await.context("every connection has ended")?;
    }
    drop(jobs);
    let mut latencies = Vec::new();
    while let Some(worker) = workers.join_next().await {
        latencies.extend(worker?);
    }
    let (due, answered) = (count as usize, latencies.len());
    latencies.resize(due, (end - start).as_secs_f64() * 1e3);
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(&mut latencies, share));
    Ok(AtRate { due, answered, latencies: Latencies { p50, p99 } })
}

/// Asks once, on another connection where this one was closed while nothing was on it.
async fn asked(sender: &mut SendRequest<Full<Bytes>>, target: &Target) -> anyhow::Result<StatusCode> {
    let response = match sender.ready().await {
        Ok(()) => sender.send_request(target.request()?).await,
        Err(closed) => Err(closed),
    };
    let response = match response {
        Ok(response) => response,
        Err(_) => {
            *sender = target.connect().await?;
            sender.send_request(target.request()?).await?
        }
    };
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}

type Queue = std::sync::Arc<tokio::sync::Mutex<mpsc::Receiver<Instant>>>;

fn async_queue(size: usize) -> (mpsc::Sender<Instant>, Queue) {
    let (sender, receiver) = mpsc::channel(size.max(1));
    (sender, std::sync::Arc::new(tokio::sync::Mutex::new(receiver)))
}

async fn next(queue: &Queue) -> Option<Instant> {
    queue.lock().await.recv().await
}

/// What a round of streams brought.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// Median time until the first token, in ms.
    pub first_token: f64,
    /// How many streams came to their end.
    pub streams: u64,
    /// Chunks of all streams.
    pub chunks: u64,
}

/// Keeps so many streams open for this long; each that ends is followed by another.
pub async fn streams(target: Target, count: usize, each: Duration) -> anyhow::Result<Streams> {
    let end = Instant::now() + each;
    let mut workers = JoinSet::new();
    for number in 0..count {
        let target = target.clone();
        workers.spawn(async move {
            // Not all at once, as callers are not either.
            tokio::time::sleep(Duration::from_millis(1000 * number as u64 / count as u64)).await;
            let (mut first, mut chunks) = (Vec::new(), 0);
            let mut sender = target.connect().await?;
            while Instant::now() < end {
                sender.ready().await?;
                let sent = Instant::now();
                let response = sender.send_request(target.request()?).await?;
                ensure!(response.status() == StatusCode::OK, "an answer was {}", response.status());
                let mut body = response.into_body();
                let before = chunks;
                while let Some(frame) = body.frame().await {
                    if frame?.is_data() {
                        if chunks == before {
                            first.push(sent.elapsed().as_secs_f64() * 1e3);
                        }
                        chunks += 1;
                    }
                }
            }
            anyhow::Ok((first, chunks))
        });
    }
    let (mut all, mut chunks) = (Vec::new(), 0);
    while let Some(worker) = workers.join_next().await {
        let (first, brought) = worker??;
        all.extend(first);
        chunks += brought;
    }
    Ok(Streams { streams: all.len() as u64, first_token: quantile(&mut all, 0.5), chunks })
}
