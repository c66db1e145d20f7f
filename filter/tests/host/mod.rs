//! A mock host that records and counts its calls, since crossings from the VM are the cost of the request path;
//! and a request that goes through both roles on it.

// Each test uses what it needs of it.
#![allow(dead_code, missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use prost::Message;
use weir_event::v1;
use weir_filter::balancing::TargetIds;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::vm::Vm;
use weir_filter::headers::{Headers, Outgoing};
use weir_filter::host::{Host, Step};
use weir_filter::redact::SLICE;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;
use weir_filter::roles::gateway::Gateway;

pub const CONFIG: &str = r#"{
    "providers": {"up": {"api": "openai", "url": "http://10.0.0.1:9000/base/v1"},
                  "out": {"api": "openai", "url": "https://api.example.com/v1"}},
    "models": {"m": {"targets": [{"provider": "up", "model": "upstream-m"}]},
               "same": {"targets": [{"provider": "out"}]}},
    "limits": {"request_body": 1000},
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;

#[derive(Default)]
pub struct FakeHost {
    pub calls: Cell<u32>,
    pub clock: Cell<u64>,
    pub request_headers: RefCell<Vec<(String, Vec<u8>)>>,
    pub request_body: RefCell<Vec<u8>>,
    pub response_headers: RefCell<Vec<(String, Vec<u8>)>>,
    pub response_body: RefCell<Vec<u8>>,
    pub state: RefCell<HashMap<String, Vec<u8>>>,
    pub details: String,
    pub answered: RefCell<Option<(u16, String)>>,
}

impl FakeHost {
    pub fn call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    pub fn header(&self, name: &str) -> Option<String> {
        value_of(&self.request_headers.borrow(), name)
    }

    pub fn response_header(&self, name: &str) -> Option<String> {
        value_of(&self.response_headers.borrow(), name)
    }

    pub fn set_response(&self, headers: &[(&str, &str)]) {
        *self.response_headers.borrow_mut() = pairs(headers);
    }

    pub fn refused(&self) -> (u16, serde_json::Value) {
        let answered = self.answered.borrow();
        let (status, body) = answered.as_ref().expect("an answer");
        (*status, serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].clone())
    }
}

fn value_of(headers: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8(found.1.clone()).unwrap())
}

pub fn pairs(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    headers.iter().copied().collect::<Headers>().0
}

/// The first event in the outbox.
pub fn next_event(vm: &Vm) -> Option<v1::TraceEvent> {
    let batch = vm.outbox.borrow_mut().next_batch(u64::MAX)?;
    let batch = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
    Some(v1::TraceEvent::decode(batch.events[0].clone()).unwrap())
}

pub fn owned(headers: &Outgoing<'_>) -> Vec<(String, Vec<u8>)> {
    headers.pairs().map(|(key, value)| (key.to_owned(), value.to_vec())).collect()
}

impl Host for FakeHost {
    fn now_ns(&self) -> u64 {
        self.call();
        self.clock.set(self.clock.get() + 1000);
        self.clock.get()
    }
    fn request_headers(&self) -> Headers {
        self.call();
        Headers(self.request_headers.borrow().clone())
    }
    fn set_request_headers(&self, headers: &Outgoing<'_>) {
        self.call();
        *self.request_headers.borrow_mut() = owned(headers);
    }
    fn set_request_header(&self, name: &str, value: &[u8]) {
        self.call();
        let mut headers = self.request_headers.borrow_mut();
        headers.retain(|(key, _)| key != name);
        headers.push((name.to_owned(), value.to_vec()));
    }
    fn drop_request_trailers(&self) {
        self.call();
    }
    fn request_body(&self, max: usize) -> Vec<u8> {
        self.call();
        self.request_body.borrow().iter().take(max).copied().collect()
    }
    fn replace_request_start(&self, len: usize, with: &[u8]) {
        self.call();
        self.request_body.borrow_mut().splice(..len, with.iter().copied());
    }
    fn response_headers(&self) -> Headers {
        self.call();
        Headers(self.response_headers.borrow().clone())
    }
    fn set_response_headers(&self, headers: &Outgoing<'_>) {
        self.call();
        *self.response_headers.borrow_mut() = owned(headers);
    }
    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8> {
        self.call();
        self.response_body.borrow().iter().skip(start).take(len).copied().collect()
    }
    fn replace_response_chunk(&self, len: usize, with: &[u8]) {
        self.call();
        self.response_body.borrow_mut().splice(..len, with.iter().copied());
    }
    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.call();
        self.state.borrow().get(key).cloned()
    }
    fn set_state(&self, key: &str, value: &[u8]) {
        self.call();
        self.state.borrow_mut().insert(key.to_owned(), value.to_vec());
    }
    fn reroute(&self) {
        self.call();
    }
    fn claim(&self, _payload: &str, _claim: &str) -> Option<Vec<u8>> {
        self.call();
        None
    }
    fn response_details(&self) -> String {
        self.call();
        self.details.clone()
    }
    fn respond(&self, status: u16, _headers: &Outgoing<'_>, body: &[u8]) {
        self.call();
        *self.answered.borrow_mut() = Some((status, String::from_utf8(body.to_vec()).unwrap()));
    }
}

