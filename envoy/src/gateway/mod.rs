//! gateway.yaml: the one file that describes a gateway, read and checked.
//!
//! What concerns the plugin (providers, models, limits) has the plugin's own types from
//! `weir-filter` and is checked by them; what concerns Envoy alone (addresses, secrets) is here.

mod access_log;
mod check;
mod error;
mod jwt;
mod provider;
mod wire;

use weir_settings::{ConfigError, yaml};

pub use access_log::AccessLog;
pub use error::Error;
pub(crate) use jwt::PAYLOAD;
pub use jwt::{JWKS_CLUSTER, Jwks, Jwt};
pub use provider::{Provider, Secret, Tls};
pub use wire::{EXPORTER_CLUSTER, Exporter, Gateway, ListenTls};
pub(crate) use wire::{TOKEN_FIELD, key_field};

impl Gateway {
    /// Reads and checks a gateway.yaml. An error names the field and what would be right, and shows
    /// no line of the file, which may hold a key in the wrong place.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        let gateway: Self = yaml::read(yaml).map_err(|mut error| {
            if error.path == "." {
                error.path = "the file".to_owned();
            } else if is_secret(&error.path) && !is_explained(&error.message) {
                error.message.push_str(
                    "; give { env: VARIABLE } or { file: /absolute/path }, never the secret itself",
                );
            }
            error
        })?;
        check::check(&gateway)
            .map_err(|error| ConfigError { place: yaml::find(yaml, &error.path), ..error })?;
        Ok(gateway)
    }
}

/// Whether a message says by itself what would be right.
fn is_explained(message: &str) -> bool {
    ["unknown ", "give "].iter().any(|start| message.starts_with(start))
}

/// Whether a field says where a secret is.
fn is_secret(path: &str) -> bool {
    path.ends_with(".key") || path == TOKEN_FIELD
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "
listen: 127.0.0.1:8080
providers:
  openai: { api: openai, url: https://api.openai.com/v1, key: { env: WEIR_TEST_UNSET } }
models:
  gpt-4o: { targets: [{ provider: openai }] }
exporter: { url: http://127.0.0.1:4319 }
";

    #[test]
    fn a_gateway_becomes_the_plugins_configuration() {
        let gateway = Gateway::parse(GATEWAY).unwrap();
        let plugin = gateway.plugin().unwrap();
        assert_eq!(plugin.exporter.unwrap().cluster, EXPORTER_CLUSTER);
        assert_eq!(plugin.limits.request_body.0, 10 << 20);
    }

    #[test]
    fn a_missing_variable_is_explained_by_name() {
        let error = Gateway::parse(GATEWAY).unwrap().check_environment().unwrap_err();
        assert_eq!(
            error.to_string(),
            "providers.openai.key.env: the environment variable WEIR_TEST_UNSET is not set; \
             export it before Envoy is started"
        );
    }

    #[test]
    fn the_filter_may_read_what_says_where_envoy_runs_each_variable_once() {
        let gateway = Gateway::parse(&format!(
            "{GATEWAY}redaction: {{ hash_key: {{ env: POD_UID }}, exported: {{ content: keep, detectors: [email], replacement: hash }} }}\n"
        ));
        let gateway = gateway.unwrap();
        let variables = gateway.vm_variables();
        assert_eq!((gateway.filter_variables(), variables[0]), (vec!["POD_UID"], "POD_UID"));
        for name in ["HOSTNAME", "POD_NAME", "NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "POD_UID"] {
            assert_eq!(variables.iter().filter(|other| **other == name).count(), 1, "{name}");
        }
        let untraced = GATEWAY.replace("exporter: { url: http://127.0.0.1:4319 }", "");
        assert!(Gateway::parse(&untraced).unwrap().vm_variables().is_empty(), "nothing says it to anybody");
    }

    #[test]
    fn errors_name_the_field() {
        let cases = [
            (
                GATEWAY.replace("provider: openai }", "provider: opnai }"),
                "models.gpt-4o.targets[0].provider: no provider named \"opnai\"; did you mean \"openai\"?",
            ),
            (
                GATEWAY.replace("{ url: http:", "{ url: htp:"),
                "exporter.url: must begin with http:// or https://",
            ),
            (
                GATEWAY.replace("{ env: WEIR_TEST_UNSET }", "{ file: key }"),
                "providers.openai.key.file: key is not the absolute path of a file, which Envoy needs",
            ),
        ];
        for (yaml, message) in cases {
            assert_eq!(Gateway::parse(&yaml).unwrap_err().to_string(), message);
        }
        let error = Gateway::parse(&GATEWAY.replace("targets:", "target:")).unwrap_err().to_string();
        assert!(error.starts_with("models.gpt-4o") && error.contains("unknown field `target`"), "{error}");
        assert!(error.ends_with("; did you mean \"targets\"?"), "{error}");
        let error = Gateway::parse(&GATEWAY.replace("api: openai", "api: opnai")).unwrap_err().to_string();
        assert!(error.ends_with("; did you mean \"openai\"?"), "{error}");
        let error = Gateway::parse(&GATEWAY.replace("listen: 127.0.0.1:8080", "listen: here")).unwrap_err();
        assert!(error.to_string().starts_with("listen: "), "{error}");
    }

    #[test]
    fn a_key_in_the_wrong_place_is_in_no_error() {
        let places = [
            ("{ env: WEIR_TEST_UNSET }", "sk-canary"),
            ("{ env: WEIR_TEST_UNSET }", "12345678"),
            ("{ env: WEIR_TEST_UNSET }", "[sk-canary]"),
            ("{ env: WEIR_TEST_UNSET }", "{ env: WEIR_TEST_UNSET }, ky: sk-canary"),
            ("exporter: { url: http://127.0.0.1:4319 }", "exporter: { url: http://h, token: sk-canary }"),
            ("exporter:", "keys: sk-canary\nexporter:"),
            ("exporter:", "keys: [sk-canary]\nexporter:"),
            ("exporter:", "keys: [{ name: a, sha256: sk-canary }]\nexporter:"),
        ];
        for (there, wrong) in places {
            let error = Gateway::parse(&GATEWAY.replace(there, wrong)).unwrap_err().to_string();
            assert!(!error.contains("canary") && !error.contains("12345678"), "{error}");
        }
        let error =
            Gateway::parse(&GATEWAY.replace("{ env: WEIR_TEST_UNSET }", "sk")).unwrap_err().to_string();
        assert!(error.ends_with("never the secret itself"), "{error}");
    }
}
