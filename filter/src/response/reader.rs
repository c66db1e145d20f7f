//! Reading a provider's response while it passes, and explaining one that did not come.
//!
//! The bytes go on to the caller without waiting, and unchanged but for what was asked for on its
//! behalf and what [`crate::response::redact`] rewrites. A stream is read message by message, since the time of its first token is asked for; a
//! response in one piece is held up to a cap and read when all is over.

use weir_event::v1;

use crate::api::reading::{Answer, Transcript};
use crate::api::{Api, Family};
use crate::event::content::Read;
use crate::event::exchange::Exchange;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::json::close::close;
use crate::json::pieces::Pieces;
use crate::json::truncate::Limits;
use crate::refusal::Refusal;
use crate::response::framing::framer::{Form, Framing, is_compressed};
use crate::response::framing::opening::Opening;
pub use crate::response::rewriting::Rewriting;
use crate::response::strip_usage::Unasked;
use crate::trace_context;

/// Longest explanation of Envoy's that is put into an event, in bytes.
const DETAILS_MAX: usize = 256;

/// The error of a response that says that it succeeded and has no body.
const EMPTY_RESPONSE: &str = "empty_response";
/// The error of one whose body is no answer of its API, such as a proxy's page.
const UNEXPECTED_CONTENT: &str = "unexpected_content";
/// Statuses that have no body (RFC 9110, "204 No Content" and "205 Reset Content").
const WITHOUT_CONTENT: [u32; 2] = [204, 205];

/// How a response is read.
#[derive(Debug, Default)]
pub enum Reading {
    /// Not at all.
    #[default]
    Nothing,
    /// Not at all, because it is compressed.
    Compressed,
    /// Not at all, because its type is none that a response to this call has.
    Unexpected(Api),
    /// As its first bytes will show; what its headers say may be wrong.
    Open(Box<Open>),
    /// In one piece: what has come so far.
    Whole(Box<(Pieces, Answer)>),
    /// Message by message.
    Stream(Box<Stream>),
    /// Not at all: this body goes out instead. What was withheld said so much.
    Replaced(String, Transcript),
}

/// A response of which no byte has come that tells its form.
#[derive(Debug)]
pub struct Open {
    api: Api,
    /// How it comes by its headers.
    form: Form,
    transcript: Transcript,
    /// Where it is kept if it comes in one piece, and how much of a long message if it is a stream.
    whole: Pieces,
    of_long_messages: Limits,
    unasked: bool,
}

impl Open {
    /// The response comes in this form.
    fn read_as(self, form: Form) -> Reading {
        if let Some(framing) = Framing::new(form, self.of_long_messages) {
            let unasked = self.unasked.then(Unasked::default);
            let answer = Answer::new(self.api, self.transcript);
            return Reading::Stream(Box::new(Stream { framing, answer, unasked }));
        }
        if form != Form::Json {
            return Reading::Unexpected(self.api);
        }
        // What it says is in the body that is kept; its characters are counted for an estimate.
        let answer = Answer::new(self.api, self.transcript.without_outputs());
        Reading::Whole(Box::new((self.whole, answer)))
    }
}

/// A stream that is read as it passes.
#[derive(Debug)]
pub struct Stream {
    framing: Framing,
    answer: Answer,
    /// Takes out what the gateway has asked for on the caller's behalf.
    unasked: Option<Unasked>,
}

/// How long the body is that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As long as the provider's.
    Same,
    /// Nobody knows yet.
    Unknown,
    /// So many bytes.
    Is(usize),
}

/// What an answer says about how it came about.
#[derive(Debug)]
pub struct Told {
    trace_id: String,
    model: String,
    attempts: String,
    timing: String,
}

impl Told {
    /// As far as it is known when the answer's headers are here.
    pub fn of(exchange: &Exchange) -> Self {
        let attempt = exchange.attempts.last();
        let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        let timing = &exchange.timing;
        let decided = ms(timing.body_received_ns, timing.resolved_ns);
        let waited = attempt.map_or(0.0, |attempt| ms(attempt.started_ns, attempt.response_headers_ns));
        Self {
            trace_id: trace_context::trace_id(&exchange.trace),
            model: attempt
                .map(|attempt| format!("{}/{}", attempt.provider, attempt.model))
                // What is passed through names no model.
                .map(|target| target.trim_end_matches('/').to_owned())
                .unwrap_or_default(),
            attempts: exchange.attempts.len().to_string(),
            timing: format!("weir;dur={decided:.3}, provider;dur={waited:.3}"),
        }
    }

