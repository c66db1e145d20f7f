//! The operation as the caller meant it (semantic conventions for GenAI client spans), and its stream.
//!
//! What was said and what was used go in first, the overlays last: the limit on attributes cuts the end.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::v1::{Capture, UsageSource};

use super::{
    facts::{
        attributes::Attributes,
        endings::{failure, first_known},
        event::Facts,
        tree::{Draft, SpanTree},
    },
    names, overlay,
};

/// The CLIENT span of the operation, over all attempts.
pub(super) fn span(tree: &SpanTree<'_>, id: &[u8], facts: &Facts<'_>) -> Span {
    let ended = facts.event.attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or_default();
    let (operation, model) = (facts.operation(), facts.model());
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes
        .text(names::OPERATION_NAME, operation)
        .text(names::PROVIDER_NAME, facts.last.provider_kind.as_str())
        .text(names::REQUEST_MODEL, model)
        .text(names::RESPONSE_MODEL, facts.response.model.as_str())
        .text(names::CONVERSATION_ID, facts.caller.conversation_id.as_str());
    said(&mut attributes, facts);
    used(&mut attributes, facts);
    answered(&mut attributes, facts);
    asked(&mut attributes, facts);
    kept(&mut attributes, facts);
    overlay::operation(&mut attributes, facts);
    tree.child(
        id.to_vec(),
        &tree.server,
        Draft {
            name: format!("{operation} {model}").trim_end().to_owned(),
            kind: SpanKind::Client,
            times: (facts.start(), first_known(&[ended, facts.timing.done_ns])),
            attributes,
            error: failure(facts.event, facts.response, facts.last),
            error_text: facts.error_text().to_owned(),
            inference_kind: facts.api.openinference,
        },
    )
}

/// The span from the first token to the last; none where nothing was streamed.
pub(super) fn stream(tree: &SpanTree<'_>, parent: &[u8], facts: &Facts<'_>) -> Option<Span> {
    if !facts.response.streamed || facts.timing.first_token_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes.count(names::WEIR_STREAM_CHUNKS, u64::from(facts.response.chunks));
    let draft = Draft {
        name: "stream".to_owned(),
        kind: SpanKind::Internal,
        times: (facts.timing.first_token_ns, facts.timing.last_token_ns),
        attributes,
        ..Draft::default()
    };
    Some(tree.child(tree.span_id(&[], "stream"), parent, draft))
}

/// Content. As JSON in strings, which is what backends take today; the conventions allow structure too.
fn said(attributes: &mut Attributes, facts: &Facts<'_>) {
    attributes
        .json(names::SYSTEM_INSTRUCTIONS, &facts.said.system)
        .json(names::INPUT_MESSAGES, &facts.said.input)
        .json(names::OUTPUT_MESSAGES, &facts.said.output)
        .json(names::TOOL_DEFINITIONS, &facts.said.tools);
}

/// Tokens, and what they cost.
fn used(attributes: &mut Attributes, facts: &Facts<'_>) {
    let usage = facts.usage;
    attributes
        .count(names::INPUT_TOKENS, usage.input_tokens)
        .count(names::OUTPUT_TOKENS, usage.output_tokens)
        .count(names::CACHE_READ_TOKENS, usage.cache_read_tokens)
        .count(names::CACHE_CREATION_TOKENS, usage.cache_write_tokens)
        .count(names::REASONING_TOKENS, usage.reasoning_tokens)
        .text(names::WEIR_USAGE_SOURCE, usage_source(usage.source()));
    if !usage.figures.is_empty() {
        // Sorted, so that the same event yields the same span.
        let figures: std::collections::BTreeMap<_, _> = usage.figures.iter().collect();
        attributes.text(names::WEIR_USAGE_FIGURES, serde_json::to_string(&figures).unwrap_or_default());
    }
    attributes.some_count(names::WEIR_USAGE_FIGURES_LEFT_OUT, usage.figures_left_out);
    if let Some(cost) = facts.cost {
        attributes
            .number(names::WEIR_COST_TOTAL, Some(cost.total()))
            .number(names::WEIR_COST_INPUT, cost.input())
            .number(names::WEIR_COST_OUTPUT, cost.output())
            .text(names::WEIR_COST_SOURCE, cost.source());
    }
}

