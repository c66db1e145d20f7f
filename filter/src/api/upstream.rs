//! What a call looks like at a provider: path, query, headers, and where the model stands.
//!
//! Every path is made of constants, the provider's own prefix and the model as one percent-encoded
//! segment, so a name cannot reach another operation or another model than the one meant.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::api::call::{Api, Call, Family, GEMINI_MODEL_PREFIX, is_model_name};
use crate::headers::name;

/// What is encoded in a segment: all but the unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Longest `api-version`, in bytes.
const API_VERSION_MAX: usize = 64;
/// The version that is asked for where the caller names none.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Hosts that send the usage of a stream without being asked. What was asked for would be taken out, and so
/// the caller would lose what it has without the gateway.
const TELLING_HOSTS: [&str; 11] = [
    "api.deepseek.com",
    "api.groq.com",
    "api.mistral.ai",
    "api.moonshot.ai",
    "api.moonshot.cn",
    "api.perplexity.ai",
    "api.together.ai",
    "api.together.xyz",
    "api.x.ai",
    "openrouter.ai",
    "router.huggingface.co",
];
/// The first version of Azure's that can be asked for it.
const AZURE_INCLUDE_USAGE: &str = "2024-09-01";

/// The kind of a provider: which API it speaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Kind {
    /// OpenAI's, or anything compatible with it. Its URL includes the version: `…/v1`.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI. Its URL is that of the resource.
    #[serde(rename = "azure-openai")]
    AzureOpenAi,
    /// Anthropic's. Its URL is without the version.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Gemini's. Its URL is without the version.
    #[serde(rename = "gemini")]
    Gemini,
    /// Cohere's. Its URL is without the version.
    #[serde(rename = "cohere")]
    Cohere,
}

/// What is wrong with a provider's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A version that could be more than a query's value.
    #[error("api_version: must be 1 to {API_VERSION_MAX} letters, digits, '.' or '-', such as 2024-10-21")]
    ApiVersion,
}

/// Settings that only some kinds know; checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    api_version: Option<String>,
}

