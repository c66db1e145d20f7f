//! The gateway role: what the downstream filter does with a request, its response and its end.
//!
//! The caller is known from the headers; the request is then held until its body is here, decided
//! on, and let go; the response is watched as it passes. Nothing here waits for telemetry: the
//! event is built when all is over (`on_log`).

use std::borrow::Cow;
use std::rc::Rc;

use weir_event::v1;

use crate::api::upstream::forwarded_headers;
use crate::api::{Call, Family, Feature, NotServed, Passage};
use crate::auth::{Grant, Identity, RequestMetadata, without_key};
use crate::config::{ByteSize, Config};
use crate::event::content::Content;
use crate::event::exchange::Shared;
use crate::event::record;
use crate::event::vm::Vm;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::redaction::Export;
use crate::refusal::Refusal;
use crate::response::reader;
use crate::response::reader::{Reading, Rewriting, Told};
use crate::roles::attempt::Attempt;
use crate::roles::caller;
use crate::roles::caller::Known;
use crate::routing::decide;
use crate::routing::decide::Decided;
use crate::routing::models;
use crate::trace_context;

const HEALTH_PATH: &str = "/healthz";
const MODELS_PATH: &str = "/v1/models";

/// One stream of the downstream filter.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) config: Rc<Config>,
    pub(crate) vm: Rc<Vm>,
    /// What is called, by whom, and the request's number; absent for what is answered untraced.
    pub(crate) inference: Option<Inference>,
    pub(crate) progress: Progress,
    pub(crate) reading: Reading,
    pub(crate) rewriting: Rewriting,
    /// What the answer says of itself, while it is held.
    pub(crate) told: Option<Told>,
    /// How many bytes have come of a refusal whose body says whether the caller may read it.
    pub(crate) refusal: Option<usize>,
    /// The one attempt, where no upstream filter makes it.
    pub(crate) attempt: Option<Attempt>,
}

/// A request for inference.
#[derive(Debug)]
pub(crate) struct Inference {
    pub(crate) exchange: Shared,
    pub(crate) number: u64,
    pub(crate) call: Call,
    pub(crate) known: Known,
    pub(crate) headers: Headers,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its headers or its body are on their way in.
    Arriving,
    /// The gateway has answered it.
    Answered,
    /// It was let go to a provider.
    Forwarded,
    /// The gateway has answered it instead of what came back, and this is how it ended.
    Replied(v1::Ending),
    /// The response has come to its end.
    Delivered,
}

impl Gateway {
    /// A stream under this configuration.
    pub fn new(config: Rc<Config>, vm: Rc<Vm>) -> Self {
        Self {
            config,
            vm,
            inference: None,
            progress: Progress::Arriving,
            reading: Reading::Nothing,
            rewriting: Rewriting::None,
            told: None,
            refusal: None,
            attempt: None,
        }
    }

