//! What the spans of one event show, looked up once: its parts, what was said, what it cost.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use weir_event::{
    disclosure,
    v1::{Api, Attempt, Caller, Content, Parameters, Request, Response, Timing, TraceEvent, Usage},
};

use super::{
    endings::{broken_off, first_known, start},
    profile::ExportProfile,
};
use crate::spans::{
    families,
    messages::{self, conversation::Conversation, part::Message, spec::ApiSpec},
    prices::Cost,
};

/// Parts that an event has not.
#[derive(Default)]
struct Unknown {
    request: Request,
    response: Response,
    caller: Caller,
    parameters: Parameters,
    usage: Usage,
    attempt: Attempt,
}

static UNKNOWN: LazyLock<Unknown> = LazyLock::new(Unknown::default);

/// An event's parts and what follows from them.
pub(in crate::spans) struct Facts<'e> {
    pub event: &'e TraceEvent,
    pub profile: &'e ExportProfile,
    /// What the API is like.
    pub api: &'static ApiSpec,
    pub request: &'e Request,
    pub response: &'e Response,
    pub parameters: &'e Parameters,
    pub usage: &'e Usage,
    pub caller: &'e Caller,
    pub timing: Timing,
    /// The last attempt, which is the one that got the response, if any did.
    pub last: &'e Attempt,
    /// What was captured, unless the profile excludes content.
    pub content: Option<&'e Content>,
    /// The same as messages.
    pub said: Conversation,
    /// What the response cost, where that is known.
    pub cost: Option<Cost>,
}

impl<'e> Facts<'e> {
    pub(in crate::spans) fn new(event: &'e TraceEvent, profile: &'e ExportProfile) -> Self {
        let unknown = &*UNKNOWN;
        let request = event.request.as_ref().unwrap_or(&unknown.request);
        let response = event.response.as_ref().unwrap_or(&unknown.response);
        let last = event.attempts.last().unwrap_or(&unknown.attempt);
        let content = event.content.as_ref();
        let content = content.filter(|_| !profile.exclude_content && disclosure::has_content(event));
        let api = families::of(request.api());
        let said = content.map(|content| messages::read(api, content, response, broken_off(event).is_some()));
        Self {
            event,
            profile,
            api,
            request,
            response,
            parameters: request.parameters.as_ref().unwrap_or(&unknown.parameters),
            usage: response.usage.as_ref().unwrap_or(&unknown.usage),
            caller: event.caller.as_ref().unwrap_or(&unknown.caller),
            timing: event.timing.unwrap_or_default(),
            last,
            content,
            said: said.unwrap_or_default(),
            cost: profile.prices.of(event),
        }
    }

    /// Whether there is an operation of a model's, and not plain HTTP alone.
    pub(in crate::spans) fn is_operation(&self) -> bool {
        !self.event.attempts.is_empty() && self.request.api() != Api::Passthrough
    }

    /// Whether the API is one of OpenAI's.
    pub(in crate::spans) fn is_openai(&self) -> bool {
        self.api.family == "openai"
    }

    /// `gen_ai.operation.name`: the event's, or by the API.
    pub(in crate::spans) fn operation(&self) -> &'e str {
        if self.request.operation.is_empty() { self.api.operation } else { &self.request.operation }
    }

    /// The model's name as asked, else as sent.
    pub(in crate::spans) fn model(&self) -> &'e str {
        if self.request.model.is_empty() { &self.last.model } else { &self.request.model }
    }

    /// When the target was known, or the latest moment known before.
    pub(in crate::spans) fn start(&self) -> u64 {
        start(&self.timing)
    }

    /// Seconds to the first token, or the first byte, of a stream.
    pub(in crate::spans) fn time_to_first_chunk(&self) -> Option<f64> {
        let first = first_known(&[self.timing.first_token_ns, self.timing.first_byte_ns]);
        (self.response.streamed && first > 0).then(|| seconds(self.start(), first))
    }

    /// Seconds from one token of a stream to the next, on average.
    pub(in crate::spans) fn time_per_output_token(&self) -> Option<f64> {
        let (first, last) = (self.timing.first_token_ns, self.timing.last_token_ns);
        let steps = self.usage.output_tokens?.checked_sub(1).filter(|steps| *steps > 0)?;
        (self.response.streamed && first > 0 && last >= first).then(|| seconds(0, (last - first) / steps))
    }

    /// The request's body as it was captured.
    pub(in crate::spans) fn raw_input(&self) -> Option<Cow<'e, str>> {
        let body = self.content.map(|content| content.request.as_ref())?;
        (!body.is_empty()).then(|| String::from_utf8_lossy(body))
    }

    /// The response's body as it was captured; of a stream, its messages. Both are JSON.
    pub(in crate::spans) fn raw_output(&self) -> Option<Cow<'e, str>> {
        let body = self.content.map(|content| content.response.as_ref())?;
        if !body.is_empty() {
            return Some(String::from_utf8_lossy(body));
        }
        let output = &self.said.output;
        (!output.is_empty()).then(|| serde_json::to_string(output).map(Cow::Owned).ok()).flatten()
    }

    /// The text that a caller said last.
    pub(in crate::spans) fn asked_text(&self) -> Option<String> {
        let mut texts = self.said.input.iter().rev().map(Message::text);
        texts.find(|text| !text.is_empty())
    }

    /// The text of the first choice.
    pub(in crate::spans) fn answered_text(&self) -> Option<String> {
        self.said.output.first().map(Message::text).filter(|text| !text.is_empty())
    }

    /// The provider's error text.
    pub(in crate::spans) fn error_text(&self) -> &'e str {
        self.content.map_or("", |content| content.error_message.as_str())
    }
}

/// Seconds from one Unix time in nanoseconds to a later one.
pub(in crate::spans) fn seconds(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}