impl Settings {
    /// Checks settings at load.
    pub fn new(api_version: Option<String>) -> Result<Self, SettingsError> {
        let valid = |version: &String| {
            (1..=API_VERSION_MAX).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        if api_version.as_ref().is_some_and(|version| !valid(version)) {
            return Err(SettingsError::ApiVersion);
        }
        Ok(Self { api_version })
    }

    /// The version by whose deployments an operation is served: a date. Without one, and for what
    /// no dated version serves, Azure's v1 API is meant, which takes the model from the body.
    fn dated_version(&self, api: Api) -> Option<&str> {
        let version = self.api_version.as_deref()?;
        let dated = version.starts_with(|c: char| c.is_ascii_digit());
        (dated && api != Api::OpenAiResponses).then_some(version)
    }
}

impl Kind {
    /// The `gen_ai.provider.name` (OpenTelemetry GenAI conventions v1.41).
    pub fn provider_name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure.ai.openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gcp.gemini",
            Self::Cohere => "cohere",
        }
    }

    /// The family of the API that it speaks.
    pub fn family(self) -> Family {
        match self {
            Self::OpenAi | Self::AzureOpenAi => Family::OpenAi,
            Self::Anthropic => Family::Anthropic,
            Self::Gemini => Family::Gemini,
            Self::Cohere => Family::Cohere,
        }
    }

    /// Whether a call of this API can go to a provider of this kind. Nothing is translated.
    pub fn serves(self, api: Api) -> bool {
        match self {
            Self::OpenAi => api.family() == Family::OpenAi,
            Self::AzureOpenAi => {
                api.family() == Family::OpenAi
                    && !matches!(api, Api::OpenAiModerations | Api::OpenAiImageVariation)
            }
            Self::Anthropic => api.family() == Family::Anthropic,
            // Gemini's OpenAI-compatible paths want another credential than its own, so they are a
            // provider of kind openai, with a URL that ends in /v1beta/openai.
            Self::Gemini => api.family() == Family::Gemini,
            Self::Cohere => api.family() == Family::Cohere,
        }
    }

    /// The path and query of a call at the provider, `path_prefix` being that of its URL. `None`
    /// where it does not serve the call, or where `model` cannot be a model's name.
    pub fn path(self, call: &Call, path_prefix: &str, model: &str, settings: &Settings) -> Option<String> {
        if let Some(passed) = &call.passed {
            return Some(format!("{path_prefix}{}", self.passed_path(passed)));
        }
        if !self.serves(call.api) || !is_model_name(model) {
            return None;
        }
        let segment = utf8_percent_encode(model, SEGMENT);
        Some(match self {
            Self::OpenAi => format!("{path_prefix}{}", openai_operation(call.api)?),
            Self::AzureOpenAi => {
                let operation = openai_operation(call.api)?;
                match (settings.dated_version(call.api), settings.api_version.as_deref()) {
                    (Some(version), _) => {
                        format!("{path_prefix}/openai/deployments/{segment}{operation}?api-version={version}")
                    }
                    (None, Some(version)) if version.starts_with(|c: char| !c.is_ascii_digit()) => {
                        format!("{path_prefix}/openai/v1{operation}?api-version={version}")
                    }
                    (None, _) => format!("{path_prefix}/openai/v1{operation}"),
                }
            }
            Self::Gemini => {
                let (before, after) = call.route.split_once("{model}")?;
                format!("{path_prefix}{before}{segment}{after}{}", call.query)
            }
            Self::Anthropic | Self::Cohere => format!("{path_prefix}{}{}", call.route, call.query),
        })
    }

    /// What of a path that is passed through stands behind the prefix of the provider's URL, which
    /// for OpenAI's kind is the version.
    fn passed_path(self, path: &str) -> Cow<'_, str> {
        let after = |version: &str| path.strip_prefix(version).filter(|rest| rest.starts_with('/'));
        match self {
            Self::OpenAi => {
                let versions = ["/v1", "/openai/v1", "/v1beta/openai"];
                Cow::Borrowed(versions.iter().find_map(|version| after(version)).unwrap_or(path))
            }
            Self::AzureOpenAi if after("/v1").is_some() => Cow::Owned(format!("/openai{path}")),
            Self::AzureOpenAi | Self::Anthropic | Self::Gemini | Self::Cohere => Cow::Borrowed(path),
        }
    }

    /// Whether the provider takes the model from the path. Where it does not, the body must name
    /// it, also where the caller's did not; where it does, a body that names one is kept in step.
    pub fn takes_model_from_path(self, api: Api, settings: &Settings) -> bool {
        match self {
            Self::AzureOpenAi => settings.dated_version(api).is_some(),
            Self::Gemini => api.family() == Family::Gemini,
            Self::OpenAi | Self::Anthropic | Self::Cohere => false,
        }
    }

    /// The model as a body names it at the provider.
    pub fn name_in_body(self, api: Api, model: &str) -> Cow<'_, str> {
        match (self, api.family()) {
            (Self::Gemini, Family::Gemini) => Cow::Owned(format!("{GEMINI_MODEL_PREFIX}{model}")),
            _ => Cow::Borrowed(model),
        }
    }

    /// Whether a provider can be asked for the usage of a stream (`stream_options.include_usage`), and has to
    /// be: not those that are known to send it anyway, some of which refuse members that they do not know
    /// (Mistral, Perplexity), and not Azure's versions before 2024-09-01 (Azure OpenAI, "What's new").
    pub fn is_asked_for_usage(self, host: &str, settings: &Settings) -> bool {
        match self {
            Self::OpenAi => !TELLING_HOSTS.iter().any(|telling| host.eq_ignore_ascii_case(telling)),
            Self::AzureOpenAi => {
                settings.dated_version(Api::OpenAiChat).is_none_or(|version| version >= AZURE_INCLUDE_USAGE)
            }
            Self::Anthropic | Self::Gemini | Self::Cohere => false,
        }
    }

    /// The header that carries the provider's key, and what stands before the key in it.
    pub fn auth_header(self) -> (&'static str, &'static str) {
        match self {
            Self::AzureOpenAi => ("api-key", ""),
            Self::Anthropic => ("x-api-key", ""),
            Self::Gemini => ("x-goog-api-key", ""),
            Self::OpenAi | Self::Cohere => ("authorization", "Bearer "),
        }
    }

    /// Headers that a provider wants, for calls that do not bring them.
    pub fn fixed_headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Anthropic => &[ANTHROPIC_VERSION],
            Self::OpenAi | Self::AzureOpenAi | Self::Gemini | Self::Cohere => &[],
        }
    }
}

