//! The built-in demo provider: speaks enough of OpenAI's chat completions to try the gateway
//! without a key.
//!
//! No model answers here, and every answer says so. Usage is counted in words, not in tokens.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Body,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

/// The pause between two words of a stream: slow enough to be seen.
const PAUSE: Duration = Duration::from_millis(40);

/// As much as the gateway takes by default.
const MAX_BODY: usize = 10 << 20;

/// How many words of the question an answer repeats.
const MAX_ECHO: usize = 12;

/// The provider's routes, under `/v1`.
pub fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn chat(body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refusal("The body is not JSON.");
    };
    let field = |name: &str| request.get(name).unwrap_or(&Value::Null);
    let (Some(model), Some(messages)) = (field("model").as_str(), field("messages").as_array()) else {
        return refusal("'model' must be a string and 'messages' an array.");
    };
    let question = messages.iter().rev().find_map(text_of).unwrap_or_default();
    let answer = Answer {
        id: format!("chatcmpl-demo-{:016x}", fastrand::u64(..)),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        model: model.to_owned(),
        text: answer_to(&question),
        prompt_words: messages.iter().filter_map(text_of).map(|text| words(&text).count()).sum(),
    };
    if field("stream").as_bool() != Some(true) {
        return Json(answer.whole()).into_response();
    }
    let with_usage = field("stream_options").get("include_usage").and_then(Value::as_bool) == Some(true);
    in_time(answer.events(with_usage))
}

/// The text of a message: its content, or the text parts of it.
fn text_of(message: &Value) -> Option<String> {
    match message.get("content")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            Some(texts.join(" "))
        }
        _ => None,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

fn answer_to(question: &str) -> String {
    let echo: Vec<&str> = words(question).take(MAX_ECHO).collect();
    let more = if words(question).count() > MAX_ECHO { " …" } else { "" };
    format!(
        "This is Weir's built-in demo provider; no model is behind it. You said: \"{}{more}\". Set OPENAI_API_KEY \
         and start again to talk to OpenAI.",
        echo.join(" "),
    )
}

struct Answer {
    id: String,
    created: u64,
    model: String,
    text: String,
    prompt_words: usize,
}

impl Answer {
    fn usage(&self) -> Value {
        let completion = words(&self.text).count();
        json!({
            "prompt_tokens": self.prompt_words,
            "completion_tokens": completion,
            "total_tokens": self.prompt_words + completion,
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
        })
    }

    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": self.text, "refusal": null },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": self.usage(),
            "system_fingerprint": "fp_weir_demo",
        })
    }

    /// The answer as server-sent events, a word each.
    fn events(&self, with_usage: bool) -> Vec<Bytes> {
        let chunk = |choices: Value, usage: Option<Value>| {
            let mut chunk = json!({
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.model,
                "system_fingerprint": "fp_weir_demo",
                "choices": choices,
            });
            if let (true, Some(chunk)) = (with_usage, chunk.as_object_mut()) {
                chunk.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
            }
            Bytes::from(format!("data: {chunk}\n\n"))
        };
        let choice = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
        let mut events = vec![chunk(choice(json!({ "role": "assistant", "content": "" }), None), None)];
        for word in self.text.split_inclusive(' ') {
            events.push(chunk(choice(json!({ "content": word }), None), None));
        }
        events.push(chunk(choice(json!({}), Some("stop")), None));
        if with_usage {
            events.push(chunk(json!([]), Some(self.usage())));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }
}

/// An answer that sends one event after the other, with pauses.
fn in_time(events: Vec<Bytes>) -> Response {
    let events = stream::unfold(events.into_iter(), |mut events| async {
        let event = events.next()?;
        tokio::time::sleep(PAUSE).await;
        Some((Ok::<_, Infallible>(event), events))
    });
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(events)).into_response()
}

fn refusal(message: &str) -> Response {
    let error = json!({ "message": message, "type": "invalid_request_error", "param": null, "code": null });
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(body: &Value) -> (u16, String) {
        let request =
            Request::post("/v1/chat/completions").body(Body::from(body.to_string())).expect("a request");
        let response = router().oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn an_answer_says_that_it_is_a_demo_and_counts_words() {
        let (status, text) =
            ask(&json!({ "model": "m", "messages": [{ "role": "user", "content": "Hello out there" }] }))
                .await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(status, 200);
        let content = answer["choices"][0]["message"]["content"].as_str().expect("text");
        assert!(
            content.contains("built-in demo provider") && content.contains("Hello out there"),
            "{content}"
        );
        assert_eq!(answer["usage"]["prompt_tokens"], 3);
        assert_eq!(answer["model"], "m");
    }

    #[tokio::test]
    async fn a_stream_carries_the_same_words_and_usage_only_where_it_was_asked_for() {
        let mut request =
            json!({ "model": "m", "stream": true, "messages": [{ "content": [{ "text": "Hi" }] }] });
        let (_, plain) = ask(&request).await;
        assert!(plain.ends_with("data: [DONE]\n\n") && !plain.contains("usage"), "{plain}");
        request["stream_options"] = json!({ "include_usage": true });
        let (_, counted) = ask(&request).await;
        let chunks: Vec<Value> = counted
            .split_terminator("\n\n")
            .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
            .collect();
        assert_eq!(chunks.last().expect("chunks")["usage"]["prompt_tokens"], 1);
        let said = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(said.collect::<String>(), answer_to("Hi"));
    }

    #[tokio::test]
    async fn what_is_no_chat_request_is_refused_in_openais_error_shape() {
        let (status, text) = ask(&json!({ "model": 7 })).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")));
    }
}
