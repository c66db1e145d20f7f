//! Which API a request calls, and which model its path names.
//!
//! Paths are compared byte by byte with a table: no segment is resolved, merged or decoded before,
//! so there is one spelling for each, and nothing outside the table is served. Only a model's
//! segment is decoded, and only after it was cut out.

use percent_encoding::percent_decode_str;

use crate::json::edit::same_key;
use crate::json::scan::{Object, Value};

/// Longest name of a model, in bytes.
pub const MODEL_NAME_MAX: usize = 256;
/// What Gemini puts before a model's name in a body.
pub(crate) const GEMINI_MODEL_PREFIX: &str = "models/";
/// Where a body of Gemini's holds whole requests, which name a model of their own: that of countTokens
/// one, that of batchEmbedContents a list.
const GEMINI_NESTED: [&str; 3] = ["generateContentRequest", "generate_content_request", "requests"];

/// An operation of a provider's API. Azure's forms of OpenAI's are the same operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI API reference, "Chat Completions".
    OpenAiChat,
    /// OpenAI API reference, "Responses".
    OpenAiResponses,
    /// OpenAI API reference, "Completions" (legacy).
    OpenAiCompletions,
    /// OpenAI API reference, "Embeddings".
    OpenAiEmbeddings,
    /// OpenAI API reference, "Images", "Create image".
    OpenAiImages,
    /// OpenAI API reference, "Audio", "Create speech".
    OpenAiSpeech,
    /// OpenAI API reference, "Moderations".
    OpenAiModerations,
    /// OpenAI API reference, "Audio", "Create transcription": a form.
    OpenAiTranscription,
    /// OpenAI API reference, "Audio", "Create translation": a form.
    OpenAiTranslation,
    /// OpenAI API reference, "Images", "Create image edit": a form.
    OpenAiImageEdit,
    /// OpenAI API reference, "Images", "Create image variation": a form.
    OpenAiImageVariation,
    /// Anthropic API, "Create a Message".
    AnthropicMessages,
    /// Anthropic API, "Count tokens in a Message".
    AnthropicCountTokens,
    /// Gemini API, "models.generateContent".
    GeminiGenerate,
    /// Gemini API, "models.streamGenerateContent".
    GeminiStream,
    /// Gemini API, "models.embedContent".
    GeminiEmbed,
    /// Gemini API, "models.countTokens".
    GeminiCountTokens,
    /// Cohere API v2, "Chat".
    CohereChat,
    /// Cohere API v2, "Rerank".
    CohereRerank,
    /// What is passed through by grant without being understood.
    Passthrough(Family),
}

/// Whose API it is, which decides the shape of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's, Azure's forms included.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Gemini's own.
    Gemini,
    /// Cohere's.
    Cohere,
}

/// Every path that is served, by its `http.route`. A parameter is one whole name of a model.
const ROUTES: [(&str, Api); 45] = [
    ("/v1/chat/completions", Api::OpenAiChat),
    ("/v1/responses", Api::OpenAiResponses),
    ("/v1/completions", Api::OpenAiCompletions),
    ("/v1/embeddings", Api::OpenAiEmbeddings),
    ("/v1/images/generations", Api::OpenAiImages),
    ("/v1/audio/speech", Api::OpenAiSpeech),
    ("/v1/moderations", Api::OpenAiModerations),
    ("/v1/audio/transcriptions", Api::OpenAiTranscription),
    ("/v1/audio/translations", Api::OpenAiTranslation),
    ("/v1/images/edits", Api::OpenAiImageEdit),
    ("/v1/images/variations", Api::OpenAiImageVariation),
    ("/v1/messages", Api::AnthropicMessages),
    ("/v1/messages/count_tokens", Api::AnthropicCountTokens),
    ("/v1beta/models/{model}:generateContent", Api::GeminiGenerate),
    ("/v1beta/models/{model}:streamGenerateContent", Api::GeminiStream),
    ("/v1beta/models/{model}:embedContent", Api::GeminiEmbed),
    ("/v1beta/models/{model}:batchEmbedContents", Api::GeminiEmbed),
    ("/v1beta/models/{model}:countTokens", Api::GeminiCountTokens),
    ("/v1/models/{model}:generateContent", Api::GeminiGenerate),
    ("/v1/models/{model}:streamGenerateContent", Api::GeminiStream),
    ("/v1/models/{model}:embedContent", Api::GeminiEmbed),
    ("/v1/models/{model}:batchEmbedContents", Api::GeminiEmbed),
    ("/v1/models/{model}:countTokens", Api::GeminiCountTokens),
    ("/openai/deployments/{deployment}/chat/completions", Api::OpenAiChat),
    ("/openai/deployments/{deployment}/completions", Api::OpenAiCompletions),
    ("/openai/deployments/{deployment}/embeddings", Api::OpenAiEmbeddings),
    ("/openai/deployments/{deployment}/images/generations", Api::OpenAiImages),
    ("/openai/deployments/{deployment}/images/edits", Api::OpenAiImageEdit),
    ("/openai/deployments/{deployment}/audio/speech", Api::OpenAiSpeech),
    ("/openai/deployments/{deployment}/audio/transcriptions", Api::OpenAiTranscription),
    ("/openai/deployments/{deployment}/audio/translations", Api::OpenAiTranslation),
    ("/openai/v1/chat/completions", Api::OpenAiChat),
    ("/openai/v1/responses", Api::OpenAiResponses),
    ("/openai/v1/completions", Api::OpenAiCompletions),
    ("/openai/v1/embeddings", Api::OpenAiEmbeddings),
    ("/openai/v1/images/generations", Api::OpenAiImages),
    ("/openai/v1/images/edits", Api::OpenAiImageEdit),
    ("/openai/v1/audio/speech", Api::OpenAiSpeech),
    ("/openai/v1/audio/transcriptions", Api::OpenAiTranscription),
    ("/openai/v1/audio/translations", Api::OpenAiTranslation),
    ("/v1beta/openai/chat/completions", Api::OpenAiChat),
    ("/v1beta/openai/embeddings", Api::OpenAiEmbeddings),
    ("/v1beta/openai/images/generations", Api::OpenAiImages),
    ("/v2/chat", Api::CohereChat),
    ("/v2/rerank", Api::CohereRerank),
];

