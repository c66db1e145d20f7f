//! A gateway between callers and providers that both mean harm, and what must hold of it afterwards.

use std::{future::Future, net::SocketAddr};

use serde_json::json;
use weir_tests::{
    callers::client,
    stack::{Answered, Options, Stack, question},
    system::wait,
    telemetry::metrics::{samples, scrape},
};

use crate::raw_provider::RawProvider;

/// What the VM may have more after the last round than after the first: allocators do not give back
/// alike each time.
const MEMORY_SLACK: i64 = 1 << 20;
/// How often each thing is done: the first time memory grows to its plateau.
const ROUNDS: usize = 3;

/// The usual stack, and a model `raw` whose provider says byte for byte what a test has it say.
pub struct Hostile {
    pub stack: Stack,
    pub raw: RawProvider,
}

impl Hostile {
    /// With content in traces, so that all that is read is kept too, and these limits.
    pub async fn start(limits: &str) -> Self {
        Self::redacting(limits, "{ exported: { content: redact } }").await
    }

    /// With these limits, and what is redacted.
    pub async fn redacting(limits: &str, redaction: &str) -> Self {
        let raw = RawProvider::start().await;
        let (address, limits, redaction) = (raw.address(), limits.to_owned(), redaction.to_owned());
        let options = Options::default().yaml(move |wiring| {
            format!(
                "listen: {}\nadmin: {}\n\
                 providers:\n\
                 \x20 openai: {{ api: openai, url: \"http://{}/v1\", key: {{ env: WEIR_TEST_KEY_0 }} }}\n\
                 \x20 raw: {{ api: openai, url: \"http://{address}/v1\" }}\n\
                 models:\n\
                 \x20 gpt-4o: {{ targets: [{{ provider: openai, model: gpt-4o-2024-11-20 }}] }}\n\
                 \x20 raw: {{ targets: [{{ provider: raw }}] }}\n\
                 limits: {limits}\n\
                 redaction: {redaction}\n\
                 exporter: {{ url: \"{}\" }}\n",
                wiring.gateway.listen, wiring.gateway.admin, wiring.provider, wiring.exporter,
            )
        });
        Self { stack: options.start().await, raw }
    }

    pub fn address(&self) -> SocketAddr {
        self.stack.address()
    }

    /// Does something three times over, and checks each time that the gateway is as it was.
    pub async fn withstands<F: Future<Output = ()>>(&self, what: &str, attack: impl FnMut() -> F) {
        let memory = self.rounds(what, attack).await;
        let [first, .., last] = memory[..] else { panic!("{memory:?}") };
        assert!(last <= first + MEMORY_SLACK, "{what}: the VM grows: {memory:?}");
    }

    /// The same where the plateau is set by the largest piece that Envoy happens to read at once, of which
    /// the VM holds a few copies: it has at most so many bytes.
    pub async fn withstands_within<F: Future<Output = ()>>(
        &self,
        what: &str,
        max: i64,
        attack: impl FnMut() -> F,
    ) {
        let memory = self.rounds(what, attack).await;
        assert!(memory.iter().all(|bytes| *bytes <= max), "{what}: the VM grows: {memory:?}");
    }

    async fn rounds<F: Future<Output = ()>>(&self, what: &str, mut attack: impl FnMut() -> F) -> Vec<i64> {
        let mut memory = Vec::new();
        for _ in 0..ROUNDS {
            attack().await;
            self.is_well(what).await;
            memory.push(self.gauge("weir.memory_bytes").await.expect("the gauge of memory"));
        }
        memory
    }

    /// Nothing is left behind, no VM has failed, and a good request is served and told.
    pub async fn is_well(&self, what: &str) {
        for gauge in ["weir.streams", "weir.memory_reserved_bytes", "http.weir.downstream_rq_active"] {
            let gone = wait::poll(wait::DEADLINE, || async { (self.gauge(gauge).await? == 0).then_some(()) });
            assert!(gone.await.is_some(), "{what}: {gauge} is not at 0");
        }
        let good = self.stack.chat().await;
        self.stack.otlp.wait_for(&good.trace).await;
        self.stack.assert_vm_is_well().await;
    }

    /// What the filter made and what the exporter delivered are the same events.
    pub async fn ledgers_agree(&self) {
        let agreed = wait::poll(wait::DEADLINE, || async {
            let created = self.gauge("weir.events_created").await?;
            let accepted = self.gauge("weir.events_accepted").await?;
            let delivered = self.delivered().await?;
            (created > 0 && created == accepted && created == delivered).then_some(created)
        });
        let told = [
            self.gauge("weir.events_created").await,
            self.gauge("weir.events_accepted").await,
            self.delivered().await,
        ];
        assert!(agreed.await.is_some(), "created, accepted and delivered were {told:?} at first");
        for dropped in ["weir.events_dropped_outbox_full", "weir.events_dropped_refused"] {
            assert_eq!(self.gauge(dropped).await.unwrap_or(0), 0, "{dropped}");
        }
    }

    async fn delivered(&self) -> Option<i64> {
        let samples = samples(&scrape(self.stack.exporter.admin_port).await);
        let of = |state: &str| {
            let mut found = samples.iter().filter(|sample| sample.name == "weir_exporter_ledger_events");
            found.find(|sample| sample.labels.get("state").is_some_and(|label| label == state))
        };
        assert!(
            of("dead_lettered").is_none_or(|sample| sample.value == 0.0),
            "an event became a dead letter"
        );
        Some(of("delivered")?.value as i64)
    }

    pub async fn gauge(&self, name: &str) -> Option<i64> {
        let stats = self.stack.admin(&format!("/stats?filter={name}$")).await;
        stats.lines().find_map(|line| line.rsplit_once(": ")?.1.trim().parse().ok())
    }

    /// Asks the provider that says anything, and reads the answer as far as it comes.
    pub async fn ask_raw(&self, stream: bool) -> Vec<u8> {
        client::raw(self.address(), &request(&raw_question(stream))).await
    }

    /// Sends a body and expects to be refused with this status, in the API's shape.
    pub async fn is_refused(&self, body: Vec<u8>, status: u16) {
        let answered: Answered = self.stack.send(body).await;
        assert_eq!(answered.status, status, "{answered:?}");
        assert!(answered.json()["error"]["message"].is_string(), "{answered:?}");
    }
}

/// A question for the provider that says anything.
pub fn raw_question(stream: bool) -> String {
    let mut body = question();
    body["model"] = json!("raw");
    body["stream"] = json!(stream);
    body.to_string()
}

/// A whole request with this body, on a connection of its own.
pub fn request(body: &str) -> Vec<u8> {
    with_headers(b"", body.as_bytes())
}

/// The same with these lines among its headers.
pub fn with_headers(lines: &[u8], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}\r\n", body.len());
    [
        &b"POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-type: application/json\r\n"[..],
        length.as_bytes(),
        lines,
        b"\r\n",
        body,
    ]
    .concat()
}

/// The status of an answer; 0 where there is none.
pub fn status(answer: &[u8]) -> u16 {
    let line = answer.get(..12).and_then(|start| std::str::from_utf8(start).ok()).unwrap_or_default();
    line.strip_prefix("HTTP/1.1 ").and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
