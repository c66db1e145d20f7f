//! What the spans of one event tell, looked up once: its parts, what was said, what it cost.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use weir_event::v1::{
    Api, Attempt, Caller, Capture, Content, Parameters, Request, Response, Timing, TraceEvent, Usage,
};

use super::{
    View, broken_off, first_known,
    messages::{self, Conversation},
};
use crate::spans::prices::Cost;

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
pub(super) struct Facts<'e> {
    pub event: &'e TraceEvent,
    pub view: &'e View,
    pub request: &'e Request,
    pub response: &'e Response,
    pub parameters: &'e Parameters,
    pub usage: &'e Usage,
    pub caller: &'e Caller,
    pub timing: Timing,
    /// The last attempt, which is the one that was answered where any was.
    pub last: &'e Attempt,
    /// What was kept, unless the view is without content.
    pub content: Option<&'e Content>,
    /// The same as messages.
    pub said: Conversation,
    /// What the answer cost, where that is known.
    pub cost: Option<Cost>,
}

/// When the target was known, or the latest moment known before.
pub(crate) fn start(timing: &Timing) -> u64 {
    first_known(&[timing.resolved_ns, timing.body_received_ns, timing.received_ns])
}

impl<'e> Facts<'e> {
    pub(super) fn new(event: &'e TraceEvent, view: &'e View) -> Self {
        let unknown = &*UNKNOWN;
        let request = event.request.as_ref().unwrap_or(&unknown.request);
        let response = event.response.as_ref().unwrap_or(&unknown.response);
        let last = event.attempts.last().unwrap_or(&unknown.attempt);
        let content = event.content.as_ref().filter(|content| !view.exclude_content && is_captured(content));
        let said = content
            .map(|content| messages::read(request.api(), content, response, broken_off(event).is_some()));
        Self {
            event,
            view,
            request,
            response,
            parameters: request.parameters.as_ref().unwrap_or(&unknown.parameters),
            usage: response.usage.as_ref().unwrap_or(&unknown.usage),
            caller: event.caller.as_ref().unwrap_or(&unknown.caller),
            timing: event.timing.unwrap_or_default(),
            last,
            content,
            said: said.unwrap_or_default(),
            cost: view.prices.of(event),
        }
    }

    pub(super) fn api(&self) -> Api {
        self.request.api()
    }

    /// Whether there is an operation of a model's, and not plain HTTP alone.
    pub(super) fn is_operation(&self) -> bool {
        !self.event.attempts.is_empty() && self.api() != Api::Passthrough
    }

    /// Whether the API is one of OpenAI's.
    pub(super) fn is_openai(&self) -> bool {
        self.family() == "openai"
    }

    /// Whose API the caller spoke.
    pub(super) fn family(&self) -> &'static str {
        match self.api() {
            Api::Unspecified | Api::Passthrough => "",
            Api::AnthropicMessages | Api::AnthropicCountTokens => "anthropic",
            Api::GeminiGenerate | Api::GeminiStream | Api::GeminiEmbed | Api::GeminiCountTokens => "google",
            Api::CohereChat | Api::CohereRerank => "cohere",
            _ => "openai",
        }
    }

    /// `gen_ai.operation.name`: the event's, or by the API.
    pub(super) fn operation(&self) -> &'e str {
        if !self.request.operation.is_empty() {
            return &self.request.operation;
        }
        match self.api() {
            Api::OpenaiCompletions => "text_completion",
            Api::OpenaiEmbeddings | Api::GeminiEmbed => "embeddings",
            Api::OpenaiImages
            | Api::OpenaiImageEdit
            | Api::OpenaiImageVariation
            | Api::OpenaiSpeech
            | Api::GeminiGenerate
            | Api::GeminiStream => "generate_content",
            Api::OpenaiTranscription => "transcription",
            Api::OpenaiTranslation => "translation",
            Api::OpenaiModerations => "moderation",
            Api::AnthropicCountTokens | Api::GeminiCountTokens => "count_tokens",
            Api::CohereRerank => "rerank",
            _ => "chat",
        }
    }

    /// The model's name as asked, else as sent.
    pub(super) fn model(&self) -> &'e str {
        if self.request.model.is_empty() { &self.last.model } else { &self.request.model }
    }

    /// When the target was known, or the latest moment known before.
    pub(super) fn start(&self) -> u64 {
        start(&self.timing)
    }

    /// Seconds to the first token, or the first byte, of a stream.
    pub(super) fn time_to_first_chunk(&self) -> Option<f64> {
        let first = first_known(&[self.timing.first_token_ns, self.timing.first_byte_ns]);
        (self.response.streamed && first > 0).then(|| seconds(self.start(), first))
    }

    /// Seconds from one token of a stream to the next, on average.
    pub(super) fn time_per_output_token(&self) -> Option<f64> {
        let (first, last) = (self.timing.first_token_ns, self.timing.last_token_ns);
        let steps = self.usage.output_tokens?.checked_sub(1).filter(|steps| *steps > 0)?;
        (self.response.streamed && first > 0 && last >= first).then(|| seconds(0, (last - first) / steps))
    }

    /// The request's body as it was kept.
    pub(super) fn raw_input(&self) -> Option<Cow<'e, str>> {
        let body = self.content.map(|content| content.request.as_ref())?;
        (!body.is_empty()).then(|| String::from_utf8_lossy(body))
    }

    /// The response's body as it was kept; of a stream, its messages. Both are JSON.
    pub(super) fn raw_output(&self) -> Option<Cow<'e, str>> {
        let body = self.content.map(|content| content.response.as_ref())?;
        if !body.is_empty() {
            return Some(String::from_utf8_lossy(body));
        }
        let output = &self.said.output;
        (!output.is_empty()).then(|| serde_json::to_string(output).map(Cow::Owned).ok()).flatten()
    }

    /// The text that a caller said last.
    pub(super) fn asked_text(&self) -> Option<String> {
        let mut texts = self.said.input.iter().rev().map(messages::Message::text);
        texts.find(|text| !text.is_empty())
    }

    /// The text of the first choice.
    pub(super) fn answered_text(&self) -> Option<String> {
        self.said.output.first().map(messages::Message::text).filter(|text| !text.is_empty())
    }

    /// The provider's error text.
    pub(super) fn error_text(&self) -> &'e str {
        self.content.map_or("", |content| content.error_message.as_str())
    }
}

/// Whether content may be shown: whatever an event that says it has none holds all the same, a provider's error text
/// included, is not.
fn is_captured(content: &Content) -> bool {
    !matches!(content.capture(), Capture::Excluded | Capture::NoRoom)
}

/// Seconds from one Unix time in nanoseconds to a later one.
pub(super) fn seconds(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}