/// The method of every operation.
const METHOD: &str = "POST";

/// What of a caller's query goes on, by operation; nothing else does.
const FORWARDED_QUERY: [(Api, &str); 3] = [
    (Api::GeminiStream, "?alt=sse"),
    (Api::AnthropicMessages, "?beta=true"),
    (Api::AnthropicCountTokens, "?beta=true"),
];

impl Api {
    /// The `gen_ai.operation.name` (OpenTelemetry GenAI conventions v1.41): a well-known value
    /// where one applies.
    pub fn operation(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::AnthropicMessages | Self::CohereChat => "chat",
            Self::OpenAiCompletions => "text_completion",
            Self::OpenAiEmbeddings | Self::GeminiEmbed => "embeddings",
            Self::OpenAiImages
            | Self::OpenAiImageEdit
            | Self::OpenAiImageVariation
            | Self::OpenAiSpeech
            | Self::GeminiGenerate
            | Self::GeminiStream => "generate_content",
            Self::OpenAiModerations => "moderation",
            Self::OpenAiTranscription => "transcription",
            Self::OpenAiTranslation => "translation",
            Self::AnthropicCountTokens | Self::GeminiCountTokens => "count_tokens",
            Self::CohereRerank => "rerank",
            Self::Passthrough(_) => "",
        }
    }

    /// Whether a response in one piece is always a JSON object and may come as a stream instead.
    pub fn may_stream(self) -> bool {
        matches!(
            self,
            Self::OpenAiChat
                | Self::OpenAiResponses
                | Self::OpenAiCompletions
                | Self::AnthropicMessages
                | Self::GeminiGenerate
                | Self::GeminiStream
                | Self::CohereChat
        )
    }

    /// Whose API it is.
    pub fn family(self) -> Family {
        match self {
            Self::OpenAiChat
            | Self::OpenAiResponses
            | Self::OpenAiCompletions
            | Self::OpenAiEmbeddings
            | Self::OpenAiImages
            | Self::OpenAiSpeech
            | Self::OpenAiModerations
            | Self::OpenAiTranscription
            | Self::OpenAiTranslation
            | Self::OpenAiImageEdit
            | Self::OpenAiImageVariation => Family::OpenAi,
            Self::AnthropicMessages | Self::AnthropicCountTokens => Family::Anthropic,
            Self::GeminiGenerate | Self::GeminiStream | Self::GeminiEmbed | Self::GeminiCountTokens => {
                Family::Gemini
            }
            Self::CohereChat | Self::CohereRerank => Family::Cohere,
            Self::Passthrough(family) => family,
        }
    }

    /// Whether its body is a form (multipart/form-data), and not JSON.
    pub fn takes_form(self) -> bool {
        matches!(
            self,
            Self::OpenAiTranscription
                | Self::OpenAiTranslation
                | Self::OpenAiImageEdit
                | Self::OpenAiImageVariation
        )
    }

    /// Whether its answer is JSON, or events of it, whatever was asked for. Speech is sound, transcripts may be
    /// subtitles, and of what is passed through nothing is known.
    pub fn answers_in_json(self) -> bool {
        !matches!(
            self,
            Self::OpenAiSpeech | Self::OpenAiTranscription | Self::OpenAiTranslation | Self::Passthrough(_)
        )
    }

    /// Whether the answer is a stream, where the path says so; `None` where the body does.
    pub fn streams(self) -> Option<bool> {
        (self.family() == Family::Gemini).then_some(self == Self::GeminiStream)
    }
}

