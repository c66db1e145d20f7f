use std::rc::Rc;

use crate::api::{Feature, Features};
use crate::auth::Grant;
use crate::balancing::TargetIds;
use crate::config::*;

fn config(json: &str) -> Result<Config, ConfigError> {
    Config::new(&PluginConfig::from_json(json.as_bytes())?, &mut TargetIds::default())
}

const OPENAI: &str = r#""providers":{"openai":{"api":"openai","url":"https://api.openai.com/v1"}}"#;

#[test]
fn a_target_takes_the_models_name_unless_it_gives_its_own() {
    let config = config(&format!(
        r#"{{{OPENAI},"models":{{"gpt-4o":{{"targets":[{{"provider":"openai"}}]}},
            "fast":{{"targets":[{{"provider":"openai","model":"gpt-4o-mini"}}]}}}}}}"#
    ))
    .unwrap();
    let route = |name: &str| Rc::clone(&config.resolve(name).unwrap().model.routes[0]);
    assert_eq!(route("gpt-4o").model, "gpt-4o");
    assert_eq!((route("fast").model.as_str(), route("fast").cluster()), ("gpt-4o-mini", "provider.openai"));
    assert!(!route("fast").propagate, "a public host receives no trace context by default");
    assert!(config.resolve("slow").is_none());
    let everybody = Grant::open();
    let names: Vec<_> = config.models_for(&everybody).collect();
    assert_eq!(names, [("fast", "openai"), ("gpt-4o", "openai")]);
}

#[test]
fn a_name_is_a_model_an_alias_or_a_provider_with_its_model() {
    let config = config(&format!(
        r#"{{{OPENAI},"models":{{"gpt":{{"alias":"smart"}},"smart":{{"targets":[{{"provider":"openai","model":"a"}}]}},
            "openai/b":{{"targets":[{{"provider":"openai","model":"c"}}]}}}}}}"#
    ))
    .unwrap();
    let resolved = |name: &str| config.resolve(name).map(|r| (r.rule, r.model.routes[0].model.clone()));
    let is = |rule: &str, model: &str| Some((rule.to_owned(), model.to_owned()));
    assert_eq!(resolved("gpt"), is("models.gpt", "a"));
    assert_eq!(resolved("openai/x/y"), is("provider/model", "x/y"));
    assert_eq!(resolved("openai/b"), is("models.openai/b", "c"), "the table goes before provider/model");
    for unknown in ["openai/", "other/x", "openai/..", "OPENAI/x", "x"] {
        assert_eq!(resolved(unknown), None, "{unknown}");
    }
}

