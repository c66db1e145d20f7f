//! The configuration of observe mode: what has no place in it, and which requests it is about.
//!
//! Nothing is routed there, so whatever says how to route is refused rather than left without effect.
//! Requests are known by their path, and by their host where providers are named: then no other
//! host's are observed.

use std::collections::BTreeMap;

use weir_settings::ConfigError;

use crate::api::call::Call;
use crate::api::endpoint::Endpoint;
use crate::api::kind::Kind;
use crate::config::wire::{PluginConfig, Provider};
use crate::redact::{Action, Returned, Unreadable};

/// The hosts whose requests are observed; none: those of every host.
#[derive(Debug, Default)]
pub struct Observed(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    name: String,
    kind: Kind,
    endpoint: Endpoint,
}

/// A request that is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is called.
    pub call: Call,
    /// The provider by its name in the configuration, else by its kind.
    pub provider: String,
    /// The kind of provider.
    pub kind: Kind,
    /// The host that was asked, without port.
    pub host: String,
    /// The port; absent: the scheme's own.
    pub port: Option<u16>,
}

/// Refuses what only routing could honour, by field.
pub(crate) fn check(plugin: &PluginConfig) -> Result<(), ConfigError> {
    let refuse = |path: String, message: &str| Err(ConfigError::at(path, message));
    if !plugin.models.is_empty() {
        return refuse(
            "models".to_owned(),
            "say how to route, and `mode: observe` routes nothing; leave them out",
        );
    }
    for (name, provider) in &plugin.providers {
        let Provider { api: _, url: _, api_version, include_usage, grants, cluster } = provider;
        let given = [
            ("api_version", api_version.is_some()),
            ("include_usage", include_usage.is_some()),
            ("grants", !grants.is_empty()),
            ("cluster", cluster.is_some()),
        ];
        if let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            let message =
                "is for requests that the gateway sends, and `mode: observe` sends none; leave it out";
            return refuse(format!("providers.{name}.{field}"), message);
        }
    }
    let patterns =
        "limits models, and `mode: observe` learns the model when the request is on its way; leave it out";
    let grants = "lets callers do more than `mode: observe` ever forbids; leave it out";
    for (index, key) in plugin.keys.iter().enumerate() {
        if key.models.is_some() {
            return refuse(format!("keys[{index}].models"), patterns);
        }
        if !key.grants.is_empty() {
            return refuse(format!("keys[{index}].grants"), grants);
        }
        if let Some(returned) = key.redaction.as_ref().and_then(|stricter| stricter.returned.as_ref()) {
            check_returned(returned, &format!("keys[{index}].redaction.returned"))?;
        }
    }
    if let Some(jwt) = &plugin.jwt {
        if jwt.models.is_some() {
            return refuse("jwt.models".to_owned(), patterns);
        }
        if !jwt.grants.is_empty() {
            return refuse("jwt.grants".to_owned(), grants);
        }
    }
    match &plugin.redaction {
        Some(redaction) => check_returned(&redaction.returned, "redaction.returned"),
        None => Ok(()),
    }
}

/// A response's status is on its way to the caller before its body is seen, so no response can be refused.
fn check_returned(returned: &Returned, path: &str) -> Result<(), ConfigError> {
    let (field, right) = match (returned.action, returned.on_unreadable) {
        (Action::Block, _) => ("action", "mask"),
        (Action::Mask, Unreadable::Refuse) => ("on_unreadable", "pass"),
        (Action::Off, _) | (Action::Mask, Unreadable::Pass) => return Ok(()),
    };
    let message = format!(
        "refuses responses, and in `mode: observe` a response's status has gone before its body is seen; say {right:?}"
    );
    Err(ConfigError::at(format!("{path}.{field}"), message))
}

impl Observed {
    /// The hosts of these providers.
    pub(crate) fn new(providers: &BTreeMap<String, Provider>) -> Result<Self, ConfigError> {
        let watched = providers.iter().map(|(name, provider)| {
            let endpoint = Endpoint::parse(&provider.url)
                .map_err(|message| ConfigError::at(format!("providers.{name}.url"), message))?;
            Ok(Watched { name: name.clone(), kind: provider.api, endpoint })
        });
        Ok(Self(watched.collect::<Result<_, ConfigError>>()?))
    }

    /// What a request is, if it is observed.
    pub fn find(&self, method: &[u8], authority: &str, path_and_query: &str) -> Option<Seen> {
        let (host, port) = host_and_port(authority);
        if self.0.is_empty() {
            let call = Call::of(method, path_and_query).ok()?;
            let kind = Kind::of(&call)?;
            let provider = kind.provider_name().to_owned();
            return Some(Seen { call, provider, kind, host: host.to_owned(), port });
        }
        let leads = |watched: &&Watched| watched.leads(host, port, path_and_query);
        // Of two on one host, the one whose path says more.
        let watched = self.0.iter().filter(leads).max_by_key(|watched| watched.endpoint.path_prefix.len())?;
        let call = Call::of(method, &watched.own_path(path_and_query)).ok()?;
        let (provider, port) = (watched.name.clone(), port.or(Some(watched.endpoint.port)));
        Some(Seen { call, provider, kind: watched.kind, host: host.to_owned(), port })
    }
}

