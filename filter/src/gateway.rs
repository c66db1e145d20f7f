//! The gateway role: what the downstream filter does with a request, its response and its end.
//!
//! The request is held until its body is here, decided on, and let go; the response is watched as
//! it passes. Nothing here waits for telemetry: the event is built when all is over (`on_log`).

use std::cell::RefCell;
use std::rc::Rc;

use weir_event::v1;

use crate::config::{ByteSize, Config};
use crate::exchange::{Decision, Exchange, Shared};
use crate::headers::{Outgoing, name};
use crate::host::{Host, Step};
use crate::openai::ChatRequest;
use crate::refusal::Refusal;
use crate::response::Reading;
use crate::vm::Vm;
use crate::{response, trace_context};

const CHAT_PATH: &str = "/v1/chat/completions";
const MODELS_PATH: &str = "/v1/models";
/// Headers of the caller that go on to the provider. Every other one stays here.
const FORWARDED: [&str; 3] = [name::CONTENT_TYPE, name::ACCEPT, name::USER_AGENT];
/// Longest text of the caller's that is put into an event, in bytes.
const TEXT_MAX: usize = 512;

/// One stream of the downstream filter.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<Config>,
    vm: Rc<Vm>,
    /// The request and its number; absent for what is answered without being traced.
    exchange: Option<(Shared, u64)>,
    forwarded: Vec<(&'static str, Vec<u8>)>,
    baggage: Option<Vec<u8>>,
    progress: Progress,
    reading: Reading,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Its headers or its body are on their way in.
    Arriving,
    /// The gateway has answered it.
    Answered,
    /// It was let go to a provider.
    Forwarded,
    /// The response has come to its end.
    Delivered,
}

impl Gateway {
    /// A stream under this configuration.
    pub fn new(config: Rc<Config>, vm: Rc<Vm>) -> Self {
        Self {
            config,
            vm,
            exchange: None,
            forwarded: Vec::new(),
            baggage: None,
            progress: Progress::Arriving,
            reading: Reading::Nothing,
        }
    }

    /// The request's headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let received_ns = host.now_ns();
        let headers = host.request_headers();
        let target = headers.text(name::PATH);
        let path = target.split('?').next().unwrap_or_default();
        let method = headers.get(name::METHOD).unwrap_or_default();
        match (method, path) {
            (b"POST", CHAT_PATH) => {}
            (b"GET" | b"HEAD", MODELS_PATH) => return self.list_models(host),
            (_, CHAT_PATH) => return self.turn_away(host, &Refusal::wrong_method("POST")),
            (_, MODELS_PATH) => return self.turn_away(host, &Refusal::wrong_method("GET")),
            _ => return self.turn_away(host, &Refusal::unknown_path()),
        }
        let exchange = Exchange {
            trace: trace_context::of_request(&headers, &mut self.vm.random.borrow_mut()),
            request: v1::Request {
                api: v1::Api::OpenaiChat.into(),
                method: "POST".to_owned(),
                path: CHAT_PATH.to_owned(),
                scheme: headers.text(name::SCHEME),
                authority: short(headers.text(name::AUTHORITY)),
                // Envoy puts the address that it took the request from at the end.
                client_address: short(
                    headers
                        .text(name::X_FORWARDED_FOR)
                        .rsplit(',')
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                ),
                user_agent: short(headers.text(name::USER_AGENT)),
                ..Default::default()
            },
            timing: v1::Timing { received_ns, ..Default::default() },
            ..Default::default()
        };
        let exchange = Rc::new(RefCell::new(exchange));
        let Some(number) = self.vm.streams.borrow_mut().enter(&exchange) else {
            return self.turn_away(host, &Refusal::overloaded());
        };
        self.exchange = Some((exchange, number));

