//! The resource of spans: that of the Envoy which served the request, as ingest appended it to the event, under what
//! the operator says of all spans. What the exporter finds out of itself (host, container, Kubernetes) is on its own
//! metrics, and on spans of events that have no resource, as those of older gateways.
//!
//! Kubernetes is known by what the downward API puts into variables; the names of variables are those that
//! charts commonly use. `OTEL_RESOURCE_ATTRIBUTES` is read as the specification says ("Resource SDK").

use std::{collections::BTreeMap, fs};

use weir_event::resource::{INSTANCE_ID, OTEL_VARIABLE as OTEL, VARIABLES, is_allowed, parse};

use crate::{config::ConfigError, process::env::Env};

/// Attributes by name.
pub type Attributes = BTreeMap<String, String>;

/// The attributes of a destination's spans and metrics, by where they come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What is true of the exporter's process alone.
    own: Attributes,
    /// What is true of an Envoy too, unless it says otherwise.
    common: Attributes,
    /// What the configuration says, whatever else is known.
    configured: Attributes,
}

impl Resource {
    /// What was found out of the exporter's process, and what its environment says.
    pub fn new(detected: Attributes, variables: Attributes) -> Self {
        let (of_process, common) = variables.into_iter().partition(|(name, _)| is_of_process(name));
        let mut own = detected;
        own.extend::<Attributes>(of_process);
        Self { own, common, configured: Attributes::new() }
    }

    /// Adds what the configuration says.
    pub fn configure(&mut self, attributes: Attributes) {
        self.configured.extend(attributes);
    }

    /// The exporter's own.
    pub fn of_exporter(&self) -> Attributes {
        over(over(self.own.clone(), &self.common), &self.configured)
    }

    /// That of an event's spans, by the resource that the event carries; the exporter's own where it carries none.
    pub fn of(&self, served_by: &Attributes) -> Attributes {
        // Ingest let nothing else through, but what is stored may be older than that.
        let allowed =
            |(name, value): (&String, &String)| is_allowed(name).then(|| (name.clone(), value.clone()));
        let served_by: Attributes = served_by.iter().filter_map(allowed).collect();
        if served_by.is_empty() {
            return self.of_exporter();
        }
        over(over(self.common.clone(), &served_by), &self.configured)
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        let name = crate::spans::names::SERVICE_NAME;
        self.configured.get(name).or_else(|| self.common.get(name)).map_or("", String::as_str)
    }
}

impl From<Attributes> for Resource {
    /// What a configuration says.
    fn from(configured: Attributes) -> Self {
        Self { configured, ..Self::default() }
    }
}

fn over(mut attributes: Attributes, stronger: &Attributes) -> Attributes {
    attributes.extend(stronger.iter().map(|(name, value)| (name.clone(), value.clone())));
    attributes
}

/// Whether an attribute says where a process runs, so that one of the exporter's is none of an Envoy's. A cluster is
/// where both are.
fn is_of_process(name: &str) -> bool {
    let of_cluster = name.starts_with("k8s.cluster.");
    name == INSTANCE_ID
        || ["host.", "container.", "k8s.", "os."].iter().any(|prefix| name.starts_with(prefix)) && !of_cluster
}

/// What can be found out.
///
/// # Errors
///
/// [`ConfigError`] where a variable is not UTF-8.
pub fn detect(env: &Env) -> Result<Attributes, ConfigError> {
    let mut found = Attributes::new();
    let read = |path: &str| fs::read_to_string(path).ok();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()) {
            found.insert(name.to_owned(), value);
        }
    };
    add("host.name", read("/proc/sys/kernel/hostname"));
    add("host.id", read("/etc/machine-id"));
    add("host.arch", Some(arch().to_owned()));
    add("os.type", Some(std::env::consts::OS.to_owned()));
    add("container.id", read("/proc/self/mountinfo").and_then(|text| container_id(&text)));
    for (name, variables) in VARIABLES.iter().filter(|(name, _)| name.starts_with("k8s.")) {
        add(name, env.first(variables)?.map(|(_, value)| value));
    }
    Ok(found)
}