impl Watched {
    /// Whether a request is one to this provider.
    fn leads(&self, host: &str, port: Option<u16>, path: &str) -> bool {
        let Endpoint { path_prefix, authority, .. } = &self.endpoint;
        // Within a mesh http://host is often what https://host is outside of it, so a port counts where the
        // URL names it.
        let (_, own_port) = host_and_port(authority);
        self.endpoint.host.eq_ignore_ascii_case(host)
            && own_port.is_none_or(|own| port == Some(own))
            && path.strip_prefix(path_prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// A path as the table of calls has it, also where the provider's URL includes the version.
    fn own_path(&self, path: &str) -> String {
        let rest = path.strip_prefix(self.endpoint.path_prefix.as_str()).unwrap_or(path);
        // Of a URL without a path the version is in the path.
        let version = if self.endpoint.path_prefix.is_empty() { "" } else { self.kind.version_in_url() };
        format!("{version}{rest}")
    }
}

fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => (host, digits.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use crate::api::openai;
    use crate::balancing::TargetIds;
    use crate::config::Config;

    fn checked(json: &str) -> Result<Config, ConfigError> {
        let plugin = PluginConfig::from_json(json.as_bytes())?;
        Config::new(&plugin, &mut TargetIds::default())
    }

    fn seen(providers: &str, authority: &str, path: &str) -> Option<(Api, String)> {
        let config = checked(&format!(r#"{{"mode":"observe","providers":{{{providers}}}}}"#)).unwrap();
        let seen = config.observed.find(b"POST", authority, path)?;
        Some((seen.call.api, format!("{} {} {:?}", seen.provider, seen.host, seen.port)))
    }

    #[test]
    fn without_providers_a_call_is_known_by_its_path() {
        let chat = seen("", "gw.example:8080", "/v1/chat/completions?x=1").unwrap();
        assert_eq!(chat, (openai::CHAT, "openai gw.example Some(8080)".to_owned()));
        let azure = seen("", "[::1]", "/openai/deployments/d/chat/completions").unwrap();
        assert_eq!(azure, (openai::CHAT, "azure.ai.openai ::1 None".to_owned()));
        assert_eq!(seen("", "gw", "/v1/files"), None);
    }

    #[test]
    fn with_providers_only_their_hosts_are_observed_and_their_own_paths_are_understood() {
        let providers = r#""router":{"api":"openai","url":"https://router.example/api/v1"},
            "claude":{"api":"anthropic","url":"https://api.anthropic.com"},
            "a":{"api":"openai","url":"http://vllm:8000/v1"},"b":{"api":"openai","url":"http://vllm:8001/v1"}"#;
        let name = |authority: &str, path: &str| seen(providers, authority, path).map(|(_, seen)| seen);
        let router = name("Router.Example", "/api/v1/chat/completions").unwrap();
        assert_eq!(router, "router Router.Example Some(443)");
        assert!(name("api.anthropic.com:80", "/v1/messages").unwrap().starts_with("claude "));
        assert!(name("vllm:8001", "/v1/chat/completions").unwrap().starts_with("b "));
        for (authority, path) in [
            ("other.example", "/v1/chat/completions"),
            ("router.example", "/v1/chat/completions"),
            ("vllm", "/v1/chat/completions"),
            ("vllm:8000", "/v1x/chat/completions"),
        ] {
            assert_eq!(name(authority, path), None, "{authority}{path}");
        }
    }

    #[test]
    fn what_only_routing_could_honour_is_refused_by_field() {
        let digest = "0".repeat(64);
        let provider =
            |more: &str| format!(r#""providers":{{"p":{{"api":"openai","url":"http://h/v1",{more}}}}}"#);
        let key = |more: &str| format!(r#""keys":[{{"name":"k","sha256":"{digest}",{more}}}]"#);
        for (given, path) in [
            (r#""models":{"m":{"alias":"n"}}"#.to_owned(), "models"),
            (provider(r#""grants":["files"]"#), "providers.p.grants"),
            (provider(r#""include_usage":true"#), "providers.p.include_usage"),
            (provider(r#""api_version":"1""#), "providers.p.api_version"),
            (provider(r#""cluster":"c""#), "providers.p.cluster"),
            (key(r#""models":["*"]"#), "keys[0].models"),
            (key(r#""grants":["paths"]"#), "keys[0].grants"),
            (key(r#""redaction":{"returned":{"action":"block"}}"#), "keys[0].redaction.returned.action"),
            (r#""jwt":{"payload":"p","models":[]}"#.to_owned(), "jwt.models"),
            (r#""jwt":{"payload":"p","grants":["files"]}"#.to_owned(), "jwt.grants"),
            (r#""redaction":{"returned":{"action":"block"}}"#.to_owned(), "redaction.returned.action"),
            (r#""redaction":{"returned":{"action":"mask"}}"#.to_owned(), "redaction.returned.on_unreadable"),
        ] {
            let error = checked(&format!(r#"{{"mode":"observe",{given}}}"#)).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.message.contains("`mode: observe`"), "{error}");
        }
        let mask = r#"{"mode":"observe","redaction":{"returned":{"action":"mask","on_unreadable":"pass"}}}"#;
        assert!(checked(mask).is_ok());
    }
}
