//! The parameters of a request, by each API's own names, as the event knows them.
//!
//! Numbers and words alone: what people write, such as stop sequences, is content and stays out. One
//! of a wrong type is the provider's to refuse, and not known here.

use weir_event::v1;

use crate::api::{Api, Family};
use crate::json::scan::{Object, Value};
use crate::request::multipart::Form;

/// Longest word that is taken for the name of a choice, such as `json_object`, in bytes.
const WORD_MAX: usize = 64;

/// The parameters of a JSON body.
pub fn of(api: Api, object: &Object<'_>) -> v1::Parameters {
    let body = Members(object);
    match api.family() {
        Family::OpenAi => openai(&body),
        Family::Anthropic => anthropic(&body),
        Family::Gemini => gemini(&body),
        Family::Cohere => cohere(&body),
    }
}

/// The parameters of a form (OpenAI API reference, "Audio" and "Images").
pub fn of_form(form: &Form<'_>) -> v1::Parameters {
    let word = |name| form.text(name).filter(|text| is_word(text)).map(str::to_owned);
    v1::Parameters {
        temperature: form
            .text("temperature")
            .and_then(|text| text.parse().ok())
            .filter(|number: &f64| number.is_finite()),
        choice_count: form.text("n").and_then(|text| text.parse().ok()),
        output_format: word("output_format").or_else(|| word("response_format")).unwrap_or_default(),
        ..Default::default()
    }
}

/// OpenAI API reference, "Chat", "Responses", "Completions", "Embeddings", "Images" and "Audio": what
/// two of them call by one name is the same thing.
fn openai(body: &Members<'_>) -> v1::Parameters {
    let (reasoning, text) = (body.nested(&["reasoning"]), body.nested(&["text"]));
    let format = Members(&text).nested(&["format"]);
    v1::Parameters {
        max_tokens: body.count(&["max_completion_tokens", "max_output_tokens", "max_tokens"]),
        choice_count: body.count(&["n"]),
        reasoning_effort: first_of([body.word(&["reasoning_effort"]), Members(&reasoning).word(&["effort"])]),
        output_format: first_of([
            body.format("response_format"),
            Members(&format).word(&["type"]),
            body.word(&["output_format"]),
        ]),
        service_tier: body.word(&["service_tier"]),
        dimensions: body.count(&["dimensions"]),
        encoding_format: body.word(&["encoding_format"]),
        ..body.sampling()
    }
}

/// Anthropic API, "Create a Message".
fn anthropic(body: &Members<'_>) -> v1::Parameters {
    v1::Parameters {
        max_tokens: body.count(&["max_tokens"]),
        top_k: body.number(&["top_k"]),
        service_tier: body.word(&["service_tier"]),
        ..body.sampling()
    }
}

/// Gemini API, "GenerationConfig" and "EmbedContentRequest". Its JSON may be in either case.
fn gemini(body: &Members<'_>) -> v1::Parameters {
    let config = body.nested(&["generationConfig", "generation_config"]);
    let config = Members(&config);
    v1::Parameters {
        temperature: config.number(&["temperature"]),
        top_p: config.number(&["topP", "top_p"]),
        top_k: config.number(&["topK", "top_k"]),
        frequency_penalty: config.number(&["frequencyPenalty", "frequency_penalty"]),
        presence_penalty: config.number(&["presencePenalty", "presence_penalty"]),
        max_tokens: config.count(&["maxOutputTokens", "max_output_tokens"]),
        seed: config.whole(&["seed"]),
        choice_count: config.count(&["candidateCount", "candidate_count"]),
        output_format: config.media_type(&["responseMimeType", "response_mime_type"]),
        dimensions: body.count(&["outputDimensionality", "output_dimensionality"]),
        ..Default::default()
    }
}

/// Cohere API v2, "Chat".
fn cohere(body: &Members<'_>) -> v1::Parameters {
    v1::Parameters {
        top_p: body.number(&["p"]),
        top_k: body.number(&["k"]),
        max_tokens: body.count(&["max_tokens"]),
        output_format: body.format("response_format"),
        ..body.sampling()
    }
}

/// An object whose members may go by several names; the first name that has a value counts.
struct Members<'a>(&'a Object<'a>);