/// Attributes of `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, percent-encoded.
///
/// # Errors
///
/// [`ConfigError`] where an entry is none: the whole variable is refused, as the specification asks.
pub fn from_variable(env: &Env) -> Result<Attributes, ConfigError> {
    let malformed =
        |entry| ConfigError::at(OTEL, format!("entry {entry} must be key=value, percent-encoded"));
    Ok(parse(&env.get(OTEL)?.unwrap_or_default()).map_err(malformed)?.into_iter().collect())
}

/// By the names of the conventions (`host.arch`).
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The id that a container's runtime puts into the paths of its mounts: 64 hex digits.
fn container_id(mounts: &str) -> Option<String> {
    let is_id = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let own = |line: &&str| line.contains("/containers/") || line.contains("/sandboxes/");
    mounts
        .lines()
        .filter(own)
        .flat_map(|line| line.split(['/', ' ']))
        .find(|part| is_id(part))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_downward_api_names_the_pod() {
        let env = Env::from_iter([("POD_NAME", "weir-0"), ("K8S_NAMESPACE", "ai"), ("NODE_NAME", "")]);
        let found = detect(&env).unwrap();
        assert_eq!(found["k8s.pod.name"], "weir-0");
        assert_eq!(found["k8s.namespace.name"], "ai");
        assert!(!found.contains_key("k8s.node.name"));
        assert!(!found["host.name"].is_empty());
    }

    #[test]
    fn the_variable_of_the_specification_is_decoded_or_refused_whole() {
        let read = |list: &str| from_variable(&Env::from_iter([(OTEL, list)]));
        let found = read("deployment.environment.name=prod, team=a%2Cb,").unwrap();
        assert_eq!(found["deployment.environment.name"], "prod");
        assert_eq!(found["team"], "a,b");
        assert!(read("a=1,b").unwrap_err().to_string().contains("entry 2"));
        assert!(from_variable(&Env::default()).unwrap().is_empty());
    }

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_event_that_says_where_it_was_served_has_nothing_of_the_exporters_process() {
        let detected = attributes(&[("host.name", "exporter"), ("host.id", "e"), ("os.type", "linux")]);
        let variables = attributes(&[
            ("service.name", "svc"),
            ("deployment.environment.name", "prod"),
            ("k8s.pod.uid", "of-exporter"),
            ("service.instance.id", "of-exporter"),
            ("k8s.cluster.name", "eu"),
        ]);
        let mut resource = Resource::new(detected, variables);
        resource.configure(attributes(&[("team", "a"), ("k8s.node.name", "by-hand")]));
        let served_by = attributes(&[
            ("host.name", "envoy"),
            ("k8s.node.name", "node-7"),
            ("service.name", "a-lie"),
            ("mw.account_key", "a-lie"),
        ]);
        let expected = attributes(&[
            ("deployment.environment.name", "prod"),
            ("host.name", "envoy"),
            ("k8s.cluster.name", "eu"),
            ("k8s.node.name", "by-hand"),
            ("service.name", "svc"),
            ("team", "a"),
        ]);
        assert_eq!(resource.of(&served_by), expected);
        assert_eq!(resource.of(&attributes(&[("k8s.cluster.name", "us")]))["k8s.cluster.name"], "us");
        let own = resource.of(&Attributes::new());
        assert_eq!(own, resource.of_exporter());
        assert_eq!(own, resource.of(&attributes(&[("service.name", "a-lie")])));
        assert_eq!((own["host.name"].as_str(), own["k8s.pod.uid"].as_str()), ("exporter", "of-exporter"));
        assert_eq!((own.len(), resource.service()), (10, "svc"));
    }

    #[test]
    fn a_container_is_known_by_its_mounts() {
        let id = "ab".repeat(32);
        let mounts = format!(
            "1 2 0:1 / / rw - overlay overlay rw\n3 4 0:2 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4\n"
        );
        assert_eq!(container_id(&mounts), Some(id));
        assert_eq!(container_id("1 2 0:1 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