#[test]
fn errors_name_the_field_and_what_would_be_right() {
    let messages = [
        (
            format!(r#"{{{OPENAI},"models":{{"smart":{{"targets":[{{"provider":"opnai"}}]}}}}}}"#),
            r#"models.smart.targets[0].provider: no provider named "opnai"; did you mean "openai"?"#,
        ),
        (
            format!(r#"{{{OPENAI},"models":{{"smart":{{"targets":[]}}}}}}"#),
            "models.smart.targets: 0 targets given; give 1 to 32, or an alias",
        ),
        (
            format!(
                r#"{{{OPENAI},"models":{{"a":{{"alias":"b"}},"b":{{"targets":[{{"provider":"openai"}}],"retry":{{"attempts":9}}}}}}}}"#
            ),
            "models.b.retry.attempts: 9 attempts; give 1 (no retry) to 5",
        ),
        (
            format!(
                r#"{{{OPENAI},"models":{{"a":{{"alias":"gtp"}},"gpt":{{"targets":[{{"provider":"openai"}}]}}}}}}"#
            ),
            r#"models.a.alias: no model named "gtp"; did you mean "gpt"?"#,
        ),
        (
            format!(
                r#"{{{OPENAI},"models":{{"b":{{"targets":[{{"provider":"openai"}}],"fallback":{{"on":[200]}}}}}}}}"#
            ),
            "models.b.fallback.on: 200 is no status of a failure; give 400 to 599",
        ),
        (
            format!(
                r#"{{{OPENAI},"models":{{"b":{{"targets":[{{"provider":"openai","headers":{{"set":{{"authorization":"x"}}}}}}]}}}}}}"#
            ),
            "models.b.targets[0].headers.set.authorization: cannot be set here: it is the gateway's, or carries a credential",
        ),
        (
            r#"{"providers":{"x":{"api":"openai","url":"ftp://h"}}}"#.to_owned(),
            r#"providers.x.url: must begin with http:// or https://"#,
        ),
        (
            r#"{"providers":{"a/b":{"api":"openai","url":"http://h"}}}"#.to_owned(),
            r#"providers."a/b": a provider's name is 1 to 64 letters, digits, '-', '_' or '.'"#,
        ),
        (
            format!(r#"{{{OPENAI},"exporter":{{"cluster":"provider.openai","authority":"e"}}}}"#),
            r#"exporter.cluster: "provider.openai" is the cluster of provider "openai", which carries this filter: a call to it would re-enter the VM; give the exporter a cluster of its own"#,
        ),
        (
            r#"{"limits":{"memory_budget":"20MiB"}}"#.to_owned(),
            "limits.memory_budget: 20 MiB cannot hold one request body of 10 MiB (limits.request_body), which is in memory 2 times while it is rewritten, beside 8 MiB of events; give at least 28 MiB, or lower limits.request_body",
        ),
        (
            r#"{"limits":{"memory_budget":"40MiB"},"redaction":{"forwarded":{"action":"mask"}}}"#.to_owned(),
            "limits.memory_budget: 40 MiB cannot hold one request body of 10 MiB (limits.request_body), which is in memory 4 times while it is rewritten, beside 8 MiB of events; give at least 48 MiB, or lower limits.request_body",
        ),
        (
            r#"{"limits":{"memory_budget":"80MiB"},"redaction":{"forwarded":{"action":"mask","restore":true}}}"#.to_owned(),
            "limits.memory_budget: 80 MiB cannot hold one response or event of 10 MiB (limits.response_body), which is in memory 8 times while it is rewritten, beside 8 MiB of events; give at least 88 MiB, or lower limits.response_body",
        ),
        (
            r#"{"limits":{"memory_budget":"1GiB"}}"#.to_owned(),
            "limits.memory_budget: 1024 MiB is more than a worker can have; give at most 768 MiB",
        ),
    ];
    for (json, message) in messages {
        assert_eq!(config(&json).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_memory_budget_is_for_requests_but_for_the_outboxs_share_and_can_be_as_small_as_one_of_them() {
    let budget = |json: &str| config(json).unwrap().memory.budget;
    assert_eq!(budget("{}"), MEMORY_BUDGET);
    assert_eq!(budget(r#"{"limits":{"memory_budget":"28MiB"}}"#), 20 << 20);
    let small = r#"{"limits":{"request_body":"64KiB","response_body":"64KiB","memory_budget":"9MiB"},
        "redaction":{"forwarded":{"action":"mask","restore":true}}}"#;
    assert_eq!(budget(small), 1 << 20);
}

#[test]
fn unknown_fields_and_wrong_types_are_refused_by_path() {
    let error = config(r#"{"limits":{"request_body":"10 apples"}}"#).unwrap_err();
    assert_eq!(error.path, "limits.request_body");
    assert!(error.message.contains("\"64KiB\""), "{error}");
    let error = config(r#"{"providers":{"x":{"api":"openai","url":"http://h","uri":1}}}"#).unwrap_err();
    assert_eq!(error.path, "providers.x.uri");
    assert!(error.message.contains("unknown field `uri`"), "{error}");
}

#[test]
fn a_token_is_granted_what_is_written_and_nothing_where_nothing_is() {
    let features = |grants: &str| {
        let jwt = format!(r#""jwt":{{"payload":"p"{grants}}}"#);
        config(&format!("{{{OPENAI},{jwt}}}")).unwrap().jwt.unwrap().grant.features
    };
    let files = features(r#","grants":["files"]"#);
    assert!(files.has(Feature::Files) && !files.has(Feature::Paths));
    assert_eq!(features(""), Features::default());
    let error = config(&format!(r#"{{{OPENAI},"jwt":{{"payload":"p","grants":["file"]}}}}"#)).unwrap_err();
    assert!(error.path.starts_with("jwt.grants") && error.message.contains("`files`"), "{error}");
}
