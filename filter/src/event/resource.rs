//! The resource of this Envoy: what its environment and its node say of where it runs.
//!
//! Pure: variables and the node's properties come in as lookups, and each is asked once, when a plugin is
//! configured. Where several sources name an attribute, the operator's own word counts first
//! (`OTEL_RESOURCE_ATTRIBUTES`), then the environment, then the node's metadata. What comes out is within the
//! bounds of [`weir_event::resource`].

use std::collections::BTreeMap;

use weir_event::resource::{
    Bounded, HOST_NAME, INSTANCE_ID, MAX_VALUE, OTEL_VARIABLE, POD_NAME, POD_UID, VARIABLES, parse,
};

/// The id and the cluster of the node that `weir-config` renders, since without them Envoy takes no files for secrets.
/// They are the same for all, so they are no part of a resource.
pub const DEFAULT_NODE: &str = "weir";

/// The id of Envoy's node.
const NODE_ID: &str = "weir.envoy.node.id";
/// The cluster that Envoy's node is in.
const NODE_CLUSTER: &str = "weir.envoy.node.cluster";

/// What Istio writes into the node's metadata (Istio, `pkg/model/proxy.go`, `NodeMetadata`), and what cloud providers
/// say to its agent (`pkg/bootstrap/platform`).
const METADATA: [(&str, &[&str]); 10] = [
    (POD_NAME, &["NAME"]),
    ("k8s.namespace.name", &["NAMESPACE"]),
    ("k8s.node.name", &["NODE_NAME"]),
    ("k8s.cluster.name", &["CLUSTER_ID"]),
    ("host.id", &["PLATFORM_METADATA", "aws_instance_id"]),
    ("host.id", &["PLATFORM_METADATA", "gcp_gce_instance_id"]),
    ("cloud.region", &["PLATFORM_METADATA", "aws_region"]),
    ("cloud.availability_zone", &["PLATFORM_METADATA", "aws_availability_zone"]),
    ("cloud.availability_zone", &["PLATFORM_METADATA", "gcp_location"]),
    ("cloud.account.id", &["PLATFORM_METADATA", "gcp_project"]),
];

/// The kinds of workloads in Istio's `OWNER`, and the attributes of their names.
const WORKLOADS: [(&str, &str); 5] = [
    ("deployments", "k8s.deployment.name"),
    ("statefulsets", "k8s.statefulset.name"),
    ("daemonsets", "k8s.daemonset.name"),
    ("jobs", "k8s.job.name"),
    ("cronjobs", "k8s.cronjob.name"),
];

/// What gets room first, before the attributes of variables; the operator's further ones come last.
const FIRST: [&str; 2] = [INSTANCE_ID, NODE_ID];

/// Finds an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;
/// Finds a property of Envoy's node by its path below `node`.
pub type Node<'a> = &'a dyn Fn(&[&str]) -> Option<String>;

/// The environment variables that are read.
pub fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().flat_map(|(_, names)| names.iter().copied()).chain([OTEL_VARIABLE])
}

/// The resource of this Envoy; empty where nothing is known of it.
pub fn of_envoy(variable: Variables<'_>, node: Node<'_>) -> BTreeMap<String, String> {
    let mut found = Found::default();
    // Discarded whole where an entry is none, as the specification asks.
    for (name, value) in variable(OTEL_VARIABLE).and_then(|list| parse(&list).ok()).unwrap_or_default() {
        found.add(&name, Some(value));
    }
    for (name, variables) in VARIABLES {
        found.add(
            name,
            variables.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty())),
        );
    }
    for (name, path) in METADATA {
        found.add(name, metadata(node, path));
    }
    let (name, value) = workload(node);
    found.add(name, value);
    let addresses = metadata(node, &["INSTANCE_IPS"]);
    found.add("k8s.pod.ip", addresses.and_then(|all| all.split(',').next().map(str::to_owned)));
    found.add("cloud.region", node(&["locality", "region"]));
    found.add("cloud.availability_zone", node(&["locality", "zone"]));
    let own = |value: &String| value != DEFAULT_NODE;
    found.add(NODE_ID, node(&["id"]).filter(own));
    found.add(NODE_CLUSTER, node(&["cluster"]).filter(own));
    let instance =
        [NODE_ID, POD_UID, POD_NAME, HOST_NAME].iter().find_map(|name| found.0.get(*name).cloned());
    found.add(INSTANCE_ID, instance);
    found.bounded()
}

