//! TrueFoundry's names (its AI gateway's documentation, "Request Logs: Span Attributes"), for dashboards
//! that were made for them. Its root span is our SERVER span, its `Model` span our operation's.

use super::caller::{metadata, subject};
use crate::spans::{
    facts::{
        attempt,
        attributes::Attributes,
        event::{Facts, seconds},
    },
    names::tfy as names,
};

/// How long the abbreviated input is, in characters.
const SHORT: usize = 100;

const MODEL: &str = "Model";

pub(super) fn request(attributes: &mut Attributes, facts: &Facts<'_>) {
    attributes
        .text(names::SPAN_TYPE, facts.api.tfy)
        .text(names::REQUEST_MODEL, facts.request.model.as_str())
        .text(names::SUBJECT, subject(facts))
        .text(names::SUBJECT_TEAMS, facts.caller.team.as_str())
        .text(names::METADATA, metadata(facts))
        .text(names::CONVERSATION_ID, facts.caller.conversation_id.as_str());
    content(attributes, facts);
}

pub(super) fn operation(attributes: &mut Attributes, facts: &Facts<'_>) {
    let (last, usage) = (facts.last, facts.usage);
    let model = if facts.response.model.is_empty() { &last.model } else { &facts.response.model }.as_str();
    attributes
        .text(names::SPAN_TYPE, MODEL)
        .text(names::REQUEST_TYPE, facts.api.tfy)
        .text(names::MODEL_NAME, model)
        .text(names::MODEL_FQN, format!("{}/{}", last.provider, last.model))
        .text(names::MODEL_URL, attempt::url(last))
        .flag(names::STREAMING, facts.response.streamed)
        .count(names::INPUT_TOKENS, usage.input_tokens)
        .count(names::OUTPUT_TOKENS, usage.output_tokens)
        .count(names::CACHE_READ_TOKENS, usage.cache_read_tokens)
        .count(names::CACHE_WRITE_TOKENS, usage.cache_write_tokens)
        .number(names::COST, facts.cost.map(|cost| cost.total()))
        .number(names::LATENCY, Some(seconds(facts.start(), last.ended_ns) * 1000.0))
        .number(names::TIME_TO_FIRST_TOKEN, facts.time_to_first_chunk().map(milliseconds))
        .number(names::INTER_TOKEN_LATENCY, facts.time_per_output_token().map(milliseconds));
    content(attributes, facts);
}

/// Empty where the profile is without content.
fn content(attributes: &mut Attributes, facts: &Facts<'_>) {
    let short = facts.asked_text().map(|text| text.chars().take(SHORT).collect::<String>());
    attributes
        .text(names::INPUT, facts.raw_input().unwrap_or_default())
        .text(names::OUTPUT, facts.raw_output().unwrap_or_default())
        .text(names::INPUT_SHORT, short.unwrap_or_default())
        .text(names::ERROR_MESSAGE, facts.error_text());
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1000.0
}