    /// Adds what is told to an answer's headers.
    pub fn add_to<'a>(&'a self, headers: &mut Outgoing<'a>) {
        headers.add(name::WEIR_TRACE_ID, self.trace_id.as_bytes());
        headers.add(name::WEIR_ATTEMPTS, self.attempts.as_bytes());
        headers.add(name::SERVER_TIMING, self.timing.as_bytes());
        if !self.model.is_empty() {
            headers.add(name::WEIR_MODEL, self.model.as_bytes());
        }
    }
}

impl Reading {
    /// How to read a provider's response with these headers. `unasked` says whether the gateway has
    /// asked for usage that the caller is not to see.
    pub fn of(
        headers: &Headers,
        api: Api,
        exchange: &Exchange,
        transcript: Transcript,
        unasked: bool,
    ) -> Self {
        if is_compressed(headers) {
            return Self::Compressed;
        }
        let form = Form::of(api, headers);
        let (whole, of_long_messages) = (exchange.content.whole(), exchange.content.of_long_messages());
        let open = Open { api, form, transcript, whole, of_long_messages, unasked };
        match form.is_open(api, headers) {
            true => Self::Open(Box::new(open)),
            false => open.read_as(form),
        }
    }

    /// Whether the response is a stream, as far as that is known.
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Open(open) => open.form.is_stream(),
            _ => matches!(self, Self::Stream(_)),
        }
    }

    /// Looks at the first bytes of a response whose form they tell. Returns what they tell; nothing is
    /// to be done with those that are unclear before more has come.
    fn open(&mut self, bytes: &[u8], is_end: bool) -> Opening {
        let Self::Open(open) = self else { return Opening::Blank };
        let opening = Opening::of(bytes);
        let form = match opening {
            Opening::Is(shape) => open.form.seen(open.api, shape),
            Opening::Unclear if is_end => open.form,
            Opening::Blank | Opening::Unclear => return opening,
        };
        self.settle(form);
        opening
    }

    /// The response comes in this form.
    pub fn settle(&mut self, form: Form) {
        *self = match std::mem::take(self) {
            Self::Open(open) => open.read_as(form),
            other => other,
        };
    }

    /// Has a refusal go out instead of the answer that came, which has a body and `said` so much.
    pub fn replace(
        host: &impl Host,
        refusal: &Refusal,
        family: Family,
        exchange: &mut Exchange,
        told: Option<&Told>,
        said: Transcript,
    ) -> Self {
        let body = refusal.body(family);
        Self::send_refusal(host, refusal, &body, &mut exchange.response, told);
        Self::Replaced(body, said)
    }

    /// Has a refusal's headers go out for this body, and notes it.
    pub fn send_refusal(
        host: &impl Host,
        refusal: &Refusal,
        body: &str,
        response: &mut v1::Response,
        told: Option<&Told>,
    ) {
        response.status = refusal.status.into();
        refusal.code.clone_into(&mut response.error_type);
        let (status, length) = (refusal.status.to_string(), body.len().to_string());
        let mut headers = Outgoing::default();
        headers.add(name::STATUS, status.as_bytes());
        headers.add(name::CONTENT_TYPE, b"application/json");
        headers.add(name::CONTENT_LENGTH, length.as_bytes());
        if let Some(told) = told {
            told.add_to(&mut headers);
        }
        host.set_response_headers(&headers);
    }

    /// Lets those of a provider's headers go to the caller that are for it ([`headers::reaches_caller`]), and
    /// with what is told. `length` is the body's where it is another than the provider's; `is_passed` is for
    /// a request that was passed through.
    pub fn send_headers(
        host: &impl Host,
        headers: &Headers,
        length: Length,
        told: Option<&Told>,
        is_passed: bool,
    ) {
        Self::send(host, headers, length, told, |key| {
            !crate::response::headers::reaches_caller(key, is_passed)
        });
    }

    /// The same, without the headers that are named.
    pub fn send(
        host: &impl Host,
        headers: &Headers,
        length: Length,
        told: Option<&Told>,
        withheld: impl Fn(&str) -> bool,
    ) {
        let is_other = length != Length::Same;
        let withheld = |key: &str| withheld(key) || (is_other && key == name::CONTENT_LENGTH);
        if told.is_none() && !headers.0.iter().any(|(key, _)| withheld(key)) {
            return;
        }
        let length = if let Length::Is(length) = length { length.to_string() } else { String::new() };
        let mut out = Outgoing::default();
        for (key, value) in headers.0.iter().filter(|(key, _)| !withheld(key)) {
            out.add(key, value);
        }
        if !length.is_empty() {
            out.add(name::CONTENT_LENGTH, length.as_bytes());
        }
        if let Some(told) = told {
            told.add_to(&mut out);
        }
        host.set_response_headers(&out);
    }

    /// The length of a body that is rewritten as it flows, or may be.
    pub fn length(&self, rewriting: &Rewriting) -> Length {
        let shrinks = match self {
            Self::Stream(stream) => stream.unasked.is_some(),
            Self::Open(open) => open.unasked,
            _ => false,
        };
        let is_rewritten = matches!(rewriting, Rewriting::Stream(_));
        if shrinks || is_rewritten { Length::Unknown } else { Length::Same }
    }

    /// Looks at the next piece of the body as it passes, and rewrites it where it is a stream's. It is held
    /// where its form cannot be told yet.
    pub fn pass(
        &mut self,
        host: &impl Host,
        size: usize,
        end_of_stream: bool,
        rewriting: &mut Rewriting,
        response: &mut v1::Response,
        timing: &mut v1::Timing,
    ) -> Step {
        if let Self::Replaced(body, _) = self {
            // The whole body goes out with the first piece; what was to follow goes nowhere.
            let body = std::mem::take(body);
            response.body_bytes += body.len() as u64;
            host.replace_response_chunk(size, body.as_bytes());
            return Step::Continue;
        }
        let withheld = if let Self::Stream(stream) = self { stream.withheld() } else { 0 };
        if size == 0 && !(end_of_stream && withheld + rewriting.held() > 0) {
            return Step::Continue;
        }
        let is_read = !matches!(self, Self::Nothing | Self::Compressed | Self::Unexpected(_))
            || matches!(rewriting, Rewriting::Stream(_));
        let bytes = if is_read && size > 0 { host.response_chunk(0, size) } else { Vec::new() };
        if self.open(&bytes, end_of_stream) == Opening::Unclear && !end_of_stream {
            return Step::Hold;
        }
        response.streamed = self.is_stream();
        // One look at the clock for the first piece; a stream needs the time of each.
        let now_ns = if response.streamed || timing.first_byte_ns == 0 { host.now_ns() } else { 0 };
        if timing.first_byte_ns == 0 {
            timing.first_byte_ns = now_ns;
        }
        let mut instead = None;
        match self {
            Self::Whole(whole) => whole.0.push_body(&bytes),
            Self::Stream(stream) => {
                if stream.read(&bytes, response) {
                    if timing.first_token_ns == 0 {
                        timing.first_token_ns = now_ns;
                    }
                    timing.last_token_ns = now_ns;
                }
                instead = stream.unasked.as_mut().and_then(|unasked| unasked.pass(&bytes, end_of_stream));
            }
            Self::Nothing | Self::Compressed | Self::Unexpected(_) | Self::Open(_) | Self::Replaced(..) => {}
        }
        if let Rewriting::Stream(rewritten) = rewriting {
            let piece = instead.as_deref().unwrap_or(&bytes);
            instead = rewritten.pass(piece, end_of_stream).or(instead);
            if let Some(code) = rewritten.stopped().filter(|_| response.error_type.is_empty()) {
                code.clone_into(&mut response.error_type);
            }
        }
        response.body_bytes += instead.as_ref().map_or(size, Vec::len) as u64;
        if let Some(instead) = instead {
            host.replace_response_chunk(size, &instead);
        }
        Step::Continue
    }

    /// Looks at the next piece of a body that is held until it is whole.
    pub fn look(&mut self, host: &impl Host, piece: &[u8], timing: &mut v1::Timing) {
        if timing.first_byte_ns == 0 && !piece.is_empty() {
            timing.first_byte_ns = host.now_ns();
        }
        if let Self::Whole(whole) = self {
            whole.0.push_body(piece);
        }
    }

    /// How many bytes of a stream are held, beside the content that is kept.
    pub fn held(&self) -> usize {
        match self {
            Self::Stream(stream) => stream.framing.held() + stream.answer.held() + stream.withheld(),
            _ => 0,
        }
    }

    /// All has passed, or will not come: reads what was kept for now. `asked` is how many characters
    /// the request had; `whole` says whether the response came to its end.
    pub fn finish(self, asked: u64, whole: bool, response: &mut v1::Response) -> Read {
        match self {
            Self::Whole(reading) => {
                let (pieces, mut answer) = *reading;
                if pieces.is_empty() {
                    note_unread(answer.api(), whole, true, response);
                    return Read::default();
                }
                let is_cut = whole && is_success(response) && pieces.is_unfinished();
                let mut body = pieces.finish();
                let is_read = if is_cut {
                    body = body.and_then(|(body, _)| Some((close(&body)?, true)));
                    body.as_ref().is_some_and(|(body, _)| answer.read_beginning(body, response))
                } else {
                    body.as_ref().is_some_and(|(body, _)| answer.read(body, response))
                };
                response.unread |= !is_read;
                if !is_read && !is_cut {
                    note_unread(answer.api(), whole, false, response);
                }
                Read { transcript: answer.finish(asked, whole && !is_cut, response), body, is_cut }
            }
            Self::Stream(mut stream) => {
                let answer = &mut stream.answer;
                stream.framing.finish(|message| {
                    answer.read_event(message, response);
                });
                // Its end may be among what could not be read.
                let has_skipped = stream.framing.skipped() > 0;
                response.unread |= has_skipped;
                let is_cut = whole && is_success(response) && !has_skipped && answer.is_cut();
                if response.chunks == 0 && !has_skipped {
                    note_unread(answer.api(), whole, true, response);
                }
                let is_cut = is_cut && response.chunks > 0;
                Read {
                    transcript: stream.answer.finish(asked, whole && !is_cut, response),
                    body: None,
                    is_cut,
                }
            }
            Self::Unexpected(api) => {
                note_unread(api, whole, response.body_bytes == 0, response);
                Read::default()
            }
            // Nothing came by which its headers could be wrong.
            Self::Open(open) => {
                let form = open.form;
                open.read_as(form).finish(asked, whole, response)
            }
            Self::Replaced(_, transcript) => Read { transcript, ..Read::default() },
            Self::Nothing | Self::Compressed => Read::default(),
        }
    }
}

