//! What is known of where the exporter runs, as resource attributes: host, container, Kubernetes.
//!
//! Kubernetes is known by what the downward API puts into variables; the names of variables are those that
//! charts commonly use. `OTEL_RESOURCE_ATTRIBUTES` is read as the specification says ("Resource SDK").

use std::{collections::BTreeMap, fs};

use percent_encoding::percent_decode_str;

use crate::{config::ConfigError, env::Env};

/// Attributes by name.
pub type Attributes = BTreeMap<String, String>;

/// Where the standard names resource attributes.
const OTEL: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Attributes from variables of the downward API, each by the first variable that is set.
const KUBERNETES: [(&str, &[&str]); 8] = [
    ("k8s.pod.name", &["K8S_POD_NAME", "POD_NAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "POD_UID"]),
    ("k8s.pod.ip", &["K8S_POD_IP", "POD_IP"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME", "CONTAINER_NAME"]),
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME", "CLUSTER_NAME"]),
];

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
    for (name, variables) in KUBERNETES {
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
    let mut found = Attributes::new();
    let list = env.get(OTEL)?.unwrap_or_default();
    for (position, entry) in list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
        let malformed =
            || ConfigError::at(OTEL, format!("entry {} must be key=value, percent-encoded", position + 1));
        let (name, value) = entry.split_once('=').ok_or_else(malformed)?;
        let decoded = |text: &str| {
            percent_decode_str(text.trim())
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| malformed())
        };
        found.insert(decoded(name)?, decoded(value)?);
    }
    Ok(found)
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