fn metadata(node: Node<'_>, path: &[&str]) -> Option<String> {
    node(&[&["metadata"], path].concat())
}

/// The name of the workload, under the attribute of its kind. Without an owner it is taken for a deployment's.
fn workload(node: Node<'_>) -> (&'static str, Option<String>) {
    // `kubernetes://apis/apps/v1/namespaces/shop/deployments/chat`
    let owner = metadata(node, &["OWNER"]).unwrap_or_default();
    let mut parts = owner.rsplit('/');
    let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match WORKLOADS.iter().find(|(workloads, _)| *workloads == kind) {
        Some((_, attribute)) => (attribute, Some(name.to_owned())),
        None if owner.is_empty() => ("k8s.deployment.name", metadata(node, &["WORKLOAD_NAME"])),
        None => ("k8s.deployment.name", None),
    }
}

/// What was found so far.
#[derive(Default)]
struct Found(BTreeMap<String, String>);

impl Found {
    /// Adds an attribute where it has a value that fits and is not there yet.
    fn add(&mut self, name: &str, value: Option<String>) {
        let value = value.map(|value| value.trim().to_owned());
        if let Some(value) = value.filter(|value| (1..=MAX_VALUE).contains(&value.len())) {
            self.0.entry(name.to_owned()).or_insert(value);
        }
    }

    fn bounded(self) -> BTreeMap<String, String> {
        let mut bounded = Bounded::default();
        let known = FIRST.into_iter().chain(VARIABLES.iter().map(|(name, _)| *name));
        for (name, value) in known.filter_map(|name| self.0.get_key_value(name)).chain(&self.0) {
            bounded.add(name, value);
        }
        bounded.into_attributes()
    }
}

#[cfg(test)]
mod tests {
    use weir_event::resource::{MAX_ATTRIBUTES, MAX_BYTES};

    use super::*;

    fn resource(variables: &[(&str, &str)], node: &[(&str, &str)]) -> BTreeMap<String, String> {
        let find = |all: &[(&str, &str)], name: &str| {
            all.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        of_envoy(&|name| find(variables, name), &|path| find(node, &path.join(".")))
    }

    fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_pods_environment_names_it() {
        let variables = [
            ("HOSTNAME", "gateway-5d9"),
            ("POD_NAME", "gateway-5d9"),
            ("POD_NAMESPACE", "weir"),
            ("POD_UID", "0b5c"),
            ("NODE_NAME", "node-7"),
            ("DEPLOYMENT_NAME", "gateway"),
            ("CONTAINER_ID", " 4f2a\n"),
            ("K8S_CLUSTER_NAME", ""),
        ];
        let found = resource(&variables, &[("id", DEFAULT_NODE), ("cluster", DEFAULT_NODE)]);
        let all = [
            ("container.id", "4f2a"),
            ("host.name", "gateway-5d9"),
            ("k8s.deployment.name", "gateway"),
            ("k8s.namespace.name", "weir"),
            ("k8s.node.name", "node-7"),
            ("k8s.pod.name", "gateway-5d9"),
            ("k8s.pod.uid", "0b5c"),
            ("service.instance.id", "0b5c"),
        ];
        assert_eq!(found, expected(&all));
    }

    #[test]
    fn istios_node_names_the_pod_where_the_environment_does_not() {
        let node = [
            ("id", "sidecar~10.1.2.3~chat-7f.shop~shop.svc.cluster.local"),
            ("cluster", "chat.shop"),
            ("locality.region", "eu-west-1"),
            ("metadata.NAME", "chat-7f"),
            ("metadata.NAMESPACE", "shop"),
            ("metadata.NODE_NAME", "node-7"),
            ("metadata.CLUSTER_ID", "eu"),
            ("metadata.INSTANCE_IPS", "10.1.2.3,fe80::1"),
            ("metadata.WORKLOAD_NAME", "chat"),
            ("metadata.OWNER", "kubernetes://apis/apps/v1/namespaces/shop/statefulsets/chat"),
            ("metadata.PLATFORM_METADATA.aws_instance_id", "i-07"),
        ];
        let found = resource(&[("POD_NAME", "by-environment")], &node);
        let all = [
            ("cloud.region", "eu-west-1"),
            ("host.id", "i-07"),
            ("k8s.cluster.name", "eu"),
            ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "node-7"),
            ("k8s.pod.ip", "10.1.2.3"),
            ("k8s.pod.name", "by-environment"),
            ("k8s.statefulset.name", "chat"),
            ("service.instance.id", "sidecar~10.1.2.3~chat-7f.shop~shop.svc.cluster.local"),
            ("weir.envoy.node.cluster", "chat.shop"),
            ("weir.envoy.node.id", "sidecar~10.1.2.3~chat-7f.shop~shop.svc.cluster.local"),
        ];
        assert_eq!(found, expected(&all));
    }

