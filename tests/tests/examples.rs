//! The examples do what their READMEs say, from the very files that a reader would copy: only addresses are replaced.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::{
    callers::client::{self, Trace},
    fakes::{
        otlp::{Endpoint, Received},
        provider::{Answer, Provider},
    },
    stack::{
        Answered,
        envoy::{self, Envoy},
        exporter::{self, Exporter},
        nats::Nats,
    },
    system::{
        ports,
        process::{Process, Ready, Spec},
        tools,
    },
    telemetry::spans::Span,
};

const EXAMPLES: [&str; 5] = [
    "collector-in-between",
    "failover-across-clouds",
    "istio",
    "one-provider-to-middleware",
    "pii-masking-with-restore",
];

/// What the READMEs have exported.
const KEYS: [(&str, &str); 5] = [
    ("OPENAI_API_KEY", "sk-openai"),
    ("AZURE_OPENAI_API_KEY", "sk-azure"),
    ("GEMINI_API_KEY", "sk-google"),
    ("MW_API_KEY", "mw-key"),
    ("OTLP_TOKEN", "otlp-token"),
];

fn folder(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(example)
}

fn file(example: &str, name: &str) -> String {
    let path = folder(example).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with each of these replaced; each must be in it.
fn replaced(text: &str, changes: &[(&str, String)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    })
}

fn environment() -> Vec<(String, OsString)> {
    KEYS.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect()
}

/// An example that runs.
struct Running {
    // Dropped in this order: a component before those it speaks to.
    envoy: Envoy,
    _exporter: Exporter,
    _nats: Nats,
    otlp: Endpoint,
}

/// Where an example's parts are in a test, in place of what its files say.
struct Places<'a> {
    listen: &'a str,
    exporter: &'a str,
    gateway: &'a [(&'a str, String)],
    exporter_yaml: &'a [(&'a str, String)],
}

impl Running {
    async fn start(example: &str, otlp: Endpoint, places: &Places<'_>) -> Self {
        let nats = Nats::start().await.unwrap_or_else(|error| panic!("{error}"));
        let config = replaced(&file(example, "exporter.yaml"), places.exporter_yaml);
        let env = environment();
        let options = exporter::Options { env: &env, config: Some(&config), ..Default::default() };
        let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
        let yaml = file(example, "gateway.yaml");
        let options = envoy::Options { env: &env, ..Default::default() };
        let envoy = Envoy::start(&options, |addresses| {
            let own = [
                (places.listen, format!("listen: {}\nadmin: {}", addresses.listen, addresses.admin)),
                (places.exporter, exporter.url()),
            ];
            replaced(&replaced(&yaml, places.gateway), &own)
        });
        let envoy = envoy.await.unwrap_or_else(|error| panic!("{error}"));
        Self { envoy, _exporter: exporter, _nats: nats, otlp }
    }

    /// Asks a question and waits for its trace.
    async fn ask(&self, model: &str, content: &str) -> (Answered, Vec<Span>) {
        let trace = Trace::new();
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": content }] });
        let request = client::http()
            .post(format!("http://{}/v1/chat/completions", self.envoy.addresses.listen))
            .header("content-type", "application/json")
            .header("traceparent", trace.parent())
            .bearer_auth("weir-example-key-of-team-a")
            .body(body.to_string());
        let answered = Answered::to(trace.clone(), request).await;
        let spans = self.otlp.wait_for(&trace).await;
        (answered, spans)
    }

    /// The request that a trace was taken by.
    fn export_of(&self, spans: &[Span]) -> Received {
        let of_trace = |received: &Received| {
            let exported = weir_tests::telemetry::spans::flatten(&received.export);
            received.status == 200 && exported.iter().any(|span| span.trace_id == spans[0].trace_id)
        };
        self.otlp.received().into_iter().find(of_trace).expect("the export of this trace")
    }
}

