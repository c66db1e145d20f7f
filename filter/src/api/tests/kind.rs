//! What a call looks like at each kind of provider.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use crate::api::call::{Call, is_model_name};
use crate::api::family::provider::{Settings, SettingsError};
use crate::api::kind::Kind;
use crate::api::{Api, FAMILIES, anthropic, cohere, gemini, openai};

const OPENAI: &str = "openai";
const AZURE: &str = "azure-openai";
const ANTHROPIC: &str = "anthropic";
const GEMINI: &str = "gemini";
const COHERE: &str = "cohere";

fn kind(name: &str) -> Kind {
    serde_json::from_value(name.into()).unwrap()
}

fn settings(version: &str) -> Settings {
    Settings::new((!version.is_empty()).then(|| version.to_owned())).unwrap()
}

fn path(name: &str, called: &str, prefix: &str, model: &str, version: &str) -> Option<String> {
    kind(name).path(&Call::of(b"POST", called).unwrap(), prefix, model, &settings(version))
}

#[test]
fn kinds_are_written_as_in_the_configuration() {
    for name in [OPENAI, AZURE, ANTHROPIC, GEMINI, COHERE] {
        assert_eq!(serde_json::to_value(kind(name)).unwrap(), name);
    }
}

#[test]
fn a_call_goes_to_the_providers_own_path() {
    let chat = "/v1/chat/completions";
    for (name, called, prefix, version, expected) in [
        (OPENAI, chat, "/v1", "", "/v1/chat/completions"),
        (OPENAI, "/openai/deployments/x/embeddings?api-version=1", "/a/v1", "", "/a/v1/embeddings"),
        (OPENAI, "/v1/moderations", "", "", "/moderations"),
        (AZURE, chat, "", "2024-10-21", "/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        (AZURE, chat, "/p", "", "/p/openai/v1/chat/completions"),
        (AZURE, chat, "", "preview", "/openai/v1/chat/completions?api-version=preview"),
        (AZURE, "/v1/responses", "", "2024-10-21", "/openai/v1/responses"),
        (
            AZURE,
            "/v1/audio/transcriptions",
            "",
            "2024-10-21",
            "/openai/deployments/m/audio/transcriptions?api-version=2024-10-21",
        ),
        (OPENAI, "/openai/deployments/x/images/edits", "/v1", "", "/v1/images/edits"),
        (OPENAI, "/v1/images/variations", "/v1", "", "/v1/images/variations"),
        (ANTHROPIC, "/v1/messages?beta=true&key=s", "", "", "/v1/messages?beta=true"),
        (ANTHROPIC, "/v1/messages/count_tokens", "/p", "", "/p/v1/messages/count_tokens"),
        (
            GEMINI,
            "/v1beta/models/x:streamGenerateContent?key=s&alt=sse",
            "",
            "",
            "/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
        (GEMINI, "/v1/models/x:countTokens", "/p", "", "/p/v1/models/m:countTokens"),
        (OPENAI, chat, "/v1beta/openai", "", "/v1beta/openai/chat/completions"),
        (COHERE, "/v2/rerank", "", "", "/v2/rerank"),
    ] {
        assert_eq!(path(name, called, prefix, "m", version).as_deref(), Some(expected), "{name} {called}");
    }
}

#[test]
fn a_call_goes_only_where_its_api_is_spoken() {
    for (name, called) in [
        (OPENAI, "/v1/messages"),
        (OPENAI, "/v1beta/models/x:generateContent"),
        (AZURE, "/v1/moderations"),
        (AZURE, "/v1/images/variations"),
        (GEMINI, "/v1/audio/transcriptions"),
        (ANTHROPIC, "/v1/chat/completions"),
        (GEMINI, "/v1/responses"),
        (GEMINI, "/v1/messages"),
        (COHERE, "/v1/chat/completions"),
        (ANTHROPIC, "/v2/chat"),
    ] {
        assert_eq!(path(name, called, "", "m", ""), None, "{name} {called}");
    }
}

#[test]
fn what_is_passed_through_keeps_its_path_behind_the_providers_own_prefix() {
    use crate::api::passthrough::Passthrough;
    for (name, called, prefix, expected) in [
        (OPENAI, "/v1/files/f?limit=1", "/base/v1", "/base/v1/files/f?limit=1"),
        (OPENAI, "/openai/v1/files", "/v1", "/v1/files"),
        (OPENAI, "/v1beta/openai/files", "/v1beta/openai", "/v1beta/openai/files"),
        (OPENAI, "/v1beta/files", "/v1", "/v1/v1beta/files"),
        (OPENAI, "/v1x/files", "", "/v1x/files"),
        (AZURE, "/openai/files?api-version=1", "/p", "/p/openai/files?api-version=1"),
        (AZURE, "/v1/files", "", "/openai/v1/files"),
        (ANTHROPIC, "/v1/messages/batches", "/p", "/p/v1/messages/batches"),
        (GEMINI, "/v1beta/files", "", "/v1beta/files"),
        (COHERE, "/v2/datasets", "", "/v2/datasets"),
    ] {
        let call = Passthrough::of(b"GET", called).unwrap().call;
        assert_eq!(kind(name).path(&call, prefix, "", &settings("")).as_deref(), Some(expected), "{called}");
    }
}

#[test]
fn a_name_that_climbs_is_put_into_no_path() {
    for model in ["", ".", "..", "../x", "a/..", "a\\..\\b", "a\nb"] {
        assert_eq!(path(GEMINI, "/v1/models/x:countTokens", "", model, ""), None, "{model:?}");
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
    let (chat, embed) = (openai::CHAT, gemini::EMBED);
    assert!(kind(AZURE).takes_model_from_path(chat, &settings("2024-10-21")));
    assert!(!kind(AZURE).takes_model_from_path(chat, &settings("")));
    assert!(!kind(AZURE).takes_model_from_path(openai::RESPONSES, &settings("2024-10-21")));
    assert!(kind(GEMINI).takes_model_from_path(embed, &settings("")));
    assert!(!kind(GEMINI).takes_model_from_path(chat, &settings("")));
    assert_eq!(kind(GEMINI).name_in_body(embed, "m"), "models/m");
    assert_eq!(kind(GEMINI).name_in_body(chat, "m"), "m");
}

#[test]
fn only_a_provider_that_would_not_send_usage_anyway_and_takes_the_question_is_asked_for_it() {
    let is_asked = |name: &str, host: &str, version: Option<&str>| {
        kind(name).is_asked_for_usage(host, &Settings::new(version.map(str::to_owned)).unwrap())
    };
    for host in ["api.openai.com", "api.fireworks.ai", "vllm", "not-api.x.ai", "x.ai.example.com"] {
        assert!(is_asked(OPENAI, host, None), "{host}");
    }
    let telling =
        ["api.x.ai", "api.deepseek.com", "OpenRouter.ai", "router.huggingface.co", "api.mistral.ai"];
    for host in telling.into_iter().chain(openai::REPORTING_HOSTS) {
        assert!(!is_asked(OPENAI, host, None), "{host}");
    }
    assert!(is_asked(AZURE, "x.openai.azure.com", None));
    assert!(is_asked(AZURE, "x.openai.azure.com", Some("2024-10-21")));
    assert!(!is_asked(AZURE, "x.openai.azure.com", Some("2024-06-01")));
    assert!(!is_asked(ANTHROPIC, "api.anthropic.com", None));
}

#[test]
fn each_kind_has_its_own_auth_header() {
    assert_eq!(kind(OPENAI).auth_header(), ("authorization", "Bearer "));
    assert_eq!(kind(AZURE).auth_header(), ("api-key", ""));
    assert_eq!(kind(ANTHROPIC).auth_header(), ("x-api-key", ""));
    assert_eq!(kind(GEMINI).auth_header(), ("x-goog-api-key", ""));
    assert_eq!(kind(COHERE).auth_header(), ("authorization", "Bearer "));
}

#[test]
fn no_header_that_carries_a_key_is_forwarded() {
    let calls = [openai::CHAT, anthropic::MESSAGES, gemini::GENERATE, cohere::CHAT];
    for api in calls.into_iter().chain(FAMILIES.map(Api::passthrough)) {
        for header in api.forwarded_headers() {
            assert!(Kind::all().all(|kind| kind.auth_header().0 != header), "{header}");
            assert!(!header.starts_with("x-") && header != "cookie");
        }
    }
    assert!(anthropic::MESSAGES.forwarded_headers().any(|header| header == "anthropic-version"));
    assert_eq!(kind(ANTHROPIC).fixed_headers(), [("anthropic-version", "2023-06-01")]);
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
        let azure = path(AZURE, "/v1/chat/completions", "/p", &model, "2024-10-21").unwrap();
        let gemini = path(GEMINI, "/v1beta/models/x:generateContent", "/p", &model, "").unwrap();
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
