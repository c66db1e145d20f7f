//! The way back: what the gateway does with a response, as it passes or once it is whole.

use weir_event::v1;

use crate::api::credentials::{speaks_of_credentials, without_keys};
use crate::capture::transcript::Transcript;
use crate::event::ending;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::refusal::Refusal;
use crate::response::body::{ResponseBody, Settled};
use crate::response::framing::form::is_compressed;
use crate::response::outgoing::{GatewayHeaders, Length, send_headers, send_refusal};
use crate::response::parser::ResponseParser;
use crate::response::redact::whole::Outcome;
use crate::roles::hold::word;
use crate::roles::session::Session;

/// No caller's upgrade reaches a provider, so none was asked for.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Most bytes of a provider's 401 or 403 that are held until it is known whether the caller may read it.
const REFUSAL_HELD_MAX: usize = 64 << 10;

/// One response of the gateway's.
#[derive(Debug, Default)]
pub(crate) struct GatewayResponse {
    progress: Progress,
    body: ResponseBody,
    /// The gateway's headers for it, while its own headers are held.
    headers: Option<GatewayHeaders>,
    /// How many bytes have come of a refusal whose body says whether the caller may read it.
    refusal: Option<usize>,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// It has not come to its end.
    #[default]
    Passing,
    /// The gateway has answered instead of what came back, and this is how the request ended.
    Replied(v1::Ending),
    /// It has come to its end.
    Delivered,
}

impl GatewayResponse {
    /// Whether what still passes is of no concern: the gateway's own response, or what follows the end.
    pub fn is_over(&self) -> bool {
        self.progress != Progress::Passing
    }

    /// How the request ended, where that needs no explanation of Envoy's.
    pub fn ending(&self, is_answered: bool) -> Option<v1::Ending> {
        match self.progress {
            Progress::Replied(ending) => Some(ending),
            // Delivered and answered by the provider: nothing needs explaining.
            Progress::Delivered if is_answered => Some(v1::Ending::Completed),
            Progress::Delivered | Progress::Passing => None,
        }
    }

    /// What was read of it, and what is held.
    pub fn into_body(self) -> ResponseBody {
        self.body
    }

    /// How many bytes of it are held, beside the content that is captured.
    pub fn held(&self) -> usize {
        self.body.held()
    }

    /// Its headers are here.
    pub fn on_headers(&mut self, host: &impl Host, session: &Session, end_of_stream: bool) -> Step {
        let headers = host.response_headers();
        let status = status_of(&headers);
        let is_upgrade = status == SWITCHING_PROTOCOLS;
        // Marked: the provider's response after all, since Envoy made no further attempt.
        let provider_answered =
            is_upgrade || session.exchange.borrow().answered || headers.get(name::WEIR_RETRY).is_some();
        let is_refusal = provider_answered && matches!(status, 401 | 403);
        if is_refusal && !end_of_stream && !is_compressed(&headers) {
            self.refusal = Some(0);
            return Step::Hold;
        }
        let instead = match (provider_answered, status) {
            (_, SWITCHING_PROTOCOLS) => Some(Refusal::unasked_upgrade()),
            // The gateway's own credentials are nothing that a caller can mend, or should read of.
            (true, 401) => Some(Refusal::provider_auth()),
            // What cannot be read may mention them.
            (true, 403) if !end_of_stream => Some(Refusal::provider_auth()),
            // Envoy answers by itself, in plain text or without; the caller expects the API's shape.
            (false, 503) if session.exchange.borrow().overloaded => Some(Refusal::out_of_memory()),
            (false, 400..) => Some(Refusal::no_response(status)),
            _ => None,
        };
        // Whatever comes behind an upgrade is no body either.
        if let Some(refusal) = instead.as_ref().filter(|_| end_of_stream || is_upgrade) {
            return self.reply(host, session, refusal, provider_answered);
        }
        session.exchange.borrow_mut().answered = provider_answered;
        match instead {
            Some(refusal) => {
                let own = session.gateway_headers();
                self.replace(host, session, &refusal, own.as_ref(), Transcript::default());
                Step::Continue
            }
            None => self.let_through(host, session, &headers, end_of_stream),
        }
    }