/// The caller's headers that go on to a provider; no other one does.
pub fn forwarded_headers(api: Api) -> impl Iterator<Item = &'static str> {
    let own: &[&str] = match api.family() {
        Family::OpenAi => &["openai-beta"],
        Family::Anthropic => &[ANTHROPIC_VERSION.0, "anthropic-beta"],
        Family::Gemini | Family::Cohere => &[],
    };
    // A body that nobody reads is described by its sender.
    let of_body: &[&str] = match api {
        Api::Passthrough(_) => &[name::CONTENT_LENGTH, name::CONTENT_ENCODING],
        _ => &[],
    };
    let every = [name::CONTENT_TYPE, name::ACCEPT, name::USER_AGENT];
    every.into_iter().chain(own.iter().copied()).chain(of_body.iter().copied())
}

/// What an operation of OpenAI's adds to a base path.
fn openai_operation(api: Api) -> Option<&'static str> {
    match api {
        Api::OpenAiChat => Some("/chat/completions"),
        Api::OpenAiResponses => Some("/responses"),
        Api::OpenAiCompletions => Some("/completions"),
        Api::OpenAiEmbeddings => Some("/embeddings"),
        Api::OpenAiImages => Some("/images/generations"),
        Api::OpenAiSpeech => Some("/audio/speech"),
        Api::OpenAiModerations => Some("/moderations"),
        Api::OpenAiTranscription => Some("/audio/transcriptions"),
        Api::OpenAiTranslation => Some("/audio/translations"),
        Api::OpenAiImageEdit => Some("/images/edits"),
        Api::OpenAiImageVariation => Some("/images/variations"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    const KINDS: [(Kind, &str); 5] = [
        (Kind::OpenAi, "openai"),
        (Kind::AzureOpenAi, "azure-openai"),
        (Kind::Anthropic, "anthropic"),
        (Kind::Gemini, "gemini"),
        (Kind::Cohere, "cohere"),
    ];

    fn settings(version: &str) -> Settings {
        Settings::new((!version.is_empty()).then(|| version.to_owned())).unwrap()
    }

    fn path(kind: Kind, called: &str, prefix: &str, model: &str, version: &str) -> Option<String> {
        kind.path(&Call::of(b"POST", called).unwrap(), prefix, model, &settings(version))
    }

    #[test]
    fn kinds_are_written_as_in_the_configuration() {
        for (kind, name) in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            assert_eq!(serde_json::from_value::<Kind>(name.into()).unwrap(), kind);
        }
    }

    #[test]
    fn a_call_goes_to_the_providers_own_path() {
        let chat = "/v1/chat/completions";
        for (kind, called, prefix, version, expected) in [
            (Kind::OpenAi, chat, "/v1", "", "/v1/chat/completions"),
            (Kind::OpenAi, "/openai/deployments/x/embeddings?api-version=1", "/a/v1", "", "/a/v1/embeddings"),
            (Kind::OpenAi, "/v1/moderations", "", "", "/moderations"),
            (
                Kind::AzureOpenAi,
                chat,
                "",
                "2024-10-21",
                "/openai/deployments/m/chat/completions?api-version=2024-10-21",
            ),
            (Kind::AzureOpenAi, chat, "/p", "", "/p/openai/v1/chat/completions"),
            (Kind::AzureOpenAi, chat, "", "preview", "/openai/v1/chat/completions?api-version=preview"),
            (Kind::AzureOpenAi, "/v1/responses", "", "2024-10-21", "/openai/v1/responses"),
            (
                Kind::AzureOpenAi,
                "/v1/audio/transcriptions",
                "",
                "2024-10-21",
                "/openai/deployments/m/audio/transcriptions?api-version=2024-10-21",
            ),
            (Kind::OpenAi, "/openai/deployments/x/images/edits", "/v1", "", "/v1/images/edits"),
            (Kind::OpenAi, "/v1/images/variations", "/v1", "", "/v1/images/variations"),
            (Kind::Anthropic, "/v1/messages?beta=true&key=s", "", "", "/v1/messages?beta=true"),
            (Kind::Anthropic, "/v1/messages/count_tokens", "/p", "", "/p/v1/messages/count_tokens"),
            (
                Kind::Gemini,
                "/v1beta/models/x:streamGenerateContent?key=s&alt=sse",
                "",
                "",
                "/v1beta/models/m:streamGenerateContent?alt=sse",
            ),
            (Kind::Gemini, "/v1/models/x:countTokens", "/p", "", "/p/v1/models/m:countTokens"),
            (Kind::OpenAi, chat, "/v1beta/openai", "", "/v1beta/openai/chat/completions"),
            (Kind::Cohere, "/v2/rerank", "", "", "/v2/rerank"),
        ] {
            assert_eq!(
                path(kind, called, prefix, "m", version).as_deref(),
                Some(expected),
                "{kind:?} {called}"
            );
        }
    }

    #[test]
    fn a_call_goes_only_where_its_api_is_spoken() {
        for (kind, called) in [
            (Kind::OpenAi, "/v1/messages"),
            (Kind::OpenAi, "/v1beta/models/x:generateContent"),
            (Kind::AzureOpenAi, "/v1/moderations"),
            (Kind::AzureOpenAi, "/v1/images/variations"),
            (Kind::Gemini, "/v1/audio/transcriptions"),
            (Kind::Anthropic, "/v1/chat/completions"),
            (Kind::Gemini, "/v1/responses"),
            (Kind::Gemini, "/v1/messages"),
            (Kind::Cohere, "/v1/chat/completions"),
            (Kind::Anthropic, "/v2/chat"),
        ] {
            assert_eq!(path(kind, called, "", "m", ""), None, "{kind:?} {called}");
        }
    }

    #[test]
    fn what_is_passed_through_keeps_its_path_behind_the_providers_own_prefix() {
        use crate::api::Passage;
        for (kind, called, prefix, expected) in [
            (Kind::OpenAi, "/v1/files/f?limit=1", "/base/v1", "/base/v1/files/f?limit=1"),
            (Kind::OpenAi, "/openai/v1/files", "/v1", "/v1/files"),
            (Kind::OpenAi, "/v1beta/openai/files", "/v1beta/openai", "/v1beta/openai/files"),
            (Kind::OpenAi, "/v1beta/files", "/v1", "/v1/v1beta/files"),
            (Kind::OpenAi, "/v1x/files", "", "/v1x/files"),
            (Kind::AzureOpenAi, "/openai/files?api-version=1", "/p", "/p/openai/files?api-version=1"),
            (Kind::AzureOpenAi, "/v1/files", "", "/openai/v1/files"),
            (Kind::Anthropic, "/v1/messages/batches", "/p", "/p/v1/messages/batches"),
            (Kind::Gemini, "/v1beta/files", "", "/v1beta/files"),
            (Kind::Cohere, "/v2/datasets", "", "/v2/datasets"),
        ] {
            let call = Passage::of(b"GET", called).unwrap().call;
            assert_eq!(kind.path(&call, prefix, "", &settings("")).as_deref(), Some(expected), "{called}");
        }
    }

    #[test]
    fn a_name_that_climbs_is_put_into_no_path() {
        for model in ["", ".", "..", "../x", "a/..", "a\\..\\b", "a\nb"] {
            assert_eq!(path(Kind::Gemini, "/v1/models/x:countTokens", "", model, ""), None, "{model:?}");
        }
    }

    #[test]
    fn a_version_is_checked_at_load() {
        for version in ["", "2024-10-21&x=1", "a b", "2024#", "%41", &"1".repeat(65)] {
            assert_eq!(Settings::new(Some(version.to_owned())), Err(SettingsError::ApiVersion), "{version}");
        }
        assert!(Settings::new(None).is_ok() && Settings::new(Some("2025-04-01-preview".to_owned())).is_ok());
    }

    #[test]
    fn the_model_stands_where_the_provider_looks_for_it() {
        let (chat, embed) = (Api::OpenAiChat, Api::GeminiEmbed);
        assert!(Kind::AzureOpenAi.takes_model_from_path(chat, &settings("2024-10-21")));
        assert!(!Kind::AzureOpenAi.takes_model_from_path(chat, &settings("")));
        assert!(!Kind::AzureOpenAi.takes_model_from_path(Api::OpenAiResponses, &settings("2024-10-21")));
        assert!(Kind::Gemini.takes_model_from_path(embed, &settings("")));
        assert!(!Kind::Gemini.takes_model_from_path(chat, &settings("")));
        assert_eq!(Kind::Gemini.name_in_body(embed, "m"), "models/m");
        assert_eq!(Kind::Gemini.name_in_body(chat, "m"), "m");
    }

    #[test]
    fn only_a_provider_that_would_not_send_usage_anyway_and_takes_the_question_is_asked_for_it() {
        let is_asked = |kind: Kind, host: &str, version: Option<&str>| {
            kind.is_asked_for_usage(host, &Settings::new(version.map(str::to_owned)).unwrap())
        };
        for host in ["api.openai.com", "api.fireworks.ai", "vllm", "not-api.x.ai", "x.ai.example.com"] {
            assert!(is_asked(Kind::OpenAi, host, None), "{host}");
        }
        let telling =
            ["api.x.ai", "api.deepseek.com", "OpenRouter.ai", "router.huggingface.co", "api.mistral.ai"];
        for host in telling.into_iter().chain(TELLING_HOSTS) {
            assert!(!is_asked(Kind::OpenAi, host, None), "{host}");
        }
        assert!(is_asked(Kind::AzureOpenAi, "x.openai.azure.com", None));
        assert!(is_asked(Kind::AzureOpenAi, "x.openai.azure.com", Some("2024-10-21")));
        assert!(!is_asked(Kind::AzureOpenAi, "x.openai.azure.com", Some("2024-06-01")));
        assert!(!is_asked(Kind::Anthropic, "api.anthropic.com", None));
    }

    #[test]
    fn each_kind_has_its_own_auth_header() {
        assert_eq!(Kind::OpenAi.auth_header(), ("authorization", "Bearer "));
        assert_eq!(Kind::AzureOpenAi.auth_header(), ("api-key", ""));
        assert_eq!(Kind::Anthropic.auth_header(), ("x-api-key", ""));
        assert_eq!(Kind::Gemini.auth_header(), ("x-goog-api-key", ""));
        assert_eq!(Kind::Cohere.auth_header(), ("authorization", "Bearer "));
    }

    #[test]
    fn no_header_that_carries_a_key_is_forwarded() {
        let families = [Family::OpenAi, Family::Anthropic, Family::Gemini, Family::Cohere];
        let calls = [Api::OpenAiChat, Api::AnthropicMessages, Api::GeminiGenerate, Api::CohereChat];
        for api in calls.into_iter().chain(families.map(Api::Passthrough)) {
            for header in forwarded_headers(api) {
                assert!(KINDS.iter().all(|(kind, _)| kind.auth_header().0 != header), "{header}");
                assert!(!header.starts_with("x-") && header != "cookie");
            }
        }
        assert!(forwarded_headers(Api::AnthropicMessages).any(|header| header == "anthropic-version"));
        assert_eq!(Kind::Anthropic.fixed_headers(), [("anthropic-version", "2023-06-01")]);
    }

    proptest! {
        #[test]
        fn a_name_in_a_path_is_one_segment_and_decodes_back(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec!["/", "?", "#", ":", "..", "%", "%2F", ";", "\\", " ", "&", "é", "a"])
                        .prop_map(str::to_owned),
                    "\\PC{1,4}",
                ],
                1..8,
            ),
        ) {
            let model = parts.concat();
            prop_assume!(is_model_name(&model));
            let azure = path(Kind::AzureOpenAi, "/v1/chat/completions", "/p", &model, "2024-10-21").unwrap();
            let gemini = path(Kind::Gemini, "/v1beta/models/x:generateContent", "/p", &model, "").unwrap();
            for (path, before, after) in [
                (azure, "/p/openai/deployments/", "/chat/completions?api-version=2024-10-21"),
                (gemini, "/p/v1beta/models/", ":generateContent"),
            ] {
                let segment = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
                prop_assert!(segment.bytes().all(plain), "{}", segment);
                prop_assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), model.as_str());
                // The gateway itself reads the path that it wrote.
                let called = path.strip_prefix("/p").unwrap();
                let model_in_path = Call::of(b"POST", called).unwrap().model_in_path;
                prop_assert_eq!(model_in_path.as_deref(), Some(model.as_str()));
            }
        }
    }
}