/// Checks and compiles a configuration.
pub fn checked(config: &str) -> Rc<Config> {
    let plugin = PluginConfig::from_json(config.as_bytes()).unwrap();
    Rc::new(Config::new(&plugin, &mut TargetIds::default()).unwrap())
}

pub struct Stream {
    pub vm: Rc<Vm>,
    pub host: FakeHost,
    pub gateway: Gateway,
}

impl Stream {
    pub fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        Self::with(CONFIG, headers, body)
    }

    pub fn with(config: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        Self::under(&checked(config), headers, body)
    }

    /// The same with a shared configuration.
    pub fn under(config: &Rc<Config>, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let vm = Rc::new(Vm::new(&[5; weir_filter::event::vm::ENTROPY]));
        vm.limit(config);
        let mut given = vec![(":method", "POST"), (":path", "/v1/chat/completions"), (":authority", "gw")];
        given.retain(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        given.extend_from_slice(headers);
        let host = FakeHost {
            request_headers: RefCell::new(pairs(&given)),
            request_body: RefCell::new(body.to_vec()),
            ..FakeHost::default()
        };
        Self { gateway: Gateway::new(Rc::clone(config), Rc::clone(&vm)), vm, host }
    }

    /// Headers and the whole body arrive.
    pub fn arrive(&mut self) -> Step {
        let size = self.host.request_body.borrow().len();
        match self.gateway.on_request_headers(&self.host, size == 0) {
            Step::Hold if self.host.answered.borrow().is_none() => {
                let step = self.gateway.on_request_body(&self.host, size, true);
                self.work(SLICE, |_| {}).unwrap_or(step)
            }
            step => step,
        }
    }

    /// Lets long work go on to its end, in slices of so many steps; `between` two of them others are served.
    pub fn work(&mut self, steps: u64, mut between: impl FnMut(&Self)) -> Option<Step> {
        while self.gateway.long_work().is_some() {
            let step = self.gateway.go_on(&self.host, steps);
            if step.is_some() {
                return step;
            }
            between(self);
        }
        None
    }

    /// Another request on the same VM.
    pub fn beside(&self, config: &Rc<Config>, body: &[u8]) -> Self {
        let vm = Rc::clone(&self.vm);
        Self {
            gateway: Gateway::new(Rc::clone(config), Rc::clone(&vm)),
            vm,
            ..Self::under(config, &[], body)
        }
    }

    pub fn attempt(&self) -> Attempt {
        let mut attempt = Attempt::new(Rc::clone(&self.vm));
        assert_eq!(attempt.on_request_headers(&self.host, false), Step::Continue);
        let size = self.host.request_body.borrow().len();
        assert_eq!(attempt.on_request_body(&self.host, size, true), Step::Continue);
        attempt
    }

    pub fn respond(&mut self, attempt: &mut Attempt, status: &str, content_type: &str, pieces: &[&str]) {
        self.host.set_response(&[(":status", status), ("content-type", content_type)]);
        attempt.on_response_headers(&self.host, false);
        self.gateway.on_response_headers(&self.host, false);
        for (at, piece) in pieces.iter().enumerate() {
            *self.host.response_body.borrow_mut() = piece.as_bytes().to_vec();
            self.gateway.on_response_body(&self.host, piece.len(), at + 1 == pieces.len());
        }
        attempt.on_response_trailers(&self.host);
    }

    /// Passes a response to the gateway role alone, its body in pieces of these sizes, repeated, as Envoy does: held
    /// data is there again, followed by the next piece. Returns what the caller receives.
    pub fn receive(&mut self, headers: &[(&str, &str)], body: &[u8], sizes: &[usize]) -> Vec<u8> {
        self.host.set_response(headers);
        self.deliver(body, sizes)
    }

    /// The same, with the headers that the host has.
    pub fn deliver(&mut self, body: &[u8], sizes: &[usize]) -> Vec<u8> {
        self.gateway.on_response_headers(&self.host, body.is_empty());
        let (mut delivered, mut rest, mut sizes) = (Vec::new(), body, sizes.iter().cycle());
        while !rest.is_empty() {
            let piece = rest.split_off(..(*sizes.next().unwrap()).clamp(1, rest.len())).unwrap();
            self.host.response_body.borrow_mut().extend_from_slice(piece);
            let buffered = self.host.response_body.borrow().len();
            if self.gateway.on_response_body(&self.host, buffered, rest.is_empty()) == Step::Continue {
                delivered.append(&mut self.host.response_body.borrow_mut());
            }
        }
        assert!(self.host.response_body.borrow().is_empty(), "everything held was released");
        delivered
    }

    pub fn event(&mut self) -> Option<v1::TraceEvent> {
        self.gateway.on_log(&self.host);
        self.vm.finish_events();
        assert!(self.vm.streams.borrow().is_empty(), "a finished request leaves nothing behind");
        next_event(&self.vm)
    }
}
