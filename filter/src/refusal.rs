//! Local responses by which the gateway refuses a request.
//!
//! A message says what is wrong and what would be right. It never repeats content.

use crate::api::family::error_details::ErrorDetails;
use crate::api::{Family, Feature};
use crate::auth::{CredentialError, Denied, MetadataError};

/// A local response in the error shape of the API that was called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The class of error in OpenAI's terms, such as `invalid_request_error`.
    pub kind: &'static str,
    /// The machine-readable reason, such as `model_not_found`.
    pub code: &'static str,
    /// The member of the body at fault.
    pub param: Option<&'static str>,
    /// The human-readable reason.
    pub message: String,
    /// For 405: what would be allowed.
    pub allow: Option<&'static str>,
    /// For 503: after how many seconds another try makes sense.
    pub retry_after: Option<&'static str>,
}

/// The code of a refusal for lack of room for one more request.
pub const OVERLOADED: &str = "overloaded";
/// When to try again then, in seconds: requests end all the time.
const OVERLOADED_RETRY_AFTER: &str = "1";

impl Refusal {
    fn new(status: u16, kind: &'static str, code: &'static str, message: String) -> Self {
        Self { status, kind, code, param: None, message, allow: None, retry_after: None }
    }

    /// 400: the body is not what the API takes.
    pub fn invalid_body(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", "invalid_body", message.into())
    }

