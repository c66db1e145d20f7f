//! OpenInference's names (Arize's semantic conventions), which Phoenix and Middleware read.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use serde_json::{Map, Value as Json, json};

use super::caller::metadata;
use crate::spans::{
    facts::{
        attributes::{Attributes, pair},
        event::Facts,
    },
    messages::part::{Message, Part},
    names::{self, openinference as oi},
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// The SERVER span: request and response as plain text, as lists of traces show it.
pub(super) fn request(attributes: &mut Attributes, facts: &Facts<'_>) {
    shared(attributes, facts);
    for (value, name, mime_type) in [
        (facts.asked_text(), oi::INPUT_VALUE, oi::INPUT_MIME_TYPE),
        (facts.answered_text(), oi::OUTPUT_VALUE, oi::OUTPUT_MIME_TYPE),
    ] {
        if let Some(value) = value {
            attributes.text(name, value).text(mime_type, TEXT);
        }
    }
}

/// The operation's span.
pub(super) fn operation(attributes: &mut Attributes, facts: &Facts<'_>) {
    shared(attributes, facts);
    attributes.text(names::USER_ID, facts.caller.user.as_str());
    let model = if facts.response.model.is_empty() { facts.model() } else { &facts.response.model };
    let parameters = parameters(facts);
    match facts.api.openinference {
        "EMBEDDING" => {
            attributes.text(oi::EMBEDDING_MODEL, model).text(oi::EMBEDDING_PARAMETERS, parameters);
        }
        "RERANKER" => {
            attributes.text(oi::RERANKER_MODEL, model);
        }
        _ => {
            attributes
                .text(oi::MODEL_NAME, model)
                .text(oi::REQUEST_MODEL, facts.model())
                .text(oi::RESPONSE_MODEL, facts.response.model.as_str())
                .text(oi::PROVIDER, provider(&facts.last.provider_kind))
                .text(oi::SYSTEM, facts.api.family)
                .text(oi::INVOCATION_PARAMETERS, parameters);
        }
    }
    used(attributes, facts);
    if let Some(reason) = facts.response.finish_reasons.first() {
        attributes.text(oi::FINISH_REASON, reason.as_str());
    }
    for (value, name, mime_type) in [
        (facts.raw_input(), oi::INPUT_VALUE, oi::INPUT_MIME_TYPE),
        (facts.raw_output(), oi::OUTPUT_VALUE, oi::OUTPUT_MIME_TYPE),
    ] {
        if let Some(value) = value {
            attributes.text(name, value).text(mime_type, JSON);
        }
    }
    indexed(attributes, facts);
}

fn shared(attributes: &mut Attributes, facts: &Facts<'_>) {
    attributes
        .text(oi::SESSION_ID, facts.caller.conversation_id.as_str())
        .text(oi::METADATA, metadata(facts));
}

fn used(attributes: &mut Attributes, facts: &Facts<'_>) {
    let usage = facts.usage;
    let total = match (usage.input_tokens, usage.output_tokens) {
        (Some(input), output) => Some(input.saturating_add(output.unwrap_or_default())),
        (None, output) => output,
    };
    attributes
        .count(oi::PROMPT_TOKENS, usage.input_tokens)
        .count(oi::COMPLETION_TOKENS, usage.output_tokens)
        .count(oi::TOTAL_TOKENS, total)
        .count(oi::CACHE_READ_TOKENS, usage.cache_read_tokens)
        .count(oi::CACHE_WRITE_TOKENS, usage.cache_write_tokens)
        .count(oi::REASONING_TOKENS, usage.reasoning_tokens);
    let Some(cost) = facts.cost else { return };
    attributes
        .number(oi::TOTAL_COST, Some(cost.total()))
        .number(oi::PROMPT_COST, cost.input())
        .number(oi::COMPLETION_COST, cost.output());
    for (tokens, name, cost) in [
        (usage.cache_read_tokens, oi::CACHE_READ_COST, cost.cache_read()),
        (usage.cache_write_tokens, oi::CACHE_WRITE_COST, cost.cache_write()),
        (usage.reasoning_tokens, oi::REASONING_COST, cost.reasoning()),
    ] {
        attributes.number(name, cost.filter(|_| tokens.is_some_and(|tokens| tokens > 0)));
    }
}

/// A provider's name by OpenInference's well-known values.
fn provider(kind: &str) -> &str {
    match kind {
        "azure.ai.openai" | "azure.ai.inference" => "azure",
        "gcp.gemini" | "gcp.vertex_ai" | "gcp.gen_ai" => "google",
        "aws.bedrock" => "aws",
        "mistral_ai" => "mistralai",
        "x_ai" => "xai",
        other => other,
    }
}

/// The parameters as JSON, by the names that callers know; empty where none was given.
fn parameters(facts: &Facts<'_>) -> String {
    let parameters = facts.parameters;
    let mut given = Map::new();
    let mut add = |name: &str, value: Json| {
        if !value.is_null() && value != json!("") && value != json!([]) {
            given.insert(name.to_owned(), value);
        }
    };
    add("temperature", json!(parameters.temperature));
    add("top_p", json!(parameters.top_p));
    add("top_k", json!(parameters.top_k));
    add("frequency_penalty", json!(parameters.frequency_penalty));
    add("presence_penalty", json!(parameters.presence_penalty));
    add("max_tokens", json!(parameters.max_tokens));
    add("seed", json!(parameters.seed));
    add("n", json!(parameters.choice_count));
    add("stop", json!(parameters.stop_sequences));
    add("reasoning_effort", json!(parameters.reasoning_effort));
    add("response_format", json!(parameters.output_format));
    add("service_tier", json!(parameters.service_tier));
    add("dimensions", json!(parameters.dimensions));
    add("encoding_format", json!(parameters.encoding_format));
    if facts.request.stream {
        add("stream", json!(true));
    }
    if given.is_empty() { String::new() } else { Json::Object(given).to_string() }
}

/// What has an index: the response first, then as many of the latest messages as fit, then tools. A message is
/// there whole or not at all.
fn indexed(attributes: &mut Attributes, facts: &Facts<'_>) {
    let said = &facts.said;
    match facts.api.openinference {
        "EMBEDDING" => {
            let texts = said.input.iter().map(Message::text).enumerate().map(|(index, text)| {
                vec![string(&format!("{}.{index}.embedding.text", oi::EMBEDDINGS), text)]
            });
            first(attributes, texts);
        }
        "RERANKER" => rerank(attributes, &said.input, &said.output),
        _ => {
            first(attributes, groups(oi::OUTPUT_MESSAGES, said.output.iter()).into_iter());
            let system =
                Message { role: "system".to_owned(), parts: said.system.clone(), ..Message::default() };
            let system = Some(&system).filter(|system| !system.parts.is_empty());
            last(attributes, groups(oi::INPUT_MESSAGES, system.into_iter().chain(&said.input)));
            let tools = said.tools.iter().enumerate().map(|(index, tool)| {
                vec![string(&format!("{}.{index}.tool.json_schema", oi::TOOLS), schema(tool))]
            });
            first(attributes, tools);
        }
    }
}

/// Adds groups from the first on while there is room.
fn first(attributes: &mut Attributes, groups: impl Iterator<Item = Vec<KeyValue>>) {
    let mut full = false;
    for group in groups {
        full = full || group.len() > attributes.room();
        if full {
            attributes.leave_out(group.len());
        } else {
            attributes.add(group);
        }
    }
}

/// Adds as many of the last groups as there is room for, in their order.
fn last(attributes: &mut Attributes, groups: Vec<Vec<KeyValue>>) {
    let mut room = attributes.room();
    let mut from = groups.len();
    for (index, group) in groups.iter().enumerate().rev() {
        let Some(rest) = room.checked_sub(group.len()) else { break };
        (room, from) = (rest, index);
    }
    for (index, group) in groups.into_iter().enumerate() {
        if index < from {
            attributes.leave_out(group.len());
        } else {
            attributes.add(group);
        }
    }
}

/// The attributes of each message under its index. A message has one tool's result at most here, so one
/// with more becomes several.
fn groups<'m>(prefix: &str, messages: impl Iterator<Item = &'m Message>) -> Vec<Vec<KeyValue>> {
    let mut groups = Vec::new();
    for message in messages {
        let (results, parts): (Vec<_>, Vec<_>) =
            message.parts.iter().partition(|part| matches!(part, Part::ToolCallResponse { .. }));
        if results.is_empty() || !parts.is_empty() {
            let at = format!("{prefix}.{}.{}", groups.len(), oi::MESSAGE);
            groups.push(group(&at, message, &parts));
        }
        for result in results {
            let Part::ToolCallResponse { id, response, .. } = result else { continue };
            let at = format!("{prefix}.{}.{}", groups.len(), oi::MESSAGE);
            let response = match response {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            groups.push(vec![
                string(&format!("{at}.role"), "tool".to_owned()),
                string(&format!("{at}.tool_call_id"), id.clone()),
                string(&format!("{at}.content"), response),
            ]);
        }
    }
    for group in &mut groups {
        group.retain(|attribute| {
            let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
            !matches!(value, Some(Value::StringValue(text)) if text.is_empty())
        });
    }
    groups
}

fn group(at: &str, message: &Message, parts: &[&Part]) -> Vec<KeyValue> {
    let mut group = vec![string(&format!("{at}.role"), message.role.clone())];
    if !message.name.is_empty() {
        group.push(string(&format!("{at}.name"), message.name.clone()));
    }
    let calls = |part: &Part| matches!(part, Part::ToolCall { .. });
    let contents: Vec<_> = parts.iter().filter(|part| !calls(part)).collect();
    if contents.iter().all(|part| part.said().is_some()) {
        let text: Vec<_> = contents.iter().filter_map(|part| part.said()).collect();
        if !text.is_empty() {
            group.push(string(&format!("{at}.content"), text.join("\n")));
        }
    } else {
        for (index, part) in contents.into_iter().enumerate() {
            content(&format!("{at}.contents.{index}.message_content"), part, &mut group);
        }
    }
    for (index, part) in parts.iter().filter(|part| calls(part)).enumerate() {
        let Part::ToolCall { id, name, arguments } = part else { continue };
        let at = format!("{at}.tool_calls.{index}.tool_call");
        group.push(string(&format!("{at}.id"), id.clone()));
        group.push(string(&format!("{at}.function.name"), name.clone()));
        let arguments = match arguments {
            Json::String(text) => text.clone(),
            Json::Null => String::new(),
            other => other.to_string(),
        };
        group.push(string(&format!("{at}.function.arguments"), arguments));
    }
    group
}

fn content(at: &str, part: &Part, group: &mut Vec<KeyValue>) {
    let (kind, name, value) = match part {
        Part::Text { content } => ("text", "text", content.clone()),
        Part::Reasoning { content } => ("reasoning", "text", content.clone()),
        Part::Uri { modality: modality @ ("image" | "audio"), uri, .. } => {
            (*modality, if *modality == "image" { "image.image.url" } else { "audio.audio.url" }, uri.clone())
        }
        part => ("text", "text", serde_json::to_string(part).unwrap_or_default()),
    };
    group.push(string(&format!("{at}.type"), kind.to_owned()));
    group.push(string(&format!("{at}.{name}"), value));
}

/// A tool as OpenAI's chat writes it, which readers of these names expect.
fn schema(tool: &Json) -> String {
    match tool {
        Json::Object(members) if members.get("type") == Some(&json!("function")) => {
            let mut function = members.clone();
            function.remove("type");
            json!({"type": "function", "function": function}).to_string()
        }
        other => other.to_string(),
    }
}

fn rerank(attributes: &mut Attributes, input: &[Message], output: &[Message]) {
    let parts = input.iter().flat_map(|message| &message.parts);
    let (queries, documents): (Vec<_>, Vec<_>) = parts.partition(|part| matches!(part, Part::Text { .. }));
    attributes.text(oi::RERANKER_QUERY, queries.first().and_then(|query| query.said()).unwrap_or_default());
    let results = output.iter().flat_map(|message| &message.parts).enumerate();
    let results = results.map(|(index, part)| {
        let Part::Other(part) = part else { return Vec::new() };
        let result = part.get("content").unwrap_or(&Json::Null);
        let at = format!("{}.{index}.document", oi::RERANKER_OUTPUT);
        let mut group = Vec::new();
        if let Some(id) = result.get("index") {
            group.push(string(&format!("{at}.id"), id.to_string()));
        }
        if let Some(score) = result.get("relevance_score").and_then(Json::as_f64) {
            group.push(pair(&format!("{at}.score"), Value::DoubleValue(score)));
        }
        group
    });
    first(attributes, results);
    let documents = documents.into_iter().enumerate().map(|(index, part)| {
        let text = match part {
            Part::Other(part) => match part.get("content") {
                Some(Json::String(text)) => text.clone(),
                Some(Json::Object(members)) => match members.get("text") {
                    Some(Json::String(text)) => text.clone(),
                    _ => Json::Object(members.clone()).to_string(),
                },
                other => other.unwrap_or(&Json::Null).to_string(),
            },
            part => serde_json::to_string(part).unwrap_or_default(),
        };
        vec![string(&format!("{}.{index}.document.content", oi::RERANKER_INPUT), text)]
    });
    first(attributes, documents);
}

fn string(name: &str, value: String) -> KeyValue {
    pair(name, Value::StringValue(value))
}
