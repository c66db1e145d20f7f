//! A wrong gateway.yaml for each rule, and what is said of it: where, which field, and what would be right.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use weir_config::Gateway;

const GOOD: &str = r#"listen: 127.0.0.1:8080
providers:
  openai: { api: openai, url: "https://api.openai.com/v1", key: { env: OPENAI_API_KEY } }
  azure:
    api: azure-openai
    url: https://example.openai.azure.com
    api_version: "2024-10-21"
models:
  gpt-4o: { targets: [{ provider: openai }] }
  smart:
    strategy: weighted
    targets:
      - provider: openai
        weight: 80
      - provider: azure
        model: gpt-4o-eu
    retry: { attempts: 2, on: [429], backoff: 100ms }
    sticky: { by: metadata.session, for: 10m }
  default: { alias: smart }
keys:
  - { name: team-a, sha256: "bab76bdbf5475357a8a1b2f7a6f6a4ac188a966790a71029dc1193ad3c89da0b" }
trace: { sample: 0.5 }
redaction:
  exported: { content: redact, detectors: [email] }
exporter: { url: "http://127.0.0.1:4319" }
"#;

/// A file that is wrong in one way: what is wrong, what stands there in the good one, what in this one,
/// and the place and the message.
type Wrong = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const WRONG: &[Wrong] = &[
    ("a list in place of fields",
        "trace: { sample: 0.5 }", "trace: [ sample: 0.5 ]",
        "22:8: trace: must be a map of fields"),
    ("brackets that do not match",
        "models:\n", "models: ]\n",
        "8:9: the file: misplaced bracket"),
    ("a memory budget smaller than one body",
        "trace: { sample: 0.5 }", "limits: { request_body: 64MiB, memory_budget: 32MiB }",
        "22:32: limits.memory_budget: 32 MiB cannot hold one request body of 64 MiB (limits.request_body), which is in memory 2 times while it is rewritten, beside 8 MiB of events; give at least 136 MiB, or lower limits.request_body"),
    ("an unknown section",
        "exporter: {", "exproter: {",
        "25:1: exproter: unknown field `exproter`, expected one of mode, listen, tls, admin, providers, models, keys, jwt, limits, trace, redaction, response_headers, upstream_filter, access_log, exporter; did you mean \"exporter\"?"),
    ("a field that is missing",
        "listen: 127.0.0.1:8080\n", "",
        "listen: is missing; give an address and a port, such as 0.0.0.0:8080"),
    ("an address without a port",
        "listen: 127.0.0.1:8080", "listen: 127.0.0.1",
        "1:9: listen: must be an address and a port, such as 0.0.0.0:8080"),
    ("an API that is not known",
        "api: azure-openai", "api: azure-opnai",
        "5:10: providers.azure.api: unknown variant `azure-opnai`, expected one of openai, azure-openai, anthropic, gemini, cohere; did you mean \"azure-openai\"?"),
    ("a provider's unknown field",
        "api_version:", "api_verion:",
        "7:5: providers.azure.api_verion: unknown field `api_verion`, expected one of api, url, api_version, include_usage, grants, key, tls, proxy; did you mean \"api_version\"?"),
    ("a URL without a scheme",
        "url: https://example.openai.azure.com", "url: example.openai.azure.com",
        "6:5: providers.azure.url: must begin with http:// or https://"),
    ("a URL with a key in it",
        "url: https://example.openai.azure.com", "url: https://example.openai.azure.com/?k=1",
        "6:5: providers.azure.url: must end with the path: no query and no fragment"),
    ("a key in place of its place",
        "{ env: OPENAI_API_KEY }", "sk-1",
        "3:65: providers.openai.key: must be a map of fields; give { env: VARIABLE } or { file: /absolute/path }, never the secret itself"),
    ("two places of one key",
        "{ env: OPENAI_API_KEY }", "{ env: A, file: /b }",
        "3:65: providers.openai.key: give one of { env: VARIABLE } and { file: /absolute/path }"),
    ("a variable that is none",
        "{ env: OPENAI_API_KEY }", "{ env: \"A=B\" }",
        "3:67: providers.openai.key.env: must name an environment variable"),
    ("a file that is not absolute",
        "{ env: OPENAI_API_KEY }", "{ file: key }",
        "3:67: providers.openai.key.file: key is not the absolute path of a file, which Envoy needs"),
    ("TLS to a provider without",
        "    url: https://example.openai.azure.com\n", "    url: http://h\n    tls: {}\n",
        "7:5: providers.azure.tls: is for providers with an https:// URL; leave it out, or change `url`"),
    ("half of a certificate",
        "api_version:", "tls: { certificate: /c.pem }\n    api_version:",
        "7:5: providers.azure.tls.private_key: is missing: `certificate` is given, and one is of no use without the other"),
    ("a server name with a port",
        "api_version:", "tls: { server_name: \"h:443\" }\n    api_version:",
        "7:12: providers.azure.tls.server_name: must be a host name such as llm.example.com, or an IP address, without port and wildcards"),
    ("a proxy with a password",
        "api_version:", "proxy: http://u:p@proxy\n    api_version:",
        "7:5: providers.azure.proxy: must not hold credentials; only proxies that ask for none can be used"),
    ("a provider's name with a space",
        "  azure:\n", "  \"az ure\":\n",
        "4:3: providers.\"az ure\": a provider's name is 1 to 64 letters, digits, '-', '_' or '.'"),
    ("a target's provider that is not there",
        "- provider: azure", "- provider: azzure",
        "15:9: models.smart.targets[1].provider: no provider named \"azzure\"; did you mean \"azure\"?"),
    ("a model's unknown field",
        "    sticky:", "    stiky:",
        "18:5: models.smart.stiky: unknown field `stiky`, expected one of alias, targets, strategy, sticky, health, retry, fallback, timeouts, redaction; did you mean \"sticky\"?"),
    ("a strategy that is not known",
        "strategy: weighted", "strategy: wieghted",
        "11:15: models.smart.strategy: unknown variant `wieghted`, expected one of priority, weighted, latency; did you mean \"weighted\"?"),
    ("no targets",
        "[{ provider: openai }]", "[]",
        "9:13: models.gpt-4o.targets: 0 targets given; give 1 to 32, or an alias"),
    ("every weight 0",
        "weight: 80\n      - provider: azure", "weight: 0\n      - provider: azure\n        weight: 0",
        "12:5: models.smart.targets: every weight is 0, so no target would ever be first; give one a weight above 0"),
    ("a weight below 0",
        "weight: 80", "weight: -1",
        "14:17: models.smart.targets[0].weight: must be a whole number, 0 or more"),
    ("too many attempts",
        "attempts: 2", "attempts: 9",
        "17:14: models.smart.retry.attempts: 9 attempts; give 1 (no retry) to 5"),
    ("a status of success",
        "on: [429]", "on: [200]",
        "17:27: models.smart.retry.on: 200 is no status of a failure; give 400 to 599"),
    ("a pause that is too long",
        "backoff: 100ms", "backoff: 1h",
        "17:38: models.smart.retry.backoff: must be from 1ms to 10s"),
    ("a time without a unit",
        "for: 10m", "for: 10",
        "18:37: models.smart.sticky.for: invalid type: integer `10`, expected a whole number with the unit ms, s, m or h, such as \"100ms\" or \"5s\""),
    ("something to be sticky by that is none",
        "by: metadata.session", "by: cookie",
        "18:19: models.smart.sticky.by: \"cookie\" is nothing to be sticky by; give key, user, conversation or metadata.<name>"),
    ("an alias of nothing",
        "alias: smart", "alias: smrt",
        "19:14: models.default.alias: no model named \"smrt\"; did you mean \"smart\"?"),
    ("an alias of an alias",
        "alias: smart }", "alias: other }\n  other: { alias: smart }",
        "19:14: models.default.alias: \"other\" is an alias itself; name the model it stands for"),
    ("an alias with more",
        "alias: smart }", "alias: smart, retry: { attempts: 2 } }",
        "19:14: models.default.alias: an alias stands alone; give the other fields to the model it names"),
    ("a credential among the headers",
        "model: gpt-4o-eu", "headers: { set: { authorization: x } }",
        "16:27: models.smart.targets[1].headers.set.authorization: cannot be set here: it is the gateway's, or carries a credential"),
    ("a header in capitals",
        "model: gpt-4o-eu", "headers: { set: { X-Team: x } }",
        "16:27: models.smart.targets[1].headers.set.X-Team: must be a header's name in lowercase"),
    ("a cap that is no number",
        "model: gpt-4o-eu", "caps: { max_tokens: many }",
        "16:17: models.smart.targets[1].caps.max_tokens: invalid type: string \"many\", expected a JSON number"),
    ("a digest that is none",
        "sha256: \"bab76bdb", "sha256: \"xab76bdb",
        "21:21: keys[0].sha256: must be the 64 hexadecimal digits of the key's SHA-256, not the key"),
    ("two keys of one name",
        "trace:", "  - { name: team-a, sha256: \"f1d775277a0d747f826d2d292330a2c43a3c6f5061e0c3d6813c9567726d9ed9\" }\ntrace:",
        "22:7: keys[1].name: \"team-a\" is the name of keys[0] already; give another"),
    ("a sample above 1",
        "sample: 0.5", "sample: 50",
        "22:10: trace.sample: 50 is not from 0 to 1"),
    ("something to keep that is none",
        "sample: 0.5", "always_keep: [errors]",
        "22:24: trace.always_keep[0]: invalid value: string \"errors\", expected \"error\" or \"slow>10s\""),
    ("a capture limit that is too large",
        "sample: 0.5", "capture_limit: 1GiB",
        "22:10: trace.capture_limit: 1024 MiB is not from 1 KiB to 1 MiB"),
    ("a size that is none",
        "sample: 0.5", "capture_limit: 64KB",
        "22:10: trace.capture_limit: invalid value: string \"64KB\", expected a number of bytes such as 65536, \"64KiB\" or \"10MiB\""),
    ("a detector that is not known",
        "detectors: [email]", "detectors: [emial]",
        "24:44: redaction.exported.detectors[0]: no detector named \"emial\"; did you mean \"email\"?"),
    ("what becomes of content, misspelt",
        "content: redact", "content: redacted",
        "24:24: redaction.exported.content: unknown variant `redacted`, expected one of keep, redact, exclude; did you mean \"redact\"?"),
    ("an exporter without a scheme",
        "url: \"http://127.0.0.1:4319\"", "url: \"127.0.0.1:4319\"",
        "25:13: exporter.url: must begin with http:// or https://"),
    ("an access log that is nowhere",
        "trace:", "access_log: logs/a.log\ntrace:",
        "22:1: access_log: \"logs/a.log\" is none of off, stdout and the absolute path of a file"),
    ("TLS for callers without a key",
        "trace:", "tls: { certificate: /c.pem }\ntrace:",
        "22:8: tls: missing field `private_key`"),
    ("TLS for callers by a relative file",
        "trace:", "tls: { certificate: c.pem, private_key: /c.key }\ntrace:",
        "22:8: tls.certificate: c.pem is not the absolute path of a file, which Envoy needs"),
    ("a list in place of a map",
        "models:\n", "models: []\nmodles:\n",
        "8:9: models: must be a map of fields"),
];

