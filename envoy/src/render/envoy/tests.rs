//! What is rendered, piece by piece. That Envoy takes it is proved end to end.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;
use crate::gateway::{EXPORTER_CLUSTER, Gateway};

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
fn what_observes_is_the_filter_and_the_way_to_the_exporter_and_nothing_that_holds_headers() {
    let yaml = "{ mode: observe, providers: { o: { api: openai, url: 'https://o/v1' } },
        exporter: { url: 'http://h:1', token: { env: T } } }";
    let gateway = Gateway::parse(yaml).unwrap();
    let options = Options { wasm: "/w.wasm".into(), secrets_dir: None };
    let rendered = fragment(&gateway, &options).unwrap().bootstrap;
    let parts: Value = serde_saphyr::from_str(&rendered).unwrap();
    assert!(parts.get("virtual_hosts").is_none() && !rendered.contains("allow_on_headers_stop_iteration:"));
    assert_eq!(parts["http_filters"].as_array().unwrap().len(), 1);
    let config = &parts["http_filters"][0]["typed_config"]["config"];
    let variables = &config["vm_config"]["environment_variables"]["host_env_keys"];
    assert_eq!(variables, &json!(gateway.vm_variables()));
    assert_eq!(variables[0], "T");
    assert!(config["configuration"]["value"].as_str().unwrap().contains(r#""mode":"observe""#));
    let clusters = parts["clusters"].as_array().unwrap();
    assert_eq!((clusters.len(), &clusters[0]["name"]), (1, &json!(EXPORTER_CLUSTER)));
    assert!(!clusters[0].to_string().contains("http_filters"), "the filter sends the token itself");
    let error = bootstrap(&gateway, &options).unwrap_err().to_string();
    assert!(error.starts_with("mode: with `observe` there is no listener"), "{error}");
}

#[test]
fn both_roles_have_one_vm_config_which_names_the_variables_that_say_where_envoy_runs() {
    let gateway = Gateway::parse(
        "{ listen: 0.0.0.0:80, providers: { a: { api: openai, url: 'https://a/v1' }, b: { api: openai, url: 'https://b/v1' } },
           exporter: { url: 'http://h:1' } }",
    );
    let options = Options { wasm: "/w.wasm".into(), secrets_dir: None };
    let rendered = bootstrap(&gateway.unwrap(), &options).unwrap().bootstrap;
    let bootstrap: Value = serde_saphyr::from_str(&rendered).unwrap();
    let mut found = Vec::new();
    all_of("vm_config", &bootstrap, &mut found);
    assert_eq!(found.len(), 3, "the gateway's, and one for each provider");
    assert!(found.iter().all(|other| other == &found[0]), "or they would not share a VM");
    let variables = &found[0]["environment_variables"];
    assert!(variables["host_env_keys"].as_array().unwrap().contains(&json!("POD_NAME")));
    assert!(variables.get("key_values").is_none(), "Envoy refuses a name that is in both");
}

