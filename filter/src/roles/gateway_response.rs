//! The way back: what the downstream filter does with a response, as it passes or once it is whole.

use weir_event::v1;

use crate::api::credentials::{speaks_of_credentials, without_keys};
use crate::capture::transcript::Transcript;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::refusal::Refusal;
use crate::response::framing::framer::is_compressed;
use crate::response::parser::ResponseParser;
use crate::response::reader;
use crate::response::reader::{Length, Reading, Rewriting, Told};
use crate::response::redact::whole::Outcome;
use crate::roles::attempt::word;
use crate::roles::gateway::{Gateway, Progress};

/// No caller's upgrade reaches a provider, so none was asked for.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Most bytes of a provider's 401 or 403 that are held until it is known whether the caller may read it.
const REFUSAL_HELD_MAX: usize = 64 << 10;

impl Gateway {
    /// The response's headers are here.
    pub fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        if self.is_over() {
            return Step::Continue;
        }
        if let Some(attempt) = &mut self.attempt
            && !reader::is_local_reply(&host.response_details())
        {
            attempt.on_response_headers(host, end_of_stream);
        }
        let headers = host.response_headers();
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        let is_upgrade = status == SWITCHING_PROTOCOLS;
        // Marked: the provider's answer after all, since Envoy made no further attempt.
        let provider_answered =
            is_upgrade || inference.exchange.borrow().answered || headers.get(name::WEIR_RETRY).is_some();
        let is_refusal = provider_answered && matches!(status, 401 | 403);
        if is_refusal && !end_of_stream && !is_compressed(&headers) {
            self.refusal = Some(0);
            return Step::Hold;
        }
        let instead = match (provider_answered, status) {
            (_, SWITCHING_PROTOCOLS) => Some(Refusal::unasked_upgrade()),
            // The gateway's own credentials are nothing that a caller can mend, or should read of.
            (true, 401) => Some(Refusal::provider_auth()),
            // What cannot be read may speak of them.
            (true, 403) if !end_of_stream => Some(Refusal::provider_auth()),
            // Envoy answers by itself, in plain text or without; the caller expects the API's shape.
            (false, 400..) => Some(Refusal::no_response(status)),
            _ => None,
        };
        // Whatever comes behind an upgrade is no body either.
        if let Some(refusal) = instead.as_ref().filter(|_| end_of_stream || is_upgrade) {
            return self.answer_instead(host, refusal, provider_answered);
        }
        inference.exchange.borrow_mut().answered = provider_answered;
        match instead {
            Some(refusal) => self.replace(host, &refusal, Transcript::default()),
            None => self.let_through(host, &headers, status, end_of_stream),
        }
    }

    /// Has a refusal go out instead of the answer that came, which has a body.
    fn replace(&mut self, host: &impl Host, refusal: &Refusal, said: Transcript) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        let exchange = &mut *inference.exchange.borrow_mut();
        let told = self.config.response_headers.then(|| Told::of(exchange));
        let family = inference.call.api.family();
        self.reading = Reading::replace(host, refusal, family, exchange, told.as_ref(), said);
        Step::Continue
    }

    /// Lets an answer go to the caller, and sees to it that it is read and rewritten.
    fn let_through(&mut self, host: &impl Host, headers: &Headers, status: u16, end_of_stream: bool) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        let mut exchange = inference.exchange.borrow_mut();
        let exchange = &mut *exchange;
        exchange.response.status = status.into();
        let told = self.config.response_headers.then(|| Told::of(exchange));
        let returning = exchange.returning.take().filter(|_| !end_of_stream);
        let rewriting = match returning {
            None => Ok(Rewriting::None),
            Some(returning) => {
                exchange.timing.returning_ns = host.now_ns();
                Rewriting::of(returning, headers, self.config.response_body_max)
            }
        };
        match rewriting {
            Err(refusal) => {
                let (family, said) = (inference.call.api.family(), Transcript::default());
                self.reading = Reading::replace(host, &refusal, family, exchange, told.as_ref(), said);
            }
            Ok(rewriting) => {
                self.rewriting = rewriting;
                let transcript = exchange.content.transcript(&self.vm.budget);
                let unasked = status < 300 && exchange.asked_for_usage();
                self.reading = match inference.call.passed {
                    Some(_) => Reading::Nothing,
                    None => Reading::of(headers, inference.call.api, exchange, transcript, unasked),
                };
                exchange.response.streamed = self.reading.is_stream();
                exchange.response.unread = matches!(self.reading, Reading::Compressed);
                if let Rewriting::Whole(..) | Rewriting::Open(..) = self.rewriting {
                    // They wait for the body, of which they say the length.
                    self.told = told;
                    return Step::Hold;
                }
                let length = self.reading.length(&self.rewriting);
                let is_passed = inference.call.passed.is_some();
                Reading::send_headers(host, headers, length, told.as_ref(), is_passed);
            }
        }
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// `size` bytes of a provider's 401 or 403 are held: it is withheld where it speaks of the gateway's own
    /// credentials, and goes to the caller else. What is withheld is told all the same. Returns whether that
    /// is decided.
    fn judge_refusal(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> bool {
        let (Some(inference), Some(seen)) = (&self.inference, &mut self.refusal) else { return true };
        *seen = size;
        if !end_of_stream && size < REFUSAL_HELD_MAX {
            return false;
        }
        self.refusal = None;
        let body = host.response_chunk(0, size.min(REFUSAL_HELD_MAX));
        let headers = host.response_headers();
        let mut exchange = inference.exchange.borrow_mut();
        exchange.answered = true;
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        if status != 401 && !speaks_of_credentials(&body) {
            drop(exchange);
            self.let_through(host, &headers, status, false);
            return true;
        }
        let transcript = exchange.content.transcript(&self.vm.budget).without_outputs();
        let mut answer = ResponseParser::new(inference.call.api, transcript);
        let mut said = v1::Response { status: status.into(), ..Default::default() };
        answer.read(&body, &mut said);
        if let Some(attempt) = exchange.last_attempt().filter(|_| !said.error_type.is_empty()) {
            attempt.error = word(&said.error_type);
        }
        drop(exchange);
        let mut said = answer.finish(0, true, &mut said);
        said.rewrite_error_message(without_keys);
        self.replace(host, &Refusal::provider_auth(), said);
        true
    }

    /// Answers anew instead of an answer without a body: into that none could be put.
    fn answer_instead(&mut self, host: &impl Host, refusal: &Refusal, provider_answered: bool) -> Step {
        let Some(inference) = &self.inference else { return Step::Continue };
        let mut exchange = inference.exchange.borrow_mut();
        // As long as Envoy's account is that of the answer that came.
        let ending = match provider_answered {
            true => v1::Ending::Completed,
            false => reader::explain(&host.response_details(), &mut exchange),
        };
        exchange.answered = provider_answered;
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        let body = refusal.body(inference.call.api.family());
        let told = self.config.response_headers.then(|| Told::of(&exchange));
        drop(exchange);
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, b"application/json");
        if let Some(told) = &told {
            told.add_to(&mut headers);
        }
        self.progress = Progress::Replied(ending);
        host.respond(refusal.status, &headers, body.as_bytes());
        Step::Hold
    }

    /// `size` bytes of the response's body are passing.
    pub fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        if !self.judge_refusal(host, size, end_of_stream) || !self.settle(host, size, end_of_stream) {
            return Step::Hold;
        }
        if let Rewriting::Whole(..) = self.rewriting {
            return self.hold_response(host, size, end_of_stream);
        }
        let Some(inference) = &self.inference else { return Step::Continue };
        let mut exchange = inference.exchange.borrow_mut();
        let exchange = &mut *exchange;
        let (response, timing) = (&mut exchange.response, &mut exchange.timing);
        let step = self.reading.pass(host, size, end_of_stream, &mut self.rewriting, response, timing);
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        step
    }

    /// `size` bytes of a response are held until it is whole.
    fn hold_response(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let (Some(inference), Rewriting::Whole(whole, read)) = (&self.inference, &mut self.rewriting) else {
            return Step::Continue;
        };
        let mut exchange = inference.exchange.borrow_mut();
        let exchange = &mut *exchange;
        let fresh = host.response_chunk(*read, size.saturating_sub(*read));
        self.reading.look(host, &fresh, &mut exchange.timing);
        let begins = *read == 0;
        *read += fresh.len();
        let is_large = *read > self.config.response_body_max;
        if !end_of_stream && !is_large {
            return Step::Hold;
        }
        let outcome = if is_large {
            whole.too_large().map_or(Outcome::Same, Outcome::Refused)
        } else if begins {
            whole.rewrite(&fresh)
        } else {
            whole.rewrite(&host.response_chunk(0, *read))
        };
        exchange.redactions.extend(whole.told());
        exchange.timing.returned_ns = host.now_ns();
        self.rewriting = Rewriting::None;
        let told = self.told.take();
        let headers = host.response_headers();
        let is_passed = inference.call.passed.is_some();
        exchange.response.body_bytes += match outcome {
            Outcome::Same => {
                Reading::send_headers(host, &headers, Length::Same, told.as_ref(), is_passed);
                size
            }
            Outcome::Changed(body) => {
                Reading::send_headers(host, &headers, Length::Is(body.len()), told.as_ref(), is_passed);
                host.replace_response_chunk(size, &body);
                body.len()
            }
            Outcome::Refused(refusal) => {
                let body = refusal.body(inference.call.api.family());
                Reading::send_refusal(host, &refusal, &body, &mut exchange.response, told.as_ref());
                host.replace_response_chunk(size, body.as_bytes());
                // What may follow goes nowhere, and what came is read no further.
                self.reading = if end_of_stream {
                    std::mem::take(&mut self.reading)
                } else {
                    Reading::Replaced(String::new(), Transcript::default())
                };
                body.len()
            }
        } as u64;
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// Settles how a response is rewritten that is held until its first bytes tell. Returns whether that is
    /// settled.
    fn settle(&mut self, host: &impl Host, size: usize, is_end: bool) -> bool {
        let (Some(inference), Rewriting::Open(..)) = (&self.inference, &self.rewriting) else { return true };
        let settled = self.rewriting.settle(host, size, is_end, self.config.response_body_max);
        let mut exchange = inference.exchange.borrow_mut();
        match settled {
            None => return false,
            Some(Ok(form)) => {
                self.reading.settle(form);
                exchange.response.streamed = self.reading.is_stream();
                if !matches!(self.rewriting, Rewriting::Whole(..)) {
                    let (headers, told) = (host.response_headers(), self.told.take());
                    let length = self.reading.length(&self.rewriting);
                    let is_passed = inference.call.passed.is_some();
                    Reading::send_headers(host, &headers, length, told.as_ref(), is_passed);
                }
            }
            Some(Err(refusal)) => {
                let (family, told, said) =
                    (inference.call.api.family(), self.told.take(), Transcript::default());
                self.reading = Reading::replace(host, &refusal, family, &mut exchange, told.as_ref(), said);
            }
        }
        true
    }

    /// The response's trailers are here, so its body has ended.
    pub fn on_response_trailers(&mut self, host: &impl Host) -> Step {
        if self.is_over() {
            return Step::Continue;
        }
        // All that is held was seen before, but nobody said then that it was all.
        if let Some(read) = self.refusal.or(self.rewriting.awaited()) {
            return self.on_response_body(host, read, true);
        }
        self.progress = Progress::Delivered;
        Step::Continue
    }

    /// How many bytes of the response are held, beside the content that is kept.
    pub fn held(&self) -> usize {
        self.reading.held() + self.rewriting.held()
    }
}