impl Family {
    /// Whose API a path seems to mean, also one that is not served: for the shape of the error.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/v1/messages") {
            Self::Anthropic
        } else if path.starts_with("/v1beta/openai") {
            Self::OpenAi
        } else if path.starts_with("/v1beta/") || (path.starts_with("/v1/models/") && path.contains(':')) {
            Self::Gemini
        } else if path.starts_with("/v2/") {
            Self::Cohere
        } else {
            Self::OpenAi
        }
    }
}

/// Why a request is none of the calls that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// The path is not in the table: 404.
    #[error("the path is none of those that this gateway serves")]
    UnknownPath,
    /// The path is, by another method: 405.
    #[error("this path takes {allow} only")]
    Method {
        /// The value of the `allow` header.
        allow: &'static str,
    },
    /// The model that stands in the path cannot be one: 400.
    #[error(
        "the model in the path must be 1 to {MODEL_NAME_MAX} bytes of percent-encoded UTF-8, without control \
         characters and without '.' or '..' as a part"
    )]
    Model,
}

/// A call of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation.
    pub api: Api,
    /// The `http.route`: the path with the name of its parameter in place of the model.
    pub route: &'static str,
    /// The model that the path names, decoded; `None` where only the body names one.
    pub model_in_path: Option<String>,
    /// What of the query goes on to a provider of the same API, its question mark included.
    pub query: &'static str,
    /// Path and query as they go on, where the call is passed through.
    pub passed: Option<String>,
}

impl Call {
    /// Finds the call by the method and by the `:path` header as received.
    pub fn of(method: &[u8], path_and_query: &str) -> Result<Self, NotServed> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let (route, api, segment) = ROUTES
            .iter()
            .find_map(|(route, api)| matches(route, path).map(|segment| (*route, *api, segment)))
            .ok_or(NotServed::UnknownPath)?;
        if method != METHOD.as_bytes() {
            return Err(NotServed::Method { allow: METHOD });
        }
        let model_in_path = segment.map(|raw| decode(raw).ok_or(NotServed::Model)).transpose()?;
        let query = FORWARDED_QUERY
            .iter()
            .filter(|(of, _)| *of == api)
            .map(|(_, forwarded)| *forwarded)
            .find(|forwarded| query.split('&').any(|pair| forwarded.strip_prefix('?') == Some(pair)))
            .unwrap_or_default();
        Ok(Self { api, route, model_in_path, query, passed: None })
    }

    /// Every value of the body that some server could read as the model's name: `model` in any
    /// case, and for Gemini also that of each request within the body. Their places are by the
    /// text that `object` was read from.
    pub fn models_in_body<'a>(&self, object: &Object<'a>) -> Vec<Value<'a>> {
        let mut found: Vec<_> = models(object).collect();
        if matches!(self.api, Api::GeminiCountTokens | Api::GeminiEmbed) {
            let holders =
                object.iter().filter(|(key, _)| GEMINI_NESTED.iter().any(|name| same_key(name, key)));
            for (_, holder) in holders {
                let list = holder.as_array().unwrap_or_default().into_iter();
                let list = list.map(|item| Value { start: holder.start + item.start, ..item });
                for request in std::iter::once(holder).chain(list) {
                    let nested = request.as_object().unwrap_or_default();
                    found.extend(
                        models(&nested).map(|value| Value { start: request.start + value.start, ..value }),
                    );
                }
            }
        }
        found
    }

    /// Whether what the body names is what the path names. True where only the body names a model.
    pub fn path_agrees_with(&self, models_in_body: &[Value<'_>]) -> bool {
        let Some(in_path) = &self.model_in_path else { return true };
        models_in_body.iter().all(|value| {
            value.as_str().is_some_and(|name| {
                let bare = match self.api.family() {
                    Family::Gemini => name.strip_prefix(GEMINI_MODEL_PREFIX).unwrap_or(&name),
                    _ => &name,
                };
                bare == in_path
            })
        })
    }
}