/// The values of this field, wherever they are.
fn all_of<'a>(field: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(field));
            map.values().for_each(|value| all_of(field, value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| all_of(field, value, found)),
        _ => {}
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

#[test]
fn what_was_learnt_of_envoy_is_in_the_output() {
    let (bootstrap, _) = render(GATEWAY, None);
    let text = bootstrap.to_string();
    for fact in [
        r#""allow_on_headers_stop_iteration":true"#,
        r#""failure_policy":"FAIL_RELOAD""#,
        r#""refresh_cluster_on_retry":true"#,
        r#""suppress_envoy_headers":true"#,
        r#""use_remote_address":true"#,
        "envoy.filters.http.upstream_codec",
        "envoy.filters.http.credential_injector",
    ] {
        assert!(text.contains(fact), "{fact}");
    }
    for never in
        ["FAIL_OPEN", "outlier_detection", "per_try_idle_timeout", "on_no_match", "authorization\":%"]
    {
        assert!(!text.contains(never), "{never}");
    }
    let listener = &bootstrap["static_resources"]["listeners"][0];
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    for route in manager["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap() {
        let read = listener["per_connection_buffer_limit_bytes"].as_u64().unwrap();
        let held = route["request_body_buffer_limit"].as_u64().unwrap();
        assert!(held > (10 << 20) + read, "above limits.request_body by more than is read at once");
    }
}

#[test]
fn a_clusters_stats_carry_its_whole_name() {
    let (bootstrap, _) = render(GATEWAY, None);
    assert_eq!(cluster(&bootstrap, "provider.openai")["alt_stat_name"], "provider_openai");
}

#[test]
fn callers_come_by_tls_and_with_a_certificate_where_they_are_asked_for_one() {
    let chain = |bootstrap: &Value| bootstrap["static_resources"]["listeners"][0]["filter_chains"][0].clone();
    let (plain, _) = render(GATEWAY, None);
    assert!(chain(&plain).get("transport_socket").is_none());
    let tls = "tls: { certificate: /tls/w.pem, private_key: /tls/w.key";
    let (bootstrap, files) = render(&format!("{GATEWAY}{tls} }}\n"), Some("/var/weir"));
    let context = chain(&bootstrap)["transport_socket"]["typed_config"].clone();
    assert_eq!(context["require_client_certificate"], false);
    let name = &context["common_tls_context"]["tls_certificate_sds_secret_configs"][0]["name"];
    assert_eq!(name, "weir.tls.certificate");
    assert!(files.iter().any(|(path, _)| path.ends_with("weir.tls.certificate.yaml")));

    let (bootstrap, _) = render(&format!("{GATEWAY}{tls}, client_ca: /tls/ca.pem }}\n"), None);
    let context = chain(&bootstrap)["transport_socket"]["typed_config"].clone();
    assert_eq!(context["require_client_certificate"], true);
    assert_eq!(context["common_tls_context"]["validation_context"]["trusted_ca"]["filename"], "/tls/ca.pem");
}

fn render_hot(yaml: &str, dir: &std::path::Path) -> Hot {
    let options = Options { wasm: "/weir_filter.wasm".into(), secrets_dir: None };
    hot(&Gateway::parse(yaml).unwrap(), &options, dir).unwrap()
}

#[test]
fn the_hot_bootstrap_stays_as_it_is_whatever_changes() {
    let dir = std::path::Path::new("/etc/weir/xds");
    let one = render_hot(GATEWAY, dir);
    let other = render_hot(
        "listen: 127.0.0.1:8081\nproviders: { a: { api: openai, url: http://a } }\nmodels: { m: { targets: [{ provider: a }] } }",
        dir,
    );
    assert_eq!(one.bootstrap, other.bootstrap);
    assert!(!one.bootstrap.contains("static_resources"));
}

#[test]
fn a_provider_that_is_taken_out_stays_as_a_cluster_until_its_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let read = |file: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(dir.path().join(file)).unwrap()).unwrap()
    };
    let names = || -> Vec<String> {
        let clusters = read("clusters.yaml");
        clusters["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let secret = dir.path().join("secrets/weir.providers.inside.key.yaml");
    let now = SystemTime::now();
    let first = render_hot(GATEWAY, dir.path()).publish(None, now).unwrap();
    assert!(!first.taken && first.retired.is_empty() && first.written.len() > 3, "{first:?}");
    assert_eq!(render_hot(GATEWAY, dir.path()).publish(None, now).unwrap().written, Vec::<PathBuf>::new());
    assert!(secret.exists());

    let without: String = GATEWAY
        .lines()
        .filter(|line| !line.contains("10.0.0.8") && !line.contains("inside"))
        .collect::<Vec<_>>()
        .join("\n");
    let without = without.replace("    api: openai\n", "");
    let hot = render_hot(&without, dir.path());
    let done = hot.publish(None, now).unwrap();
    assert_eq!(done.retired, ["provider.inside"]);
    assert!(names().contains(&"provider.inside".to_owned()) && secret.exists());
    assert!(
        read("routes.yaml").to_string().contains("provider.inside"),
        "connections from before still go there"
    );
    assert!(!read("listeners.yaml").to_string().contains("inside"), "the filter no longer names it");

    let done = hot.publish(None, now + KEEP_RETIRED - Duration::from_secs(1)).unwrap();
    assert_eq!((done.retired.len(), done.written.len()), (1, 0), "it is counted from when it was taken out");
    let done = hot.publish(None, now + KEEP_RETIRED).unwrap();
    assert!(!read("routes.yaml").to_string().contains("provider.inside"));
    assert!(done.retired.is_empty() && !names().contains(&"provider.inside".to_owned()) && !secret.exists());
}

#[test]
fn a_fragment_has_all_that_a_bootstrap_has_but_the_listener() {
    let gateway = Gateway::parse(GATEWAY).unwrap();
    let options = Options { wasm: "/weir_filter.wasm".into(), secrets_dir: None };
    let text = fragment(&gateway, &options).unwrap().bootstrap;
    let fragment: Value = serde_saphyr::from_str(&text).unwrap();
    let (bootstrap, _) = render(GATEWAY, None);
    assert_eq!(fragment["clusters"], bootstrap["static_resources"]["clusters"]);
    assert_eq!(fragment["secrets"], bootstrap["static_resources"]["secrets"]);
    assert_eq!(fragment["bootstrap_extensions"], bootstrap["bootstrap_extensions"]);
    let manager =
        &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(fragment["virtual_hosts"], manager["route_config"]["virtual_hosts"]);
    let filters = manager["http_filters"].as_array().unwrap();
    assert_eq!(
        fragment["http_filters"].as_array().unwrap(),
        &filters[..filters.len() - 1],
        "without the router"
    );
    for comment in ["before envoy.filters.http.router", "per_connection_buffer_limit_bytes: 1048576"] {
        assert!(text.contains(comment), "{comment}");
    }
}
