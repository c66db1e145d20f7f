//! Anthropic's API.

mod request;
mod response;
mod stream;

use serde_json::json;
use weir_event::v1;

use crate::api::family::operation::Operation;
use crate::api::family::provider::Provider;
use crate::api::family::{Api, Family};
use crate::redact::Fields;

/// The version that is asked for where the caller names none.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Anthropic API, "Create a Message".
pub static MESSAGES: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        may_stream: true,
        says_end: true,
        query: "?beta=true",
        ..Operation::new(v1::Api::AnthropicMessages, "chat")
    },
};
/// Anthropic API, "Count tokens in a Message".
pub static COUNT_TOKENS: Api = Api {
    family: &FAMILY,
    operation: &Operation {
        query: "?beta=true",
        ..Operation::new(v1::Api::AnthropicCountTokens, "count_tokens")
    },
};

/// All that is Anthropic's own.
pub static FAMILY: Family = Family {
    name: "anthropic",
    routes: &[("/v1/messages", MESSAGES), ("/v1/messages/count_tokens", COUNT_TOKENS)],
    claims: |path| path.starts_with("/v1/messages"),
    providers: &[&PROVIDER],
    model_prefix: "",
    request_headers: &[VERSION.0, "anthropic-beta"],
    response_headers: &["anthropic-"],
    request_fields: Fields::new(request::FIELDS),
    response_fields: Fields::new(response::FIELDS),
    parameters: request::parameters,
    places: &[request::PLACES],
    dialect: response::DIALECT,
    streams_arrays: false,
    usage: response::usage,
    error: |error| {
        let kind = error_type(error.status);
        json!({"type": "error", "error": {"type": kind, "message": error.message, "code": error.code}})
            .to_string()
    },
    says_pause_in_body: false,
};

static PROVIDER: Provider = Provider {
    auth_header: ("x-api-key", ""),
    fixed_headers: &[VERSION],
    ..Provider::new("anthropic", "Anthropic's. Its URL is without the version.")
};

/// The type of an error by its status (Anthropic API, "Errors").
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