    /// `size` bytes of its body are here.
    pub fn on_body(&mut self, host: &impl Host, session: &Session, size: usize, end_of_stream: bool) -> Step {
        if !self.judge_refusal(host, session, size, end_of_stream) {
            return Step::Hold;
        }
        match self.body.settle(host, size, end_of_stream, session.config.response_body_max) {
            Settled::Before => {}
            Settled::NotYet => return Step::Hold,
            Settled::Now => {
                session.exchange.borrow_mut().response.streamed = self.body.is_stream();
                if !self.body.is_held() {
                    let (headers, own) = (host.response_headers(), self.headers.take());
                    let is_passed = session.call.passed.is_some();
                    send_headers(host, &headers, self.body.length(), own.as_ref(), is_passed);
                }
            }
            Settled::Refused(refusal) => {
                let own = self.headers.take();
                self.replace(host, session, &refusal, own.as_ref(), Transcript::default());
            }
        }
        let step = if self.body.is_held() {
            self.hold(host, session, size, end_of_stream)
        } else {
            let exchange = &mut *session.exchange.borrow_mut();
            self.body.pass(host, size, end_of_stream, &mut exchange.response, &mut exchange.timing)
        };
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        step
    }

    /// Its trailers are here, so its body has ended.
    pub fn on_trailers(&mut self, host: &impl Host, session: &Session) -> Step {
        // All that is held was seen before, but not known to be complete.
        if let Some(read) = self.refusal.or(self.body.awaited()) {
            return self.on_body(host, session, read, true);
        }
        self.progress = Progress::Delivered;
        Step::Continue
    }

    /// Replaces a response, body included, with a refusal. What was withheld `said` so much.
    fn replace(
        &mut self,
        host: &impl Host,
        session: &Session,
        refusal: &Refusal,
        own: Option<&GatewayHeaders>,
        said: Transcript,
    ) {
        let response = &mut session.exchange.borrow_mut().response;
        let family = session.call.api.family();
        self.body = ResponseBody::refusal(host, refusal, family, response, own, said);
    }

