//! Callers with a token of an identity provider: Envoy's jwt_authn filter verifies it and passes the claims to ours as
//! dynamic metadata. Ours treats a token that failed verification as absent: it asks for a key, and refuses in the
//! API's own error format.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_filter::api::Feature;
use weir_filter::api::endpoint::Endpoint;
use weir_filter::config;
use weir_settings::ConfigError;

/// The key of the claims in jwt_authn's dynamic metadata.
pub const PAYLOAD: &str = "weir";
/// The Envoy cluster that leads to the identity provider's keys.
pub const JWKS_CLUSTER: &str = "weir.jwks";

/// Tokens as written in gateway.yaml. They are taken from `Authorization: Bearer` alone, and must have an
/// end (`exp`).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Who must have issued a token (its `iss`).
    pub issuer: String,
    /// Whom a token must be for (one of its `aud`); without any, whoever it is for.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The keys that tokens are signed with.
    pub jwks: Jwks,
    /// The claim that names the user; `sub` by default.
    #[serde(default)]
    pub user_claim: Option<String>,
    /// The claim that names the team; absent: none does.
    #[serde(default)]
    pub team_claim: Option<String>,
    /// Patterns of the models that holders of a token may use; absent: every model.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// What holders of a token may use beyond calls for those models, of a provider that grants the same.
    #[serde(default)]
    pub grants: Vec<Feature>,
}

/// Where the keys are that tokens are signed with (RFC 7517).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Jwks {
    /// A file that Envoy can read, by its absolute path.
    File(PathBuf),
    /// A URL of the identity provider's.
    Url(String),
}

impl Jwt {
    /// The plugin's part.
    pub fn plugin(&self) -> config::Jwt {
        config::Jwt {
            payload: PAYLOAD.to_owned(),
            user_claim: self.user_claim.clone().unwrap_or_else(|| "sub".to_owned()),
            team_claim: self.team_claim.clone(),
            models: self.models.clone(),
            grants: self.grants.clone(),
        }
    }

    /// Where the keys are fetched from, if they are.
    pub fn jwks_endpoint(&self) -> Result<Option<Endpoint>, ConfigError> {
        match &self.jwks {
            Jwks::File(path) if path.is_absolute() => Ok(None),
            Jwks::File(path) => {
                let message = format!("{} is not an absolute path, which Envoy needs", path.display());
                Err(ConfigError::at("jwt.jwks.file", message))
            }
            Jwks::Url(url) => {
                Endpoint::parse(url).map(Some).map_err(|message| ConfigError::at("jwt.jwks.url", message))
            }
        }
    }
}
