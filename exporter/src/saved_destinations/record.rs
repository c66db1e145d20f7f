//! A destination as the page saves it, and how it becomes one that runs.
//!
//! What it says is checked by the same code as exporter.yaml, with an empty environment: nothing of the exporter's
//! own variables or files can be sent to an endpoint that is entered on the page. Secrets stand beside the
//! settings, sealed, by the path of their field.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Url, header::HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    changed::Changed,
    seal::{Origin, Place, SealError, Sealed, SealingKeys},
    static_config::General,
};
use crate::{
    config::{
        self, ConfigError,
        wire::{self, Header, SecretRef},
    },
    destination::{self, DestinationSettings, Kind, OtlpSettings, travels_in_the_clear},
    process::env::Env,
    secret::Secret,
};

/// The most headers of a destination.
const MAX_HEADERS: usize = 64;

/// The longest secret in bytes.
const MAX_SECRET: usize = 8 << 10;

/// The longest settings of a destination as JSON, in bytes.
const MAX_SETTINGS: usize = 64 << 10;

/// The field of Middleware's key.
const KEY: &str = "key";

/// The fields of secret headers begin with this.
const HEADERS: &str = "headers.";

/// What a header's name says where its value is a secret, whatever the one who enters it thinks.
const SECRET_NAMES: [&str; 6] = ["auth", "key", "token", "secret", "password", "cookie"];

/// Secrets by their field: `key`, or `headers.<name>`.
pub(super) type Secrets = BTreeMap<String, Secret>;

/// A destination as it lies in the bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The form of records; another one is not read.
    pub version: u32,
    /// The revision of the bucket that it was saved as, which its secrets are sealed for.
    pub revision: u64,
    /// As exporter.yaml has one, without its secrets.
    pub settings: Value,
    /// Its secrets.
    #[serde(default)]
    pub secrets: BTreeMap<String, Sealed>,
    /// Who saved it, when and from where.
    pub changed: Changed,
}

/// The form of records that is written and read.
pub(super) const VERSION: u32 = 2;

impl Record {
    /// What runs: its secrets opened and everything checked. `revision` is the one that it has in the bucket.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] of a field that does not fit, or of a secret that does not open.
    pub fn open(
        &self,
        name: &str,
        revision: u64,
        keys: &SealingKeys,
        general: &General,
    ) -> Result<DestinationSettings, ConfigError> {
        if self.version != VERSION {
            let message = format!("was saved by another version of the exporter (form {})", self.version);
            return Err(ConfigError::at(".", message));
        }
        let origin = if self.secrets.is_empty() { None } else { Some(self.origin(name, general)?) };
        let mut secrets = Secrets::new();
        if let Some(origin) = &origin {
            for (field, sealed) in &self.secrets {
                let opened = self.secret(sealed, &Place { destination: name, field, origin, revision }, keys);
                let opened = opened.map_err(|error| ConfigError::at(field.as_str(), error.to_string()))?;
                secrets.insert(field.clone(), opened);
            }
        }
        checked(name, &self.settings, &secrets, general)
    }

    /// One of its secrets, opened at the place where it lies.
    pub(super) fn secret(
        &self,
        sealed: &Sealed,
        place: &Place<'_>,
        keys: &SealingKeys,
    ) -> Result<Secret, SealError> {
        if self.revision != place.revision {
            return Err(SealError::PutBack { sealed: self.revision, found: place.revision });
        }
        keys.open(sealed, place)
    }

    /// Where its secrets may be sent.
    pub(super) fn origin(&self, name: &str, general: &General) -> Result<Origin, ConfigError> {
        origin(name, &self.settings, self.secrets.keys(), general)
    }

    /// Its settings as they are shown: of each secret that it is set, and how it ends.
    pub fn shown(&self) -> Value {
        let mut shown = self.settings.clone();
        if let Some(fields) = shown.as_object_mut() {
            for (field, Sealed { last4, .. }) in &self.secrets {
                let shown = json!({ "set": true, "last4": last4 });
                match field.strip_prefix(HEADERS) {
                    None => {
                        fields.insert(field.clone(), shown);
                    }
                    Some(header) => {
                        let headers = fields.entry("headers").or_insert_with(|| Value::Object(Map::new()));
                        if let Some(headers) = headers.as_object_mut() {
                            headers.insert(header.to_owned(), shown);
                        }
                    }
                }
            }
        }
        shown
    }

    /// The type that it says.
    pub fn kind(&self) -> Option<&str> {
        self.settings.get("type")?.as_str()
    }
}