const OBSERVING: &str = r#"mode: observe
providers:
  openai: { api: openai, url: "https://api.openai.com/v1" }
redaction: { forwarded: { action: mask, detectors: [email] } }
exporter: { url: "http://weir-ingest.weir.svc:4319", token: { env: WEIR_INGEST_TOKEN } }
"#;

/// The same where requests are only observed.
#[rustfmt::skip]
const WRONG_OBSERVING: &[Wrong] = &[
    ("a listener",
        "mode: observe", "mode: observe\nlisten: 0.0.0.0:8080",
        "2:1: listen: is that of the proxy that `mode: observe` is put into; leave it out"),
    ("an access log",
        "mode: observe", "mode: observe\naccess_log: stdout",
        "2:1: access_log: is that of the proxy that `mode: observe` is put into; leave it out"),
    ("models",
        "mode: observe", "mode: observe\nmodels: { m: { targets: [{ provider: openai }] } }",
        "2:1: models: say how to route, and `mode: observe` routes nothing; leave them out"),
    ("a provider's key",
        "/v1\" }", "/v1\", key: { env: K } }",
        "3:60: providers.openai.key: is put in where requests are routed; with `mode: observe` callers bring their own; leave it out"),
    ("a provider's proxy",
        "/v1\" }", "/v1\", proxy: \"http://p\" }",
        "3:60: providers.openai.proxy: is that of the proxy that `mode: observe` is put into; leave it out"),
    ("a grant",
        "/v1\" }", "/v1\", grants: [files] }",
        "3:60: providers.openai.grants: is for requests that the gateway sends, and `mode: observe` sends none; leave it out"),
    ("answers that are refused",
        "redaction: {", "redaction: { returned: { action: mask, detectors: [email] },",
        "4:14: redaction.returned.on_unreadable: refuses responses, and in `mode: observe` a response's status has gone before its body is seen; say \"pass\""),
    ("a token's file",
        "{ env: WEIR_INGEST_TOKEN }", "{ file: /t }",
        "5:63: exporter.token.file: cannot be read by the filter, which sends the token itself with `mode: observe`; give { env: VARIABLE }"),
    ("an unknown mode",
        "mode: observe", "mode: obseve",
        "1:7: mode: unknown variant `obseve`, expected one of route, observe; did you mean \"observe\"?"),
];

#[test]
fn every_rule_that_is_broken_is_told_by_place_field_and_what_would_be_right() {
    assert!(WRONG.len() >= 30);
    assert_refused_as_expected(GOOD, WRONG);
}

#[test]
fn what_only_routing_could_honour_is_refused_where_requests_are_observed() {
    assert_refused_as_expected(OBSERVING, WRONG_OBSERVING);
}

fn assert_refused_as_expected(good: &str, wrong: &[Wrong]) {
    Gateway::parse(good).unwrap_or_else(|error| panic!("{error}"));
    let mut differing = Vec::new();
    for (what, there, instead, expected) in wrong {
        assert_eq!(good.matches(there).count(), 1, "{what}");
        let error = Gateway::parse(&good.replace(there, instead)).err();
        let said = error.map_or_else(
            || "nothing".to_owned(),
            |error| match error.place() {
                Some(place) => format!("{place}: {error}"),
                None => error.to_string(),
            },
        );
        if said != *expected {
            differing.push(format!("{what}\n  expected {expected}\n  said     {said}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
