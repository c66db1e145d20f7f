//! What is rendered, piece by piece. That Envoy takes it is proved end to end.

use super::*;

fn render(yaml: &str, secrets_dir: Option<&str>) -> (Value, Vec<(PathBuf, Value)>) {
    let gateway = Gateway::parse(yaml).unwrap();
    let options = Options { wasm: "/weir_filter.wasm".into(), secrets_dir: secrets_dir.map(PathBuf::from) };
    let rendered = bootstrap(&gateway, &options).unwrap();
    assert_eq!(rendered, bootstrap(&gateway, &options).unwrap(), "the same gateway gives the same bytes");
    let read = |yaml: &str| serde_saphyr::from_str(yaml).unwrap();
    let files = rendered.secrets.iter().map(|(path, content)| (path.clone(), read(content))).collect();
    (read(&rendered.bootstrap), files)
}

fn clusters(bootstrap: &Value) -> &[Value] {
    bootstrap["static_resources"]["clusters"].as_array().unwrap()
}

fn cluster<'a>(bootstrap: &'a Value, name: &str) -> &'a Value {
    clusters(bootstrap).iter().find(|cluster| cluster["name"] == name).unwrap()
}

fn tls<'a>(bootstrap: &'a Value, cluster_name: &str) -> &'a Value {
    let socket = &cluster(bootstrap, cluster_name)["transport_socket"];
    assert_eq!(socket["name"], "envoy.transport_sockets.tls");
    &socket["typed_config"]
}