/// Where the secrets of these settings may be sent, whatever they are.
pub(super) fn origin<'f>(
    name: &str,
    settings: &Value,
    fields: impl Iterator<Item = &'f String>,
    general: &General,
) -> Result<Origin, ConfigError> {
    let anything = fields.map(|field| (field.clone(), Secret::new("x"))).collect();
    match checked(name, settings, &anything, general)?.kind {
        Kind::Otlp(otlp) => Ok(Origin::of(&otlp.url)),
        Kind::Console | Kind::File(_) => Err(ConfigError::at("type", "has no use for a secret")),
    }
}

/// Checks settings with their secrets. Paths in errors are those within the destination.
///
/// # Errors
///
/// [`ConfigError`].
pub(super) fn checked(
    name: &str,
    settings: &Value,
    secrets: &Secrets,
    general: &General,
) -> Result<DestinationSettings, ConfigError> {
    let size = serde_json::to_vec(settings).map_or(usize::MAX, |bytes| bytes.len());
    let given = settings.get("headers").and_then(Value::as_object).map_or(0, Map::len);
    let headers = given + secrets.keys().filter(|field| field.starts_with(HEADERS)).count();
    if headers > MAX_HEADERS {
        let message = format!("may be {MAX_HEADERS} at most, these are {headers}");
        return Err(ConfigError::at("headers", message));
    }
    if size > MAX_SETTINGS {
        return Err(ConfigError::at(".", format!("is over {} KiB", MAX_SETTINGS >> 10)));
    }
    let mut one: wire::Destination = config::from_json(settings.clone()).map_err(of_the_field)?;
    of_the_page(&one)?;
    if one.proxy_from_environment == Some(true) && !general.proxy {
        let message = "can only be set where exporter.yaml lets the page use its proxy (settings: { \
                       proxy_from_environment: true }), which looks names up itself";
        return Err(ConfigError::at("proxy_from_environment", message));
    }
    with_secrets(&mut one, secrets)?;
    // What the environment says is for what the configuration names: no variable of the exporter's process goes
    // to an endpoint that was entered on the page.
    let env = Env::default();
    let found = destination::checked(name, &one, &general.of_the_page(&env));
    let found = found.map_err(|error| within(name, error))?;
    if let Kind::Otlp(traces) = &found.kind {
        let field = if one.endpoint.is_some() { "endpoint" } else { "tenant" };
        general.guard.allows_url(&traces.url).map_err(|why| ConfigError::at(field, why.to_string()))?;
        beside(traces, found.metrics.as_deref())?;
    }
    Ok(found)
}

/// Refuses what only exporter.yaml may say: it names what is on the exporter's machine.
fn of_the_page(one: &wire::Destination) -> Result<(), ConfigError> {
    let only = |field: &str, what: &str| {
        let message = format!("can only be set in exporter.yaml: it names {what} of the exporter's machine");
        Err(ConfigError::at(field, message))
    };
    for (field, is_given, what) in [
        ("type", one.kind == wire::Kind::File, "a file"),
        ("tls", one.tls.is_some(), "files"),
        ("recognizer", one.recognizer.is_some(), "a service"),
        ("key", one.key.is_some(), "a file or variable"),
    ] {
        if is_given {
            return only(field, what);
        }
    }
    let mut names = BTreeSet::new();
    for (name, value) in &one.headers {
        let (field, lower) = (format!("{HEADERS}{name}"), name.to_ascii_lowercase());
        if matches!(value, Header::Secret(_)) {
            return only(&field, "a file or variable");
        }
        if SECRET_NAMES.iter().any(|part| lower.contains(part)) {
            let message = "is a secret by its name: give it as one, so that it is sealed";
            return Err(ConfigError::at(field, message));
        }
        if !names.insert(lower) {
            return Err(ConfigError::at(field, "stands there twice: names of headers are read without case"));
        }
    }
    if one.kind == wire::Kind::Otlp && one.endpoint.as_ref().is_none_or(|url| url.trim().is_empty()) {
        return Err(ConfigError::at("endpoint", "must be set: it says where to send"));
    }
    let empty = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
    if one.kind == wire::Kind::Middleware && empty(&one.tenant) && empty(&one.endpoint) {
        let message = "must be set: it is the first part of your Middleware address";
        return Err(ConfigError::at("tenant", message));
    }
    Ok(())
}

