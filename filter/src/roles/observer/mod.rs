//! The observing role: what the filter does with requests that it does not route.
//!
//! No headers are ever held, neither a request's nor a response's, and nothing changes but what
//! redaction asks for. A body passes piece by piece, and is held only to be searched. What the caller
//! sends to authorise itself goes on to the provider, and is in no event. As in the gateway role the
//! event is built when all is over.

mod search;

use std::rc::Rc;

use weir_event::v1;

use crate::api::call::Call;
use crate::auth::RequestMetadata;
use crate::balancing::TargetId;
use crate::capture::budget::BudgetPermit;
use crate::config::{Config, Seen};
use crate::event::content;
use crate::event::ending::is_local_reply;
use crate::event::vm::Vm;
use crate::headers::name;
use crate::host::{Host, Step};
use crate::json::scan::Object;
use crate::json::truncate::pieces::Pieces;
use crate::redact::{Policies, Restorer};
use crate::refusal::Refusal;
use crate::request::body::BestEffortBody;
use crate::response::body::{ResponseBody, Settled};
use crate::response::outgoing::{Length, send};
use crate::response::redact::whole::Outcome;
use crate::roles::caller;
use crate::roles::long_search::LongSearch;
use crate::roles::role::Role;
use crate::roles::session::{Session, let_headers_go, too_large};

/// The rule by which an event's model was found: it stands in the request and in no configuration.
const RULE: &str = "observed";
/// Most bytes of a response that are held to be rewritten. Over its own limit (1 MiB unless it was
/// raised) Envoy would break the response off.
const RESPONSE_HELD_MAX: usize = 512 << 10;

/// One stream of the filter that observes.
#[derive(Debug)]
pub struct Observer {
    config: Rc<Config>,
    vm: Rc<Vm>,
    observed: Option<Observation>,
    progress: Progress,
    request: RequestReading,
    /// The search of a long body, once it has begun.
    search: Option<(LongSearch, BudgetPermit)>,
    response: ResponseBody,
}

/// A request that is observed.
#[derive(Debug)]
struct Observation {
    session: Session,
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
    /// The response has come to its end.
    Delivered,
}

/// How a request's body is taken in.
#[derive(Debug)]
enum RequestReading {
    /// All is known of it that will be.
    Known,
    /// It passes, and what is small in it is captured, within the memory that is reserved for it.
    Json(Pieces, BudgetPermit),
    /// It passes, and is captured as it is within the budget.
    Form(Vec<u8>, BudgetPermit),
    /// It is held until it is whole; so many bytes have come.
    Held(usize),
    /// It is whole, so many bytes, and is searched slice by slice.
    Searched(usize),
}

