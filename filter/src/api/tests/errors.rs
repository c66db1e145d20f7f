//! The shapes of errors.

use serde_json::{Value, json};

use crate::api::family::error_details::ErrorDetails;
use crate::api::{Family, anthropic, cohere, gemini, openai};

fn read(family: &Family, status: u16, param: Option<&str>) -> Value {
    let (kind, code, message) = ("invalid_request_error", "model_not_found", "No \"x\"\r\n.");
    let text = (family.error)(&ErrorDetails { status, kind, code, param, message });
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_api_reads_its_own_shape() {
    assert_eq!(
        read(&openai::FAMILY, 404, Some("model")),
        json!({"error": {"message": "No \"x\"\r\n.", "type": "invalid_request_error",
            "param": "model", "code": "model_not_found"}})
    );
    assert_eq!(
        read(&anthropic::FAMILY, 404, Some("model")),
        json!({"type": "error", "error": {"type": "not_found_error", "message": "No \"x\"\r\n.",
            "code": "model_not_found"}})
    );
    let gemini = read(&gemini::FAMILY, 404, Some("model"));
    assert_eq!(gemini["error"]["code"], 404);
    assert_eq!(gemini["error"]["status"], "NOT_FOUND");
    assert_eq!(gemini["error"]["message"], "No \"x\"\r\n.");
    assert_eq!(gemini["error"]["details"][0]["reason"], "MODEL_NOT_FOUND");
    assert_eq!(read(&cohere::FAMILY, 404, Some("model"))["message"], "No \"x\"\r\n.");
}

#[test]
fn a_param_that_is_not_known_is_null() {
    assert_eq!(read(&openai::FAMILY, 502, None)["error"]["param"], Value::Null);
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
        assert_eq!(read(&anthropic::FAMILY, status, None)["error"]["type"], anthropic, "{status}");
        assert_eq!(read(&gemini::FAMILY, status, None)["error"]["status"], rpc, "{status}");
    }
}
