//! What a mesh is given to observe with: a WasmPlugin for Istio, an EnvoyExtensionPolicy for Envoy Gateway.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_config::{Gateway, envoy_gateway, istio};
use weir_filter::config::{Config, PluginConfig};

const GATEWAY: &str = "
mode: observe
providers:
  openai: { api: openai, url: https://api.openai.com/v1 }
  router: { api: openai, url: https://llm.example:8443/api/v1 }
  vllm: { api: openai, url: http://vllm.models.svc:8000/v1 }
redaction: { forwarded: { action: mask, detectors: [email] } }
exporter: { url: http://weir-ingest.weir.svc:4319, token: { env: WEIR_INGEST_TOKEN } }
";
const IMAGE: &str = "oci://registry.example.com/weir-filter:0.1.0";

fn istio(yaml: &str, gateway: Option<&str>) -> Vec<Value> {
    let options = istio::Options {
        namespace: "shop".to_owned(),
        selector: BTreeMap::from([("app".to_owned(), "chat".to_owned())]),
        hosts: vec!["*".to_owned()],
        image: IMAGE.to_owned(),
        sha256: "0f".repeat(32),
        gateway: gateway.map(str::to_owned),
    };
    let text =
        istio::istio(&Gateway::parse(yaml).unwrap(), &options).unwrap_or_else(|error| panic!("{error}"));
    serde_saphyr::from_multiple(&text).unwrap()
}

fn envoy_gateway(yaml: &str) -> Result<Vec<Value>, String> {
    let options = envoy_gateway::Options {
        namespace: "shop".to_owned(),
        gateway: "eg".to_owned(),
        image: IMAGE.to_owned(),
        sha256: "0f".repeat(32),
    };
    let text = envoy_gateway::envoy_gateway(&Gateway::parse(yaml).unwrap(), &options);
    Ok(serde_saphyr::from_multiple(&text.map_err(|error| error.to_string())?).unwrap())
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The filter takes it: the variables are in its VM.
fn check(config: &Value) -> PluginConfig {
    let plugin = PluginConfig::from_json(config.to_string().as_bytes()).unwrap();
    Config::new(&plugin, &mut Default::default()).unwrap();
    plugin
}

#[test]
fn sidecars_observe_by_a_wasm_plugin_alone_and_find_the_exporter_by_its_service() {
    let documents = istio(GATEWAY, None);
    assert!(of_kind(&documents, "EnvoyFilter").is_empty());
    let [plugin] = of_kind(&documents, "WasmPlugin")[..] else { panic!("one WasmPlugin") };
    let spec = &plugin["spec"];
    assert_eq!(spec["selector"]["matchLabels"]["app"], "chat");
    assert_eq!((&spec["url"], &spec["sha256"]), (&json!(IMAGE), &json!("0f".repeat(32))));
    assert_eq!((&spec["failStrategy"], &spec["match"][0]["mode"]), (&json!("FAIL_RELOAD"), &json!("CLIENT")));
    let env = spec["vmConfig"]["env"].as_array().unwrap();
    assert_eq!(env[0], json!({"name": "WEIR_INGEST_TOKEN", "valueFrom": "HOST"}));
    assert!(env.contains(&json!({"name": "POD_NAME", "valueFrom": "HOST"})));
    let exporter = check(&spec["pluginConfig"]).exporter.unwrap();
    assert_eq!(exporter.cluster, "outbound|4319||weir-ingest.weir.svc.cluster.local");
}

#[test]
fn the_sidecar_begins_tls_where_it_has_to_see_what_is_said() {
    let documents = istio(GATEWAY, None);
    let entries = of_kind(&documents, "ServiceEntry");
    let ports: Vec<&Value> = entries.iter().map(|entry| &entry["spec"]["ports"][0]).collect();
    assert_eq!(ports.len(), 2, "services of the cluster are known already");
    assert_eq!((&ports[0]["number"], &ports[0]["targetPort"]), (&json!(80), &json!(443)));
    assert_eq!((&ports[1]["number"], &ports[1]["targetPort"]), (&json!(8443), &json!(8443)));
    for (rule, host) in of_kind(&documents, "DestinationRule").iter().zip(["api.openai.com", "llm.example"]) {
        let tls = &rule["spec"]["trafficPolicy"]["portLevelSettings"][0]["tls"];
        assert_eq!((&tls["mode"], &tls["sni"]), (&json!("SIMPLE"), &json!(host)));
        assert_eq!(tls["subjectAltNames"], json!([host]));
    }
}

#[test]
fn a_gateway_keeps_its_own_ways_and_an_exporter_elsewhere_is_made_known() {
    let documents =
        istio(&GATEWAY.replace("http://weir-ingest.weir.svc:4319", "https://ingest.example"), Some("gw"));
    let kinds: Vec<&str> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceEntry", "DestinationRule", "WasmPlugin"]);
    let spec = &documents[2]["spec"];
    assert!(spec.get("selector").is_none());
    assert_eq!(
        (&spec["targetRefs"][0]["kind"], &spec["targetRefs"][0]["name"]),
        (&json!("Gateway"), &json!("gw"))
    );
    assert_eq!(check(&spec["pluginConfig"]).exporter.unwrap().cluster, "outbound|443||ingest.example");
}

#[test]
fn an_envoy_gateway_observes_by_an_extension_policy_and_gets_the_cluster_and_the_buffers_it_needs() {
    let documents = envoy_gateway(GATEWAY).unwrap();
    for document in &documents {
        assert_eq!(document["apiVersion"], "gateway.envoyproxy.io/v1alpha1");
        let spec = &document["spec"];
        let target = spec.get("targetRef").unwrap_or(&spec["targetRefs"][0]);
        assert_eq!((&target["kind"], &target["name"]), (&json!("Gateway"), &json!("eg")));
    }
    let wasm = &of_kind(&documents, "EnvoyExtensionPolicy")[0]["spec"]["wasm"][0];
    assert_eq!(wasm["code"]["image"]["url"], "registry.example.com/weir-filter:0.1.0");
    assert_eq!(
        (&wasm["code"]["image"]["sha256"], &wasm["failOpen"]),
        (&json!("0f".repeat(32)), &json!(false))
    );
    let variables = wasm["env"]["hostKeys"].as_array().unwrap();
    assert_eq!(variables[0], "WEIR_INGEST_TOKEN");
    assert!(variables.contains(&json!("ENVOY_POD_NAME")));
    let cluster = check(&wasm["config"]).exporter.unwrap().cluster;
    let patch = &of_kind(&documents, "EnvoyPatchPolicy")[0]["spec"]["jsonPatches"][0];
    assert_eq!(patch["operation"]["value"]["name"], cluster);
    let limit = &of_kind(&documents, "ClientTrafficPolicy")[0]["spec"]["connection"]["bufferLimit"];
    assert_eq!(limit, &json!(((10u64 << 20) + (2 << 20)).to_string()));
    let documents = envoy_gateway(&GATEWAY.replace("redaction:", "trace: {}\n# redaction:")).unwrap();
    assert!(of_kind(&documents, "ClientTrafficPolicy").is_empty(), "nothing is held");
}

#[test]
fn a_gateway_that_routes_is_refused_where_headers_cannot_be_held() {
    let routes = "{ listen: '0.0.0.0:80', providers: { o: { api: openai, url: 'https://o/v1' } } }";
    let error = envoy_gateway(routes).unwrap_err();
    assert!(error.starts_with("mode: routes, for which a filter must hold a request's headers"), "{error}");
}