impl Stream {
    /// Reads the next piece. Returns whether it brought a token.
    fn read(&mut self, bytes: &[u8], response: &mut v1::Response) -> bool {
        let (answer, mut token) = (&mut self.answer, false);
        self.framing.feed(bytes, |message| token |= answer.read_event(message, response));
        token
    }

    /// How many bytes are held of what is on its way to the caller.
    fn withheld(&self) -> usize {
        self.unasked.as_ref().map_or(0, Unasked::held)
    }
}

/// Notes that nothing was read of a response that came whole. One that says that it succeeded must hold an answer,
/// so it is an error.
fn note_unread(api: Api, whole: bool, is_empty: bool, response: &mut v1::Response) {
    if !whole || !is_success(response) || !api.answers_in_json() {
        return;
    }
    response.unread = true;
    if response.error_type.is_empty() {
        let code = if is_empty { EMPTY_RESPONSE } else { UNEXPECTED_CONTENT };
        code.clone_into(&mut response.error_type);
    }
}

/// Whether a response's status says that it holds an answer.
fn is_success(response: &v1::Response) -> bool {
    (200..300).contains(&response.status) && !WITHOUT_CONTENT.contains(&response.status)
}

/// Whether Envoy answered by itself, by its response code details.
pub fn is_local_reply(details: &str) -> bool {
    details != "via_upstream"
}

/// Names how a request ended that was not simply answered, by Envoy's response code details
/// (Envoy documentation, "Response code details"), and notes on the attempt what went wrong.
pub fn explain(details: &str, exchange: &mut Exchange) -> v1::Ending {
    // Codecs speak of the caller's connection here; a provider's stands behind "upstream_…{".
    const CALLERS_SIDE: [&str; 4] = ["downstream", "http1.", "http2.", "http3."];
    let ending = if CALLERS_SIDE.iter().any(|start| details.starts_with(start)) {
        v1::Ending::ClientDisconnected
    } else if details.contains("timeout") {
        v1::Ending::Timeout
    } else {
        v1::Ending::UpstreamReset
    };
    if let Some(attempt) = exchange.last_attempt() {
        let details = if details.is_empty() { "unknown" } else { details };
        details
            .get(..details.floor_char_boundary(DETAILS_MAX))
            .unwrap_or_default()
            .clone_into(&mut attempt.error);
    }
    ending
}
