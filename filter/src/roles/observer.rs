//! The observing role: what the filter does with requests that it does not route.
//!
//! No headers are ever held, neither a request's nor an answer's, and nothing changes but what
//! redaction asks for. A body passes piece by piece, and is held only to be searched. What the caller
//! sends to authorise itself goes on to the provider, and is in no event. As in the gateway role the
//! event is built when all is over.

use std::rc::Rc;

use weir_event::v1;

use crate::api::Call;
use crate::auth::RequestMetadata;
use crate::balancing::TargetId;
use crate::capture::budget::Room;
use crate::config::{ByteSize, Config, Seen};
use crate::event::content;
use crate::event::content::Content;
use crate::event::exchange::{Exchange, Shared};
use crate::event::record;
use crate::event::vm::Vm;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::json::pieces::Pieces;
use crate::redact::Policies;
use crate::redaction::Export;
use crate::refusal::Refusal;
use crate::request::body::Glance;
use crate::response::reader;
use crate::response::reader::{Length, Reading, Rewriting, Told};
use crate::response::redact::Returning;
use crate::response::redact::whole::Outcome;
use crate::roles::caller;
use crate::trace_context;

/// The rule by which an event's model was found: it stands in the request and in no configuration.
const RULE: &str = "observed";
/// Most bytes of an answer that are held to be rewritten. Over its own limit (1 MiB unless it was
/// raised) Envoy would break the answer off.
const ANSWER_HELD_MAX: usize = 512 << 10;

/// One stream of the filter that observes.
#[derive(Debug)]
pub struct Observer {
    config: Rc<Config>,
    vm: Rc<Vm>,
    observed: Option<Observation>,
    progress: Progress,
    asking: Asking,
    reading: Reading,
    rewriting: Rewriting,
}

/// A request that is observed.
#[derive(Debug)]
struct Observation {
    exchange: Shared,
    number: u64,
    call: Call,
    content_type: Vec<u8>,
    policies: Policies,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is on its way.
    Passing,
    /// It was answered here.
    Answered,
    /// The answer has come to its end.
    Delivered,
}

/// How a request's body is taken in.
#[derive(Debug)]
enum Asking {
    /// All is known of it that will be.
    Known,
    /// It passes, and what is small in it is kept.
    Json(Pieces),
    /// It passes, and is kept as it is while there is room.
    Form(Vec<u8>, Room),
    /// It is held until it is whole.
    Held,
}

impl Observer {
    /// A stream under this configuration.
    pub fn new(config: Rc<Config>, vm: Rc<Vm>) -> Self {
        Self {
            config,
            vm,
            observed: None,
            progress: Progress::Passing,
            asking: Asking::Known,
            reading: Reading::Nothing,
            rewriting: Rewriting::None,
        }
    }