    /// The request's headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let received_ns = host.now_ns();
        let mut headers = host.request_headers();
        let target = headers.text(name::PATH);
        let keyless = without_key(&target);
        if let Cow::Owned(path) = &keyless {
            // At once: whatever becomes of the request, Envoy's access logs get the path from there.
            forget_key(host, &mut headers, path);
        }
        let (path, query) =
            target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        let method = headers.get(name::METHOD).unwrap_or_default();
        if let b"GET" | b"HEAD" = method {
            if path == HEALTH_PATH {
                return self.answer(host, "text/plain", "ok\n");
            }
            if let Some(rest) = path.strip_prefix(MODELS_PATH)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return self.list_models(host, &headers, query, rest, received_ns);
            }
        }
        let call = match Call::of(method, &target) {
            Ok(call) => call,
            Err(NotServed::UnknownPath)
                if path != MODELS_PATH
                    && let Some(Passage { feature, call }) = Passage::of(method, &keyless)
                    && self.config.grants(feature) =>
            {
                let admitted = self.admit(host, call, headers, query, received_ns);
                return admitted.map_or_else(|step| step, |()| self.pass_through(host, feature));
            }
            Err(why) => {
                let refusal = match why {
                    NotServed::UnknownPath if path == MODELS_PATH => Refusal::wrong_method("GET"),
                    NotServed::UnknownPath => Refusal::unknown_path(),
                    NotServed::Method { allow } => Refusal::wrong_method(allow),
                    NotServed::Model => Refusal::model_in_path(format!("model: {why}.")),
                };
                return self.turn_away(host, &refusal, Family::of_path(path), "");
            }
        };
        if let Err(step) = self.admit(host, call, headers, query, received_ns) {
            return step;
        }
        let Some(inference) = &self.inference else { return Step::Continue };
        let encoding = inference.headers.get(name::CONTENT_ENCODING).unwrap_or(b"identity");
        if !encoding.eq_ignore_ascii_case(b"identity") {
            return self.refuse(host, &Refusal::encoded_body());
        }
        let announced = inference.headers.number(name::CONTENT_LENGTH).unwrap_or(0);
        if usize::try_from(announced).map_or(true, |announced| announced > self.config.request_body_max) {
            return self.refuse(host, &self.too_large());
        }
        if end_of_stream {
            return self.decide(host);
        }
        Step::Hold
    }

    /// `size` bytes of the request's body are buffered.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        match self.progress {
            Progress::Answered => return Step::Hold,
            Progress::Forwarded | Progress::Replied(_) | Progress::Delivered => {
                // Passed through, and not one byte of it read.
                if let Some(inference) = self.inference.as_ref().filter(|it| it.call.passed.is_some()) {
                    inference.exchange.borrow_mut().request.body_bytes += size as u64;
                }
                return Step::Continue;
            }
            Progress::Arriving => {}
        }
        if size > self.config.request_body_max {
            return self.refuse(host, &self.too_large());
        }
        if !end_of_stream {
            return Step::Hold;
        }
        self.decide(host)
    }

    /// The request's trailers are here, so its body has ended.
    pub fn on_request_trailers(&mut self, host: &impl Host) -> Step {
        match self.progress {
            Progress::Answered => Step::Hold,
            Progress::Forwarded | Progress::Replied(_) | Progress::Delivered => {
                if self.attempt.is_some() {
                    host.drop_request_trailers();
                }
                Step::Continue
            }
            Progress::Arriving => {
                let step = self.decide(host);
                if self.attempt.is_some() {
                    host.drop_request_trailers();
                }
                step
            }
        }
    }

    /// All is over: settles what was learnt of the targets, and hands the event to the outbox.
    pub fn on_log(&mut self, host: &impl Host) {
        let Some(Inference { exchange, number, .. }) = self.inference.take() else { return };
        self.vm.streams.borrow_mut().leave(number);
        let mut exchange = exchange.take();
        exchange.timing.done_ns = host.now_ns();
        let ending = match self.progress {
            Progress::Answered => v1::Ending::Rejected,
            Progress::Replied(ending) => ending,
            // Delivered and answered by the provider: nothing needs explaining.
            Progress::Delivered if exchange.answered => v1::Ending::Completed,
            _ => reader::explain(&host.response_details(), &mut exchange),
        };
        exchange.redactions.extend(std::mem::take(&mut self.rewriting).told());
        record::finish(exchange, ending, std::mem::take(&mut self.reading), &self.vm, &self.config);
    }

    /// Begins a request that is traced: finds out who is calling, and what is said about it. The error is
    /// the step of a request that was answered.
    fn admit(
        &mut self,
        host: &impl Host,
        call: Call,
        headers: Headers,
        query: Option<&str>,
        received_ns: u64,
    ) -> Result<(), Step> {
        let family = call.api.family();
        let exchange = record::begin(&headers, &call, received_ns, &self.vm);
        let Some(number) = self.vm.streams.borrow_mut().enter(&exchange) else {
            return Err(self.turn_away(host, &Refusal::overloaded(), family, ""));
        };
        let known = caller::identify(host, &self.config, &headers, query, received_ns);
        if !self.config.is_open() {
            exchange.borrow_mut().timing.authenticated_ns = host.now_ns();
        }
        let unknown = Known { grant: Rc::new(Grant::open()), identity: Identity::default() };
        let (known, denied) = match known {
            Ok(known) => (known, None),
            Err(refusal) => (unknown, Some(refusal)),
        };
        let inference = self.inference.insert(Inference { exchange, number, call, known, headers });
        if let Some(refusal) = denied {
            return Err(self.refuse(host, &refusal));
        }
        let metadata = match RequestMetadata::read(&inference.headers) {
            Ok(metadata) => metadata.with_grant(&inference.known.grant),
            Err(error) => return Err(self.refuse(host, &Refusal::bad_metadata(&error))),
        };
        let redaction = self.config.redaction.as_ref();
        let policies = redaction
            .map(|redaction| redaction.policies(&inference.known.grant.name, "", &inference.headers))
            .unwrap_or_default();
        let export = Export::new(redaction, policies.exported, family);
        caller::record(&mut inference.exchange.borrow_mut(), &inference.known, metadata, export);
        Ok(())
    }

    /// Lets a request go that both the caller's key and a provider grant, whatever it is: its body is
    /// neither held nor read, and it has one attempt.
    fn pass_through(&mut self, host: &impl Host, feature: Feature) -> Step {
        let Some(inference) = &mut self.inference else { return Step::Continue };
        let Inference { call, known, headers, .. } = &*inference;
        match decide::pass(&self.config, &known.grant, feature, call, headers) {
            Ok(decided) => {
                // The provider's API, whatever the path looks like.
                inference.call.api = decided.decision.call.api;
                self.let_go(host, decided, None)
            }
            Err(refusal) => self.refuse(host, &refusal),
        }
    }

    /// Reads the whole body, decides, and lets the request go to its first target.
    fn decide(&mut self, host: &impl Host) -> Step {
        let Some(inference) = &mut self.inference else { return Step::Continue };
        let body = host.request_body(self.config.request_body_max);
        let now_ns = host.now_ns();
        let mut exchange = inference.exchange.borrow_mut();
        exchange.timing.body_received_ns = now_ns;
        exchange.request.body_bytes = body.len() as u64;
        let decided = decide::decide(
            &decide::Question {
                config: &self.config,
                vm: &self.vm,
                call: &inference.call,
                grant: &inference.known.grant,
                headers: &inference.headers,
                body: &body,
                now_ns,
                clock: &|| host.now_ns(),
            },
            &mut exchange,
        );
        drop(exchange);
        match decided {
            Ok(decided) => self.let_go(host, decided, Some(body)),
            Err(refusal) => self.refuse(host, &refusal),
        }
    }

    /// Lets a request go to its first target; `body` is its body where that is held.
    fn let_go(&mut self, host: &impl Host, mut decided: Decided, body: Option<Vec<u8>>) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        decided.decision.forwarded = forwarded(inference, &self.config);
        decided.decision.baggage = trace_context::baggage(&inference.headers);
        if let Some(ms) = decided.orders.timeout_ms.filter(|_| !self.config.upstream_filter) {
            // Among the provider's headers, which are there already when Envoy's router takes it out.
            decided.decision.forwarded.push((name::ENVOY_TIMEOUT, ms.to_string().into_bytes()));
        }
        let mut exchange = inference.exchange.borrow_mut();
        exchange.decision = Some(decided.decision);
        exchange.returning = decided.returning.take();
        let mut size = body.as_ref().map(Vec::len);
        let sent = decided.body.take();
        if let Some(body) = body {
            let kept = if decided.is_json { body } else { Vec::new() };
            exchange.content = Content::begin(
                &self.config.capture,
                decided.export,
                &self.vm.budget,
                kept,
                decided.characters,
            );
            if self.vm.policy.borrow().excludes() {
                exchange.content.withhold();
            }
            exchange.timing.resolved_ns = host.now_ns();
        }
        drop(exchange);
        if let (Some(sent), Some(received)) = (sent, size) {
            // Attempts say its length, and find it in place of the caller's.
            host.replace_request_start(received, &sent);
            size = Some(sent.len());
        }
        host.set_state(name::STATE_CLUSTER, decided.cluster.as_bytes());
        host.set_state(name::STATE_STREAM, &inference.number.to_le_bytes());
        self.progress = Progress::Forwarded;
        if self.config.upstream_filter {
            decided.orders.send(host);
            return Step::Continue;
        }
        // Nobody else will: the same steps as an upstream filter's, on the one copy of the request.
        let attempt = self.attempt.insert(Attempt::new(Rc::clone(&self.vm)));
        match (attempt.on_request_headers(host), size) {
            (Step::Continue, Some(size)) => attempt.on_request_body(host, size, true),
            (Step::Continue, None) => Step::Continue,
            (Step::Hold, _) => {
                self.progress = Progress::Answered;
                Step::Hold
            }
        }
    }

    /// Whether what still passes is of no concern: the gateway's own answer, or what follows the end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Answered | Progress::Replied(_) | Progress::Delivered)
    }

    fn list_models(
        &mut self,
        host: &impl Host,
        headers: &Headers,
        query: Option<&str>,
        rest: &str,
        now_ns: u64,
    ) -> Step {
        let known = match caller::identify(host, &self.config, headers, query, now_ns) {
            Ok(known) => known,
            Err(refusal) => return self.turn_away(host, &refusal, Family::OpenAi, ""),
        };
        match models::answer(&self.config, &known.grant, rest) {
            Ok(body) => self.answer(host, "application/json", &body),
            Err(refusal) => self.turn_away(host, &refusal, Family::OpenAi, ""),
        }
    }

    fn answer(&mut self, host: &impl Host, content_type: &str, body: &str) -> Step {
        self.progress = Progress::Answered;
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, content_type.as_bytes());
        host.answer(200, &headers, body.as_bytes());
        Step::Hold
    }

    /// Answers a request that is traced.
    fn refuse(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        let Some(inference) = &self.inference else {
            return self.turn_away(host, refusal, Family::OpenAi, "");
        };
        let family = inference.call.api.family();
        let mut exchange = inference.exchange.borrow_mut();
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        if exchange.timing.body_received_ns != 0 {
            exchange.timing.resolved_ns = host.now_ns();
        }
        let trace_id = match self.config.response_headers {
            true => trace_context::trace_id(&exchange.trace),
            false => String::new(),
        };
        drop(exchange);
        self.turn_away(host, refusal, family, &trace_id)
    }

    fn turn_away(&mut self, host: &impl Host, refusal: &Refusal, family: Family, trace_id: &str) -> Step {
        self.progress = Progress::Answered;
        host.refuse(refusal, family, trace_id);
        Step::Hold
    }

    fn too_large(&self) -> Refusal {
        Refusal::too_large(ByteSize(self.config.request_body_max as u64))
    }
}

impl Drop for Gateway {
    /// A stream that ends without `on_log` leaves nothing behind either.
    fn drop(&mut self) {
        if let Some(inference) = self.inference.take() {
            self.vm.streams.borrow_mut().leave(inference.number);
        }
    }
}

/// Replaces the path, which held a key, in what was read and in what the host holds.
fn forget_key(host: &impl Host, headers: &mut Headers, path: &str) {
    for (_, value) in headers.0.iter_mut().filter(|(key, _)| key == name::PATH) {
        *value = path.as_bytes().to_vec();
    }
    let mut out = Outgoing::default();
    for (key, value) in &headers.0 {
        out.add(key, value);
    }
    host.set_request_headers(&out);
}

/// The caller's headers that go on.
fn forwarded(inference: &Inference, config: &Config) -> Vec<(&'static str, Vec<u8>)> {
    // Envoy chooses no route without this one. Where the provider's headers are there before the route
    // is chosen, they must have it, and the route takes it out.
    let for_route = (!config.upstream_filter).then_some(name::X_FORWARDED_PROTO);
    let names = forwarded_headers(inference.call.api).chain(for_route);
    names.filter_map(|key| Some((key, inference.headers.get(key)?.to_vec()))).collect()
}
