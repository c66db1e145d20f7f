//! The gateway role: what the downstream filter does with a request, its response and its end.
//!
//! The caller is known from the headers; the request is then held until its body is here, decided
//! on, and let go; the response is watched as it passes. Nothing here waits for telemetry: the
//! event is built when all is over (`on_log`).

mod search;

use std::borrow::Cow;
use std::rc::Rc;

use weir_event::v1;

use crate::api::call::{Call, NotServed, family_of};
use crate::api::passthrough::Passthrough;
use crate::api::{DEFAULT_FAMILY, Family, Feature};
use crate::auth::{Grant, Identity, RequestMetadata, without_key};
use crate::capture::budget::BudgetPermit;
use crate::config::Config;
use crate::event::content::Content;
use crate::event::ending::is_local_reply;
use crate::event::vm::Vm;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::redaction::Export;
use crate::refusal::Refusal;
use crate::roles::attempt::Attempt;
use crate::roles::caller;
use crate::roles::caller::Known;
use crate::roles::gateway_response::GatewayResponse;
use crate::roles::long_search::LongSearch;
use crate::roles::role::Role;
use crate::roles::session::{Session, forget_key, too_large};
use crate::routing::decide;
use crate::routing::decide::{Asked, Decided, EarlySearch, Findings, Forward, Question};
use crate::routing::models;

const HEALTH_PATH: &str = "/healthz";
const MODELS_PATH: &str = "/v1/models";

/// One stream of the downstream filter.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<Config>,
    vm: Rc<Vm>,
    /// The call and its caller; absent for requests that are answered untraced.
    inference: Option<Inference>,
    progress: Progress,
    /// How many bytes of its body have come.
    body_bytes: usize,
    response: GatewayResponse,
    /// The one attempt, where no upstream filter makes it.
    attempt: Option<Attempt>,
    /// Whether the caller's trailers have come.
    has_trailers: bool,
    /// The search of a long body, once it has begun.
    search: Option<(LongSearch, BudgetPermit)>,
}

/// A request for inference.
#[derive(Debug)]
struct Inference {
    session: Session,
    known: Known,
    headers: Headers,
}

/// A request's body while it is held.
#[derive(Debug)]
struct Held {
    body: Vec<u8>,
    /// The memory that is reserved to decide on it.
    permit: BudgetPermit,
    /// How it is exported.
    export: Option<Export>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Its headers or its body are on their way in.
    Arriving,
    /// It is here, and is searched slice by slice.
    Searched,
    /// The gateway has answered it.
    Answered,
    /// It was let go to a provider.
    Forwarded,
}

impl Gateway {
    /// A stream under this configuration.
    pub fn new(config: Rc<Config>, vm: Rc<Vm>) -> Self {
        Self {
            config,
            vm,
            inference: None,
            progress: Progress::Arriving,
            body_bytes: 0,
            response: GatewayResponse::default(),
            attempt: None,
            has_trailers: false,
            search: None,
        }
    }

    /// How many bytes of the response are held, beside the content that is captured.
    pub fn held(&self) -> usize {
        self.response.held()
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
        let Some(session) = Session::begin(&self.config, &self.vm, &headers, call, received_ns) else {
            self.vm.count_overload();
            return Err(self.turn_away(host, &Refusal::overloaded(), family));
        };
        let known = caller::identify(host, &self.config, &headers, query, received_ns);
        session.authenticated(host);
        let unknown = Known { grant: Rc::new(Grant::open()), identity: Identity::default() };
        let (known, denied) = match known {
            Ok(known) => (known, None),
            Err(refusal) => (unknown, Some(refusal)),
        };
        let Inference { session, known, headers } =
            self.inference.insert(Inference { session, known, headers });
        if let Some(refusal) = denied {
            return Err(self.refuse(host, &refusal));
        }
        let said = match RequestMetadata::read(headers) {
            Ok(said) => said,
            Err(error) => return Err(self.refuse(host, &Refusal::bad_metadata(&error))),
        };
        let policies = Session::policies(&self.config, &known.grant.name, headers);
        session.record_caller(known, said, &policies);
        if !session.reserve(headers.allocated()) {
            return Err(self.refuse(host, &Refusal::out_of_memory()));
        }
        Ok(())
    }

    /// Lets a request go that both the caller's key and a provider grant, whatever it is: its body is
    /// neither held nor read, and it has one attempt.
    fn pass_through(&mut self, host: &impl Host, feature: Feature) -> Step {
        let Some(Inference { session, known, headers }) = &mut self.inference else { return Step::Continue };
        match decide::pass(&self.config, &known.grant, feature, &session.call, headers) {
            Ok(forward) => {
                // The provider's API, whatever the path looks like.
                session.call.api = forward.decision.call.api;
                self.let_go(host, forward, None)
            }
            Err(refusal) => self.refuse(host, &refusal),
        }
    }