const GATEWAY: &str = "
listen: 127.0.0.1:8080
providers:
  openai: { api: openai, url: https://api.openai.com/v1, key: { env: OPENAI_API_KEY } }
  vllm: { api: openai, url: http://10.0.0.7:8000/v1 }
  inside:
    api: openai
    url: https://10.0.0.8:8443/v1
    key: { file: /run/secrets/inside }
    tls: { ca: /tls/ca.pem, certificate: /tls/a.pem, private_key: /tls/a.key, server_name: llm.inside }
  abroad: { api: openai, url: https://llm.example.com/v1, proxy: http://proxy:3128 }
models:
  gpt-4o: { targets: [{ provider: openai }] }
exporter: { url: http://127.0.0.1:4319, token: { file: /run/token } }
";

#[test]
fn the_exporters_and_the_proxys_clusters_never_carry_the_filter_and_every_providers_does() {
    let (bootstrap, _) = render(GATEWAY, None);
    for cluster in clusters(&bootstrap) {
        let carries = cluster.to_string().contains("weir.attempt");
        let is_providers = cluster["name"].as_str().unwrap().starts_with("provider.");
        assert_eq!(carries, is_providers, "{}", cluster["name"]);
    }
}

#[test]
fn every_cluster_has_circuit_breakers_of_its_own() {
    let (bootstrap, _) = render(GATEWAY, None);
    assert_eq!(clusters(&bootstrap).len(), 6);
    for cluster in clusters(&bootstrap) {
        let threshold = &cluster["circuit_breakers"]["thresholds"][0];
        for field in ["max_connections", "max_pending_requests", "max_requests", "max_retries"] {
            assert!(threshold[field].as_u64().unwrap() > 1024, "{field}");
        }
    }
}

#[test]
fn a_public_provider_is_reached_by_tls_with_its_name_checked() {
    let (bootstrap, _) = render(GATEWAY, None);
    let tls = tls(&bootstrap, "provider.openai");
    assert_eq!(tls["sni"], "api.openai.com");
    let checked = &tls["common_tls_context"]["validation_context"];
    assert_eq!(checked["match_typed_subject_alt_names"][0]["matcher"]["exact"], "api.openai.com");
    assert_eq!(checked["trusted_ca"]["filename"], cluster::SYSTEM_CAS);
}

#[test]
fn a_providers_own_ca_name_and_client_certificate_take_the_place_of_the_defaults() {
    let (bootstrap, _) = render(GATEWAY, None);
    let tls = tls(&bootstrap, "provider.inside");
    assert_eq!(tls["sni"], "llm.inside");
    let common = &tls["common_tls_context"];
    let checked = &common["validation_context"];
    assert_eq!(checked["match_typed_subject_alt_names"][0]["matcher"]["exact"], "llm.inside");
    assert_eq!(checked["match_typed_subject_alt_names"][0]["san_type"], "DNS");
    assert_eq!(checked["trusted_ca"]["filename"], "/tls/ca.pem");
    assert_eq!(common["tls_certificates"][0]["certificate_chain"]["filename"], "/tls/a.pem");
    assert_eq!(common["tls_certificates"][0]["private_key"]["filename"], "/tls/a.key");
}

#[test]
fn an_address_is_checked_as_one_and_not_asked_for_by_sni() {
    let (bootstrap, _) = render(&GATEWAY.replace(", server_name: llm.inside", ""), None);
    let tls = tls(&bootstrap, "provider.inside");
    assert!(tls.get("sni").is_none());
    let name = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"][0];
    assert_eq!((&name["san_type"], &name["matcher"]["exact"]), (&json!("IP_ADDRESS"), &json!("10.0.0.8")));
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_to_the_provider_by_name() {
    let (bootstrap, _) = render(GATEWAY, None);
    let provider = cluster(&bootstrap, "provider.abroad");
    assert_eq!(provider["type"], "STATIC", "the proxy resolves the provider's name");
    let entrance = provider.pointer("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address");
    assert_eq!(entrance.unwrap()["envoy_internal_address"]["server_listener_name"], "weir.proxy.abroad");
    assert_eq!(tls(&bootstrap, "provider.abroad")["sni"], "llm.example.com");

    let listeners = bootstrap["static_resources"]["listeners"].as_array().unwrap();
    let listener = listeners.iter().find(|listener| listener["name"] == "weir.proxy.abroad").unwrap();
    let tunnel = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(tunnel["tunneling_config"]["hostname"], "llm.example.com:443");
    let proxy = cluster(&bootstrap, tunnel["cluster"].as_str().unwrap());
    let address =
        proxy.pointer("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address");
    assert_eq!(address, Some(&json!({"address": "proxy", "port_value": 3128})));
    assert!(proxy.get("transport_socket").is_none());
    assert_eq!(bootstrap["bootstrap_extensions"][0]["name"], "envoy.bootstrap.internal_listener");

    let (without, _) = render(&GATEWAY.replace(", proxy: http://proxy:3128", ""), None);
    assert!(without.get("bootstrap_extensions").is_none());
}

#[test]
fn without_a_directory_for_secrets_all_are_named_in_the_bootstrap_and_none_is_written() {
    let (bootstrap, files) = render(GATEWAY, None);
    assert_eq!(files, []);
    let secrets = bootstrap["static_resources"]["secrets"].as_array().unwrap();
    let sources: Vec<_> = secrets.iter().map(|secret| &secret["generic_secret"]["secret"]).collect();
    assert_eq!(
        sources,
        [
            &json!({"filename": "/run/secrets/inside"}),
            &json!({"environment_variable": "OPENAI_API_KEY"}),
            &json!({"filename": "/run/token"}),
        ]
    );
}

#[test]
fn with_a_directory_for_secrets_files_are_watched_and_variables_stay_where_they_were() {
    let (bootstrap, files) = render(GATEWAY, Some("/var/weir"));
    let secrets = bootstrap["static_resources"]["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0]["generic_secret"]["secret"]["environment_variable"], "OPENAI_API_KEY");

    let mut expected = Vec::new();
    for (name, kind, value) in [
        (
            "weir.providers.inside.key",
            "generic_secret",
            json!({"secret": {"filename": "/run/secrets/inside", "watched_directory": {"path": "/run/secrets"}}}),
        ),
        (
            "weir.providers.inside.tls.certificate",
            "tls_certificate",
            json!({
                "certificate_chain": {"filename": "/tls/a.pem"},
                "private_key": {"filename": "/tls/a.key"},
                "watched_directory": {"path": "/tls"},
            }),
        ),
        (
            "weir.exporter.token",
            "generic_secret",
            json!({"secret": {"filename": "/run/token", "watched_directory": {"path": "/run"}}}),
        ),
    ] {
        let file = PathBuf::from(format!("/var/weir/{name}.yaml"));
        let resource = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            kind: value,
        });
        let reference = json!({
            "name": name,
            "sds_config": {"path_config_source": {"path": file}, "resource_api_version": "V3"},
        });
        assert!(bootstrap.to_string().contains(&reference.to_string()), "{reference}");
        expected.push((file, json!({"resources": [resource]})));
    }
    assert_eq!(files, expected);
}

#[test]
fn without_the_upstream_filter_no_cluster_carries_it_and_no_route_retries() {
    let (bootstrap, _) = render(&format!("{GATEWAY}upstream_filter: false\n"), None);
    let text = bootstrap.to_string();
    assert!(!text.contains("weir.attempt") && !text.contains("retry_policy"));
    assert!(text.contains("envoy.filters.http.credential_injector"), "keys stay Envoy's");
    let listener = &bootstrap["static_resources"]["listeners"][0];
    assert!(listener.to_string().contains(r#"\"upstream_filter\":false"#), "{listener}");
    let (with, _) = render(GATEWAY, None);
    assert!(with.to_string().contains("retry_policy"));
}

#[test]
fn an_access_log_is_written_only_where_it_is_asked_for() {
    let loggers = |more: &str| {
        let (bootstrap, _) = render(&format!("{GATEWAY}{more}\n"), None);
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log";
        bootstrap.pointer(manager).cloned().unwrap()
    };
    assert_eq!((loggers(""), loggers("access_log: off")), (json!([]), json!([])));
    assert_eq!(loggers("access_log: stdout")[0]["name"], "envoy.access_loggers.stdout");
    assert_eq!(loggers("access_log: /var/log/weir.log")[0]["typed_config"]["path"], "/var/log/weir.log");
}