/// What came back.
fn answered(attributes: &mut Attributes, facts: &Facts<'_>) {
    let response = facts.response;
    attributes
        .text(names::RESPONSE_ID, response.id.as_str())
        .texts(names::FINISH_REASONS, &response.finish_reasons)
        .number(names::TIME_TO_FIRST_CHUNK, facts.time_to_first_chunk())
        .number(names::WEIR_TIME_PER_OUTPUT_TOKEN, facts.time_per_output_token())
        .flag(names::WEIR_RESPONSE_UNREAD, response.unread)
        .text(names::SERVER_ADDRESS, facts.last.host.as_str())
        .some_count(names::SERVER_PORT, facts.last.port);
    if facts.is_openai() {
        attributes
            .text(names::OPENAI_RESPONSE_TIER, response.service_tier.as_str())
            .text(names::OPENAI_FINGERPRINT, response.system_fingerprint.as_str());
    } else {
        attributes.text(names::WEIR_RESPONSE_TIER, response.service_tier.as_str());
    }
}

/// What was asked.
fn asked(attributes: &mut Attributes, facts: &Facts<'_>) {
    let (request, parameters) = (facts.request, facts.parameters);
    attributes
        .flag(names::REQUEST_STREAM, request.stream)
        .number(names::TEMPERATURE, parameters.temperature)
        .number(names::TOP_P, parameters.top_p)
        .number(names::TOP_K, parameters.top_k)
        .number(names::FREQUENCY_PENALTY, parameters.frequency_penalty)
        .number(names::PRESENCE_PENALTY, parameters.presence_penalty)
        .count(names::MAX_TOKENS, parameters.max_tokens)
        .integer(names::SEED, parameters.seed)
        .count(names::CHOICE_COUNT, parameters.choice_count.filter(|count| *count != 1))
        .texts(names::STOP_SEQUENCES, &parameters.stop_sequences)
        .text(names::REASONING_LEVEL, parameters.reasoning_effort.as_str())
        .text(names::OUTPUT_TYPE, output_type(facts))
        .count(names::DIMENSIONS, parameters.dimensions);
    if !parameters.encoding_format.is_empty() {
        attributes.texts(names::ENCODING_FORMATS, std::slice::from_ref(&parameters.encoding_format));
    }
    if facts.is_openai() {
        let tier = Some(parameters.service_tier.as_str()).filter(|tier| *tier != "auto");
        attributes
            .text(names::OPENAI_API_TYPE, facts.api.openai_type)
            .text(names::OPENAI_REQUEST_TIER, tier.unwrap_or_default());
    } else {
        attributes.text(names::WEIR_REQUEST_TIER, parameters.service_tier.as_str());
    }
    attributes
        .texts(names::WEIR_FORM_FIELDS, &each(facts, |file| file.field.clone()))
        .texts(names::WEIR_FORM_MEDIA_TYPES, &each(facts, |file| file.media_type.clone()))
        .counts(names::WEIR_FORM_SIZES, request.files.iter().map(|file| file.bytes));
}

fn each(facts: &Facts<'_>, text: fn(&weir_event::v1::FormFile) -> String) -> Vec<String> {
    facts.request.files.iter().map(text).collect()
}

/// What became of the content.
fn kept(attributes: &mut Attributes, facts: &Facts<'_>) {
    let Some(content) = &facts.event.content else { return };
    let capture = match content.capture() {
        Capture::Unspecified => "",
        Capture::Kept => "kept",
        Capture::Redacted => "redacted",
        Capture::Excluded => "excluded",
        Capture::NoRoom => "no_room",
    };
    attributes
        .text(names::WEIR_CAPTURE, capture)
        .flag(names::WEIR_REQUEST_SHORTENED, content.request_shortened)
        .flag(names::WEIR_RESPONSE_SHORTENED, content.response_shortened);
}

fn output_type(facts: &Facts<'_>) -> &'static str {
    match (facts.api.output_type, facts.parameters.output_format.as_str()) {
        ("", "json_object" | "json_schema" | "json" | "application/json") => "json",
        ("", "text" | "text/plain") => "text",
        (only, _) => only,
    }
}

fn usage_source(source: UsageSource) -> &'static str {
    match source {
        UsageSource::Provider => "provider",
        UsageSource::Partial => "partial",
        UsageSource::Estimated => "estimated",
        UsageSource::Unspecified => "",
    }
}