impl Observer {
    /// A stream under this configuration.
    pub fn new(config: Rc<Config>, vm: Rc<Vm>) -> Self {
        Self {
            config,
            vm,
            observed: None,
            progress: Progress::Passing,
            request: RequestReading::Known,
            search: None,
            response: ResponseBody::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.observed.is_none() || self.progress != Progress::Passing
    }

    fn begin_attempt(&self, seen: &Seen, started_ns: u64) {
        let Some(Observation { session, .. }) = &self.observed else { return };
        let span_id = self.vm.random.borrow_mut().span_id();
        let mut exchange = session.exchange.borrow_mut();
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
    fn finish_request(&mut self) {
        match std::mem::replace(&mut self.request, RequestReading::Known) {
            RequestReading::Known => {}
            RequestReading::Held(_) | RequestReading::Searched(_) => {
                self.search = None;
                self.record_request(&[], None, false, None);
            }
            RequestReading::Json(pieces, _permit) => {
                let (body, is_cut) = pieces.finish().unwrap_or_default();
                self.record_request(&body, Object::parse(&body).ok().as_ref(), is_cut, None);
            }
            RequestReading::Form(bytes, _permit) => self.record_request(&bytes, None, false, None),
        }
    }

    /// Notes what a request's body says, as far as it is here; `object` holds its members where it is JSON.
    /// What was asked is known now, so it is also known what is captured of the response, and what is done
    /// with it.
    fn record_request(
        &self,
        body: &[u8],
        object: Option<&Object<'_>>,
        is_cut: bool,
        restorer: Option<Restorer>,
    ) {
        let Some(Observation { session, content_type, policies }) = &self.observed else { return };
        let asked = BestEffortBody::read(&session.call, content_type, body, object);
        let mut exchange = session.exchange.borrow_mut();
        if let Some(attempt) = exchange.last_attempt() {
            attempt.model.clone_from(&asked.model);
        }
        exchange.resolution =
            Some(v1::Resolution { rule: RULE.to_owned(), targets: 1, ..Default::default() });
        exchange.request.model = asked.model;
        exchange.request.stream = asked.stream;
        exchange.request.parameters = Some(asked.parameters);
        exchange.request.files = asked.files;
        exchange.response_redaction = session.response_redaction(policies, restorer);
        drop(exchange);
        let captured = if asked.is_json { body.to_vec() } else { Vec::new() };
        session.capture(session.export(policies), captured, is_cut, asked.characters);
    }

    /// `size` bytes of a response are held until it is whole; its headers have gone on.
    fn hold(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let Some(Observation { session, .. }) = &self.observed else { return Step::Continue };
        let exchange = &mut *session.exchange.borrow_mut();
        let held_max = self.config.response_body_max.min(RESPONSE_HELD_MAX);
        let Some((outcome, found)) =
            self.response.hold(host, size, end_of_stream, held_max, &mut exchange.timing)
        else {
            return Step::Hold;
        };
        exchange.redactions.extend(found);
        let instead = match outcome {
            Outcome::Same => None,
            Outcome::Changed(body) => Some(body),
            // Not what the configuration allows; should it come, the response does not pass.
            Outcome::Refused(refusal) => {
                refusal.code.clone_into(&mut exchange.response.error_type);
                Some(refusal.body(session.call.api.family()).into_bytes())
            }
        };
        exchange.response.body_bytes += instead.as_ref().map_or(size, Vec::len) as u64;
        if let Some(body) = instead {
            host.replace_response_chunk(size, &body);
        }
        Step::Continue
    }

    /// Refuses a request that is observed.
    fn refuse(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        let Some(Observation { session, .. }) = &self.observed else { return Step::Continue };
        let mut exchange = session.exchange.borrow_mut();
        // Of what it asked nothing has reached the provider.
        exchange.attempts.clear();
        exchange.targets.clear();
        drop(exchange);
        self.progress = Progress::Answered;
        session.refuse(host, refusal)
    }

    /// Refuses one that is not.
    fn turn_away(&mut self, host: &impl Host, refusal: &Refusal, call: &Call) -> Step {
        self.progress = Progress::Answered;
        host.refuse(refusal, call.api.family(), "");
        Step::Hold
    }

    /// How many bytes are held, beside the content that is captured.
    pub fn held(&self) -> usize {
        let request = match &self.request {
            RequestReading::Json(pieces, _) => pieces.held(),
            RequestReading::Form(bytes, _) => bytes.len(),
            RequestReading::Known | RequestReading::Held(_) | RequestReading::Searched(_) => 0,
        };
        request + self.response.held()
    }
}

impl Role for Observer {
    /// They go on, unless the request is refused.
    fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let received_ns = host.now_ns();
        let headers = host.request_headers();
        let (method, target) = (headers.get(name::METHOD).unwrap_or_default(), headers.text(name::PATH));
        let Some(seen) = self.config.observed.find(method, &headers.text(name::AUTHORITY), &target) else {
            return Step::Continue;
        };
        let session = Session::begin(&self.config, &self.vm, &headers, seen.call.clone(), received_ns);
        let known = caller::identify(host, &self.config, &headers, query(&target), received_ns);
        let key = known.as_ref().map(|known| known.grant.name.as_str()).unwrap_or_default();
        let policies = Session::policies(&self.config, key, &headers);
        let redaction = self.config.redaction.as_ref();
        let holds =
            !end_of_stream && redaction.is_some_and(|redaction| redaction.searches(&policies.forwarded));
        let session = session.filter(|session| session.reserve(0));
        let Some(session) = session else {
            self.vm.count_overload();
            // Not observed; but nothing passes unsearched that is to be searched, or by an unknown caller.
            return match known {
                Ok(_) if !holds => Step::Continue,
                _ => self.turn_away(host, &Refusal::overloaded(), &seen.call),
            };
        };
        session.authenticated(host);
        let captures = policies.exported.content != crate::redact::Content::Exclude && redaction.is_some();
        let content_type = headers.get(name::CONTENT_TYPE).unwrap_or_default().to_vec();
        let Observation { session, policies, .. } =
            self.observed.insert(Observation { session, content_type, policies });
        match known {
            Ok(known) => {
                // What cannot be read is nothing to refuse a request for that is not routed.
                let said = RequestMetadata::read(&headers).unwrap_or_default();
                session.record_caller(&known, said, policies);
            }
            Err(refusal) => return self.refuse(host, &refusal),
        }
        let announced = headers.number(name::CONTENT_LENGTH).unwrap_or(0);
        if holds && usize::try_from(announced).map_or(true, |bytes| bytes > self.config.request_body_max) {
            return self.refuse(host, &too_large(&self.config));
        }
        self.begin_attempt(&seen, received_ns);
        self.request = match seen.call.api.operation.form.is_some() {
            _ if end_of_stream => RequestReading::Known,
            _ if holds => RequestReading::Held(0),
            true => RequestReading::Form(Vec::new(), BudgetPermit::new(&self.vm.budget)),
            false => {
                let pieces = content::pieces(self.config.capture.limit, captures);
                RequestReading::Json(pieces, BudgetPermit::new(&self.vm.memory))
            }
        };
        if end_of_stream {
            self.record_request(&[], None, false, None);
        }
        let_headers_go(host, &headers, holds);
        Step::Continue
    }

    fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if self.progress == Progress::Answered {
            return Step::Hold;
        }
        let Some(observed) = &self.observed else { return Step::Continue };
        match &mut self.request {
            RequestReading::Known => return Step::Continue,
            RequestReading::Searched(_) => return Step::Hold,
            RequestReading::Held(_) if size > self.config.request_body_max => {
                return self.refuse(host, &too_large(&self.config));
            }
            RequestReading::Held(bytes) if !end_of_stream => {
                *bytes = size;
                return Step::Hold;
            }
            RequestReading::Held(_) => return self.search(host, size),
            RequestReading::Json(pieces, permit) if size > 0 => {
                pieces.push(&host.request_body(size));
                if !permit.resize(pieces.allocated()) {
                    // It passes all the same, and of what follows nothing can be read.
                    *pieces = Pieces::default();
                    permit.resize(0);
                }
            }
            RequestReading::Form(bytes, permit) if size > 0 => {
                if bytes.len() + size > self.config.request_body_max || !permit.take_growing(size) {
                    let permit = BudgetPermit::new(&self.vm.memory);
                    self.request = RequestReading::Json(Pieces::default(), permit);
                } else {
                    bytes.extend(host.request_body(size));
                }
            }
            RequestReading::Json(..) | RequestReading::Form(..) => {}
        }
        observed.session.exchange.borrow_mut().request.body_bytes += size as u64;
        if end_of_stream {
            self.finish_request();
        }
        Step::Continue
    }

