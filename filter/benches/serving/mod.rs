//! One whole request through both roles of the filter: headers, body, one attempt, response, end and event. The
//! host does the minimum, so that the filter's own work is measured.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;

use serde_json::json;
use sha2::{Digest, Sha256};
use weir_filter::balancing::TargetIds;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::headers::{Headers, Outgoing};
use weir_filter::host::Host;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;
use weir_filter::roles::gateway::Gateway;

/// Capture settings, by their names in the configuration.
pub const CONTENT: [&str; 3] = ["exclude", "keep", "redact"];
/// Prompts by size.
pub const SIZES: [(&str, usize); 3] = [("1KB", 1 << 10), ("10KB", 10 << 10), ("100KB", 100 << 10)];

/// One event of a streamed response.
const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there, friend."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

/// A host with one request and its response.
pub struct Bench {
    clock: Cell<u64>,
    request: Headers,
    body: Vec<u8>,
    response: Headers,
    answer: &'static [u8],
    state: RefCell<Vec<(String, Vec<u8>)>>,
}

impl Host for Bench {
    fn now_ns(&self) -> u64 {
        self.clock.set(self.clock.get() + 1000);
        self.clock.get()
    }
    fn request_headers(&self) -> Headers {
        self.request.clone()
    }
    fn set_request_headers(&self, headers: &Outgoing<'_>) {
        black_box(headers.pairs().count());
    }
    fn set_request_header(&self, name: &str, value: &[u8]) {
        black_box((name, value));
    }
    fn drop_request_trailers(&self) {}
    fn request_body(&self, max: usize) -> Vec<u8> {
        self.body.get(..max.min(self.body.len())).unwrap_or_default().to_vec()
    }
    fn replace_request_start(&self, _len: usize, with: &[u8]) {
        black_box(with);
    }
    fn response_headers(&self) -> Headers {
        self.response.clone()
    }
    fn set_response_headers(&self, headers: &Outgoing<'_>) {
        black_box(headers.pairs().count());
    }
    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8> {
        self.answer.get(start..(start + len).min(self.answer.len())).unwrap_or_default().to_vec()
    }
    fn replace_response_chunk(&self, _len: usize, with: &[u8]) {
        black_box(with);
    }
    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }
    fn set_state(&self, key: &str, value: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.retain(|(name, _)| name != key);
        state.push((key.to_owned(), value.to_vec()));
    }
    fn reroute(&self) {}
    fn claim(&self, _payload: &str, _claim: &str) -> Option<Vec<u8>> {
        None
    }
    fn response_details(&self) -> String {
        String::new()
    }
    fn respond(&self, _status: u16, _headers: &Outgoing<'_>, _body: &[u8]) {}
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().copied().collect()
}

/// The host of a request with a prompt of about this many bytes.
pub fn host(size: usize) -> Bench {
    let text = "word and ".repeat(size / 9);
    let body = json!({"model": "smart", "messages": [{"role": "user", "content": text}]}).to_string();
    let length = body.len().to_string();
    Bench {
        clock: Cell::new(1_700_000_000_000_000_000),
        request: headers(&[
            (":authority", "127.0.0.1:8080"),
            (":path", "/v1/chat/completions"),
            (":method", "POST"),
            (":scheme", "http"),
            ("authorization", "Bearer secret"),
            ("content-type", "application/json"),
            ("content-length", &length),
            ("user-agent", "OpenAI/Python 2.14.0"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "c6f4b3a6-5bd5-4a28-9a4b-2f1a41d4a3a7"),
        ]),
        body: body.into_bytes(),
        response: headers(&[
            (":status", "200"),
            ("server", "envoy"),
            ("date", "Wed, 25 Nov 2026 19:00:00 GMT"),
            ("content-type", "application/json"),
            ("content-length", "260"),
            ("x-envoy-upstream-service-time", "1"),
        ]),
        answer: ANSWER.as_bytes(),
        state: RefCell::default(),
    }
}

/// The same with a streamed response; each look at its body finds one event.
pub fn streaming_host(size: usize) -> Bench {
    let mut host = host(size);
    for (key, value) in &mut host.response.0 {
        if key == "content-type" {
            *value = b"text/event-stream".to_vec();
        }
    }
    host.answer = CHUNK.as_bytes();
    host
}

/// Two providers behind one model, one key, and content that is excluded, kept or redacted.
pub fn config(content: &str) -> Config {
    let digest: String = Sha256::digest("secret").iter().map(|byte| format!("{byte:02x}")).collect();
    let text = json!({
        "providers": {"p": {"api": "openai", "url": "http://10.0.0.1:9000/v1"}, "q": {"api": "openai", "url": "http://10.0.0.2:9000/v1"}},
        "models": {"smart": {"targets": [{"provider": "p", "model": "gpt-4o"}, {"provider": "q", "model": "gpt-4o"}], "retry": {"attempts": 2, "on": [503]}}},
        "keys": [{"name": "t", "sha256": digest, "models": ["smart"]}],
        "redaction": {"exported": {"content": content}},
        "exporter": {"cluster": "weir.exporter", "authority": "exporter"},
    })
    .to_string();
    Config::new(&PluginConfig::from_json(text.as_bytes()).unwrap(), &mut TargetIds::default()).unwrap()
}

/// Serves one request, from its first header to its event, with a response in one piece.
pub fn serve(config: &Rc<Config>, vm: &Rc<Vm>, host: &Bench) {
    serve_pieces(config, vm, host, 1);
}

/// The same with a response in this many pieces.
pub fn serve_pieces(config: &Rc<Config>, vm: &Rc<Vm>, host: &Bench, pieces: usize) {
    let mut gateway = Gateway::new(Rc::clone(config), Rc::clone(vm));
    let size = host.body.len();
    black_box(gateway.on_request_headers(host, false));
    black_box(gateway.on_request_body(host, size, true));
    let mut attempt = Attempt::new(Rc::clone(vm));
    black_box(attempt.on_request_headers(host, false));
    black_box(attempt.on_request_body(host, size, true));
    black_box(attempt.on_response_headers(host, false));
    black_box(gateway.on_response_headers(host, false));
    for piece in 1..=pieces {
        black_box(attempt.on_response_body(host, host.answer.len(), piece == pieces));
        black_box(gateway.on_response_body(host, host.answer.len(), piece == pieces));
    }
    gateway.on_log(host);
    vm.finish_events();
}

/// A worker with this configuration.
pub fn vm(config: &Config) -> Rc<Vm> {
    let vm = Rc::new(Vm::new(&[7; ENTROPY]));
    vm.limit(config);
    vm
}

/// Empties the outbox as batches do; that cost is not measured here.
pub fn empty(vm: &Vm) {
    while vm.outbox.borrow_mut().next_batch(u64::MAX).is_some() {}
}
