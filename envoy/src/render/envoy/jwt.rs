//! Envoy's jwt_authn filter, which verifies the tokens that callers come with.

use serde_json::{Value, json};

use crate::gateway::{JWKS_CLUSTER, Jwks, Jwt, PAYLOAD};
use crate::yaml::set;

/// Envoy's filter, which goes before ours.
pub(super) fn filter(jwt: &Jwt) -> Value {
    let mut provider = json!({
        "issuer": jwt.issuer,
        "payload_in_metadata": PAYLOAD,
        // A token in a URL ends up in logs, so jwt_authn's default of `access_token` is left out.
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        // A token without `exp` would be good for ever.
        "require_expiration": true,
        // Our filter sees to it that no other credential is beside it, and lets it go no further.
        "forward": true,
    });
    if !jwt.audiences.is_empty() {
        set(&mut provider, "audiences", json!(jwt.audiences));
    }
    match &jwt.jwks {
        Jwks::File(path) => set(&mut provider, "local_jwks", json!({"filename": path})),
        Jwks::Url(url) => {
            set(
                &mut provider,
                "remote_jwks",
                json!({
                    "http_uri": {"uri": url, "cluster": JWKS_CLUSTER, "timeout": "5s"},
                    "cache_duration": "300s",
                    "async_fetch": {},
                }),
            );
        }
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"identity": provider},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [
                    {"provider_name": "identity"},
                    {"allow_missing_or_failed": {}},
                ]}},
            }],
        },
    })
}
