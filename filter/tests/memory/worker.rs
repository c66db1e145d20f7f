//! A worker, and a host that holds no bytes of bodies: what is allocated is the VM's.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use weir_filter::balancing::TargetIds;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::headers::{Headers, Outgoing};
use weir_filter::host::{Host, Step};
use weir_filter::redact::SLICE;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;
use weir_filter::roles::gateway::Gateway;

/// How many bytes of what went out instead are there to be looked at.
const SHOWN: usize = 4096;

pub struct Worker {
    pub vm: Rc<Vm>,
    pub config: Rc<Config>,
}

/// A response of the gateway's own.
#[derive(Clone, Debug)]
pub struct Refused {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: String,
}

#[derive(Default)]
pub struct BareHost {
    pub headers: Vec<(String, Vec<u8>)>,
    state: RefCell<Vec<(String, Vec<u8>)>>,
    /// The request's body; once it was replaced only its length is known.
    body: Rc<[u8]>,
    replaced: Cell<Option<usize>>,
    pub response_headers: RefCell<Vec<(String, Vec<u8>)>>,
    response: Rc<[u8]>,
    /// Where in the response the buffered bytes stand.
    buffered: Cell<(usize, usize)>,
    /// What goes on in place of so many buffered bytes.
    pub instead: RefCell<Option<(usize, String)>>,
    pub refused: RefCell<Option<Refused>>,
}

fn owned(headers: &Outgoing<'_>) -> Vec<(String, Vec<u8>)> {
    headers.pairs().map(|(key, value)| (key.to_owned(), value.to_vec())).collect()
}

pub fn value(headers: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8(value.clone()).unwrap())
}

impl Host for BareHost {
    fn now_ns(&self) -> u64 {
        1
    }
    fn request_headers(&self) -> Headers {
        Headers(self.headers.clone())
    }
    fn set_request_headers(&self, _headers: &Outgoing<'_>) {}
    fn set_request_header(&self, _name: &str, _value: &[u8]) {}
    fn drop_request_trailers(&self) {}
    fn request_body(&self, max: usize) -> Vec<u8> {
        match self.replaced.get() {
            None => self.body[..max.min(self.body.len())].to_vec(),
            Some(length) => vec![b' '; max.min(length)],
        }
    }
    fn replace_request_start(&self, len: usize, with: &[u8]) {
        let before = self.replaced.get().unwrap_or(self.body.len());
        self.replaced.set(Some(before - len + with.len()));
    }
    fn response_headers(&self) -> Headers {
        Headers(self.response_headers.borrow().clone())
    }
    fn set_response_headers(&self, headers: &Outgoing<'_>) {
        *self.response_headers.borrow_mut() = owned(headers);
    }
    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8> {
        let (at, buffered) = self.buffered.get();
        self.response[at..at + buffered][start.min(buffered)..(start + len).min(buffered)].to_vec()
    }
    fn replace_response_chunk(&self, len: usize, with: &[u8]) {
        let shown = String::from_utf8_lossy(&with[..with.len().min(SHOWN)]).into_owned();
        *self.instead.borrow_mut() = Some((len, shown));
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
        "via_upstream".to_owned()
    }
    fn respond(&self, status: u16, headers: &Outgoing<'_>, body: &[u8]) {
        let retry_after = value(&owned(headers), "retry-after");
        let body = String::from_utf8(body.to_vec()).unwrap();
        *self.refused.borrow_mut() = Some(Refused { status, retry_after, body });
    }
}

/// A request under way.
pub struct Request {
    pub host: BareHost,
    pub gateway: Gateway,
    pub attempt: Option<Attempt>,
}

impl Worker {
    /// One with a provider of every API, and a model by its name, with these further settings.
    pub fn new(settings: &str) -> Self {
        Self::with_models(settings, r#""other": {"alias": "openai"}"#)
    }

    /// The same with these further models.
    pub fn with_models(settings: &str, models: &str) -> Self {
        let apis = ["openai", "anthropic", "gemini", "cohere"];
        let provider =
            |api: &str| format!(r#""{api}": {{"api": "{api}", "url": "http://10.0.0.1:9000/v1"}}"#);
        let model =
            |api: &str| format!(r#""{api}": {{"targets": [{{"provider": "{api}", "model": "m-{api}"}}]}}"#);
        let json = format!(
            r#"{{"providers": {{{}}}, "models": {{{}, {models}}}, {settings},
                "exporter": {{"cluster": "weir.exporter", "authority": "exporter"}}}}"#,
            apis.map(provider).join(","),
            apis.map(model).join(",")
        );
        let plugin = PluginConfig::from_json(json.as_bytes()).unwrap();
        let config = Rc::new(Config::new(&plugin, &mut TargetIds::default()).unwrap());
        let vm = Rc::new(Vm::new(&[5; ENTROPY]));
        vm.limit(&config);
        Self { vm, config }
    }

    /// Begins a request, whose headers are here.
    pub fn begin(&self, path: &str, body: &Rc<[u8]>) -> Request {
        let length = body.len().to_string();
        let headers = [
            (":method", "POST"),
            (":path", path),
            (":authority", "gw"),
            ("content-type", "application/json"),
            ("content-length", &length),
        ];
        let host = BareHost {
            headers: headers.into_iter().collect::<Headers>().0,
            body: Rc::clone(body),
            ..BareHost::default()
        };
        let mut gateway = Gateway::new(Rc::clone(&self.config), Rc::clone(&self.vm));
        gateway.on_request_headers(&host, false);
        Request { host, gateway, attempt: None }
    }

    /// A request whose body is here too: it has gone to its provider, or was refused.
    pub fn ask(&self, path: &str, body: &Rc<[u8]>) -> Request {
        let mut request = self.begin(path, body);
        request.send(self);
        request
    }
}

impl Request {
    pub fn refused(&self) -> Option<Refused> {
        self.host.refused.borrow().clone()
    }