/// The usual addresses of an example on one machine.
fn local<'a>(gateway: &'a [(&'a str, String)], exporter_yaml: &'a [(&'a str, String)]) -> Places<'a> {
    Places { listen: "listen: 127.0.0.1:8080", exporter: "http://127.0.0.1:4319", gateway, exporter_yaml }
}

fn openai_at(address: SocketAddr) -> [(&'static str, String); 1] {
    [("https://api.openai.com", format!("http://{address}"))]
}

/// The spans of a trace's attempts, in order: provider and status.
fn attempts(spans: &[Span]) -> Vec<(String, u64)> {
    let mut found: Vec<&Span> = spans.iter().filter(|span| span.name == "POST").collect();
    found.sort_by_key(|span| span.attribute("weir.attempt.number").as_u64());
    let text = |span: &Span, key: &str| span.attribute(key).as_str().unwrap_or_default().to_owned();
    let status = |span: &Span| span.attribute("http.response.status_code").as_u64().unwrap_or_default();
    found.iter().map(|span| (text(span, "weir.provider"), status(span))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_provider_is_called_with_its_key_and_the_trace_reaches_middleware_with_the_raw_key() {
    let (provider, otlp) = (Provider::start().await, Endpoint::start().await);
    let gateway = openai_at(provider.address());
    let exporter = [("tenant: acme", format!("endpoint: \"http://{}\"", otlp.address()))];
    let example = Running::start("one-provider-to-middleware", otlp, &local(&gateway, &exporter)).await;
    let (answered, spans) = example.ask("gpt-4o-mini", "What is a weir? Tell ann@example.com.").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(provider.last().await.header("authorization"), Some("Bearer sk-openai"));
    let export = example.export_of(&spans);
    assert_eq!(export.headers["authorization"], "mw-key");
    assert_eq!(export.headers["x-trace-source"], "openinference");
    let held = format!("{spans:?}");
    assert!(held.contains("What is a weir?") && held.contains("[EMAIL]"), "{held}");
    assert!(!held.contains("ann@example.com"), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_cloud_takes_over_and_the_trace_has_an_attempt_for_each() {
    let (openai, azure, google) = (Provider::start().await, Provider::start().await, Provider::start().await);
    let otlp = Endpoint::start().await;
    let gateway = [
        ("https://api.openai.com", format!("http://{}", openai.address())),
        ("https://example.openai.azure.com", format!("http://{}", azure.address())),
        ("https://generativelanguage.googleapis.com", format!("http://{}", google.address())),
    ];
    let exporter = [("https://otlp.example.com", format!("http://{}", otlp.address()))];
    let example = Running::start("failover-across-clouds", otlp, &local(&gateway, &exporter)).await;
    let attempt = |provider: &str, status| (provider.to_owned(), status);

    openai.answers(Answer::error(503));
    let (answered, spans) = example.ask("smart", "What is a weir?").await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{answered:?}");
    assert_eq!(attempts(&spans), [attempt("openai", 503), attempt("azure", 200)]);
    let received = azure.last().await;
    assert_eq!(received.path, "/openai/deployments/gpt-4o-eu/chat/completions?api-version=2024-10-21");
    assert_eq!(received.header("api-key"), Some("sk-azure"));
    assert_eq!(example.export_of(&spans).headers["authorization"], "otlp-token");

    azure.answers(Answer::error(429));
    let (answered, spans) = example.ask("smart", "What is a weir?").await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "3"), "{answered:?}");
    let all = [attempt("openai", 503), attempt("azure", 429), attempt("google", 200)];
    assert_eq!(attempts(&spans), all);
    assert_eq!(google.last().await.path, "/v1beta/openai/chat/completions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_sees_placeholders_and_the_caller_its_own_values() {
    let (provider, otlp) = (Provider::start().await, Endpoint::start().await);
    // A model that repeats what it was asked.
    provider.answers_by(|received| {
        let body: Value = serde_json::from_slice(&received.body).expect("JSON");
        let mut answer = weir_tests::fakes::fixtures::json("openai/chat.json");
        answer["choices"][0]["message"]["content"] = body["messages"][0]["content"].clone();
        Answer::text(answer.to_string())
    });
    let gateway = openai_at(provider.address());
    let exporter = [("https://otlp.example.com", format!("http://{}", otlp.address()))];
    let example = Running::start("pii-masking-with-restore", otlp, &local(&gateway, &exporter)).await;
    let question = "Write one line to ann@example.com.";
    let (answered, spans) = example.ask("gpt-4o-mini", question).await;
    assert_eq!(answered.json()["choices"][0]["message"]["content"], question);
    let seen = String::from_utf8_lossy(&provider.last().await.body).into_owned();
    assert!(seen.contains("[EMAIL_1]") && !seen.contains("ann@example.com"), "{seen}");
    let held = format!("{spans:?}");
    assert!(held.contains("[EMAIL_1]") && !held.contains("ann@example.com"), "{held}");
    let restored = |span: &&Span| span.attribute("weir.redacted.restored.email") == 1;
    assert!(spans.iter().any(|span| restored(&span)), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ingress_gateways_file_routes_for_who_has_the_key_and_no_one_else() {
    let (provider, otlp) = (Provider::start().await, Endpoint::start().await);
    let dir = TempDir::new().expect("a directory");
    let secret = |name: &str, value: &str| {
        let path = dir.path().join(name);
        fs::write(&path, value).expect("written");
        path.display().to_string()
    };
    let gateway = [
        ("https://api.openai.com", format!("http://{}", provider.address())),
        ("/etc/weir/keys/openai", secret("openai", "sk-openai")),
        ("/etc/weir/keys/token", secret("token", "ingest-token")),
    ];
    // NATS is here without certificates and users, and the harness asks health elsewhere.
    let exporter = [
        ("admin: { listen: 0.0.0.0:4320 }", String::new()),
        ("url: tls://nats.weir.svc:4222", "url: nats://127.0.0.1:4222".to_owned()),
        ("  nkey: { file: /etc/weir/bus/nkey }\n", String::new()),
        ("  tls: { ca: /etc/weir/bus/ca.pem }\n", String::new()),
        ("tenant: acme", format!("endpoint: \"http://{}\"", otlp.address())),
        ("/etc/weir/destinations/middleware-key", secret("middleware", "mw-key")),
    ];
    let places = Places {
        listen: "listen: 0.0.0.0:80",
        exporter: "http://weir-ingest.weir.svc:4319",
        gateway: &gateway,
        exporter_yaml: &exporter,
    };
    let example = Running::start("istio", otlp, &places).await;
    let (answered, spans) = example.ask("gpt-4o-mini", "What is a weir?").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(provider.last().await.header("authorization"), Some("Bearer sk-openai"));
    assert!(spans.iter().any(|span| span.kind == SpanKind::Server));
    let stranger = client::http()
        .post(format!("http://{}/v1/chat/completions", example.envoy.addresses.listen))
        .body(r#"{"model":"gpt-4o-mini","messages":[]}"#);
    assert_eq!(stranger.send().await.expect("a response").status(), 401);
}

/// A real Collector where `WEIR_OTELCOL` names one, which is not installed by `make setup`; else what it would
/// forward to stands in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_in_between_receives_the_trace_and_adds_the_key() {
    let (provider, otlp) = (Provider::start().await, Endpoint::start().await);
    let collector_yaml = file("collector-in-between", "collector.yaml");
    assert!(collector_yaml.contains("127.0.0.1:4318"), "where exporter.yaml sends to");
    let mut collector = None;
    let mut receiver = otlp.address();
    if let Some(program) = std::env::var_os("WEIR_OTELCOL") {
        let port = ports::free().expect("a port");
        receiver.set_port(port);
        let dir = TempDir::new().expect("a directory");
        let yaml = replaced(
            &collector_yaml,
            &[
                ("127.0.0.1:4318", receiver.to_string()),
                ("https://acme.middleware.io:443", format!("http://{}", otlp.address())),
                // Its own metrics have a port that somebody may have.
                ("service:\n", "service:\n  telemetry: { metrics: { level: none } }\n".to_owned()),
            ],
        );
        fs::write(dir.path().join("collector.yaml"), yaml).expect("written");
        let spec = Spec {
            name: "otelcol",
            program: program.into(),
            args: ["--config", "collector.yaml"].map(Into::into).into(),
            env: environment(),
            shows_output: false,
            ready: Ready::Tcp(port),
        };
        collector = Some(Process::start(spec, dir).await.unwrap_or_else(|error| panic!("{error}")));
    }
    let gateway = openai_at(provider.address());
    let exporter = [("127.0.0.1:4318", receiver.to_string())];
    let example = Running::start("collector-in-between", otlp, &local(&gateway, &exporter)).await;
    // What the backend cannot take reaches the exporter as an error, which tries again.
    example.otlp.refuse_next(1, 503);
    let (answered, spans) = example.ask("gpt-4o-mini", "What is a weir?").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let chat = spans.iter().find(|span| span.name == "chat gpt-4o-mini").expect("the call's span");
    assert_eq!(chat.attribute("openinference.span.kind"), "LLM");
    let key = example.export_of(&spans).headers.get("authorization").cloned();
    assert_eq!(key.is_some(), collector.is_some(), "the key is the Collector's: {key:?}");
    assert!(key.is_none_or(|key| key == "mw-key"));
    assert_eq!(example.otlp.refused(), 1);
}

/// The commands of a README's shell blocks that Weir's programs answer alone, continued lines joined.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: String = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let ours = |line: &&str| line.starts_with("weir-config ") || line.starts_with("weir-exporter check");
    lines.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
fn the_readmes_commands_work_and_what_is_rendered_is_what_lies_there() {
    let programs = tools::binary("weir-config").unwrap_or_else(|error| panic!("{error}"));
    let path = format!("{}:/usr/bin:/bin", programs.parent().expect("a directory").display());
    for example in EXAMPLES {
        let dir = TempDir::new().expect("a directory");
        for entry in fs::read_dir(folder(example)).expect("the example") {
            let entry = entry.expect("an entry");
            if entry.file_name() != "istio.yaml" {
                fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copied");
            }
        }
        let mut all = commands(&file(example, "README.md"));
        assert!(all.len() >= 2, "{example}: {all:?}");
        all.push(
            "weir-config envoy gateway.yaml --wasm /etc/weir/weir_filter.wasm --output envoy.yaml".to_owned(),
        );
        for command in all {
            let output = Command::new("bash")
                .args(["-c", &command])
                .current_dir(dir.path())
                .env_clear()
                .env("PATH", &path)
                .envs(KEYS)
                .output()
                .expect("bash");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{example}: {command}: {said}");
        }
        if example == "istio" {
            let made = fs::read_to_string(dir.path().join("istio.yaml")).expect("rendered");
            assert!(
                made == file(example, "istio.yaml"),
                "istio.yaml is not what its README's command renders"
            );
        }
    }
}

#[test]
fn every_example_is_listed() {
    let list = file(".", "README.md");
    let mut found: Vec<String> = fs::read_dir(folder("."))
        .expect("the examples")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name != "README.md")
        .collect();
    found.sort();
    assert_eq!(found, EXAMPLES);
    for example in EXAMPLES {
        assert!(list.contains(&format!("({example}/README.md)")), "{example}");
    }
}