fn with_secrets(one: &mut wire::Destination, secrets: &Secrets) -> Result<(), ConfigError> {
    for (field, secret) in secrets {
        if secret.expose().is_empty() {
            return Err(ConfigError::at(field.as_str(), "is empty"));
        }
        if secret.expose().len() > MAX_SECRET {
            let message = format!("is over {} KiB", MAX_SECRET >> 10);
            return Err(ConfigError::at(field.as_str(), message));
        }
        let given = SecretRef::Given(secret.clone());
        match field.strip_prefix(HEADERS) {
            None if field == KEY && one.kind == wire::Kind::Middleware => one.key = Some(given),
            None => {
                let message =
                    "is no secret of this type of destination: there are key (middleware) and headers.<name>";
                return Err(ConfigError::at(field.as_str(), message));
            }
            Some(header) => {
                HeaderName::from_bytes(header.as_bytes())
                    .map_err(|_| ConfigError::at(field.as_str(), "is not a header's name"))?;
                if one.headers.keys().any(|other| other.eq_ignore_ascii_case(header)) {
                    let message = "stands there twice: names of headers are read without case";
                    return Err(ConfigError::at(field.as_str(), message));
                }
                one.headers.insert(header.to_owned(), Header::Secret(given));
            }
        }
    }
    if one.kind == wire::Kind::Middleware && one.key.is_none() {
        return Err(ConfigError::at(KEY, "must be set: it authorizes what is sent"));
    }
    Ok(())
}

/// The secrets that go with the traces go with the metrics too, so these are pushed to the same place.
fn beside(traces: &OtlpSettings, metrics: Option<&OtlpSettings>) -> Result<(), ConfigError> {
    let Some(metrics) = metrics else { return Ok(()) };
    if Origin::of(&metrics.url) == Origin::of(&traces.url) {
        return Ok(());
    }
    let message = "must have the scheme, host and port of the traces' endpoint: the same headers go there";
    Err(ConfigError::at("metrics", message))
}

/// An error of the destination as a whole configuration has it, with the path within.
pub(super) fn within(name: &str, error: ConfigError) -> ConfigError {
    let whole = format!("destinations.{name}");
    let path = match error.path.strip_prefix(&whole) {
        Some("") => ".".to_owned(),
        Some(rest) => rest.trim_start_matches('.').to_owned(),
        None => return error,
    };
    // A secret that came from the page is in no variable: the field is the path up to where it stands.
    let path = path.strip_suffix(".env").unwrap_or(&path).to_owned();
    ConfigError { path, ..error }
}

/// An error of a field that is not known, or missing, as that field's own.
fn of_the_field(error: ConfigError) -> ConfigError {
    let starts = ["unknown field `", "missing field `"];
    let rest = starts.iter().find_map(|start| error.message.strip_prefix(start));
    let Some((name, _)) = rest.and_then(|rest| rest.split_once('`')) else { return error };
    let path = match error.path.as_str() {
        "." => name.to_owned(),
        // The reader may have come as far as the field itself.
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    ConfigError { path, ..error }
}

/// Why a secret was not sealed, as an error of its field.
pub(super) fn unsealed(field: &str, error: SealError) -> ConfigError {
    ConfigError::at(field, error.to_string())
}

/// What is allowed and yet worth a word, by field.
pub(super) fn warnings(found: &DestinationSettings, has_secrets: bool) -> Vec<ConfigError> {
    let Kind::Otlp(otlp) = &found.kind else { return Vec::new() };
    let mut warnings = Vec::new();
    if has_secrets && travels_in_the_clear(&otlp.url) {
        let message =
            "is plain http to another machine: the key and everything else can be read on the way; use https";
        warnings.push(ConfigError::at("endpoint", message));
    }
    if otlp.url.query().is_some() {
        let message =
            "has a query, which is kept and shown as it is: if there is a key in it, send it as a header";
        warnings.push(ConfigError::at("endpoint", message));
    }
    warnings
}

/// The field that says where a destination is: Middleware's is its tenant, unless it has an endpoint.
pub(super) fn place(settings: &Value) -> &'static str {
    let is_middleware = settings.get("type").and_then(Value::as_str) == Some("middleware");
    let has_endpoint = settings.get("endpoint").is_some_and(|endpoint| !endpoint.is_null());
    if is_middleware && !has_endpoint { "tenant" } else { "endpoint" }
}

