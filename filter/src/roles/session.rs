//! One traced request, from its headers to its event, as far as both roles treat it alike.

use std::rc::Rc;

use weir_event::v1;
use weir_settings::ByteSize;

use crate::api::call::Call;
use crate::auth::RequestMetadata;
use crate::capture::budget::BudgetPermit;
use crate::config::Config;
use crate::event::content::Content;
use crate::event::exchange::Shared;
use crate::event::vm::Vm;
use crate::event::{ending, record};
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::redact::{Policies, Restorer};
use crate::redaction::{Export, Redaction};
use crate::refusal::Refusal;
use crate::response::body::ResponseBody;
use crate::response::outgoing::GatewayHeaders;
use crate::response::redact::ResponseRedaction;
use crate::roles::caller;
use crate::roles::caller::Known;
use crate::trace_context;

/// One traced request. What is under way of it ends with it, also where no `on_log` comes.
#[derive(Debug)]
pub(crate) struct Session {
    pub config: Rc<Config>,
    pub vm: Rc<Vm>,
    pub exchange: Shared,
    pub call: Call,
    /// Its number in this VM.
    pub number: u64,
}

impl Session {
    /// Begins a request with these headers; `None` where as many are under way as there may be.
    pub fn begin(
        config: &Rc<Config>,
        vm: &Rc<Vm>,
        headers: &Headers,
        call: Call,
        received_ns: u64,
    ) -> Option<Self> {
        let exchange = record::begin(headers, &call, received_ns, vm);
        let number = vm.streams.borrow_mut().enter(&exchange)?;
        let (config, vm) = (Rc::clone(config), Rc::clone(vm));
        Some(Self { config, vm, exchange, call, number })
    }

    /// Reserves memory for what is known of the request, and `more` bytes beside it; returns whether there is
    /// some.
    pub fn reserve(&self, more: usize) -> bool {
        let mut exchange = self.exchange.borrow_mut();
        let bytes = exchange.allocated().saturating_add(more);
        exchange.permit.resize(bytes)
    }

    /// Reserves memory to decide on a request whose body has so many bytes; `None` where there is none.
    pub fn reserve_body(&self, bytes: usize) -> Option<BudgetPermit> {
        BudgetPermit::of(&self.vm.memory, bytes.saturating_mul(self.config.memory.body_copies))
    }

    /// Notes when it was known who asks.
    pub fn authenticated(&self, host: &impl Host) {
        if !self.config.is_open() {
            self.exchange.borrow_mut().timing.authenticated_ns = host.now_ns();
        }
    }

    /// What is redacted of a request of a key's, before its model is known.
    pub fn policies(config: &Config, key: &str, headers: &Headers) -> Policies {
        let policies = |redaction: &Rc<Redaction>| redaction.policies(key, "", headers);
        config.redaction.as_ref().map(policies).unwrap_or_default()
    }

    /// How content is exported under a policy.
    pub fn export(&self, policies: &Policies) -> Option<Export> {
        Export::new(self.config.redaction.as_ref(), policies.exported, self.call.api.family())
    }

    /// Notes the caller and the request's metadata.
    pub fn record_caller(&self, known: &Known, said: RequestMetadata, policies: &Policies) {
        let said = said.with_key_metadata(&known.grant.metadata);
        caller::record(&mut self.exchange.borrow_mut(), known, said, self.export(policies));
    }

    /// Begins to capture the content of a request that goes on, where it is captured: `body` is its body
    /// where that is JSON, which was made short where it `is_cut`.
    pub fn capture(&self, export: Option<Export>, body: Vec<u8>, is_cut: bool, characters: u64) {
        let Self { config, vm, .. } = self;
        let mut content =
            Content::begin(&config.capture, export, &vm.budget, body, characters).of_short(is_cut);
        if vm.policy.borrow().excludes() {
            content.withhold();
        }
        self.exchange.borrow_mut().content = content;
    }

    /// What is done with the response to a request that was searched.
    pub fn response_redaction(
        &self,
        policies: &Policies,
        restorer: Option<Restorer>,
    ) -> Option<ResponseRedaction> {
        let redaction = self.config.redaction.as_ref()?;
        ResponseRedaction::new(redaction, policies.returned, restorer, self.call.api)
    }

    /// The gateway's headers for the response, where they are configured.
    pub fn gateway_headers(&self) -> Option<GatewayHeaders> {
        self.config.response_headers.then(|| self.exchange.borrow().gateway_headers())
    }

    /// Responds with a refusal.
    pub fn refuse(&self, host: &impl Host, refusal: &Refusal) -> Step {
        let mut exchange = self.exchange.borrow_mut();
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        exchange.overloaded |= refusal.is_overload();
        if exchange.timing.body_received_ns != 0 {
            exchange.timing.resolved_ns = host.now_ns();
        }
        let trace_id = match self.config.response_headers {
            true => trace_context::trace_id(&exchange.trace),
            false => String::new(),
        };
        drop(exchange);
        host.refuse(refusal, self.call.api.family(), &trace_id);
        Step::Hold
    }

    /// All is over: hands the event to the outbox. `ending` is absent where Envoy's account says how the
    /// request ended.
    pub fn finish(self, host: &impl Host, ending: Option<v1::Ending>, body: ResponseBody) {
        let mut exchange = self.exchange.take();
        exchange.timing.done_ns = host.now_ns();
        let ending = ending.unwrap_or_else(|| ending::explain(&host.response_details(), &mut exchange));
        record::finish(exchange, ending, body, &self.vm, &self.config);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.vm.streams.borrow_mut().leave(self.number);
    }
}

/// The refusal of a request whose body is larger than is taken.
pub(crate) fn too_large(config: &Config) -> Refusal {
    Refusal::too_large(ByteSize(config.request_body_max as u64))
}

/// Lets a request's headers go on as they are, but for what would keep its response from being read, and for
/// the length of a body that may change: afterwards it can be said no more.
pub(crate) fn let_headers_go(host: &impl Host, headers: &Headers, may_change: bool) {
    let withheld = |key: &str| key == name::ACCEPT_ENCODING || (may_change && key == name::CONTENT_LENGTH);
    if !headers.0.iter().any(|(key, _)| withheld(key)) {
        return;
    }
    let mut out = Outgoing::default();
    for (key, value) in headers.0.iter().filter(|(key, _)| !withheld(key)) {
        out.add(key, value);
    }
    host.set_request_headers(&out);
}

/// Replaces the path, which held a key, in what was read and in what the host holds.
pub(crate) fn forget_key(host: &impl Host, headers: &mut Headers, path: &str) {
    for (_, value) in headers.0.iter_mut().filter(|(key, _)| key == name::PATH) {
        *value = path.as_bytes().to_vec();
    }
    let mut out = Outgoing::default();
    for (key, value) in &headers.0 {
        out.add(key, value);
    }
    host.set_request_headers(&out);
}