    /// What is asked about a request with this body.
    fn question<'q>(
        &'q self,
        (now_ns, clock): (u64, &'q dyn Fn() -> u64),
        inference: &'q Inference,
        caller: &'q v1::Caller,
        body: &'q [u8],
    ) -> Question<'q> {
        let Inference { session, known, headers } = inference;
        let Vm { memory, targets, random, .. } = &*self.vm;
        let (config, call, grant) = (&self.config, &session.call, &known.grant);
        Question { config, memory, targets, random, call, caller, grant, headers, body, now_ns, clock }
    }

    /// Decides about a request with this body, and lets it go to its first target.
    fn decide(
        &mut self,
        host: &impl Host,
        body: Vec<u8>,
        permit: BudgetPermit,
        early: Option<EarlySearch>,
    ) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        let Inference { session, .. } = inference;
        let mut exchange = session.exchange.borrow_mut();
        exchange.request.body_bytes = body.len() as u64;
        let (clock, received_ns) = (|| host.now_ns(), exchange.timing.body_received_ns);
        let now_ns = early.as_ref().map_or(received_ns, |early| early.searched_ns.1);
        let question = self.question((now_ns, &clock), inference, &exchange.caller, &body);
        let Decided { findings, outcome } = decide::decide(&question, early);
        let Findings { asked, policies, searched_ns, redactions, resolution } = findings;
        if let Some(Asked { model, stream, parameters, files }) = asked {
            let request = &mut exchange.request;
            (request.model, request.stream, request.files) = (model, stream, files);
            request.parameters = Some(parameters);
        }
        if let Some((begun_ns, ended_ns)) = searched_ns {
            (exchange.timing.redacting_ns, exchange.timing.redacted_ns) = (begun_ns, ended_ns);
        }
        (exchange.redactions, exchange.resolution) = (redactions, resolution);
        let export = policies.map(|policies| session.export(&policies));
        match outcome {
            Ok(forward) => {
                drop(exchange);
                self.let_go(host, forward, Some(Held { body, permit, export: export.flatten() }))
            }
            Err(refusal) => {
                if let Some(export) = export {
                    exchange.content = Content::none(export);
                }
                drop(exchange);
                self.refuse(host, &refusal)
            }
        }
    }

    /// Drops the caller's trailers where the request is the one attempt already.
    fn drop_trailers(&self, host: &impl Host) {
        if self.has_trailers && self.attempt.is_some() {
            host.drop_request_trailers();
        }
    }

    /// Lets a request go to its first target; `held` is its body where that is held.
    fn let_go(&mut self, host: &impl Host, forward: Forward, mut held: Option<Held>) -> Step {
        let Some(Inference { session, headers, .. }) = &mut self.inference else { return Step::Continue };
        let Forward { decision, router, characters, is_json, body: sent, response_redaction } = forward;
        let cluster = decision.plan.next_route().map(|route| route.cluster().to_owned()).unwrap_or_default();
        let mut exchange = session.exchange.borrow_mut();
        (exchange.decision, exchange.response_redaction) = (Some(decision), response_redaction);
        drop(exchange);
        // Nobody reads them again.
        *headers = Headers::default();
        if let Some(Held { body, permit, .. }) = &mut held {
            // What the search needed is free again.
            permit.resize(body.capacity() + sent.as_ref().map_or(0, Vec::capacity));
        }
        if !session.reserve(0) {
            return self.refuse(host, &Refusal::out_of_memory());
        }
        let mut size = None;
        if let Some(Held { body, mut permit, export }) = held {
            size = Some(body.len());
            // The body is content from here on, or gone.
            permit.resize(sent.as_ref().map_or(0, Vec::capacity));
            session.capture(export, if is_json { body } else { Vec::new() }, false, characters);
            session.exchange.borrow_mut().timing.resolved_ns = host.now_ns();
        }
        if let (Some(sent), Some(received)) = (sent, size) {
            // Attempts set its length, and find it in place of the caller's.
            host.replace_request_start(received, &sent);
            size = Some(sent.len());
        }
        host.set_state(name::STATE_CLUSTER, cluster.as_bytes());
        host.set_state(name::STATE_STREAM, &session.number.to_le_bytes());
        self.progress = Progress::Forwarded;
        if self.config.upstream_filter {
            router.send(host);
            return Step::Continue;
        }
        // Nobody else will: the same steps as an upstream filter's, on the one copy of the request.
        let attempt = self.attempt.insert(Attempt::new(Rc::clone(&self.vm)));
        let step = match (attempt.on_request_headers(host, false), size) {
            (Step::Continue, Some(size)) => attempt.on_request_body(host, size, true),
            (step, _) => step,
        };
        if step == Step::Hold {
            self.progress = Progress::Answered;
        }
        step
    }

    /// Whether what still passes is of no concern: the gateway's own response, or what follows the end.
    fn is_over(&self) -> bool {
        self.progress == Progress::Answered || self.response.is_over()
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
            Err(refusal) => return self.turn_away(host, &refusal, DEFAULT_FAMILY),
        };
        match models::response(&self.config, &known.grant, rest) {
            Ok(body) => self.respond(host, "application/json", &body),
            Err(refusal) => self.turn_away(host, &refusal, DEFAULT_FAMILY),
        }
    }

    fn respond(&mut self, host: &impl Host, content_type: &str, body: &str) -> Step {
        self.progress = Progress::Answered;
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, content_type.as_bytes());
        host.respond(200, &headers, body.as_bytes());
        Step::Hold
    }

    /// Refuses a request that is traced.
    fn refuse(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        let Some(Inference { session, .. }) = &self.inference else {
            return self.turn_away(host, refusal, DEFAULT_FAMILY);
        };
        self.progress = Progress::Answered;
        session.refuse(host, refusal)
    }

    /// Refuses one that is not.
    fn turn_away(&mut self, host: &impl Host, refusal: &Refusal, family: &Family) -> Step {
        self.progress = Progress::Answered;
        host.refuse(refusal, family, "");
        Step::Hold
    }
}

