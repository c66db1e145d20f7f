//! What a provider's 403 is about: the gateway's own credentials, which are nothing that a caller can mend
//! or should read of, or the caller's request (what moderation flagged, a country, a network, a model).

use std::borrow::Cow;

use crate::json::scan::{Kind, Object, Value};

/// What the names of errors about credentials hold, in lowercase and without separators: `invalid_api_key`,
/// `authentication_error`, `UNAUTHENTICATED`, `API_KEY_INVALID`, `UnauthorizedError`.
const NAMES: [&str; 8] = [
    "apikey",
    "authentication",
    "unauthenticated",
    "unauthorized",
    "credential",
    "invalidtoken",
    "accesstoken",
    "subscriptionkey",
];
/// Parts of error names that mean something else; they take precedence over the message.
const OTHER_NAMES: [&str; 8] =
    ["model", "moderation", "content", "safety", "policy", "country", "region", "location"];
/// Phrases in messages about credentials, in lowercase.
const PHRASES: [&str; 9] = [
    "api key",
    "api-key",
    "api_key",
    "apikey",
    "subscription key",
    "access token",
    "security token",
    "authentication token",
    "credentials",
];

/// Shortest run of letters and digits that may be a key, in bytes.
const KEY_MIN: usize = 12;
/// What stands in a key's place.
const MASK: &str = "***";

/// A message about credentials without what may be one: some providers repeat the key that they refuse. A run of
/// letters and digits, with what keys hold between them, is taken for a key where it has both and is long enough.
pub fn without_keys(message: &str) -> String {
    let is_of_key =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '+' | '/' | '=');
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest.find(is_of_key).unwrap_or(rest.len());
        let (between, from) = rest.split_at_checked(start).unwrap_or((rest, ""));
        let end = from.find(|c| !is_of_key(c)).unwrap_or(from.len());
        let (run, after) = from.split_at_checked(end).unwrap_or((from, ""));
        let has = |what: fn(&u8) -> bool| run.as_bytes().iter().any(what);
        let is_key = run.len() >= KEY_MIN
            && has(u8::is_ascii_alphabetic)
            && has(|byte| byte.is_ascii_digit() || *byte == b'*');
        masked.push_str(between);
        masked.push_str(if is_key { MASK } else { run });
        rest = after;
    }
    masked
}

/// Whether the body of a 403 is about credentials. Of one that is not JSON only the text counts.
pub fn speaks_of_credentials(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    // Gemini's OpenAI-compatible paths put the error into an array.
    let object = body.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(body);
    let Ok(object) = Object::parse(object) else { return says_so(&String::from_utf8_lossy(body)) };
    let error = object.get("error").and_then(|error| error.as_object());
    let holders = [error.as_ref(), Some(&object)];
    let text = |key: &'static str| {
        let found = holders.into_iter().flatten().map(|holder| holder.text(key));
        found.filter(|text| !text.is_empty()).map(Cow::into_owned).next().unwrap_or_default()
    };
    let mut names: Vec<String> = ["code", "type", "error_type"].map(text).into();
    names.extend(error.as_ref().map(reasons).unwrap_or_default());
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let holds = |words: &[&str]| names.iter().any(|name| words.iter().any(|word| name.contains(word)));
    if holds(&NAMES) || holds(&OTHER_NAMES) {
        return holds(&NAMES);
    }
    let message = text("message");
    // A text may stand in the error's place.
    says_so(if message.is_empty() { object.text("error") } else { message.into() }.as_ref())
}

/// The reasons among a Google error's details.
fn reasons(error: &Object<'_>) -> Vec<String> {
    let details = error.get("details").filter(|details| details.kind == Kind::Array);
    let details = details.and_then(|details| details.as_array()).unwrap_or_default();
    let objects = details.iter().filter_map(Value::as_object);
    objects.map(|detail| detail.text("reason").into_owned()).collect()
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn says_so(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    PHRASES.iter().any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_credentials_repeats_none() {
        for (message, masked) in [
            ("Incorrect API key provided: sk-canary-of-c-5b0e.", "Incorrect API key provided: ***"),
            (
                "bad key 'AKIA0123456789ABCDEF', see https://a.example/b",
                "bad key '***', see https://a.example/b",
            ),
            ("sk-pr**********************************4b2f is wrong", "*** is wrong"),
            ("Your API key does not have permission to use the specified resource.", ""),
            ("clé refusée : abcdefghijk1", "clé refusée : ***"),
            ("status 401 of gpt-4o", ""),
            ("", ""),
        ] {
            assert_eq!(without_keys(message), if masked.is_empty() { message } else { masked });
        }
    }

    #[test]
    fn an_error_about_the_gateways_own_credentials_is_told_apart() {
        for body in [
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}"#,
            r#"{"error":{"code":403,"message":"Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity.","status":"PERMISSION_DENIED"}}"#,
            r#"[{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{"reason":"API_KEY_SERVICE_BLOCKED"}]}}]"#,
            r#"{"error":{"code":"403","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
            r#"{"message":"Missing Authentication Token"}"#,
            r#"{"error":"Invalid credentials in Authorization header"}"#,
            "Invalid API key",
        ] {
            assert!(speaks_of_credentials(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn an_error_about_the_callers_request_is_the_callers() {
        for body in [
            r#"{"error":{"code":403,"message":"Input was flagged by moderation.","metadata":{"reasons":["violence"]}}}"#,
            r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#,
            r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
            r#"{"error":{"message":"Project `p` does not have access to model `gpt-5`","type":"invalid_request_error","code":"model_not_found"}}"#,
            r#"{"error":{"message":"Your API key may not use this model","type":"x","code":"model_not_allowed"}}"#,
            r#"{"type":"error","error":{"type":"permission_error","message":"This model is not available to your organization."}}"#,
            r#"{"error":{"code":403,"message":"User location is not supported for the API use.","status":"PERMISSION_DENIED"}}"#,
            r#"{"detail":"Forbidden"}"#,
            "<html><body>error code: 1020</body></html>",
            "",
        ] {
            assert!(!speaks_of_credentials(body.as_bytes()), "{body}");
        }
    }
}
