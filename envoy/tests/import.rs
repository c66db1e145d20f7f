//! Configurations of other gateways, as they become ours.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use serde_json::{Value, json};
use weir_config::Gateway;
use weir_config::import::{Imported, Source, import};

fn of(source: Source, yaml: &str) -> (Imported, Value) {
    let imported = import(source, yaml).unwrap_or_else(|error| panic!("{error}"));
    assert!(!imported.yaml.contains("canary"), "no secret is carried over: {}", imported.yaml);
    let value = serde_saphyr::from_str(&imported.yaml).unwrap();
    (imported, value)
}

fn gateway(imported: &Imported) -> Gateway {
    Gateway::parse(&imported.yaml).unwrap_or_else(|error| panic!("{error}\n{}", imported.yaml))
}

fn says(imported: &Imported, start: &str) -> bool {
    imported.notes.iter().any(|note| note.starts_with(start))
}

#[test]
fn litellms_models_routing_and_fallbacks_become_a_gateway_that_passes_the_check() {
    let (imported, value) = of(Source::LiteLlm, include_str!("import/litellm.yaml"));
    gateway(&imported);
    assert_eq!(
        value["models"]["chat"],
        json!({
            "strategy": "weighted",
            "targets": [
                {"provider": "azure", "model": "chat-eu", "weight": 3},
                {"provider": "azure-2", "model": "chat-us", "weight": 1, "params": {"temperature": 0.2}},
                {"provider": "openai", "model": "gpt-4o-mini", "weight": 0},
            ],
            "retry": {"attempts": 3},
            "timeouts": {"request": "30s"},
        })
    );
    assert_eq!(value["models"]["gpt-4"], json!({"alias": "chat"}));
    assert_eq!(value["models"]["claude"]["timeouts"]["request"], "90s");
    assert_eq!(
        value["models"]["local"]["targets"][0],
        json!({"provider": "hosted_vllm", "model": "llama-3.3-70b"})
    );
    assert_eq!(value["providers"]["openai"]["key"], json!({"env": "OPENAI_API_KEY"}));
    assert_eq!(value["providers"]["azure"]["api_version"], "2024-10-21");
    assert!(value["models"].get("nova").is_none());
}

#[test]
fn what_litellm_has_and_we_have_not_is_told_by_field() {
    let (imported, _) = of(Source::LiteLlm, include_str!("import/litellm.yaml"));
    for start in [
        "model_list[0].litellm_params.rpm: has no equal here",
        "model_list[2].litellm_params.api_key: a key stands in the file itself",
        "model_list[2].model_info: ",
        "model_list[5].litellm_params.model: providers of the kind \"bedrock\" cannot be reached yet",
        "model_list[6].litellm_params.model: patterns are not needed",
        "model_group_alias: gone: no model named \"nowhere\"",
        "router_settings.redis_host: has no equal here",
        "litellm_settings.callbacks: where traces go",
        "litellm_settings.drop_params: has no equal here",
        "general_settings.database_url: has no equal here",
        "general_settings.master_key: ",
        "keys: ",
        "providers: nothing is translated",
    ] {
        assert!(says(&imported, start), "{start}\n{:#?}", imported.notes);
        let commented = imported
            .yaml
            .lines()
            .any(|line| line.starts_with("# - ") && line.contains(&start[..20.min(start.len())]));
        assert!(commented, "{start}");
    }
}

#[test]
fn virtual_models_become_models_by_the_names_that_callers_know() {
    let (imported, value) = of(Source::TrueFoundry, include_str!("import/virtual_models.yaml"));
    gateway(&imported);
    assert_eq!(
        value["models"]["support/chat"],
        json!({
            "strategy": "priority",
            "targets": [
                {"provider": "openai-main", "model": "gpt-4o", "params": {"temperature": 0.1}},
                {"provider": "anthropic-main", "model": "claude-sonnet-4-5", "fallback": false},
            ],
            "retry": {"attempts": 3, "on": [429, 503], "backoff": "200ms"},
            "fallback": {"on": [429, 500]},
        })
    );
    let split = &value["models"]["support/split"];
    assert_eq!(split["sticky"], json!({"by": "metadata.session", "for": "600s"}));
    assert_eq!(split["targets"][1]["headers"], json!({"set": {"x-tier": "low"}, "remove": ["x-a"]}));
    for start in [
        "collaborators: ",
        "integrations[0].routing_config.load_balance_targets[1].sla_cutoff: has no equal here",
        "integrations[0].routing_config.load_balance_targets[1].override_params.prompt_version_fqn: ",
        "integrations[0].routing_config.load_balance_targets[2].target: which API the account \"unknown-account\"",
        "integrations[0].routing_config.load_balance_targets[1].target: what the account \"openai-main\" is was guessed",
    ] {
        assert!(says(&imported, start), "{start}\n{:#?}", imported.notes);
    }
}

#[test]
fn rules_for_all_models_become_one_model_each() {
    let (imported, value) = of(Source::TrueFoundry, include_str!("import/routing_config.yaml"));
    let problem = Gateway::parse(&imported.yaml).err().map(|error| error.to_string());
    assert_eq!(problem, None, "{}", imported.yaml);
    assert_eq!(value["models"]["chat"]["strategy"], "latency");
    assert_eq!(value["models"]["chat"]["targets"][0]["when"], json!({"metadata": {"region": "eu"}}));
    assert!(says(&imported, "rules[0].when.subjects: ") && says(&imported, "rules[1]: an earlier rule"));
}

#[test]
fn an_otel_config_becomes_an_exporters_that_passes_its_check() {
    let (imported, value) = of(Source::TrueFoundryOtel, include_str!("import/otel_config.yaml"));
    weir_exporter::config::parse(&imported.yaml).unwrap_or_else(|error| panic!("{error}\n{}", imported.yaml));
    assert_eq!(
        value["destinations"]["imported"],
        json!({
            "type": "otlp",
            "endpoint": "https://otlp.example.com/v1/traces",
            "protocol": "http/json",
            "headers": {"authorization": {"env": "OTLP_AUTHORIZATION"}, "x-region": "eu"},
            "exclude_request_data": true,
            "resource": {"env": "prod", "cell": "7"},
            "timeout": "10s",
            "compression": "gzip",
            "metrics": "https://otlp.example.com/v1/metrics",
        })
    );
    assert!(says(&imported, "traces_exporter_config.headers.authorization: its value is a secret"));
    assert!(says(&imported, "traces_exporter_config.filter: has no equal here"));
}

#[test]
fn a_file_of_another_kind_is_refused_with_what_it_should_be() {
    for (source, yaml, message) in [
        (Source::LiteLlm, "a: 1", "model_list: is missing or no list"),
        (Source::LiteLlm, "model_list: [{}]", "model_list: no model of it can be carried over"),
        (Source::TrueFoundry, "type: gateway-otel-config", "type: is neither provider-account/virtual-model"),
        (Source::TrueFoundryOtel, "name: x", "no `endpoint` for traces was found"),
        (Source::LiteLlm, "a: [sk-canary", "not YAML: "),
    ] {
        let error = import(source, yaml).unwrap_err().to_string();
        assert!(error.starts_with(message) && !error.contains("canary"), "{error}");
    }
}
