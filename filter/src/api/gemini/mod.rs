//! Gemini's own API.

mod request;
mod response;
mod stream;

use serde_json::json;
use weir_event::v1;

use crate::api::family::operation::Operation;
use crate::api::family::provider::Provider;
use crate::api::family::{Api, Family};
use crate::redact::Fields;

/// The domain of the gateway's codes (google.rpc.ErrorInfo).
const ERROR_DOMAIN: &str = "weir";
/// Where a body holds whole requests, which name a model of their own: that of countTokens one, that of
/// batchEmbedContents a list.
const NESTED: &[&str] = &["generateContentRequest", "generate_content_request", "requests"];

/// Gemini API, "models.generateContent".
pub static GENERATE: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        streams: Some(false),
        ..Operation::new(v1::Api::GeminiGenerate, "generate_content")
    },
};
/// Gemini API, "models.streamGenerateContent".
pub static STREAM: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        streams: Some(true),
        says_end: true,
        query: "?alt=sse",
        ..Operation::new(v1::Api::GeminiStream, "generate_content")
    },
};
/// Gemini API, "models.embedContent".
pub static EMBED: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        streams: Some(false),
        nested: NESTED,
        ..Operation::new(v1::Api::GeminiEmbed, "embeddings")
    },
};
/// Gemini API, "models.countTokens".
pub static COUNT_TOKENS: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        streams: Some(false),
        nested: NESTED,
        ..Operation::new(v1::Api::GeminiCountTokens, "count_tokens")
    },
};

/// All that is Gemini's own.
pub static FAMILY: Family = Family {
    name: "gemini",
    routes: &[
        ("/v1beta/models/{model}:generateContent", GENERATE),
        ("/v1beta/models/{model}:streamGenerateContent", STREAM),
        ("/v1beta/models/{model}:embedContent", EMBED),
        ("/v1beta/models/{model}:batchEmbedContents", EMBED),
        ("/v1beta/models/{model}:countTokens", COUNT_TOKENS),
        ("/v1/models/{model}:generateContent", GENERATE),
        ("/v1/models/{model}:streamGenerateContent", STREAM),
        ("/v1/models/{model}:embedContent", EMBED),
        ("/v1/models/{model}:batchEmbedContents", EMBED),
        ("/v1/models/{model}:countTokens", COUNT_TOKENS),
    ],
    claims: |path| path.starts_with("/v1beta/") || (path.starts_with("/v1/models/") && path.contains(':')),
    providers: &[&PROVIDER],
    model_prefix: "models/",
    request_headers: &[],
    response_headers: &[],
    request_fields: Fields::new(request::FIELDS),
    response_fields: Fields::new(response::FIELDS),
    parameters: request::parameters,
    places: &[request::PLACES, request::NESTED_PLACES],
    dialect: response::DIALECT,
    streams_arrays: true,
    usage: response::usage,
    error: |error| {
        json!({"error": {
            "code": error.status,
            "message": error.message,
            "status": rpc_status(error.status),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": error.code.to_ascii_uppercase(),
                "domain": ERROR_DOMAIN,
            }],
        }})
        .to_string()
    },
    says_pause_in_body: true,
};

static PROVIDER: Provider = Provider {
    provider_name: "gcp.gemini",
    path: |to| {
        let (before, after) = to.route.split_once("{model}")?;
        Some(format!("{}{before}{}{after}{}", to.prefix, to.segment, to.query))
    },
    takes_model_from_path: |_, _| true,
    auth_header: ("x-goog-api-key", ""),
    ..Provider::new("gemini", "Gemini's. Its URL is without the version.")
};

/// The code's name for an HTTP status (google.rpc.Code, "HTTP Mapping").
fn rpc_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        502 | 503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
