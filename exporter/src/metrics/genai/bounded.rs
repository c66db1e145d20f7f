//! The values of labels that callers and providers could write.
//!
//! A label that takes whatever a provider says has no end of series, and shows what was said to whoever may read
//! metrics. So an error's type is one of those listed here, and a response's model is one that was asked for, sent, or
//! has a price. Everything else is `_OTHER`, as the OpenTelemetry conventions call it; spans have the word itself.

use weir_event::v1::{Attempt, Request};

use crate::spans::prices::Prices;

/// Stands for a value that is none of those that are known (semantic conventions, `error.type`).
pub(super) const OTHER: &str = "_OTHER";

/// Types of errors of the APIs, in lowercase, of the gateway, and of requests that broke off.
const ERRORS: [&str; 87] = [
    // Ours: refusals, attempts that failed, and endings.
    "ambiguous_provider",
    "client_disconnected",
    "content_blocked",
    "content_unreadable",
    "empty_response",
    "error",
    "expired_key",
    "first_token_timeout",
    "invalid_body",
    "invalid_header",
    "invalid_key",
    "invalid_model",
    "invalid_value",
    "method_not_allowed",
    "missing_key",
    "model_not_allowed",
    "no_answer",
    "no_decision",
    "no_target",
    "not_granted",
    "overloaded",
    "provider_auth",
    "provider_timeout",
    "provider_unreachable",
    "request_too_large",
    "timeout",
    "truncated",
    "unasked_upgrade",
    "unexpected_content",
    "unknown_path",
    "unreadable_response",
    "unsupported_content_encoding",
    "unsupported_media_type",
    "upstream_reset",
    // OpenAI, and those that speak its API.
    "account_deactivated",
    "authentication_error",
    "bad_gateway",
    "bad_request",
    "billing_hard_limit_reached",
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "deploymentnotfound",
    "insufficient_quota",
    "internal_error",
    "internal_server_error",
    "invalid_api_key",
    "invalid_image",
    "invalid_prompt",
    "invalid_request",
    "invalid_request_error",
    "model_not_found",
    "not_found",
    "permission_denied",
    "permission_error",
    "quota_exceeded",
    "rate_limit_error",
    "rate_limit_exceeded",
    "rate_limit_reached",
    "requests",
    "server_error",
    "service_unavailable",
    "string_above_max_length",
    "tokens",
    "tokens_exceeded_error",
    "too_many_requests",
    "unauthorized",
    "unsupported_parameter",
    "unsupported_value",
    "user_error",
    "vector_store_timeout",
    // Anthropic.
    "api_error",
    "billing_error",
    "not_found_error",
    "overloaded_error",
    "timeout_error",
    // Google (google.rpc.Code).
    "aborted",
    "already_exists",
    "cancelled",
    "deadline_exceeded",
    "failed_precondition",
    "internal",
    "invalid_argument",
    "resource_exhausted",
    "unauthenticated",
    "unavailable",
    "unimplemented",
];

/// An `error.type` as a label: a type that is known, in lowercase, or an HTTP status.
pub(super) fn error_type(said: &str) -> String {
    let is_status = said.len() == 3 && matches!(said.parse(), Ok(100..=599_u16));
    if said.is_empty() || is_status {
        return said.to_owned();
    }
    let lower = said.to_ascii_lowercase();
    if ERRORS.contains(&lower.as_str()) { lower } else { OTHER.to_owned() }
}

/// The response's model as a label: the one that was asked for or sent, also with its date, or one of the price table.
pub(super) fn response_model<'e>(said: &'e str, request: &Request, last: &Attempt) -> &'e str {
    let asked = [request.model.as_str(), last.model.as_str()];
    let is_asked = |name: &str| !name.is_empty() && asked.contains(&name);
    if said.is_empty() || Prices::forms(said).any(|name| is_asked(name) || Prices::built_in().has(name)) {
        said
    } else {
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use weir_event::v1::{Response, TraceEvent};

    use super::*;
    use crate::spans;

    #[test]
    fn types_that_are_known_and_statuses_are_labels_and_a_providers_own_words_are_not() {
        for known in ["429", "rate_limit_exceeded", "provider_auth", "503"] {
            assert_eq!(error_type(known), known);
        }
        assert_eq!(error_type("RESOURCE_EXHAUSTED"), "resource_exhausted");
        for other in ["Jane_Doe", "4111111111111111", "999", "4294", "jane.doe@acme.io"] {
            assert_eq!(error_type(other), OTHER);
        }
        for ending in 0..=6 {
            let event = TraceEvent { ending, ..TraceEvent::default() };
            let failed =
                spans::failure(&event, &Response::default(), &Attempt::default()).unwrap_or_default();
            assert_ne!(error_type(&failed), OTHER, "{failed}");
        }
        assert!(ERRORS.iter().all(|word| *word == word.to_ascii_lowercase()));
    }

    #[test]
    fn a_responses_model_is_one_that_was_asked_for_or_is_known() {
        let request = Request { model: "smart".to_owned(), ..Request::default() };
        let last = Attempt { model: "acme/llama-9".to_owned(), ..Attempt::default() };
        for known in ["smart", "acme/llama-9", "acme/llama-9-2026-01-31", "gpt-4o-2024-08-06", "gpt-4o", ""] {
            assert_eq!(response_model(known, &request, &last), known);
        }
        for other in ["Jane_Doe", "jane/gpt-4o", "gpt-4o-jane", "-2026-01-31"] {
            assert_eq!(response_model(other, &request, &last), OTHER);
        }
    }
}
