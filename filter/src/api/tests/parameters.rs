//! The parameters of requests.

use weir_event::v1;

use crate::api::{Api, anthropic, cohere, gemini, openai};
use crate::json::scan::Object;

fn read(api: Api, json: &str) -> v1::Parameters {
    api.parameters(&Object::parse(json.as_bytes()).unwrap())
}

#[test]
fn openais_apis_are_read_by_their_own_names() {
    let chat = read(
        openai::CHAT,
        r#"{"temperature":0.2,"top_p":0.9,"max_tokens":5,"max_completion_tokens":7,"n":2,"seed":-1,"stop":["secret"],
            "frequency_penalty":1,"presence_penalty":-1,"reasoning_effort":"low","service_tier":"flex",
            "response_format":{"type":"json_schema","json_schema":{"name":"secret"}}}"#,
    );
    let expected = v1::Parameters {
        temperature: Some(0.2),
        top_p: Some(0.9),
        frequency_penalty: Some(1.0),
        presence_penalty: Some(-1.0),
        max_tokens: Some(7),
        seed: Some(-1),
        choice_count: Some(2),
        reasoning_effort: "low".to_owned(),
        output_format: "json_schema".to_owned(),
        service_tier: "flex".to_owned(),
        ..Default::default()
    };
    assert_eq!(chat, expected);
    let responses = read(
        openai::RESPONSES,
        r#"{"max_output_tokens":9,"reasoning":{"effort":"high"},"text":{"format":{"type":"json_object"}},"top_p":1}"#,
    );
    assert_eq!((responses.max_tokens, responses.top_p), (Some(9), Some(1.0)));
    assert_eq!(
        (responses.reasoning_effort.as_str(), responses.output_format.as_str()),
        ("high", "json_object")
    );
    let embeddings = read(openai::EMBEDDINGS, r#"{"dimensions":256,"encoding_format":"base64"}"#);
    assert_eq!((embeddings.dimensions, embeddings.encoding_format.as_str()), (Some(256), "base64"));
    let images = read(openai::IMAGES, r#"{"n":3,"response_format":"b64_json"}"#);
    assert_eq!((images.choice_count, images.output_format.as_str()), (Some(3), "b64_json"));
    assert_eq!(read(openai::IMAGES, r#"{"output_format":"webp"}"#).output_format, "webp");
}

#[test]
fn the_other_apis_are_read_by_theirs() {
    let anthropic = read(
        anthropic::MESSAGES,
        r#"{"max_tokens":1024,"temperature":1,"top_p":0.5,"top_k":40,"stop_sequences":["secret"],
            "thinking":{"type":"enabled","budget_tokens":2048}}"#,
    );
    let expected = v1::Parameters {
        temperature: Some(1.0),
        top_p: Some(0.5),
        top_k: Some(40.0),
        max_tokens: Some(1024),
        ..Default::default()
    };
    assert_eq!(anthropic, expected);
    let expected = v1::Parameters {
        temperature: Some(0.1),
        top_p: Some(0.2),
        top_k: Some(3.0),
        frequency_penalty: Some(0.4),
        presence_penalty: Some(0.5),
        max_tokens: Some(6),
        seed: Some(7),
        choice_count: Some(8),
        output_format: "application/json".to_owned(),
        ..Default::default()
    };
    for json in [
        r#"{"generationConfig":{"temperature":0.1,"topP":0.2,"topK":3,"frequencyPenalty":0.4,"presencePenalty":0.5,
            "maxOutputTokens":6,"seed":7,"candidateCount":8,"responseMimeType":"application/json"}}"#,
        r#"{"generation_config":{"temperature":0.1,"top_p":0.2,"top_k":3,"frequency_penalty":0.4,
            "presence_penalty":0.5,"max_output_tokens":6,"seed":7,"candidate_count":8,
            "response_mime_type":"application/json"}}"#,
    ] {
        assert_eq!(read(gemini::GENERATE, json), expected);
    }
    assert_eq!(read(gemini::EMBED, r#"{"outputDimensionality":768}"#).dimensions, Some(768));
    let cohere = read(
        cohere::CHAT,
        r#"{"p":0.7,"k":5,"max_tokens":3,"temperature":0.3,"seed":1,"frequency_penalty":0.1,
            "presence_penalty":0.2,"response_format":{"type":"json_object"}}"#,
    );
    assert_eq!(
        (cohere.top_p, cohere.top_k, cohere.max_tokens, cohere.seed),
        (Some(0.7), Some(5.0), Some(3), Some(1))
    );
    assert_eq!(cohere.output_format, "json_object");
}

#[test]
fn what_is_of_a_wrong_type_or_somebodys_own_words_is_not_known() {
    let odd = read(
        openai::CHAT,
        r#"{"temperature":"hot","max_tokens":-1,"n":1.5,"seed":null,"reasoning_effort":"tell me a secret",
            "service_tier":{"a":1},"response_format":["x"],"reasoning":7,"text":"t"}"#,
    );
    assert_eq!(odd, v1::Parameters::default());
    assert_eq!(read(gemini::GENERATE, r#"{"generationConfig":[1]}"#), v1::Parameters::default());
    let long = format!(r#"{{"service_tier":"{}"}}"#, "x".repeat(65));
    assert_eq!(read(openai::CHAT, &long).service_tier, "");
}