    /// 400: one field is not what the API takes.
    pub fn invalid_field(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::new(400, "invalid_request_error", "invalid_value", message.into())
        }
    }

    /// 400: two spellings of one key, which two servers could read differently.
    pub fn ambiguous_field(one: &str, other: &str) -> Self {
        Self::invalid_body(format!(
            "The top-level keys {} and {} count as the same, so one of them must go.",
            quoted(one),
            quoted(other)
        ))
    }

    /// 404: no such model here.
    pub fn unknown_model(model: &str) -> Self {
        let message = format!(
            "The model {} is not known to this gateway. GET /v1/models lists those that are.",
            quoted(model)
        );
        Self { param: Some("model"), ..Self::new(404, "invalid_request_error", "model_not_found", message) }
    }

    /// 401: no key was sent.
    pub fn key_missing() -> Self {
        let message = "This gateway requires a key: send it as \"Authorization: Bearer <key>\".";
        Self::new(401, "authentication_error", "missing_key", message.to_owned())
    }

    /// 401: the credentials are not one key.
    pub fn bad_credential(error: CredentialError) -> Self {
        Self::new(401, "authentication_error", "invalid_key", error.to_string())
    }

    /// 401: the key is unknown or has expired.
    pub fn denied(denied: Denied) -> Self {
        let code = match denied {
            Denied::Unknown => "invalid_key",
            Denied::Expired => "expired_key",
        };
        Self::new(401, "authentication_error", code, denied.to_string())
    }

    /// 403: the key does not allow the model.
    pub fn model_not_allowed(model: &str) -> Self {
        let message = format!(
            "Your key does not allow the model {}. GET /v1/models lists those that it does.",
            quoted(model)
        );
        Self { param: Some("model"), ..Self::new(403, "permission_error", "model_not_allowed", message) }
    }

    /// 403: a feature that reaches beyond the request and is not granted.
    pub fn not_granted(param: &'static str) -> Self {
        let message =
            format!("{param}: reaches beyond this request and its model, which this gateway does not allow.");
        Self { param: Some(param), ..Self::new(403, "permission_error", "not_granted", message) }
    }

    /// 403: a member refers to what is stored at the provider, which the key or the provider does not grant.
    pub fn reference_not_granted(member: &'static str, feature: Feature) -> Self {
        let message = format!(
            "{member}: refers to what is stored at the provider. Both your key and the provider must grant {:?}, \
             and at least one does not.",
            feature.name()
        );
        Self { param: Some(member), ..Self::new(403, "permission_error", "not_granted", message) }
    }

    /// 404: a feature beyond calls, which the key or the provider does not grant.
    pub fn feature_not_granted(feature: Feature) -> Self {
        let message = format!(
            "Both your key and the provider must grant {:?} for this, and at least one does not.",
            feature.name()
        );
        Self::new(404, "invalid_request_error", "not_granted", message)
    }

    /// 403: a request that may concern any model of a provider, by a key that does not allow them all.
    pub fn needs_every_model(provider: &str) -> Self {
        let message = format!(
            "This may concern any model, so your key must allow every model of the provider: {}.",
            quoted(&format!("{provider}/*"))
        );
        Self::new(403, "permission_error", "model_not_allowed", message)
    }

    /// 400: several providers match.
    pub fn ambiguous_provider() -> Self {
        let message =
            "More than one provider serves this path; name one of them in the header x-weir-provider.";
        Self::new(400, "invalid_request_error", "ambiguous_provider", message.to_owned())
    }

    /// 400: a header of the gateway's cannot be read.
    pub fn bad_metadata(error: &MetadataError) -> Self {
        Self::new(400, "invalid_request_error", "invalid_header", error.to_string())
    }

    /// 400: the timeout is not a number of milliseconds.
    pub fn bad_timeout() -> Self {
        let message = "The header x-weir-timeout-ms must be a number of milliseconds from 1 to 3600000.";
        Self::new(400, "invalid_request_error", "invalid_header", message.to_owned())
    }

    /// 400: the model in the path and the one in the body differ, or the former cannot be one.
    pub fn model_in_path(message: impl Into<String>) -> Self {
        Self {
            param: Some("model"),
            ..Self::new(400, "invalid_request_error", "invalid_model", message.into())
        }
    }

    /// 400: the model has no target for this API and this request.
    pub fn no_target(model: &str) -> Self {
        let message = format!(
            "The model {} has no target for this API whose conditions this request meets.",
            quoted(model)
        );
        Self { param: Some("model"), ..Self::new(400, "invalid_request_error", "no_target", message) }
    }

    /// 400: the body contains blocked content.
    pub fn content_blocked(detectors: &[&str]) -> Self {
        let message = format!(
            "The request contains content that this gateway does not send to providers ({}). Remove it and retry.",
            detectors.join(", ")
        );
        Self::new(400, "invalid_request_error", "content_blocked", message)
    }

    /// 400: the body cannot be searched for blocked content.
    pub fn content_unreadable() -> Self {
        let message = "The request cannot be searched for content that this gateway does not send to providers, so \
                       it was not sent.";
        Self::new(400, "invalid_request_error", "content_unreadable", message.to_owned())
    }

    /// 403: the response contains blocked content. Retrying does not help, so it is none of the statuses on
    /// which clients retry.
    pub fn response_blocked(detectors: &[&str]) -> Self {
        let message = format!(
            "The response contains content that this gateway does not return ({}).",
            detectors.join(", ")
        );
        Self::new(403, "permission_error", "content_blocked", message)
    }

    /// 502: the response cannot be searched for blocked content.
    pub fn response_unreadable() -> Self {
        let message = "The provider's response cannot be searched for content that this gateway does not return, so \
                       it was not returned.";
        Self::new(502, "server_error", "content_unreadable", message.to_owned())
    }

    /// 404: unknown path.
    pub fn unknown_path() -> Self {
        let message = "This gateway does not serve this path. It serves paths such as POST /v1/chat/completions \
                       and GET /v1/models.";
        Self::new(404, "invalid_request_error", "unknown_path", message.to_owned())
    }

    /// 405: a path that is served, with another method.
    pub fn wrong_method(allow: &'static str) -> Self {
        let message = format!("This path takes {allow} only.");
        Self { allow: Some(allow), ..Self::new(405, "invalid_request_error", "method_not_allowed", message) }
    }

    /// 413: the body exceeds the limit.
    pub fn too_large(limit: impl std::fmt::Display) -> Self {
        let message = format!(
            "The request body is larger than this gateway takes, which is {limit} (limits.request_body)."
        );
        Self::new(413, "invalid_request_error", "request_too_large", message)
    }

    /// 415: the body is compressed.
    pub fn encoded_body() -> Self {
        let message =
            "The request body has a content-encoding, which this gateway cannot read; send it uncompressed.";
        Self::new(415, "invalid_request_error", "unsupported_content_encoding", message.to_owned())
    }

    /// 415: the body has a type that this path does not take.
    pub fn wrong_media_type(takes: &str) -> Self {
        let message = format!("This path takes {takes}; the request's content-type is another.");
        Self::new(415, "invalid_request_error", "unsupported_media_type", message)
    }

    /// 503: more requests in progress than can be tracked.
    pub fn overloaded() -> Self {
        Self::overload("This gateway is at its limit of concurrent requests; try again shortly.")
    }

    /// 503: the requests in progress use all the memory that they may.
    pub fn out_of_memory() -> Self {
        Self::overload("This gateway is at its limit of memory for requests in progress; try again shortly.")
    }

    /// 503, in place of a response that there was no memory to rewrite.
    pub fn response_out_of_memory() -> Self {
        Self::overload(
            "This gateway had no memory left to search the provider's response, so it was not returned; try again \
             shortly.",
        )
    }

    fn overload(message: &str) -> Self {
        Self {
            retry_after: Some(OVERLOADED_RETRY_AFTER),
            ..Self::new(503, "server_error", OVERLOADED, message.to_owned())
        }
    }

    /// Whether there was no room for one more request.
    pub fn is_overload(&self) -> bool {
        self.code == OVERLOADED
    }

    /// 502: an attempt whose routing decision is unknown.
    pub fn undecided() -> Self {
        let message =
            "The gateway has no routing decision for this attempt, so it was not sent to a provider.";
        Self::new(502, "server_error", "no_decision", message.to_owned())
    }

    /// 502: the provider did not accept the gateway's credentials.
    pub fn provider_auth() -> Self {
        let message =
            "The provider did not accept this gateway's credentials; its operator must correct them.";
        Self::new(502, "server_error", "provider_auth", message.to_owned())
    }

    /// 502: the provider switched protocols.
    pub fn unasked_upgrade() -> Self {
        let message = "The provider switched to another protocol, which was not requested.";
        Self::new(502, "server_error", "unasked_upgrade", message.to_owned())
    }

    /// The refusal that replaces a local response of Envoy's, by its status.
    pub fn no_response(status: u16) -> Self {
        match status {
            504 | 408 => {
                let message = "The provider did not respond in time.";
                Self::new(504, "server_error", "provider_timeout", message.to_owned())
            }
            413 => Self::too_large("set in the gateway's configuration"),
            _ => {
                let message =
                    "The provider could not be reached, or closed the connection before it responded.";
                Self::new(502, "server_error", "provider_unreachable", message.to_owned())
            }
        }
    }

    /// The body in the error shape of an API.
    pub fn body(&self, family: &Family) -> String {
        (family.error)(&self.details())
    }

    /// What it says, whatever the API.
    pub fn details(&self) -> ErrorDetails<'_> {
        let Self { status, kind, code, param, message, .. } = self;
        ErrorDetails { status: *status, kind, code, param: *param, message }
    }
}

/// Quotes a name from outside for a message: shortened, with control characters escaped.
fn quoted(name: &str) -> String {
    const SHOWN: usize = 100;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", name.get(..end).unwrap_or_default()),
        None => format!("{name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DEFAULT_FAMILY;

    #[test]
    fn the_body_has_openais_error_shape() {
        let body: serde_json::Value =
            serde_json::from_str(&Refusal::unknown_model("gpt\r\n5").body(DEFAULT_FAMILY)).unwrap();
        assert_eq!(body["error"]["code"], "model_not_found");
        assert_eq!(body["error"]["param"], "model");
        assert!(body["error"]["message"].as_str().unwrap().contains(r#""gpt\r\n5""#));
        assert!(Refusal::unknown_model(&"x".repeat(10_000)).message.len() < 300);
    }
}
