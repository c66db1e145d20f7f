//! What a call looks like at a kind of provider: path, headers, and where the model stands.

use std::borrow::Cow;

use weir_event::v1;

use crate::api::family::operation::Operation;

/// Longest `api-version`, in bytes.
const API_VERSION_MAX: usize = 64;

/// A kind of provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its description in the configuration's schema.
    pub description: &'static str,
    /// The `gen_ai.provider.name` (OpenTelemetry GenAI conventions v1.41).
    pub provider_name: &'static str,
    /// How the routes begin that mean this kind, where nothing else says which.
    pub route_prefix: &'static str,
    /// The version that is part of its URL and not of an operation's path.
    pub version_in_url: &'static str,
    /// The operations of its family that it does not serve.
    pub lacks: &'static [v1::Api],
    /// Writes the path and query of a call; `None` where it does not serve it.
    pub path: fn(&Destination<'_>) -> Option<String>,
    /// Takes from a path that is passed through what follows the prefix of the provider's URL.
    pub passed_path: fn(&str) -> Cow<'_, str>,
    /// Whether it takes the model of an operation from the path.
    pub takes_model_from_path: fn(&Operation, &Settings) -> bool,
    /// Whether this host can be asked for the usage of a stream, and has to be.
    pub is_asked_for_usage: fn(&str, &Settings) -> bool,
    /// The header that carries the provider's key, and what precedes the key in it.
    pub auth_header: (&'static str, &'static str),
    /// Headers that it wants, for calls that do not bring them.
    pub fixed_headers: &'static [(&'static str, &'static str)],
}

impl Provider {
    /// A kind that has the paths of its API, names the model in the body and takes a bearer token.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            provider_name: name,
            route_prefix: "",
            version_in_url: "",
            lacks: &[],
            path: |to| Some(format!("{}{}{}", to.prefix, to.route, to.query)),
            passed_path: |path| Cow::Borrowed(path),
            takes_model_from_path: |_, _| false,
            is_asked_for_usage: |_, _| false,
            auth_header: ("authorization", "Bearer "),
            fixed_headers: &[],
        }
    }
}

/// Where a call goes. Every path is made of constants, the provider's own prefix and the model as one
/// percent-encoded segment, so a name cannot reach another operation or another model than the one meant.
#[derive(Debug)]
pub struct Destination<'d> {
    /// The operation.
    pub operation: &'static Operation,
    /// The route that was called.
    pub route: &'static str,
    /// What of the query goes on, its question mark included.
    pub query: &'static str,
    /// The path of the provider's URL.
    pub prefix: &'d str,
    /// The model, percent-encoded.
    pub segment: percent_encoding::PercentEncode<'d>,
    /// The provider's settings.
    pub settings: &'d Settings,
}

/// What is wrong with a provider's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A version that could be more than a query's value.
    #[error("api_version: must be 1 to {API_VERSION_MAX} letters, digits, '.' or '-', such as 2024-10-21")]
    ApiVersion,
}

/// Settings that only some kinds know; checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    api_version: Option<String>,
}

impl Settings {
    /// Checks settings at load.
    pub fn new(api_version: Option<String>) -> Result<Self, SettingsError> {
        let valid = |version: &String| {
            (1..=API_VERSION_MAX).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        if api_version.as_ref().is_some_and(|version| !valid(version)) {
            return Err(SettingsError::ApiVersion);
        }
        Ok(Self { api_version })
    }

    /// The version that is asked for.
    pub fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref()
    }
}