        let encoding = headers.get(name::CONTENT_ENCODING).unwrap_or(b"identity");
        if !encoding.eq_ignore_ascii_case(b"identity") {
            return self.refuse(host, &Refusal::encoded_body());
        }
        let announced = headers.number(name::CONTENT_LENGTH).unwrap_or(0);
        if usize::try_from(announced).map_or(true, |announced| announced > self.config.request_body_max) {
            return self.refuse(host, &self.too_large());
        }
        if end_of_stream {
            return self.refuse(host, &ChatRequest::read(&[]).err().unwrap_or_else(Refusal::undecided));
        }
        for key in FORWARDED {
            self.forwarded.extend(headers.get(key).map(|value| (key, value.to_vec())));
        }
        self.baggage = trace_context::baggage(&headers);
        Step::Hold
    }

    /// `size` bytes of the request's body are buffered.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        match self.progress {
            Progress::Answered => return Step::Hold,
            Progress::Forwarded | Progress::Delivered => return Step::Continue,
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
            Progress::Forwarded | Progress::Delivered => Step::Continue,
            Progress::Arriving => self.decide(host),
        }
    }

    /// The response's headers are here.
    pub fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let Some((exchange, _)) = &self.exchange else { return Step::Continue };
        if self.is_over() {
            return Step::Continue;
        }
        let headers = host.response_headers();
        let mut exchange = exchange.borrow_mut();
        let exchange = &mut *exchange;
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        exchange.response.status = status.into();
        let provider_answered = exchange.last_attempt().is_some_and(|attempt| attempt.status != 0);
        let instead = match (provider_answered, status) {
            // The gateway's own credentials are nothing that a caller can mend, or should read of.
            (true, 401 | 403) => Some(Refusal::provider_auth()),
            // Envoy answers by itself, in plain text; the caller expects the API's shape.
            (false, 400..) => Some(Refusal::no_answer(status)),
            _ => None,
        };
        match instead {
            Some(refusal) => {
                self.reading = Reading::replace(host, &refusal, end_of_stream, &mut exchange.response);
            }
            None => {
                self.reading = Reading::of(&headers);
                exchange.response.streamed = matches!(self.reading, Reading::Stream(_));
                exchange.response.unread = matches!(self.reading, Reading::Compressed);
            }
        }
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// `size` bytes of the response's body are passing.
    pub fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let Some((exchange, _)) = &self.exchange else { return Step::Continue };
        if self.is_over() {
            return Step::Continue;
        }
        let mut exchange = exchange.borrow_mut();
        let exchange = &mut *exchange;
        self.reading.pass(host, size, &mut exchange.response, &mut exchange.timing);
        if end_of_stream {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// The response's trailers are here, so its body has ended.
    pub fn on_response_trailers(&mut self) -> Step {
        if !self.is_over() {
            self.progress = Progress::Delivered;
        }
        Step::Continue
    }

    /// All is over: builds the event and hands it to the outbox.
    pub fn on_log(&mut self, host: &impl Host) {
        let Some((exchange, number)) = self.exchange.take() else { return };
        self.vm.streams.borrow_mut().leave(number);
        let mut exchange = exchange.take();
        exchange.timing.done_ns = host.now_ns();
        std::mem::take(&mut self.reading).finish(&mut exchange.response);
        let ending = match self.progress {
            Progress::Answered => v1::Ending::Rejected,
            // Delivered and answered by the provider: nothing needs explaining.
            Progress::Delivered if exchange.attempts.last().is_some_and(|attempt| attempt.status != 0) => {
                v1::Ending::Completed
            }
            _ => response::explain(&host.response_details(), &mut exchange),
        };
        let done_ns = exchange.timing.done_ns;
        if let Some(attempt) = exchange.last_attempt().filter(|attempt| attempt.ended_ns == 0) {
            attempt.ended_ns = done_ns;
        }
        if self.config.exporter.is_some() {
            self.vm.outbox.borrow_mut().push(exchange.into_event(ending));
        }
    }

    /// Reads the whole body, decides, and lets the request go to its provider.
    fn decide(&mut self, host: &impl Host) -> Step {
        let Some((shared, number)) = self.exchange.clone() else { return Step::Continue };
        let body = host.request_body(self.config.request_body_max);
        let now_ns = host.now_ns();
        let read = ChatRequest::read(&body);
        let mut exchange = shared.borrow_mut();
        exchange.timing.body_received_ns = now_ns;
        exchange.request.body_bytes = body.len() as u64;
        let request = match read {
            Ok(request) => request,
            Err(refusal) => {
                drop(exchange);
                return self.refuse(host, &refusal);
            }
        };
        exchange.request.model = short(request.model.clone());
        exchange.request.stream = request.stream;
        exchange.request.parameters = Some(request.parameters);
        let Some(route) = self.config.route(&request.model).map(Rc::clone) else {
            drop(exchange);
            return self.refuse(host, &Refusal::unknown_model(&request.model));
        };
        exchange.resolution = Some(v1::Resolution { rule: format!("models.{}", request.model), targets: 1 });
        let as_written = body.get(request.model_at.clone()).unwrap_or_default();
        let cluster = route.cluster.clone();
        exchange.decision = Some(Decision {
            route,
            model_as_written: String::from_utf8_lossy(as_written).into_owned(),
            model_at: request.model_at,
            forwarded: std::mem::take(&mut self.forwarded),
            baggage: self.baggage.take(),
        });
        exchange.timing.resolved_ns = host.now_ns();
        drop(exchange);
        host.set_state(name::STATE_CLUSTER, cluster.as_bytes());
        host.set_state(name::STATE_STREAM, &number.to_le_bytes());
        host.reroute();
        self.progress = Progress::Forwarded;
        Step::Continue
    }

    /// Whether what still passes is of no concern: the gateway's own answer, or what follows the end.
    fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Answered | Progress::Delivered)
    }

    fn list_models(&mut self, host: &impl Host) -> Step {
        self.progress = Progress::Answered;
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, b"application/json");
        host.answer(200, &headers, self.config.model_list.as_bytes());
        Step::Hold
    }

    /// Answers a request that is traced.
    fn refuse(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        if let Some((exchange, _)) = &self.exchange {
            let mut exchange = exchange.borrow_mut();
            exchange.response.status = refusal.status.into();
            refusal.code.clone_into(&mut exchange.response.error_type);
            if exchange.timing.body_received_ns != 0 {
                exchange.timing.resolved_ns = host.now_ns();
            }
        }
        self.turn_away(host, refusal)
    }

    fn turn_away(&mut self, host: &impl Host, refusal: &Refusal) -> Step {
        self.progress = Progress::Answered;
        host.refuse(refusal);
        Step::Hold
    }

    fn too_large(&self) -> Refusal {
        Refusal::too_large(ByteSize(self.config.request_body_max as u64))
    }
}

impl Drop for Gateway {
    /// A stream that ends without `on_log` leaves nothing behind either.
    fn drop(&mut self) {
        if let Some((_, number)) = self.exchange.take() {
            self.vm.streams.borrow_mut().leave(number);
        }
    }
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
    text
}