impl<'a> Members<'a> {
    fn first<T>(&self, names: &[&str], read: impl Fn(Value<'a>) -> Option<T>) -> Option<T> {
        names.iter().find_map(|name| self.0.get(name).and_then(&read))
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        self.first(names, |value| value.as_f64())
    }

    fn count(&self, names: &[&str]) -> Option<u64> {
        self.first(names, |value| value.as_u64())
    }

    fn whole(&self, names: &[&str]) -> Option<i64> {
        self.first(names, |value| value.as_i64())
    }

    fn word(&self, names: &[&str]) -> String {
        let word = self.first(names, |value| value.as_str().filter(|text| is_word(text)));
        word.map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    fn media_type(&self, names: &[&str]) -> String {
        let is_type = |text: &str| text.split('/').count() == 2 && text.split('/').all(is_word);
        let found = self.first(names, |value| value.as_str().filter(|text| is_type(text)));
        found.map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// An object, empty where there is none.
    fn nested(&self, names: &[&str]) -> Object<'a> {
        self.first(names, |value| value.as_object()).unwrap_or_default()
    }

    /// A format, which is a word, or an object that has it as its type.
    fn format(&self, name: &str) -> String {
        first_of([self.word(&[name]), Members(&self.nested(&[name])).word(&["type"])])
    }

    /// What most APIs have by the same names.
    fn sampling(&self) -> v1::Parameters {
        v1::Parameters {
            temperature: self.number(&["temperature"]),
            top_p: self.number(&["top_p"]),
            frequency_penalty: self.number(&["frequency_penalty"]),
            presence_penalty: self.number(&["presence_penalty"]),
            seed: self.whole(&["seed"]),
            ..Default::default()
        }
    }
}

fn first_of<const N: usize>(words: [String; N]) -> String {
    words.into_iter().find(|word| !word.is_empty()).unwrap_or_default()
}

/// Whether a text can be the name of a choice: anything else would be somebody's own words.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, json: &str) -> v1::Parameters {
        of(api, &Object::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn openais_apis_are_read_by_their_own_names() {
        let chat = read(
            Api::OpenAiChat,
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
            Api::OpenAiResponses,
            r#"{"max_output_tokens":9,"reasoning":{"effort":"high"},"text":{"format":{"type":"json_object"}},"top_p":1}"#,
        );
        assert_eq!((responses.max_tokens, responses.top_p), (Some(9), Some(1.0)));
        assert_eq!(
            (responses.reasoning_effort.as_str(), responses.output_format.as_str()),
            ("high", "json_object")
        );
        let embeddings = read(Api::OpenAiEmbeddings, r#"{"dimensions":256,"encoding_format":"base64"}"#);
        assert_eq!((embeddings.dimensions, embeddings.encoding_format.as_str()), (Some(256), "base64"));
        let images = read(Api::OpenAiImages, r#"{"n":3,"response_format":"b64_json"}"#);
        assert_eq!((images.choice_count, images.output_format.as_str()), (Some(3), "b64_json"));
        assert_eq!(read(Api::OpenAiImages, r#"{"output_format":"webp"}"#).output_format, "webp");
    }

    #[test]
    fn the_other_apis_are_read_by_theirs() {
        let anthropic = read(
            Api::AnthropicMessages,
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
            assert_eq!(read(Api::GeminiGenerate, json), expected);
        }
        assert_eq!(read(Api::GeminiEmbed, r#"{"outputDimensionality":768}"#).dimensions, Some(768));
        let cohere = read(
            Api::CohereChat,
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
            Api::OpenAiChat,
            r#"{"temperature":"hot","max_tokens":-1,"n":1.5,"seed":null,"reasoning_effort":"tell me a secret",
                "service_tier":{"a":1},"response_format":["x"],"reasoning":7,"text":"t"}"#,
        );
        assert_eq!(odd, v1::Parameters::default());
        assert_eq!(read(Api::GeminiGenerate, r#"{"generationConfig":[1]}"#), v1::Parameters::default());
        let long = format!(r#"{{"service_tier":"{}"}}"#, "x".repeat(65));
        assert_eq!(read(Api::OpenAiChat, &long).service_tier, "");
    }
}
