//! What Istio is given: of the shape that its API has, and with all that routing needs.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;

use serde_json::Value;
use weir_config::Gateway;
use weir_config::istio::{Options, istio};

const GATEWAY: &str = "
listen: 0.0.0.0:8080
providers:
  openai: { api: openai, url: https://api.openai.com/v1, key: { env: OPENAI_API_KEY } }
  gemini: { api: gemini, url: https://generativelanguage.googleapis.com, key: { env: GEMINI_API_KEY } }
  gemini-openai: { api: openai, url: https://generativelanguage.googleapis.com/v1beta/openai, key: { env: GEMINI_API_KEY } }
  vllm: { api: openai, url: http://vllm.models.svc.cluster.local:8000/v1 }
  inside: { api: openai, url: https://10.0.0.8:8443/v1, key: { file: /run/inside }, tls: { ca: /tls/ca.pem, certificate: /tls/c.pem, private_key: /tls/c.key, server_name: llm.inside } }
models:
  gpt-4o: { targets: [{ provider: openai }] }
access_log: stdout
exporter: { url: http://weir-exporter.weir.svc.cluster.local:4319, token: { env: WEIR_INGEST_TOKEN } }
";

fn options() -> Options {
    Options {
        namespace: "istio-ingress".to_owned(),
        selector: BTreeMap::from([("istio".to_owned(), "ingress".to_owned())]),
        hosts: vec!["*".to_owned()],
        image: "oci://registry.example.com/weir-filter:0.1.0".to_owned(),
        sha256: "0f".repeat(32),
        gateway: None,
    }
}

fn documents(yaml: &str) -> Vec<Value> {
    let gateway = Gateway::parse(yaml).unwrap();
    let text = istio(&gateway, &options()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(text, istio(&gateway, &options()).unwrap(), "the same gateway gives the same bytes");
    serde_saphyr::from_multiple(&text).unwrap()
}

fn named<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} named {name}"))
}

#[test]
fn every_document_names_its_api_kind_and_namespace_and_no_two_are_the_same() {
    let documents = documents(GATEWAY);
    let mut seen = std::collections::BTreeSet::new();
    for document in &documents {
        assert_eq!(document["metadata"]["namespace"], "istio-ingress");
        assert!(document["apiVersion"].is_string());
        assert!(
            seen.insert((document["kind"].to_string(), document["metadata"]["name"].to_string())),
            "{document}"
        );
    }
    let kinds: std::collections::BTreeSet<_> =
        documents.iter().filter_map(|it| it["kind"].as_str()).collect();
    let expected = [
        "ConfigMap",
        "DestinationRule",
        "EnvoyFilter",
        "Gateway",
        "Secret",
        "ServiceEntry",
        "VirtualService",
    ];
    assert_eq!(kinds, expected.into());
}

#[test]
fn each_provider_has_a_cluster_of_its_own_that_the_plugin_the_route_and_the_patches_name_alike() {
    let documents = documents(GATEWAY);
    let filter = named(&documents, "EnvoyFilter", "weir-filter");
    let value =
        filter.pointer("/spec/configPatches/0/patch/value/typed_config/config/configuration/value").unwrap();
    let plugin: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
    let routing = named(&documents, "EnvoyFilter", "weir-routing");
    let route = routing.to_string();
    for (name, cluster) in [
        ("openai", "outbound|443|openai|api.openai.com"),
        ("gemini", "outbound|443|gemini|generativelanguage.googleapis.com"),
        ("gemini-openai", "outbound|443|gemini-openai|generativelanguage.googleapis.com"),
        ("vllm", "outbound|8000|vllm|vllm.models.svc.cluster.local"),
        ("inside", "outbound|8443|inside|10.0.0.8"),
    ] {
        assert_eq!(plugin["providers"][name]["cluster"], cluster);
        assert!(route.contains(&format!("\"cluster\":\"{cluster}\"")), "{cluster}");
        let patched = routing["spec"]["configPatches"].as_array().unwrap().iter().any(|patch| {
            patch["applyTo"] == "CLUSTER"
                && patch["match"]["cluster"]["subset"] == name
                && patch.to_string().contains("weir.attempt")
        });
        assert!(patched, "{name}");
    }
    assert_eq!(
        plugin["exporter"]["cluster"],
        "outbound|4319|weir-exporter|weir-exporter.weir.svc.cluster.local"
    );
    let exporters = routing["spec"]["configPatches"].as_array().unwrap().iter();
    let mut exporters = exporters.filter(|patch| patch["match"]["cluster"]["subset"] == "weir-exporter");
    let patch = exporters.next().unwrap().to_string();
    assert!(
        patch.contains("weir.exporter.token") && !patch.contains("weir.attempt"),
        "never the filter: {patch}"
    );
}

#[test]
fn both_roles_come_from_one_image_and_can_stop_at_headers() {
    let documents = documents(GATEWAY);
    let patches =
        named(&documents, "EnvoyFilter", "weir-filter")["spec"]["configPatches"].as_array().unwrap();
    assert_eq!(patches.len(), 2);
    let config = |index: usize| &patches[index]["patch"]["value"]["typed_config"]["config"];
    assert_eq!(config(0)["vm_config"], config(1)["vm_config"], "or they would not share a VM");
    for index in [0, 1] {
        assert_eq!(patches[index]["applyTo"], "EXTENSION_CONFIG");
        assert_eq!(config(index)["allow_on_headers_stop_iteration"], true);
        assert_eq!(config(index)["failure_policy"], "FAIL_RELOAD");
        let remote = &config(index)["vm_config"]["code"]["remote"];
        assert_eq!(remote["http_uri"]["uri"], "oci://registry.example.com/weir-filter:0.1.0");
        assert_eq!(remote["sha256"], "0f".repeat(32));
    }
    assert!(
        named(&documents, "EnvoyFilter", "weir-routing")
            .to_string()
            .contains("\"refresh_cluster_on_retry\":true")
    );
}

#[test]
fn what_is_left_out_is_told_by_field() {
    let lost = |yaml: &str| weir_config::istio::lost(&Gateway::parse(yaml).unwrap());
    assert!(lost(GATEWAY).is_empty());
    let with =
        GATEWAY.replace("[{ provider: openai }] }", "[{ provider: openai }], retry: { backoff: 1s } }");
    assert!(lost(&with)[0].starts_with("models.gpt-4o.retry.backoff: "));
}

#[test]
fn tls_checks_the_name_by_the_systems_cas_or_the_providers_own_and_nothing_is_thrown_out() {
    let documents = documents(GATEWAY);
    let rule = named(&documents, "DestinationRule", "weir-api-openai-com-443");
    let policy = &rule["spec"]["subsets"][0]["trafficPolicy"];
    assert_eq!(policy["tls"]["mode"], "SIMPLE");
    assert_eq!(
        (&policy["tls"]["sni"], &policy["tls"]["subjectAltNames"][0]),
        (&"api.openai.com".into(), &"api.openai.com".into())
    );
    assert_eq!(policy["tls"]["caCertificates"], "/etc/ssl/certs/ca-certificates.crt");
    assert!(policy["connectionPool"]["http"]["maxRetries"].as_u64().unwrap() > 1024);
    let inside = &named(&documents, "DestinationRule", "weir-10-0-0-8-8443")["spec"]["subsets"][0]["trafficPolicy"]
        ["tls"];
    assert_eq!((&inside["mode"], &inside["sni"]), (&"MUTUAL".into(), &"llm.inside".into()));
    assert!(documents.iter().all(|document| !document.to_string().contains("outlier")));
    let vllm = documents
        .iter()
        .any(|it| it["kind"] == "ServiceEntry" && it.to_string().contains("svc.cluster.local"));
    assert!(!vllm, "what is in the cluster is known already");
}

#[test]
fn keys_are_files_of_one_secret_and_no_value_is_rendered() {
    let documents = documents(GATEWAY);
    assert!(named(&documents, "Secret", "weir-keys").get("data").is_none());
    let data = named(&documents, "ConfigMap", "weir-sds")["data"].as_object().unwrap();
    assert_eq!(data.len(), 5);
    let resource: Value =
        serde_saphyr::from_str(data["weir.providers.openai.key.yaml"].as_str().unwrap()).unwrap();
    let source = resource.pointer("/resources/0/generic_secret/secret").unwrap();
    assert_eq!(source["filename"], "/etc/weir/keys/providers.openai.key");
    assert_eq!(source["watched_directory"]["path"], "/etc/weir/keys");
}

#[test]
fn what_has_no_equal_there_is_refused_by_field() {
    let wrong = [
        ("vllm:", "vLLM:", "providers.vLLM: becomes the name of a subset"),
        (
            "access_log: stdout",
            "tls: { certificate: /c, private_key: /k }",
            "tls: is for Envoy's own listener",
        ),
        (
            "vllm: {",
            "far: { api: openai, url: https://far, proxy: http://proxy }\n  vllm: {",
            "providers.far.proxy: has no equal here",
        ),
    ];
    for (there, instead, message) in wrong {
        let gateway = Gateway::parse(&GATEWAY.replace(there, instead)).unwrap();
        let error = istio(&gateway, &options()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let gateway = Gateway::parse(GATEWAY).unwrap();
    let error = istio(&gateway, &Options { image: "weir:1".to_owned(), ..options() }).unwrap_err();
    assert!(error.to_string().starts_with("--image: must be the URL of an OCI image"), "{error}");
    let error = istio(&gateway, &Options { sha256: "0f".to_owned(), ..options() }).unwrap_err();
    assert!(error.to_string().starts_with("--sha256: "), "{error}");
}
