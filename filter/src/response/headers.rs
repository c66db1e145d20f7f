//! Which of a provider's response headers reach the caller.
//!
//! A caller attributes a response's headers to the gateway: they come from its host name. So a header
//! passes only where it describes this response, or is known to be of use to the providers' clients. What
//! speaks for a host (cookies, transport security, other ports), for the gateway or for its Envoy, or hands
//! out a credential does not pass. Of `x-…`, where providers put figures of their own, all passes but what
//! is named here.

use crate::api::FAMILIES;
use crate::headers::name;

/// Prefix of the names that are no standard's.
const EXTENSION: &str = "x-";

/// Headers that pass as they are named.
const PASSES: [&str; 29] = [
    // Of the response itself (RFC 9110, RFC 9111).
    name::STATUS,
    name::ALLOW,
    name::CONTENT_ENCODING,
    name::CONTENT_LENGTH,
    name::CONTENT_TYPE,
    name::RETRY_AFTER,
    "age",
    "cache-control",
    "content-disposition",
    "content-language",
    "date",
    "etag",
    "expires",
    "last-modified",
    "vary",
    // Notices about the API (RFC 9111 "Warning", RFC 9745, RFC 8594).
    "deprecation",
    "sunset",
    "warning",
    // Names by which providers find a request again.
    "apim-request-id",
    "cf-ray",
    "correlation-id",
    "nvcf-reqid",
    "nvcf-status",
    "request-id",
    // What the providers' clients read.
    name::RETRY_AFTER_MS,
    "num_chars",
    "num_tokens",
    // Envoy puts its own in its place.
    "server",
    "cf-cache-status",
];

/// Headers that pass by how they begin: limits, and what providers say under their own name, beside those of the
/// families.
const PASSES_BY_PREFIX: [&str; 6] =
    ["azureml-", "cf-aig-", "fireworks-", "mistral-", "ms-azureml-", "ratelimit"];

/// Headers that pass where a request was passed through: parts of files, and where something new stands.
const PASSES_ON_PASSTHROUGH: [&str; 7] = [
    "accept-ranges",
    "content-location",
    "content-md5",
    "content-range",
    "link",
    "location",
    "operation-location",
];

/// How headers begin behind `x-` that do not pass.
const WITHHELD_EXTENSIONS: [&str; 37] = [
    // The gateway's own, its Envoy's, and other proxies'.
    "accel-",
    "cluster-client-ip",
    "client-ip",
    "envoy-",
    "forwarded",
    "http-method-override",
    "lighttpd-",
    "original-",
    "proxy-",
    "real-ip",
    "rewrite-",
    "sendfile",
    "varnish-",
    "weir-",
    // Credentials.
    "access-token",
    "amz-security-token",
    "amzn-oidc-",
    "api-key",
    "api-token",
    "apikey",
    "auth",
    "clerk-auth",
    "cookie",
    "csrf",
    "goog-api-key",
    "goog-authenticated-",
    "goog-iap-",
    "id-token",
    "ms-token-",
    "refresh-token",
    "session-token",
    "set-cookie",
    "xsrf",
    // What speaks to a browser about the host.
    "content-security-policy",
    "frame-options",
    "permitted-cross-domain-policies",
    "xss-protection",
];

/// Whether a provider's response header goes on to the caller. `is_passed` is for a request that was passed
/// through by a grant. Names are lowercase.
pub fn reaches_caller(name: &str, is_passed: bool) -> bool {
    let begins = |prefixes: &[&str], name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name.strip_prefix(EXTENSION) {
        Some(extension) => !begins(&WITHHELD_EXTENSIONS, extension),
        None => {
            PASSES.contains(&name)
                || begins(&PASSES_BY_PREFIX, name)
                || FAMILIES.iter().any(|family| begins(family.response_headers, name))
                || (is_passed && PASSES_ON_PASSTHROUGH.contains(&name))
        }
    }
}

/// Whether only the gateway, or its Envoy, may send this to Envoy's router: another attempt follows or must
/// not, a host is overloaded or unhealthy.
pub fn is_for_router(name: &str) -> bool {
    name.starts_with("x-weir-") || name.starts_with("x-envoy-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_providers_clients_read_reaches_the_caller() {
        for name in [
            ":status",
            "content-type",
            "content-length",
            "content-encoding",
            "content-disposition",
            "retry-after",
            "retry-after-ms",
            "x-should-retry",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
            "ratelimit-limit",
            "ratelimitbysize-remaining",
            "anthropic-ratelimit-tokens-reset",
            "anthropic-organization-id",
            "request-id",
            "x-request-id",
            "openai-processing-ms",
            "openai-version",
            "cf-ray",
            "date",
            "x-ms-region",
            "x-ms-client-request-id",
            "apim-request-id",
            "azureml-model-session",
            "x-goog-upload-status",
            "x-amzn-requestid",
            "x-amzn-bedrock-input-token-count",
            "x-time-per-token",
            "x-groq-region",
            "x-api-warning",
            "x-debug-trace-id",
            "x-trial-endpoint-call-limit",
            "num_tokens",
            "x-compute-time",
            "x-served-by",
            "x-content-type-options",
            "deprecation",
            "vary",
        ] {
            assert!(reaches_caller(name, false) && reaches_caller(name, true), "{name}");
        }
    }

    #[test]
    fn what_speaks_for_the_host_the_gateway_or_a_credential_does_not() {
        for name in [
            "x-weir-trace-id",
            "x-weir-anything-new",
            "x-envoy-overloaded",
            "x-envoy-immediate-health-check-fail",
            "x-envoy-upstream-service-time",
            "alt-svc",
            "alt-used",
            "clear-site-data",
            "set-cookie",
            "set-cookie2",
            "strict-transport-security",
            "public-key-pins",
            "expect-ct",
            "nel",
            "report-to",
            "reporting-endpoints",
            "content-security-policy",
            "permissions-policy",
            "cross-origin-opener-policy",
            "referrer-policy",
            "service-worker-allowed",
            "authorization",
            "api-key",
            "x-api-key",
            "x-auth-token",
            "x-amz-security-token",
            "x-goog-api-key",
            "www-authenticate",
            "authentication-info",
            "proxy-authenticate",
            "proxy-connection",
            "refresh",
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "server-timing",
            "timing-allow-origin",
            "traceparent",
            "tracestate",
            "baggage",
            "upgrade",
            "via",
            "x-forwarded-for",
            "x-real-ip",
            "x-accel-redirect",
            "x-sendfile",
            "x-frame-options",
            "x-xss-protection",
            "x-content-security-policy",
            "x_weir_trace_id",
            "",
        ] {
            assert!(!reaches_caller(name, false) && !reaches_caller(name, true), "{name}");
        }
    }

    #[test]
    fn where_something_stands_is_said_of_what_is_passed_through_alone() {
        for name in PASSES_ON_PASSTHROUGH {
            assert!(!reaches_caller(name, false) && reaches_caller(name, true), "{name}");
        }
    }
}
