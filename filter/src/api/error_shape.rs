//! Errors as the API that was called would write them, so that its clients understand them.
//!
//! Each shape holds the status's class by that API's names, the gateway's own code for programs,
//! and the message for people. An API that has no place for a code gets it as a member beside.

use serde_json::json;

use crate::api::call::Family;

/// The domain of the gateway's codes where a shape asks for one (google.rpc.ErrorInfo).
const ERROR_DOMAIN: &str = "weir";

/// The body of an error. `kind` is the class by OpenAI's names, such as `invalid_request_error`;
/// `code` the reason for programs, such as `model_not_found`; `param` the field that it is about.
pub fn body(
    family: Family,
    status: u16,
    kind: &str,
    code: &str,
    param: Option<&str>,
    message: &str,
) -> String {
    match family {
        Family::OpenAi => {
            json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
        }
        Family::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(status), "message": message, "code": code},
        }),
        Family::Gemini => json!({"error": {
            "code": status,
            "message": message,
            "status": rpc_status(status),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": code.to_ascii_uppercase(),
                "domain": ERROR_DOMAIN,
            }],
        }}),
        Family::Cohere => json!({"message": message, "code": code}),
    }
    .to_string()
}

/// The type of an error by its status (Anthropic API, "Errors").
fn anthropic_type(status: u16) -> &'static str {
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(family: Family, status: u16) -> Value {
        let text =
            body(family, status, "invalid_request_error", "model_not_found", Some("model"), "No \"x\"\r\n.");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn each_api_reads_its_own_shape() {
        assert_eq!(
            read(Family::OpenAi, 404),
            json!({"error": {"message": "No \"x\"\r\n.", "type": "invalid_request_error",
                "param": "model", "code": "model_not_found"}})
        );
        assert_eq!(
            read(Family::Anthropic, 404),
            json!({"type": "error", "error": {"type": "not_found_error", "message": "No \"x\"\r\n.",
                "code": "model_not_found"}})
        );
        let gemini = read(Family::Gemini, 404);
        assert_eq!(gemini["error"]["code"], 404);
        assert_eq!(gemini["error"]["status"], "NOT_FOUND");
        assert_eq!(gemini["error"]["message"], "No \"x\"\r\n.");
        assert_eq!(gemini["error"]["details"][0]["reason"], "MODEL_NOT_FOUND");
        assert_eq!(read(Family::Cohere, 404)["message"], "No \"x\"\r\n.");
    }

    #[test]
    fn a_param_that_is_not_known_is_null() {
        let text = body(Family::OpenAi, 502, "server_error", "provider_unreachable", None, "m");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"]["param"], Value::Null);
    }

    #[test]
    fn every_status_of_the_gateways_has_a_name_in_each_api() {
        for (status, anthropic, rpc) in [
            (400, "invalid_request_error", "INVALID_ARGUMENT"),
            (401, "authentication_error", "UNAUTHENTICATED"),
            (403, "permission_error", "PERMISSION_DENIED"),
            (404, "not_found_error", "NOT_FOUND"),
            (405, "invalid_request_error", "UNIMPLEMENTED"),
            (413, "request_too_large", "INVALID_ARGUMENT"),
            (415, "invalid_request_error", "INVALID_ARGUMENT"),
            (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
            (500, "api_error", "INTERNAL"),
            (502, "api_error", "UNAVAILABLE"),
            (503, "overloaded_error", "UNAVAILABLE"),
            (504, "timeout_error", "DEADLINE_EXCEEDED"),
        ] {
            assert_eq!(read(Family::Anthropic, status)["error"]["type"], anthropic, "{status}");
            assert_eq!(read(Family::Gemini, status)["error"]["status"], rpc, "{status}");
        }
    }
}