/// Whether a text can be a model's name, also as one segment of a path: 1 to [`MODEL_NAME_MAX`]
/// bytes, no control character, and no `.` or `..` between slashes, which a server that decodes
/// before it resolves would climb by.
pub fn is_model_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MODEL_NAME_MAX
        && !text.chars().any(char::is_control)
        && !text.split(['/', '\\']).any(|part| matches!(part, "." | ".."))
}

fn models<'a>(object: &Object<'a>) -> impl Iterator<Item = Value<'a>> {
    object.iter().filter(|(key, _)| same_key("model", key)).map(|(_, value)| value)
}

/// Whether a path is of this route, and the raw segment that stands for its parameter.
fn matches<'p>(route: &str, path: &'p str) -> Option<Option<&'p str>> {
    let Some((before, rest)) = route.split_once('{') else { return (route == path).then_some(None) };
    let (_, after) = rest.split_once('}')?;
    let raw = path.strip_prefix(before)?.strip_suffix(after)?;
    (!raw.is_empty() && !raw.contains('/')).then_some(Some(raw))
}

/// The name that a raw segment spells.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            // What a segment may hold (RFC 3986, "pchar"), but ';', which some servers cut at.
            b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            | b'+' | b',' | b'=' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !allowed {
            return None;
        }
    }
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    is_model_name(&text).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn post(path: &str) -> Result<Call, NotServed> {
        Call::of(b"POST", path)
    }

    fn model(path: &str) -> Option<String> {
        post(path).unwrap().model_in_path
    }

    #[test]
    fn every_route_is_found_by_its_own_path_and_by_no_other_method() {
        for (route, api) in ROUTES {
            let path = route.replace("{model}", "m").replace("{deployment}", "m");
            let call = post(&path).unwrap();
            assert_eq!((call.api, call.route), (api, route));
            assert_eq!(call.model_in_path.is_some(), route.contains('{'), "{route}");
            for method in ["GET", "HEAD", "OPTIONS", "post", ""] {
                let refused = Call::of(method.as_bytes(), &path);
                assert_eq!(refused, Err(NotServed::Method { allow: "POST" }), "{method} {path}");
            }
        }
    }

    #[test]
    fn a_model_in_a_path_is_decoded_within_its_segment() {
        assert_eq!(model("/v1beta/models/gemini-2.5-pro:generateContent").as_deref(), Some("gemini-2.5-pro"));
        assert_eq!(model("/v1/models/org%2Fm:countTokens").as_deref(), Some("org/m"));
        assert_eq!(model("/v1/models/ft:a:b:embedContent").as_deref(), Some("ft:a:b"));
        assert_eq!(model("/v1/models/a%3A%C3%BC%3F%25:generateContent").as_deref(), Some("a:ü?%"));
        let azure = "/openai/deployments/gpt%2d4o/chat/completions?api-version=2024-10-21";
        assert_eq!(model(azure).as_deref(), Some("gpt-4o"));
        assert_eq!(model("/v1/chat/completions"), None);
    }

    #[test]
    fn another_spelling_of_a_path_is_another_path() {
        for path in [
            "",
            "*",
            "/",
            "v1/chat/completions",
            "http://h/v1/chat/completions",
            "/v1/chat/completions/",
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/v1/./chat/completions",
            "/v1/x/../chat/completions",
            "/v1/chat%2Fcompletions",
            "/v1/%63hat/completions",
            "/v1/chat/completions;x=1",
            "/v1/chat/completions#",
            "/V1/chat/completions",
            "/v1/messages/batches",
            "/v1/files",
            "/v1beta/models/:generateContent",
            "/v1beta/models/a/b:generateContent",
            "/v1beta/models/a%3AgenerateContent",
            "/v1beta/models/a:predict",
            "/v1beta/tunedModels/a:generateContent",
            "/openai/deployments//chat/completions",
            "/openai/deployments/a/b/chat/completions",
        ] {
            assert_eq!(post(path), Err(NotServed::UnknownPath), "{path}");
        }
    }

    #[test]
    fn a_path_whose_model_cannot_be_one_is_refused() {
        let long = "x".repeat(257);
        for segment in [
            ".",
            "..",
            "%2e%2E",
            "%2E",
            "..%2Fx",
            "a%2F..%2Fb",
            "a%5C..",
            "%",
            "%2",
            "%zz",
            "%00",
            "a%0Ab",
            "%7F",
            "%C2%85",
            "%FF",
            "a;b",
            "a b",
            "ü",
            "a#b",
            "a\\b",
            "a\"b",
            "a|b",
            &long,
        ] {
            let path = format!("/openai/deployments/{segment}/embeddings");
            assert_eq!(post(&path), Err(NotServed::Model), "{segment}");
        }
        assert!(is_model_name("a..b") && is_model_name(&"x".repeat(256)) && !is_model_name(""));
    }

    #[test]
    fn only_named_parts_of_a_query_are_kept() {
        let query = |path: &str| post(path).unwrap().query;
        assert_eq!(query("/v1beta/models/m:streamGenerateContent?key=s&alt=sse"), "?alt=sse");
        assert_eq!(query("/v1beta/models/m:streamGenerateContent?alt=json"), "");
        assert_eq!(query("/v1beta/models/m:streamGenerateContent?xalt=sse&alt=sse%26x"), "");
        assert_eq!(query("/v1beta/models/m:generateContent?alt=sse"), "");
        assert_eq!(query("/v1/messages?beta=true&x=?beta"), "?beta=true");
        assert_eq!(query("/v1/chat/completions?beta=true&alt=sse"), "");
    }

    #[test]
    fn a_body_cannot_name_another_model_than_the_path() {
        let agrees = |path: &str, body: &str| {
            let call = post(path).unwrap();
            let object = Object::parse(body.as_bytes()).unwrap();
            let named = call.models_in_body(&object);
            for value in &named {
                assert_eq!(body.get(value.range()), Some(value.raw));
            }
            call.path_agrees_with(&named)
        };
        let azure = "/openai/deployments/a/chat/completions";
        assert!(agrees(azure, r#"{}"#) && agrees(azure, r#"{"model":"\u0061","x":{"model":"b"}}"#));
        for body in [r#"{"model":"b"}"#, r#"{"Model":"b"}"#, r#"{"mode\u006c":"b"}"#, r#"{"model":null}"#] {
            assert!(!agrees(azure, body), "{body}");
        }
        assert!(!agrees(azure, r#"{"model":"models/a"}"#));
        let count = "/v1beta/models/a:countTokens";
        assert!(agrees(count, r#"{"model":"models/a","generateContentRequest":{"model":"a"}}"#));
        assert!(!agrees(count, r#"{"generateContentRequest": {"x":1, "model":"models/b"}}"#));
        assert!(!agrees(count, r#"{"generate_content_request":{"model":"models/a","MODEL":"models/b"}}"#));
        let embed = "/v1beta/models/a:batchEmbedContents";
        assert!(agrees(embed, r#"{"requests": [{"model":"models/a"}, {"model":"a"}, 7]}"#));
        assert!(!agrees(embed, r#"{"requests": [{"model":"models/a"}, {"x":[], "Model":"models/b"}]}"#));
        assert!(agrees("/v1/chat/completions", r#"{"model":"b"}"#));
    }

    #[test]
    fn a_path_that_is_not_served_is_answered_in_the_shape_of_its_neighbours() {
        for (path, family) in [
            ("/v1/messages/batches", Family::Anthropic),
            ("/v1beta/models/m:predict", Family::Gemini),
            ("/v1/models/m:predict", Family::Gemini),
            ("/v1beta/openai/files", Family::OpenAi),
            ("/v2/classify", Family::Cohere),
            ("/", Family::OpenAi),
        ] {
            assert_eq!(Family::of_path(path), family, "{path}");
        }
        for (route, api) in ROUTES {
            assert_eq!(Family::of_path(route), api.family(), "{route}");
        }
    }

    proptest! {
        #[test]
        fn nothing_outside_the_table_is_accepted(
            start in prop::sample::select(vec!["", "/v1/", "/v1beta/models/", "/openai/deployments/", "/v2/"]),
            middle in "\\PC{0,12}",
            end in prop::sample::select(vec!["", ":generateContent", "/chat/completions", "/embeddings", "chat", "?a"]),
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = post(&String::from_utf8_lossy(&bytes));
            let path = format!("{start}{middle}{end}");
            if let Ok(call) = post(&path) {
                let path = path.split('?').next().unwrap();
                let expected = match &call.model_in_path {
                    None => call.route.to_owned(),
                    Some(name) => {
                        prop_assert!(is_model_name(name));
                        let (before, rest) = call.route.split_once('{').unwrap();
                        let (_, after) = rest.split_once('}').unwrap();
                        let raw = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
                        prop_assert!(!raw.contains('/'));
                        format!("{before}{raw}{after}")
                    }
                };
                prop_assert_eq!(path, expected);
            }
        }
    }
}