    fn on_request_trailers(&mut self, host: &impl Host) -> Step {
        match (self.progress, &self.request) {
            (Progress::Answered, _) | (_, RequestReading::Searched(_)) => Step::Hold,
            (_, RequestReading::Held(bytes)) => self.search(host, *bytes),
            _ => {
                self.finish_request();
                Step::Continue
            }
        }
    }

    fn long_work(&self) -> Option<usize> {
        match self.request {
            RequestReading::Searched(bytes) if self.progress != Progress::Answered => Some(bytes),
            _ => None,
        }
    }

    fn go_on(&mut self, host: &impl Host, steps: u64) -> Option<Step> {
        self.continue_search(host, steps)
    }

    /// They always go on.
    fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        // A response can come before the request has ended; what is held stays held until it was searched.
        match self.request {
            RequestReading::Held(_) | RequestReading::Searched(_) => {
                self.record_request(&[], None, false, None);
            }
            _ => self.finish_request(),
        }
        let Some(Observation { session, .. }) = &self.observed else { return Step::Continue };
        let by_provider = !is_local_reply(&host.response_details());
        let (now_ns, headers) = (host.now_ns(), host.response_headers());
        let mut exchange = session.exchange.borrow_mut();
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        exchange.response.status = status.into();
        exchange.answered = by_provider;
        if let Some(attempt) = exchange.last_attempt().filter(|_| by_provider) {
            attempt.status = status.into();
            attempt.response_headers_ns = now_ns;
        }
        if by_provider {
            let response_redaction = exchange.response_redaction.take().filter(|_| !end_of_stream);
            if response_redaction.is_some() {
                exchange.timing.returning_ns = now_ns;
            }
            // What cannot be read passes: the configuration allows nothing else.
            let body = ResponseBody::new(
                &headers,
                response_redaction,
                self.config.response_body_max,
                &self.vm.memory,
            );
            let destination = exchange.content.destination(&self.vm.budget);
            self.response = body.unwrap_or_default().read(&headers, session.call.api, destination);
            exchange.response.streamed = self.response.is_stream();
            exchange.response.unread = self.response.is_compressed();
        }
        drop(exchange);
        let length = if self.response.is_held() { Length::Unknown } else { self.response.length() };
        send(host, &headers, length, session.gateway_headers().as_ref(), |_| false);
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        let Some(Observation { session, .. }) = &self.observed else { return Step::Continue };
        match self.response.settle(host, size, end_of_stream, RESPONSE_HELD_MAX) {
            Settled::NotYet => return Step::Hold,
            Settled::Now => {
                session.exchange.borrow_mut().response.streamed = self.response.is_stream();
            }
            // What cannot be read passes: the configuration allows nothing else.
            Settled::Before | Settled::Refused(_) => {}
        }
        let step = if self.response.is_held() {
            self.hold(host, size, end_of_stream)
        } else {
            let exchange = &mut *session.exchange.borrow_mut();
            self.response.pass(host, size, end_of_stream, &mut exchange.response, &mut exchange.timing)
        };
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        step
    }

    fn on_response_trailers(&mut self, host: &impl Host) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        if let Some(read) = self.response.awaited() {
            self.on_response_body(host, read, true);
        }
        self.progress = Progress::Delivered;
        Step::Continue
    }

    /// Hands the event to the outbox.
    fn on_log(&mut self, host: &impl Host) {
        self.finish_request();
        let Some(Observation { session, .. }) = self.observed.take() else { return };
        let ending = match self.progress {
            Progress::Answered => Some(v1::Ending::Rejected),
            Progress::Delivered if session.exchange.borrow().answered => Some(v1::Ending::Completed),
            Progress::Delivered | Progress::Passing => None,
        };
        session.finish(host, ending, std::mem::take(&mut self.response));
    }
}

fn query(target: &str) -> Option<&str> {
    target.split_once('?').map(|(_, query)| query)
}