    /// The request's headers are here. They go on, unless the request is refused.
    pub fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let received_ns = host.now_ns();
        let headers = host.request_headers();
        let (method, target) = (headers.get(name::METHOD).unwrap_or_default(), headers.text(name::PATH));
        let Some(seen) = self.config.observed.find(method, &headers.text(name::AUTHORITY), &target) else {
            return Step::Continue;
        };
        let exchange = record::begin(&headers, &seen.call, received_ns, &self.vm);
        let entered = self.vm.streams.borrow_mut().enter(&exchange);
        let known = caller::identify(host, &self.config, &headers, query(&target), received_ns);
        let key = known.as_ref().map(|known| known.grant.name.as_str()).unwrap_or_default();
        let redaction = self.config.redaction.as_ref();
        let policies = redaction.map(|redaction| redaction.policies(key, "", &headers)).unwrap_or_default();
        let holds =
            !end_of_stream && redaction.is_some_and(|redaction| redaction.searches(&policies.forwarded));
        let Some(number) = entered else {
            // Not observed; but nothing passes unsearched that is to be searched, or by an unknown caller.
            return match known {
                Ok(_) if !holds => Step::Continue,
                _ => self.turn_away(host, &Refusal::overloaded(), &seen.call, ""),
            };
        };
        let Seen { call, .. } = seen.clone();
        let content_type = headers.get(name::CONTENT_TYPE).unwrap_or_default().to_vec();
        let observed = self.observed.insert(Observation { exchange, number, call, content_type, policies });
        if !self.config.is_open() {
            observed.exchange.borrow_mut().timing.authenticated_ns = host.now_ns();
        }
        match known {
            Ok(known) => {
                // What cannot be read is nothing to refuse a request for that is not routed.
                let said = RequestMetadata::read(&headers).unwrap_or_default().with_grant(&known.grant);
                let export = Export::new(redaction, policies.exported, observed.call.api.family());
                caller::record(&mut observed.exchange.borrow_mut(), &known, said, export);
            }
            Err(refusal) => return self.refuse(host, &refusal),
        }
        let announced = headers.number(name::CONTENT_LENGTH).unwrap_or(0);
        if holds && usize::try_from(announced).map_or(true, |bytes| bytes > self.config.request_body_max) {
            return self.refuse(host, &self.too_large());
        }
        self.begin_attempt(&seen, received_ns);
        let keeps = policies.exported.content != crate::redact::Content::Exclude && redaction.is_some();
        self.asking = match seen.call.api.takes_form() {
            _ if end_of_stream => Asking::Known,
            _ if holds => Asking::Held,
            true => Asking::Form(Vec::new(), Room::new(&self.vm.budget)),
            false => Asking::Json(content::pieces(self.config.capture.limit, keeps)),
        };
        if end_of_stream {
            self.know(&[], false, None);
        }
        let_go(host, &headers, holds);
        Step::Continue
    }

    /// `size` bytes of the request's body are here.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if self.progress == Progress::Answered {
            return Step::Hold;
        }
        let Some(observed) = &self.observed else { return Step::Continue };
        match &mut self.asking {
            Asking::Known => return Step::Continue,
            Asking::Held if size > self.config.request_body_max => {
                return self.refuse(host, &self.too_large());
            }
            Asking::Held if !end_of_stream => return Step::Hold,
            Asking::Held => return self.search(host),
            Asking::Json(pieces) if size > 0 => pieces.push(&host.request_body(size)),
            Asking::Form(bytes, room) if size > 0 => {
                if bytes.len() + size > self.config.request_body_max || !room.take(size) {
                    self.asking = Asking::Json(Pieces::default());
                } else {
                    bytes.extend(host.request_body(size));
                }
            }
            Asking::Json(_) | Asking::Form(..) => {}
        }
        observed.exchange.borrow_mut().request.body_bytes += size as u64;
        if end_of_stream {
            self.has_passed();
        }
        Step::Continue
    }

    /// The request's trailers are here, so its body has ended.
    pub fn on_request_trailers(&mut self, host: &impl Host) -> Step {
        match (self.progress, &self.asking) {
            (Progress::Answered, _) => Step::Hold,
            (_, Asking::Held) => self.search(host),
            _ => {
                self.has_passed();
                Step::Continue
            }
        }
    }

    /// The answer's headers are here. They always go on.
    pub fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) {
        if self.is_over() {
            return;
        }
        // An answer can come before the request has ended; what is held stays held until it was searched.
        match self.asking {
            Asking::Held => self.know(&[], false, None),
            _ => self.has_passed(),
        }
        let Some(observed) = &self.observed else { return };
        let by_provider = !reader::is_local_reply(&host.response_details());
        let (now_ns, headers) = (host.now_ns(), host.response_headers());
        let mut exchange = observed.exchange.borrow_mut();
        let exchange = &mut *exchange;
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        exchange.response.status = status.into();
        exchange.answered = by_provider;
        if let Some(attempt) = exchange.last_attempt().filter(|_| by_provider) {
            attempt.status = status.into();
            attempt.response_headers_ns = now_ns;
        }
        if by_provider {
            let returning = exchange.returning.take().filter(|_| !end_of_stream);
            if let Some(returning) = returning {
                exchange.timing.returning_ns = now_ns;
                let held_max = self.config.response_body_max;
                // What cannot be read passes: the configuration can say nothing else.
                self.rewriting = Rewriting::of(returning, &headers, held_max).unwrap_or_default();
            }
            let transcript = exchange.content.transcript(&self.vm.budget);
            self.reading = Reading::of(&headers, observed.call.api, exchange, transcript, false);
            exchange.response.streamed = self.reading.is_stream();
            exchange.response.unread = matches!(self.reading, Reading::Compressed);
        }
        let told = self.config.response_headers.then(|| Told::of(exchange));
        let length = match self.rewriting {
            Rewriting::Whole(..) | Rewriting::Open(..) => Length::Unknown,
            _ => self.reading.length(&self.rewriting),
        };
        Reading::send(host, &headers, length, told.as_ref(), |_| false);
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
    }

    /// `size` bytes of the answer's body are here.
    pub fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        let Some(observed) = &self.observed else { return Step::Continue };
        if let Rewriting::Open(..) = self.rewriting {
            let settled = self.rewriting.settle(host, size, end_of_stream, ANSWER_HELD_MAX);
            let Some(settled) = settled else { return Step::Hold };
            // What cannot be read passes: the configuration can say nothing else.
            if let Ok(form) = settled {
                self.reading.settle(form);
                observed.exchange.borrow_mut().response.streamed = self.reading.is_stream();
            }
        }
        if let Rewriting::Whole(..) = self.rewriting {
            return self.hold_answer(host, size, end_of_stream);
        }
        let mut exchange = observed.exchange.borrow_mut();
        let Exchange { response, timing, .. } = &mut *exchange;
        let step = self.reading.pass(host, size, end_of_stream, &mut self.rewriting, response, timing);
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        step
    }

    /// The answer's trailers are here, so its body has ended.
    pub fn on_response_trailers(&mut self, host: &impl Host) {
        if self.is_over() {
            return;
        }
        if let Some(read) = self.rewriting.awaited() {
            self.on_response_body(host, read, true);
        }
        self.progress = Progress::Delivered;
    }

    /// All is over: hands the event to the outbox.
    pub fn on_log(&mut self, host: &impl Host) {
        self.has_passed();
        let Some(Observation { exchange, number, .. }) = self.observed.take() else { return };
        self.vm.streams.borrow_mut().leave(number);
        let mut exchange = exchange.take();
        exchange.timing.done_ns = host.now_ns();
        let ending = match self.progress {
            Progress::Answered => v1::Ending::Rejected,
            Progress::Delivered if exchange.answered => v1::Ending::Completed,
            _ => reader::explain(&host.response_details(), &mut exchange),
        };
        exchange.redactions.extend(std::mem::take(&mut self.rewriting).told());
        record::finish(exchange, ending, std::mem::take(&mut self.reading), &self.vm, &self.config);
    }

    fn is_over(&self) -> bool {
        self.observed.is_none() || self.progress != Progress::Passing
    }

    fn begin_attempt(&self, seen: &Seen, started_ns: u64) {
        let Some(observed) = &self.observed else { return };
        let span_id = self.vm.random.borrow_mut().span_id();
        let mut exchange = observed.exchange.borrow_mut();
        let scheme = exchange.request.scheme.clone();
        let port = seen.port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let path = exchange.request.path.clone();
        exchange.targets.push(TargetId::UNTRACKED);
        exchange.attempts.push(v1::Attempt {
            number: 1,
            span_id: span_id.to_vec().into(),
            provider: seen.provider.clone(),
            provider_kind: seen.kind.provider_name().to_owned(),
            scheme,
            host: seen.host.clone(),
            port: port.into(),
            path,
            started_ns,
            ..Default::default()
        });
    }

    /// A body that passed has come to its end, or will not come any further.
    fn has_passed(&mut self) {
        match std::mem::replace(&mut self.asking, Asking::Known) {
            Asking::Known => {}
            Asking::Held => self.know(&[], false, None),
            Asking::Json(pieces) => {
                let (body, is_cut) = pieces.finish().unwrap_or_default();
                self.know(&body, is_cut, None);
            }
            Asking::Form(bytes, _room) => self.know(&bytes, false, None),
        }
    }

    /// Searches the whole body that is held, and lets it go.
    fn search(&mut self, host: &impl Host) -> Step {
        let Some((observed, redaction)) = self.observed.as_ref().zip(self.config.redaction.as_ref()) else {
            return Step::Continue;
        };
        self.asking = Asking::Known;
        let body = host.request_body(self.config.request_body_max);
        let (policy, family) = (&observed.policies.forwarded, observed.call.api.family());
        let mut exchange = observed.exchange.borrow_mut();
        exchange.request.body_bytes = body.len() as u64;
        exchange.timing.redacting_ns = host.now_ns();
        let searched = redaction.forward(policy, family, &body);
        exchange.timing.redacted_ns = host.now_ns();
        drop(exchange);
        let searched = match searched {
            Ok(searched) => searched,
            Err(refusal) => {
                self.know(&body, false, None);
                return self.refuse(host, &refusal);
            }
        };
        observed.exchange.borrow_mut().redactions = searched.found;
        if let Some(instead) = &searched.body {
            host.replace_request_start(body.len(), instead);
        }
        self.know(&body, false, searched.restorer);
        Step::Continue
    }

    /// Notes what a request's body says, as far as it is here. What was asked is known now, so it is also
    /// known what is kept of the answer, and what is done with it.
    fn know(&self, body: &[u8], is_cut: bool, restorer: Option<crate::redact::Restorer>) {
        let Some(observed) = &self.observed else { return };
        let Observation { exchange, call, content_type, policies, .. } = observed;
        let glance = Glance::at(call, content_type, body);
        let mut exchange = exchange.borrow_mut();
        if let Some(attempt) = exchange.last_attempt() {
            attempt.model.clone_from(&glance.model);
        }
        exchange.resolution =
            Some(v1::Resolution { rule: RULE.to_owned(), targets: 1, ..Default::default() });
        exchange.request.model = glance.model;
        exchange.request.stream = glance.stream;
        exchange.request.parameters = Some(glance.parameters);
        exchange.request.files = glance.files;
        let redaction = self.config.redaction.as_ref();
        let export = Export::new(redaction, policies.exported, call.api.family());
        let kept = if glance.is_json { body.to_vec() } else { Vec::new() };
        exchange.content =
            Content::begin(&self.config.capture, export, &self.vm.budget, kept, glance.characters)
                .of_short(is_cut);
        if self.vm.policy.borrow().excludes() {
            exchange.content.withhold();
        }
        exchange.returning =
            redaction.and_then(|redaction| Returning::new(redaction, policies.returned, restorer, call.api));
    }

    /// `size` bytes of an answer are held until it is whole; its headers have gone on.
    fn hold_answer(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let (Some(observed), Rewriting::Whole(whole, read)) = (&self.observed, &mut self.rewriting) else {
            return Step::Continue;
        };
        let mut exchange = observed.exchange.borrow_mut();
        let exchange = &mut *exchange;
        let fresh = host.response_chunk(*read, size.saturating_sub(*read));
        self.reading.look(host, &fresh, &mut exchange.timing);
        let begins = *read == 0;
        *read += fresh.len();
        let is_large = *read > self.config.response_body_max.min(ANSWER_HELD_MAX);
        if !end_of_stream && !is_large {
            return Step::Hold;
        }
        let outcome = match (is_large, begins) {
            (true, _) => Outcome::Same,
            (false, true) => whole.rewrite(&fresh),
            (false, false) => whole.rewrite(&host.response_chunk(0, *read)),
        };
        exchange.redactions.extend(whole.told());
        exchange.timing.returned_ns = host.now_ns();
        self.rewriting = Rewriting::None;
        let instead = match outcome {
            Outcome::Same => None,
            Outcome::Changed(body) => Some(body),
            // Not what the configuration allows; should it come, the answer does not pass.
            Outcome::Refused(refusal) => {
                refusal.code.clone_into(&mut exchange.response.error_type);
                Some(refusal.body(observed.call.api.family()).into_bytes())
            }
        };
        exchange.response.body_bytes += instead.as_ref().map_or(size, Vec::len) as u64;
        if let Some(body) = instead {
            host.replace_response_chunk(size, &body);
        }
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// Answers a request that is observed.
    fn refuse(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        let Some(observed) = &self.observed else { return Step::Continue };
        let (exchange, call) = (Rc::clone(&observed.exchange), observed.call.clone());
        let mut exchange = exchange.borrow_mut();
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        // Of what it asked nothing has reached the provider.
        exchange.attempts.clear();
        exchange.targets.clear();
        let trace_id = match self.config.response_headers {
            true => trace_context::trace_id(&exchange.trace),
            false => String::new(),
        };
        self.turn_away(host, refusal, &call, &trace_id)
    }

    fn turn_away(&mut self, host: &impl Host, refusal: &Refusal, call: &Call, trace_id: &str) -> Step {
        self.progress = Progress::Answered;
        host.refuse(refusal, call.api.family(), trace_id);
        Step::Hold
    }

    fn too_large(&self) -> Refusal {
        Refusal::too_large(ByteSize(self.config.request_body_max as u64))
    }

    /// How many bytes are held, beside the content that is kept.
    pub fn held(&self) -> usize {
        let asking = match &self.asking {
            Asking::Json(pieces) => pieces.held(),
            Asking::Form(bytes, _) => bytes.len(),
            Asking::Known | Asking::Held => 0,
        };
        asking + self.reading.held() + self.rewriting.held()
    }
}

impl Drop for Observer {
    /// A stream that ends without `on_log` leaves nothing behind either.
    fn drop(&mut self) {
        if let Some(observed) = self.observed.take() {
            self.vm.streams.borrow_mut().leave(observed.number);
        }
    }
}

/// Lets a request's headers go on as they are, but for what would keep its answer from being read, and for
/// the length of a body that may change: afterwards it can be said no more.
fn let_go(host: &impl Host, headers: &Headers, may_change: bool) {
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

fn query(target: &str) -> Option<&str> {
    target.split_once('?').map(|(_, query)| query)
}