impl Role for Gateway {
    fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
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
                return self.respond(host, "text/plain", "ok\n");
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
                    && let Some(Passthrough { feature, call }) = Passthrough::of(method, &keyless)
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
                return self.turn_away(host, &refusal, family_of(path));
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
            return self.refuse(host, &too_large(&self.config));
        }
        if end_of_stream {
            return self.received(host);
        }
        Step::Hold
    }

    fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        match self.progress {
            Progress::Answered | Progress::Searched => return Step::Hold,
            Progress::Arriving if !self.response.is_over() => self.body_bytes = size,
            Progress::Arriving | Progress::Forwarded => {
                // Passed through, and not one byte of it read.
                if let Some(Inference { session, .. }) = &self.inference
                    && session.call.passed.is_some()
                {
                    session.exchange.borrow_mut().request.body_bytes += size as u64;
                }
                return Step::Continue;
            }
        }
        if size > self.config.request_body_max {
            return self.refuse(host, &too_large(&self.config));
        }
        if !end_of_stream {
            return Step::Hold;
        }
        self.received(host)
    }

    fn on_request_trailers(&mut self, host: &impl Host) -> Step {
        let step = match self.progress {
            Progress::Answered | Progress::Searched => return Step::Hold,
            Progress::Arriving if !self.response.is_over() => self.received(host),
            Progress::Arriving | Progress::Forwarded => Step::Continue,
        };
        self.has_trailers = true;
        self.drop_trailers(host);
        step
    }

    fn long_work(&self) -> Option<usize> {
        match self.progress {
            Progress::Searched => Some(self.body_bytes),
            Progress::Arriving | Progress::Answered | Progress::Forwarded => None,
        }
    }

    fn go_on(&mut self, host: &impl Host, steps: u64) -> Option<Step> {
        let step = self.continue_search(host, steps);
        if step.is_some() {
            self.drop_trailers(host);
        }
        step
    }

    fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        // Envoy's own, where the request is still searched.
        self.give_up_search();
        let Some(inference) = self.inference.as_ref().filter(|_| !self.is_over()) else {
            return Step::Continue;
        };
        if let Some(attempt) = &mut self.attempt
            && !is_local_reply(&host.response_details())
        {
            attempt.on_response_headers(host, end_of_stream);
        }
        self.response.on_headers(host, &inference.session, end_of_stream)
    }

    fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let Some(inference) = self.inference.as_ref().filter(|_| !self.is_over()) else {
            return Step::Continue;
        };
        self.response.on_body(host, &inference.session, size, end_of_stream)
    }

    fn on_response_trailers(&mut self, host: &impl Host) -> Step {
        let Some(inference) = self.inference.as_ref().filter(|_| !self.is_over()) else {
            return Step::Continue;
        };
        self.response.on_trailers(host, &inference.session)
    }

    /// Settles what was learnt of the targets, and hands the event to the outbox.
    fn on_log(&mut self, host: &impl Host) {
        let Some(Inference { session, .. }) = self.inference.take() else { return };
        let response = std::mem::take(&mut self.response);
        self.give_up_search();
        let ending = match self.progress {
            Progress::Answered => Some(v1::Ending::Rejected),
            _ => response.ending(session.exchange.borrow().answered),
        };
        session.finish(host, ending, response.into_body());
    }
}