    #[test]
    fn a_workload_is_named_by_its_kind_and_not_at_all_where_that_is_not_known() {
        let of = |owner| resource(&[], &[("metadata.OWNER", owner), ("metadata.WORKLOAD_NAME", "w")]);
        assert_eq!(of("kubernetes://apis/batch/v1/namespaces/n/jobs/j"), expected(&[("k8s.job.name", "j")]));
        assert_eq!(of(""), expected(&[("k8s.deployment.name", "w")]));
        assert_eq!(of("kubernetes://apis/argoproj.io/v1/namespaces/n/rollouts/r"), expected(&[]));
    }

    #[test]
    fn the_operators_word_counts_first_and_only_for_what_is_an_envoys() {
        let list = "k8s.pod.name=own,service.instance.id=i-1,service.name=not-ours,mw.account_key=k,team=a";
        let found = resource(&[(OTEL_VARIABLE, list), ("POD_NAME", "pod")], &[("id", "edge-1")]);
        let all = [("k8s.pod.name", "own"), ("service.instance.id", "i-1"), ("weir.envoy.node.id", "edge-1")];
        assert_eq!(found, expected(&all));
        assert_eq!(resource(&[(OTEL_VARIABLE, "host.id=a,nonsense")], &[]), expected(&[]));
    }

    #[test]
    fn an_instance_is_told_apart_by_the_best_that_is_known() {
        let instance = |variables: &[(&str, &str)], node: &str| {
            resource(variables, &[("id", node)]).remove(INSTANCE_ID).unwrap_or_default()
        };
        let all = [("POD_UID", "uid"), ("POD_NAME", "pod"), ("HOSTNAME", "host")];
        assert_eq!(instance(&all, "edge-1"), "edge-1");
        assert_eq!(instance(&all, DEFAULT_NODE), "uid");
        assert_eq!(instance(&all[1..], ""), "pod");
        assert_eq!(instance(&all[2..], ""), "host");
        assert_eq!(resource(&[], &[("id", DEFAULT_NODE)]), expected(&[]));
    }

    #[test]
    fn however_much_there_is_it_is_bounded_and_what_tells_envoys_apart_stays() {
        let many: String = (0..500).map(|n| format!("cloud.a{n}={},", "v".repeat(200))).collect();
        let variables = [(OTEL_VARIABLE, many.as_str()), ("HOSTNAME", "host"), ("POD_NAME", "pod")];
        let found = resource(&variables, &[("id", &"n".repeat(MAX_VALUE + 1))]);
        let bytes: usize = found.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(found.len() <= MAX_ATTRIBUTES && bytes <= MAX_BYTES, "{} of {bytes} bytes", found.len());
        assert_eq!((found["host.name"].as_str(), found["k8s.pod.name"].as_str()), ("host", "pod"));
        assert_eq!(found[INSTANCE_ID], "pod");
        assert!(!found.contains_key(NODE_ID), "a value that is too long is left out whole");
    }
}
