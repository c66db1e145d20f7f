//! The resource of an Envoy: which attributes it may have, how many of them and how long, and which
//! environment variables they come from. The filter and ingest check by the same rules.
//!
//! Names are those of OpenTelemetry's resource conventions; what has none is under `weir.envoy.`.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Most attributes of a resource.
pub const MAX_ATTRIBUTES: usize = 32;
/// Longest name of an attribute, in bytes.
pub const MAX_NAME: usize = 128;
/// Longest value of an attribute, in bytes.
pub const MAX_VALUE: usize = 256;
/// Most bytes of all names and values together. Ingest appends them to each event that it stores.
pub const MAX_BYTES: usize = 4096;

/// Tells one instance of a service from the others.
pub const INSTANCE_ID: &str = "service.instance.id";
/// The host's name.
pub const HOST_NAME: &str = "host.name";
/// The pod's name.
pub const POD_NAME: &str = "k8s.pod.name";
/// The pod's id, which no other pod ever has.
pub const POD_UID: &str = "k8s.pod.uid";

/// What names of attributes begin with.
const PREFIXES: [&str; 6] = ["host.", "container.", "k8s.", "cloud.", "os.", "weir.envoy."];
/// The other names.
const NAMES: [&str; 2] = [INSTANCE_ID, "deployment.environment.name"];

/// Where the standard names attributes (OpenTelemetry specification, "Resource SDK").
pub const OTEL_VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Attributes by the variables that name them; the first that is set counts. `HOSTNAME` is set by container
/// runtimes, the names without a prefix are those of the downward API as charts and Istio write it, `ENVOY_`
/// is Envoy Gateway's.
pub const VARIABLES: [(&str, &[&str]); 11] = [
    (HOST_NAME, &["HOSTNAME"]),
    ("host.id", &["HOST_ID"]),
    ("container.id", &["CONTAINER_ID"]),
    (POD_NAME, &["K8S_POD_NAME", "POD_NAME", "ENVOY_POD_NAME"]),
    (POD_UID, &["K8S_POD_UID", "POD_UID"]),
    ("k8s.pod.ip", &["K8S_POD_IP", "POD_IP", "INSTANCE_IP"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE", "ENVOY_POD_NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME", "DEPLOYMENT_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME", "CONTAINER_NAME"]),
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME", "CLUSTER_NAME"]),
];

/// Whether an Envoy's resource may have an attribute of this name. Others, such as `service.name`, are for the
/// exporter's operator to set.
pub fn is_allowed(name: &str) -> bool {
    let has_prefix = |prefix: &&str| name.strip_prefix(*prefix).is_some_and(|rest| !rest.is_empty());
    name.len() <= MAX_NAME
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && (NAMES.contains(&name) || PREFIXES.iter().any(has_prefix))
}

/// The attributes of a resource, never more or longer than is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounded {
    attributes: BTreeMap<String, String>,
    bytes: usize,
}

impl Bounded {
    /// Adds an attribute. False where it is left out: its name is not allowed or is there already, its value is
    /// empty, too long or has control characters, or there is no room for it.
    pub fn add(&mut self, name: &str, value: &str) -> bool {
        let bytes = self.bytes.saturating_add(name.len()).saturating_add(value.len());
        let fits = is_allowed(name)
            && (1..=MAX_VALUE).contains(&value.len())
            && !value.chars().any(char::is_control)
            && bytes <= MAX_BYTES
            && self.attributes.len() < MAX_ATTRIBUTES
            && !self.attributes.contains_key(name);
        if fits {
            self.bytes = bytes;
            self.attributes.insert(name.to_owned(), value.to_owned());
        }
        fits
    }

    /// The attributes by name.
    pub fn into_attributes(self) -> BTreeMap<String, String> {
        self.attributes
    }
}

/// The attributes of [`OTEL_VARIABLE`]: `key=value,key=value`, percent-encoded. An error is the number, from 1, of an
/// entry that is not a key and a value. The whole variable is to be discarded then, as the specification asks.
pub fn parse(list: &str) -> Result<Vec<(String, String)>, usize> {
    let decoded =
        |text: &str| percent_decode_str(text.trim()).decode_utf8().map(std::borrow::Cow::into_owned);
    let entries = list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty());
    entries
        .map(|(position, entry)| {
            let pair = entry
                .split_once('=')
                .and_then(|(name, value)| Some((decoded(name).ok()?, decoded(value).ok()?)));
            pair.ok_or(position.saturating_add(1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_containers_and_pods_are_allowed_and_others_are_not() {
        for name in ["host.name", "container.id", "k8s.pod.label.app", "service.instance.id", "cloud.region"]
        {
            assert!(is_allowed(name), "{name}");
        }
        let long = format!("host.{}", "x".repeat(MAX_NAME));
        for name in ["service.name", "mw.account_key", "hostname", "host.", "", "k8s.ü", "host.a b", &long] {
            assert!(!is_allowed(name), "{name}");
        }
    }

    #[test]
    fn a_resource_is_never_larger_than_is_allowed() {
        let mut resource = Bounded::default();
        assert!(resource.add("host.name", "a") && !resource.add("host.name", "b"));
        assert!(!resource.add("host.id", "") && !resource.add("host.id", "a\nb"));
        assert!(!resource.add("host.id", &"x".repeat(MAX_VALUE + 1)));
        assert!(resource.add("host.id", &"x".repeat(MAX_VALUE)));
        let added = (0..100).filter(|n| resource.add(&format!("os.{n}"), "v")).count();
        assert_eq!(added, MAX_ATTRIBUTES - 2);
        let mut resource = Bounded::default();
        let added = (0..100).filter(|n| resource.add(&format!("os.{n:03}"), &"v".repeat(MAX_VALUE))).count();
        assert_eq!(added, MAX_BYTES / (MAX_VALUE + 6));
        assert_eq!(resource.into_attributes()["os.000"].len(), MAX_VALUE);
    }

    #[test]
    fn the_specifications_variable_is_decoded_or_refused_whole() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse("a=1, b=x%2Cy,"), Ok(vec![pair("a", "1"), pair("b", "x,y")]));
        assert_eq!((parse(""), parse("a=1,b"), parse("a=%ff")), (Ok(Vec::new()), Err(2), Err(1)));
    }
}