    /// Its body is here.
    pub fn send(&mut self, worker: &Worker) {
        if self.decide() == Step::Continue {
            self.try_it(worker);
        }
    }

    /// Its body is here, and is decided on.
    pub fn decide(&mut self) -> Step {
        let size = self.host.body.len();
        if self.refused().is_some() {
            return Step::Hold;
        }
        let step = self.gateway.on_request_body(&self.host, size, true);
        while self.gateway.long_work().is_some() {
            if let Some(step) = self.gateway.go_on(&self.host, SLICE) {
                return step;
            }
        }
        step
    }

    /// An attempt begins.
    pub fn try_it(&mut self, worker: &Worker) {
        let mut attempt = Attempt::new(Rc::clone(&worker.vm));
        let size = self.host.replaced.get().unwrap_or(self.host.body.len());
        if attempt.on_request_headers(&self.host, false) == Step::Continue {
            attempt.on_request_body(&self.host, size, true);
        }
        self.attempt = Some(attempt);
    }

    /// The headers of a response are here, whose body this will be.
    pub fn respond(&mut self, content_type: &str, body: &Rc<[u8]>) -> Step {
        let headers = [(":status", "200"), ("content-type", content_type)];
        *self.host.response_headers.borrow_mut() = headers.into_iter().collect::<Headers>().0;
        self.host.response = Rc::clone(body);
        self.host.buffered.set((0, 0));
        if let Some(attempt) = &mut self.attempt {
            attempt.on_response_headers(&self.host, false);
        }
        self.gateway.on_response_headers(&self.host, false)
    }

    /// So many bytes of a response are here that is held for its first token.
    pub fn await_token(&mut self, bytes: usize) -> Step {
        self.host.buffered.set((0, bytes));
        self.attempt.as_mut().unwrap().on_response_body(&self.host, bytes, false)
    }

    /// The next `size` bytes of the response are here. Gives what goes on, of a large piece the beginning alone;
    /// `None` while it is held.
    pub fn feed(&mut self, size: usize, is_end: bool) -> Option<String> {
        let (at, buffered) = self.host.buffered.get();
        let buffered = (buffered + size).min(self.host.response.len() - at);
        self.host.buffered.set((at, buffered));
        if self.gateway.on_response_body(&self.host, buffered, is_end) == Step::Hold {
            return None;
        }
        self.host.buffered.set((at + buffered, 0));
        let rest = |from: usize| {
            let shown = &self.host.response[at + from..at + buffered];
            String::from_utf8_lossy(&shown[..shown.len().min(SHOWN)]).into_owned()
        };
        Some(match self.host.instead.take() {
            Some((length, instead)) => instead + &rest(length),
            None => rest(0),
        })
    }

    /// All the rest is here.
    pub fn feed_rest(&mut self) -> String {
        let (at, _) = self.host.buffered.get();
        self.feed(self.host.response.len() - at, true).expect("nothing is held at the end")
    }

    /// It is over, as Envoy says it.
    pub fn end(mut self) {
        self.gateway.on_log(&self.host);
    }
}