/// The name that must be looked up to reach a destination; none where an address is given.
pub(super) fn looked_up(url: &Url) -> Option<String> {
    match url.host()? {
        url::Host::Domain(name) => Some(name.to_owned()),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Guard;

    fn general() -> General {
        General::default()
    }

    fn check(settings: &Value, secrets: &[(&str, &str)]) -> Result<DestinationSettings, ConfigError> {
        let secrets = secrets.iter().map(|(field, value)| ((*field).to_owned(), Secret::new(*value)));
        checked("d", settings, &secrets.collect(), &general())
    }

    #[test]
    fn each_bad_input_is_refused_by_its_field_and_no_secret_is_shown() {
        let otlp = |more: Value| {
            let mut all = json!({ "type": "otlp", "endpoint": "https://h.example/v1/traces" });
            for (name, value) in more.as_object().unwrap() {
                all[name] = value.clone();
            }
            all
        };
        let many: Map<String, Value> = (0..10_000).map(|n| (format!("x-{n}"), json!("v"))).collect();
        for (settings, secrets, field) in [
            (otlp(json!({ "endpoint": "not a url" })), &[][..], "endpoint"),
            (otlp(json!({ "endpoint": "grpc://h:4317" })), &[], "endpoint"),
            (otlp(json!({ "endpoint": "http://169.254.169.254/" })), &[], "endpoint"),
            (otlp(json!({ "endpoint": "https://metadata.google.internal/" })), &[], "endpoint"),
            (otlp(json!({ "endpoint": "" })), &[], "endpoint"),
            (otlp(json!({ "endpont": "x" })), &[], "endpont"),
            (otlp(json!({ "headers": many })), &[], "headers"),
            (otlp(json!({})), &[("headers.x-api-key", "canary\nx: y")], "headers.x-api-key"),
            (otlp(json!({})), &[("headers.a b", "canary")], "headers.a b"),
            (otlp(json!({})), &[("key", "canary")], "key"),
            (otlp(json!({})), &[("headers.host", "canary")], "headers.host"),
            (otlp(json!({ "headers": { "X-A": "1" } })), &[("headers.x-a", "canary")], "headers.x-a"),
            (otlp(json!({ "headers": { "Authorization": "canary" } })), &[], "headers.Authorization"),
            (otlp(json!({ "headers": { "x-a": { "env": "HOME" } } })), &[], "headers.x-a"),
            (otlp(json!({ "headers": { "x-a": { "file": "/etc/shadow" } } })), &[], "headers.x-a"),
            (otlp(json!({ "tls": { "ca": "/etc/passwd" } })), &[], "tls"),
            (otlp(json!({ "metrics": "https://elsewhere.example/v1/metrics" })), &[], "metrics"),
            (otlp(json!({ "timeout": 5 })), &[], "timeout"),
            (otlp(json!({ "batch": { "events": 0 } })), &[], "batch.events"),
            (json!({ "type": "file", "path": "/etc/cron.d/x" }), &[], "type"),
            (json!({ "type": "nothing" }), &[], "type"),
            (json!({ "type": "middleware", "tenant": "acme" }), &[], "key"),
            (json!({ "type": "middleware", "tenant": "acme", "key": "canary" }), &[], "key"),
            (json!({ "type": "middleware" }), &[("key", "canary-canary")], "tenant"),
            (json!({ "type": "middleware", "tenant": "a.b" }), &[("key", "canary-canary")], "tenant"),
            (json!({ "type": "middleware", "tenant": "acme" }), &[("key", "canary\n")], "key"),
            (json!({ "type": "middleware", "tenant": "acme" }), &[("key", "")], "key"),
            (json!([]), &[], "."),
        ] {
            let shown = settings.to_string();
            let error = check(&settings, secrets).expect_err(&shown);
            assert_eq!(error.path, field, "{shown}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_secret_goes_where_its_field_says() {
        let found = check(
            &json!({ "type": "middleware", "tenant": "acme" }),
            &[("key", "k3y"), ("headers.x-b", "b")],
        );
        let Kind::Otlp(otlp) = found.unwrap().kind else { panic!("it posts") };
        assert_eq!(otlp.headers["authorization"], "k3y");
        assert_eq!(otlp.headers["x-b"], "b");
        assert!(otlp.headers.values().all(reqwest::header::HeaderValue::is_sensitive));
        assert_eq!((otlp.guard, otlp.proxy), (Some(general().guard), false));
    }

    #[test]
    fn this_machine_and_the_environments_proxy_are_for_whom_the_configuration_lets_use_them() {
        let check = |settings: &Value, general: &General| checked("d", settings, &Secrets::new(), general);
        let local = json!({ "type": "otlp", "endpoint": "http://127.0.0.1:4318/v1/traces" });
        assert!(check(&local, &general()).is_ok());
        let remote = General { guard: Guard { loopback: false }, ..general() };
        let refused = check(&local, &remote).unwrap_err();
        assert!(refused.path == "endpoint" && refused.message.contains("loopback: true"), "{refused}");
        let admin = json!({ "type": "otlp", "endpoint": "http://127.0.0.1:9901/quitquitquit" });
        assert_eq!(check(&admin, &general()).unwrap_err().path, "endpoint");

        let proxied = json!({ "type": "otlp", "endpoint": "https://h.example/v1/traces", "proxy_from_environment": true });
        assert_eq!(check(&proxied, &general()).unwrap_err().path, "proxy_from_environment");
        let allowing = General { proxy: true, ..general() };
        let Kind::Otlp(otlp) = check(&proxied, &allowing).unwrap().kind else { panic!("it posts") };
        assert!(otlp.proxy && otlp.guard.is_some());
    }

    #[test]
    fn nothing_of_the_environment_goes_to_an_endpoint_of_the_page() {
        let env = Env::from_iter([("MW_API_KEY", "canary"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=canary")]);
        let general = General { env, ..General::default() };
        let settings = json!({ "type": "middleware", "endpoint": "https://evil.example" });
        assert_eq!(checked("d", &settings, &Secrets::new(), &general).unwrap_err().path, "key");
        let settings = json!({ "type": "otlp", "endpoint": "https://evil.example/v1/traces" });
        let Kind::Otlp(otlp) = checked("d", &settings, &Secrets::new(), &general).unwrap().kind else {
            panic!("it posts")
        };
        assert!(otlp.headers.is_empty());
    }

    #[test]
    fn a_sealed_secret_that_is_moved_to_another_host_does_not_open() {
        let key = SealingKeys::generate().unwrap();
        let env = Env::from_iter([(super::super::seal::KEY_VARIABLE, key.as_str())]);
        let keys = SealingKeys::find(None, &env).unwrap();
        let settings = json!({ "type": "otlp", "endpoint": "https://h.example/v1/traces" });
        let fields = ["headers.x-api-key".to_owned()];
        let origin = origin("d", &settings, fields.iter(), &general()).unwrap();
        let place = Place { destination: "d", field: &fields[0], origin: &origin, revision: 7 };
        let sealed = keys.seal(&Secret::new("canary-canary"), &place).unwrap();
        let record = Record {
            version: VERSION,
            revision: 7,
            settings,
            secrets: [(fields[0].clone(), sealed)].into(),
            changed: Changed::default(),
        };
        assert!(record.open("d", 7, &keys, &general()).is_ok());
        assert_eq!(record.shown()["headers"]["x-api-key"], json!({ "set": true, "last4": "nary" }));
        for url in ["https://evil.example/v1/traces", "http://h.example/v1/traces", "https://h.example:8443/"]
        {
            let mut moved = record.clone();
            moved.settings["endpoint"] = json!(url);
            let error = moved.open("d", 7, &keys, &general()).unwrap_err();
            assert_eq!(error.path, "headers.x-api-key");
            assert!(error.message.contains("another destination, field, scheme, host or port"), "{error}");
        }
        assert!(record.open("other", 7, &keys, &general()).is_err());
        let put_back = record.open("d", 9, &keys, &general()).unwrap_err();
        assert!(put_back.message.contains("saved as revision 7 and lies there as 9"), "{put_back}");
        let lying = Record { revision: 9, ..record.clone() }.open("d", 9, &keys, &general());
        assert!(lying.unwrap_err().message.contains("does not open"));
        let settings = json!({ "type": "otlp", "endpoint": "https://h.example/another/path" });
        assert!(Record { settings, ..record }.open("d", 7, &keys, &general()).is_ok());
    }

    #[test]
    fn a_key_over_plain_http_is_warned_of_but_not_to_loopback() {
        let warned = |url: &str| {
            let found = check(&json!({ "type": "otlp", "endpoint": url }), &[("headers.x-api-key", "k")]);
            warnings(&found.unwrap(), true).into_iter().map(|warning| warning.path).collect::<Vec<_>>()
        };
        assert_eq!(warned("http://h.example/v1/traces"), ["endpoint"]);
        assert!(warned("http://127.0.0.1:4318/v1/traces").is_empty());
        assert!(warned("https://h.example/v1/traces").is_empty());
        assert_eq!(warned("https://h.example/v1/traces?key=x"), ["endpoint"]);
    }
}
