//! Requests that the gateway answers itself, and what it says.
//!
//! A message says what is wrong and what would be right. It never repeats content.

use crate::api::family::error_details::ErrorDetails;
use crate::api::{Family, Feature};
use crate::auth::{CredentialError, Denied, MetadataError};

/// An answer of the gateway's own, in the error shape of the API that was called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The class of error by OpenAI's names, such as `invalid_request_error`.
    pub kind: &'static str,
    /// The reason for programs, such as `model_not_found`.
    pub code: &'static str,
    /// The field of the body that it is about.
    pub param: Option<&'static str>,
    /// The reason for people.
    pub message: String,
    /// For 405: what would be allowed.
    pub allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, code: &'static str, message: String) -> Self {
        Self { status, kind, code, param: None, message, allow: None }
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
        let message = "This gateway asks for a key: send it as \"Authorization: Bearer <key>\".";
        Self::new(401, "authentication_error", "missing_key", message.to_owned())
    }

    /// 401: what was sent is no one key.
    pub fn bad_credential(error: CredentialError) -> Self {
        Self::new(401, "authentication_error", "invalid_key", error.to_string())
    }

    /// 401: the key opens nothing.
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

    /// 403: a feature that reaches beyond the request, which nobody has granted.
    pub fn not_granted(param: &'static str) -> Self {
        let message =
            format!("{param}: reaches beyond this request and its model, which this gateway does not allow.");
        Self { param: Some(param), ..Self::new(403, "permission_error", "not_granted", message) }
    }

    /// 403: a member that names what is stored at the provider, and the caller's key or the provider does not
    /// grant that.
    pub fn reference_not_granted(member: &'static str, feature: Feature) -> Self {
        let message = format!(
            "{member}: names what is stored at the provider, which needs the grant {:?} of your key and of the \
             provider, and one of them does not give it.",
            feature.name()
        );
        Self { param: Some(member), ..Self::new(403, "permission_error", "not_granted", message) }
    }

    /// 404: what reaches beyond a call, and the caller's key or the provider does not grant.
    pub fn feature_not_granted(feature: Feature) -> Self {
        let message = format!(
            "This needs the grant {:?} of your key and of the provider, and one of them does not give it.",
            feature.name()
        );
        Self::new(404, "invalid_request_error", "not_granted", message)
    }

    /// 403: what may be for any model of a provider, by a key that does not allow them all.
    pub fn needs_every_model(provider: &str) -> Self {
        let message = format!(
            "This can be for any model, so your key must allow every one of the provider: {}.",
            quoted(&format!("{provider}/*"))
        );
        Self::new(403, "permission_error", "model_not_allowed", message)
    }

    /// 400: several providers could be meant.
    pub fn ambiguous_provider() -> Self {
        let message =
            "More than one provider serves this path; name one of them in the header x-weir-provider.";
        Self::new(400, "invalid_request_error", "ambiguous_provider", message.to_owned())
    }

    /// 400: a header of the gateway's own cannot be read.
    pub fn bad_metadata(error: &MetadataError) -> Self {
        Self::new(400, "invalid_request_error", "invalid_header", error.to_string())
    }

    /// 400: the timeout is no number of milliseconds.
    pub fn bad_timeout() -> Self {
        let message = "The header x-weir-timeout-ms must be a number of milliseconds from 1 to 3600000.";
        Self::new(400, "invalid_request_error", "invalid_header", message.to_owned())
    }

    /// 400: the model in the path and the one in the body differ, or the path's cannot be one.
    pub fn model_in_path(message: impl Into<String>) -> Self {
        Self {
            param: Some("model"),
            ..Self::new(400, "invalid_request_error", "invalid_model", message.into())
        }
    }

    /// 400: the model has no target that serves this API under the request's conditions.
    pub fn no_target(model: &str) -> Self {
        let message = format!(
            "The model {} has no target that serves this API and whose conditions this request meets.",
            quoted(model)
        );
        Self { param: Some("model"), ..Self::new(400, "invalid_request_error", "no_target", message) }
    }

    /// 400: the body holds what must not be sent.
    pub fn content_blocked(detectors: &[&str]) -> Self {
        let message = format!(
            "The request holds what this gateway sends to no provider ({}); take it out and send it again.",
            detectors.join(", ")
        );
        Self::new(400, "invalid_request_error", "content_blocked", message)
    }

    /// 400: the body cannot be searched for what must not be sent.
    pub fn content_unreadable() -> Self {
        let message = "The request cannot be searched for what this gateway sends to no provider, so it is \
                       not sent either.";
        Self::new(400, "invalid_request_error", "content_unreadable", message.to_owned())
    }

    /// 403: the answer holds what is returned to no caller. Asking again is no help, so it is none of the
    /// statuses that clients try again after.
    pub fn answer_blocked(detectors: &[&str]) -> Self {
        let message =
            format!("The answer holds what this gateway returns to no caller ({}).", detectors.join(", "));
        Self::new(403, "permission_error", "content_blocked", message)
    }

    /// 502: the answer cannot be searched for what must not be returned.
    pub fn answer_unreadable() -> Self {
        let message = "The provider's answer cannot be searched for what this gateway returns to no caller, so \
                       it is not returned either.";
        Self::new(502, "server_error", "content_unreadable", message.to_owned())
    }

    /// 404: no such path here.
    pub fn unknown_path() -> Self {
        let message = "This path is none of those that this gateway serves, such as POST /v1/chat/completions \
                       or GET /v1/models.";
        Self::new(404, "invalid_request_error", "unknown_path", message.to_owned())
    }

    /// 405: a path that is served, by another method.
    pub fn wrong_method(allow: &'static str) -> Self {
        let message = format!("This path takes {allow} only.");
        Self { allow: Some(allow), ..Self::new(405, "invalid_request_error", "method_not_allowed", message) }
    }

    /// 413: the body is over the limit.
    pub fn too_large(limit: impl std::fmt::Display) -> Self {
        let message = format!(
            "The request body is larger than this gateway takes, which is {limit} (limits.request_body)."
        );
        Self::new(413, "invalid_request_error", "request_too_large", message)
    }

    /// 415: the body is compressed.
    pub fn encoded_body() -> Self {
        let message =
            "The request body has a content-encoding, which this gateway cannot read; send it as it is.";
        Self::new(415, "invalid_request_error", "unsupported_content_encoding", message.to_owned())
    }

    /// 415: the body is of another type than this path takes.
    pub fn wrong_media_type(takes: &str) -> Self {
        let message = format!("This path takes {takes}; the request's content-type is another.");
        Self::new(415, "invalid_request_error", "unsupported_media_type", message)
    }

    /// 503: more requests under way than are kept track of.
    pub fn overloaded() -> Self {
        let message = "This gateway has as many requests under way as it takes; try again shortly.";
        Self::new(503, "server_error", "overloaded", message.to_owned())
    }

    /// 502: an attempt whose decision is not known.
    pub fn undecided() -> Self {
        let message = "The gateway has no decision for this attempt; it was not sent to a provider.";
        Self::new(502, "server_error", "no_decision", message.to_owned())
    }

    /// 502: the provider did not accept the gateway's credentials.
    pub fn provider_auth() -> Self {
        let message =
            "The provider did not accept this gateway's credentials; its operator has to mend them.";
        Self::new(502, "server_error", "provider_auth", message.to_owned())
    }

    /// 502: the provider answered with another protocol.
    pub fn unasked_upgrade() -> Self {
        let message = "The provider switched to another protocol, which nobody had asked for.";
        Self::new(502, "server_error", "unasked_upgrade", message.to_owned())
    }

    /// What Envoy answered itself because no provider did, by its status.
    pub fn no_answer(status: u16) -> Self {
        match status {
            504 | 408 => {
                let message = "The provider did not answer in time.";
                Self::new(504, "server_error", "provider_timeout", message.to_owned())
            }
            413 => Self::too_large("set in the gateway's configuration"),
            _ => {
                let message = "The provider could not be reached, or broke off before it answered.";
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

/// A name from outside, shortened and with control characters escaped, for a message.
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