    /// Lets a response go to the caller, and sees to it that it is read and rewritten.
    fn let_through(
        &mut self,
        host: &impl Host,
        session: &Session,
        headers: &Headers,
        end_of_stream: bool,
    ) -> Step {
        let (own, api) = (session.gateway_headers(), session.call.api);
        let is_passed = session.call.passed.is_some();
        let status = status_of(headers);
        let mut exchange = session.exchange.borrow_mut();
        exchange.response.status = status.into();
        let response_redaction = exchange.response_redaction.take().filter(|_| !end_of_stream);
        if response_redaction.is_some() {
            exchange.timing.returning_ns = host.now_ns();
        }
        match ResponseBody::new(
            headers,
            response_redaction,
            session.config.response_body_max,
            &session.vm.memory,
        ) {
            Err(refusal) => {
                drop(exchange);
                self.replace(host, session, &refusal, own.as_ref(), Transcript::default());
            }
            Ok(body) => {
                self.body = if is_passed {
                    body
                } else {
                    let destination = exchange.content.destination(&session.vm.budget);
                    let strips_usage = status < 300 && exchange.asked_for_usage();
                    body.stripping_usage(strips_usage).read(headers, api, destination)
                };
                exchange.response.streamed = self.body.is_stream();
                exchange.response.unread = self.body.is_compressed();
                if self.body.is_held() {
                    // The headers wait for the body, whose length they hold.
                    self.headers = own;
                    return Step::Hold;
                }
                send_headers(host, headers, self.body.length(), own.as_ref(), is_passed);
            }
        }
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// `size` bytes of a provider's 401 or 403 are held: it is withheld where it speaks of the gateway's own
    /// credentials, and goes to the caller else. What is withheld is exported all the same. Returns whether
    /// that is decided.
    fn judge_refusal(
        &mut self,
        host: &impl Host,
        session: &Session,
        size: usize,
        end_of_stream: bool,
    ) -> bool {
        let Some(seen) = &mut self.refusal else { return true };
        *seen = size;
        if !end_of_stream && size < REFUSAL_HELD_MAX {
            return false;
        }
        self.refusal = None;
        let body = host.response_chunk(0, size.min(REFUSAL_HELD_MAX));
        let headers = host.response_headers();
        let mut exchange = session.exchange.borrow_mut();
        exchange.answered = true;
        let status = status_of(&headers);
        if status != 401 && !speaks_of_credentials(&body) {
            drop(exchange);
            self.let_through(host, session, &headers, false);
            return true;
        }
        let transcript = exchange.content.destination(&session.vm.budget).transcript.without_outputs();
        let mut parser = ResponseParser::new(session.call.api, transcript);
        let mut said = v1::Response { status: status.into(), ..Default::default() };
        parser.read(&body, &mut said);
        if let Some(attempt) = exchange.last_attempt().filter(|_| !said.error_type.is_empty()) {
            attempt.error = word(&said.error_type);
        }
        drop(exchange);
        let mut said = parser.finish(0, true, &mut said);
        said.rewrite_error_message(without_keys);
        let own = session.gateway_headers();
        self.replace(host, session, &Refusal::provider_auth(), own.as_ref(), said);
        true
    }

    /// Replies anew instead of a response without a body: into that none could be put.
    fn reply(
        &mut self,
        host: &impl Host,
        session: &Session,
        refusal: &Refusal,
        provider_answered: bool,
    ) -> Step {
        let mut exchange = session.exchange.borrow_mut();
        // As long as Envoy's account is that of the response that came.
        let ending = match provider_answered {
            true => v1::Ending::Completed,
            false => ending::explain(&host.response_details(), &mut exchange),
        };
        exchange.answered = provider_answered;
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        drop(exchange);
        let body = refusal.body(session.call.api.family());
        let own = session.gateway_headers();
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, b"application/json");
        if let Some(seconds) = refusal.retry_after {
            headers.add(name::RETRY_AFTER, seconds.as_bytes());
        }
        if let Some(own) = &own {
            own.add_to(&mut headers);
        }
        self.progress = Progress::Replied(ending);
        host.respond(refusal.status, &headers, body.as_bytes());
        Step::Hold
    }

    /// `size` bytes of a response are held until it is whole.
    fn hold(&mut self, host: &impl Host, session: &Session, size: usize, end_of_stream: bool) -> Step {
        let exchange = &mut *session.exchange.borrow_mut();
        let held_max = session.config.response_body_max;
        let Some((outcome, found)) =
            self.body.hold(host, size, end_of_stream, held_max, &mut exchange.timing)
        else {
            return Step::Hold;
        };
        exchange.redactions.extend(found);
        let (headers, own) = (host.response_headers(), self.headers.take());
        let is_passed = session.call.passed.is_some();
        exchange.response.body_bytes += match outcome {
            Outcome::Same => {
                send_headers(host, &headers, Length::Same, own.as_ref(), is_passed);
                size
            }
            Outcome::Changed(body) => {
                send_headers(host, &headers, Length::Is(body.len()), own.as_ref(), is_passed);
                host.replace_response_chunk(size, &body);
                body.len()
            }
            Outcome::Refused(refusal) => {
                let body = refusal.body(session.call.api.family());
                send_refusal(host, &refusal, &body, &mut exchange.response, own.as_ref());
                host.replace_response_chunk(size, body.as_bytes());
                // What may follow goes nowhere, and what came is read no further.
                if !end_of_stream {
                    self.body.drop_rest();
                }
                body.len()
            }
        } as u64;
        Step::Continue
    }
}

fn status_of(headers: &Headers) -> u16 {
    headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0)
}
