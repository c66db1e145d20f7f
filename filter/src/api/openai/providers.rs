//! OpenAI and what is compatible with it, and Azure OpenAI.

use std::borrow::Cow;

use weir_event::v1;

use crate::api::family::operation::Operation;
use crate::api::family::provider::{Destination, Provider, Settings};

/// Hosts that send the usage of a stream without being asked. What was asked for would be taken out, and so
/// the caller would lose what it has without the gateway.
pub(crate) const REPORTING_HOSTS: [&str; 11] = [
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
/// The first version of Azure's that can be asked for it (Azure OpenAI, "What's new").
const AZURE_INCLUDE_USAGE: &str = "2024-09-01";
/// How the routes of the operations begin; the longer ones come first.
const PREFIXES: [&str; 4] = ["/openai/deployments/{deployment}", "/openai/v1", "/v1beta/openai", "/v1"];
/// The versions of paths that are passed through.
const VERSIONS: [&str; 3] = ["/v1", "/openai/v1", "/v1beta/openai"];

/// OpenAI's, or anything compatible with it. Gemini's OpenAI-compatible paths want another credential than its own, so
/// they are a provider of this kind, with a URL that ends in /v1beta/openai.
pub(crate) static OPENAI: Provider = Provider {
    version_in_url: "/v1",
    path: |to| Some(format!("{}{}", to.prefix, operation_path(to.route)?)),
    passed_path: |path| {
        Cow::Borrowed(VERSIONS.iter().find_map(|version| after(path, version)).unwrap_or(path))
    },
    is_asked_for_usage: |host, _| {
        !REPORTING_HOSTS.iter().any(|reporting| host.eq_ignore_ascii_case(reporting))
    },
    ..Provider::new(
        "openai",
        "OpenAI's, or anything compatible with it. Its URL includes the version: `…/v1`.",
    )
};

/// Azure OpenAI.
pub(crate) static AZURE: Provider = Provider {
    provider_name: "azure.ai.openai",
    route_prefix: "/openai/",
    lacks: &[v1::Api::OpenaiModerations, v1::Api::OpenaiImageVariation],
    path: azure_path,
    passed_path: |path| match after(path, "/v1") {
        Some(_) => Cow::Owned(format!("/openai{path}")),
        None => Cow::Borrowed(path),
    },
    takes_model_from_path: |operation, settings| dated_version(operation, settings).is_some(),
    is_asked_for_usage: |_, settings| date(settings).is_none_or(|version| version >= AZURE_INCLUDE_USAGE),
    auth_header: ("api-key", ""),
    ..Provider::new("azure-openai", "Azure OpenAI. Its URL is that of the resource.")
};

fn azure_path(to: &Destination<'_>) -> Option<String> {
    let (prefix, operation) = (to.prefix, operation_path(to.route)?);
    Some(match (dated_version(to.operation, to.settings), to.settings.api_version()) {
        (Some(version), _) => {
            format!("{prefix}/openai/deployments/{}{operation}?api-version={version}", to.segment)
        }
        (None, Some(version)) if version.starts_with(|c: char| !c.is_ascii_digit()) => {
            format!("{prefix}/openai/v1{operation}?api-version={version}")
        }
        (None, _) => format!("{prefix}/openai/v1{operation}"),
    })
}

/// The version by whose deployments an operation is served: a date. Without one, and for what
/// no dated version serves, Azure's v1 API is meant, which takes the model from the body.
fn dated_version<'s>(operation: &Operation, settings: &'s Settings) -> Option<&'s str> {
    date(settings).filter(|_| operation.event != v1::Api::OpenaiResponses)
}

fn date(settings: &Settings) -> Option<&str> {
    settings.api_version().filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// What an operation adds to a base path.
fn operation_path(route: &'static str) -> Option<&'static str> {
    PREFIXES.iter().find_map(|prefix| after(route, prefix))
}

/// What follows a version at the start of a path.
fn after<'p>(path: &'p str, version: &str) -> Option<&'p str> {
    path.strip_prefix(version).filter(|rest| rest.starts_with('/'))
}
