//! Cohere's chat (version 2) and rerank. Its messages are OpenAI's with documents and a plan for the tools.

use serde_json::Value;
use weir_event::v1::Api;

use super::openai;
use crate::spans::messages::{
    conversation::Conversation,
    part::{Message, Part},
    spec::ApiSpec,
    value::{Object, take, take_items, take_object, take_string, take_text},
};

static CHAT: ApiSpec = ApiSpec {
    family: "cohere",
    operation: "chat",
    output_type: "",
    openai_type: "",
    openinference: "LLM",
    tfy: "ChatCompletion",
    is_chat: true,
    is_without_reasons: false,
    request,
    response,
    part: |_, value| openai::content(value),
};
static RERANK: ApiSpec = ApiSpec {
    family: "cohere",
    operation: "rerank",
    output_type: "",
    openai_type: "",
    openinference: "RERANKER",
    tfy: "Rerank",
    is_chat: false,
    is_without_reasons: true,
    request: rerank,
    response: reranked,
    part: |_, value| openai::content(value),
};

/// What an API of this family is like.
pub(super) fn spec(api: Api) -> Option<&'static ApiSpec> {
    Some(match api {
        Api::CohereChat => &CHAT,
        Api::CohereRerank => &RERANK,
        _ => return None,
    })
}

pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    let documents = take_items(&mut body, "documents");
    let mut conversation = openai::request(body);
    if !documents.is_empty() {
        let parts = documents.into_iter().map(document).collect();
        conversation.input.push(Message::new("user", parts));
    }
    conversation
}

pub(in crate::spans) fn response(mut body: Object) -> Vec<Message> {
    let Some(said) = take_object(&mut body, "message") else { return Vec::new() };
    let mut message = openai::message(Value::Object(said));
    message.finish_reason = Some(take_text(&mut body, "finish_reason"));
    vec![message]
}

/// What is looked for, then what it is looked for in.
pub(in crate::spans) fn rerank(mut body: Object) -> Conversation {
    let mut parts: Vec<_> = take_string(&mut body, "query").map(Part::text).into_iter().collect();
    parts.extend(take_items(&mut body, "documents").into_iter().map(document));
    let input = if parts.is_empty() { Vec::new() } else { vec![Message::new("user", parts)] };
    Conversation { input, ..Conversation::default() }
}

/// The order that was found.
pub(in crate::spans) fn reranked(mut body: Object) -> Vec<Message> {
    let Value::Array(results) = take(&mut body, "results") else { return Vec::new() };
    let parts = results.into_iter().map(|result| Part::typed("rerank_result", result)).collect();
    vec![Message { finish_reason: Some("stop".to_owned()), ..Message::new("assistant", parts) }]
}

fn document(value: Value) -> Part {
    Part::typed("document", value)
}
