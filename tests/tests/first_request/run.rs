//! `weir-run`, which is what `make run` runs, as a new user sees it.

use std::ffi::OsString;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use weir_tests::{
    callers::client::{self, Trace},
    fakes::otlp::Endpoint,
    system::{
        ports, probe,
        process::{Process, Ready, Spec, Stopped},
        tools, wait,
    },
};

struct Run {
    process: Process,
    port: u16,
}

impl Run {
    /// Starts it on a free port with these variables, and waits until it says that it is up.
    async fn start(variables: &[(&str, &str)]) -> Self {
        let (port, dir) = (ports::free().expect("a port"), TempDir::new().expect("a directory"));
        let mut env: Vec<(String, OsString)> = vec![
            ("PORT".to_owned(), port.to_string().into()),
            // What it leaves when it is killed goes with the test.
            ("TMPDIR".to_owned(), dir.path().into()),
        ];
        for name in ["WEIR_TOOLS", "WEIR_WASM", "XDG_CACHE_HOME"] {
            env.extend(std::env::var_os(name).map(|value| (name.to_owned(), value)));
        }
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
        let spec = Spec {
            name: "weir-run",
            program: tools::binary("weir-run").unwrap_or_else(|error| panic!("{error}")),
            args: Vec::new(),
            env,
            shows_output: false,
            ready: Ready::Tcp(port),
        };
        let process = Process::start(spec, dir).await.unwrap_or_else(|error| panic!("{error}"));
        wait::until("the last line of the summary", || process.log().contains("Ctrl-C stops everything."))
            .await;
        Self { process, port }
    }

    async fn chat(&self, trace: &Trace) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}/v1/chat/completions", self.port);
        let body =
            json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "What is a weir?" }] });
        let request = client::http().post(url).header("traceparent", trace.parent()).body(body.to_string());
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("text"))
    }

    /// The ports that its summary names, of whatever it started.
    fn named_ports(&self) -> Vec<u16> {
        let log = self.process.log();
        let after = log.split("127.0.0.1:").skip(1);
        after.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
    }

    async fn assert_nothing_is_left(&self) {
        let ports = self.named_ports();
        assert!(ports.len() >= 5, "{ports:?}");
        for port in ports {
            wait::until("a port to be free", || ports::is_free(port)).await;
            assert!(!probe::connects(port).await, "{port}");
        }
    }
}

/// The processes whose parent is this one, by the name of their program.
fn children(parent: u32) -> Vec<(String, i32)> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process that has ended in between has no status.
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("PPid:").and_then(|pid| pid.parse().ok()) == Some(parent) {
            children.push((field("Name:").unwrap_or_default().to_owned(), pid));
        }
    }
    children
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_it_answers_by_the_demo_prints_the_trace_and_stops_everything() {
    let mut run = Run::start(&[]).await;
    let trace = Trace::new();
    let (status, answer) = run.chat(&trace).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("built-in demo provider"), "{answer}");
    wait::until("the trace on the terminal", || run.process.log().contains(&trace.trace_id)).await;
    assert!(run.process.log().contains("DEMO provider"));
    // This one's trace may not have been printed yet when everything is told to stop.
    let last = Trace::new();
    assert_eq!(run.chat(&last).await.0, 200);
    let stopped = run.process.stop(wait::DEADLINE).await.expect("a stop");
    assert!(matches!(stopped, Stopped::Gracefully(status) if status.success()), "{}", run.process.log_end());
    assert!(run.process.log().contains(&last.trace_id), "{}", run.process.log_end());
    assert!(run.process.log().contains("Everything is stopped."));
    run.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_middlewares_tenant_and_key_traces_go_there_and_no_key_is_shown() {
    let otlp = Endpoint::start().await;
    let target = format!("http://{}", otlp.address());
    let (key, openai) = ("mw-canary-77f0", "sk-canary-08be");
    let mut run = Run::start(&[
        ("MW_TENANT", "acme"),
        ("MW_API_KEY", key),
        ("MW_TARGET", &target),
        // Nothing is asked of OpenAI here; the key must go to Envoy alone.
        ("OPENAI_API_KEY", openai),
    ])
    .await;
    let url = format!("http://127.0.0.1:{}/v1/chat/completions", run.port);
    let trace = Trace::new();
    let request = client::http().post(url).header("traceparent", trace.parent()).body("{}");
    assert_eq!(request.send().await.expect("an answer").status(), 400);
    let spans = otlp.wait_for(&trace).await;
    assert!(spans.iter().any(|span| span.kind == SpanKind::Server));
    let received = otlp.received().pop().expect("a request");
    assert_eq!(received.headers["authorization"], key);
    for (name, pid) in children(run.process.id()) {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).expect("a command line");
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("an environment");
        let (command, environment) =
            (String::from_utf8_lossy(&command), String::from_utf8_lossy(&environment));
        assert!(!command.contains(key) && !command.contains(openai), "{name}");
        assert_eq!(environment.contains(key), name == "weir-exporter", "{name}");
        assert_eq!(environment.contains(openai), name == "envoy", "{name}");
    }
    assert!(run.process.log().contains("Middleware, tenant acme"));
    run.process.stop(wait::DEADLINE).await.expect("a stop");
    assert!(!run.process.log().contains(key) && !run.process.log().contains(openai));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_component_dies_it_says_which_and_stops_the_others() {
    let mut run = Run::start(&[]).await;
    let children = children(run.process.id());
    let (_, pid) = children.iter().find(|(name, _)| name == "nats-server").expect("nats-server is a child");
    kill_process(Pid::from_raw(*pid).expect("a pid"), Signal::KILL).expect("a kill");
    let ended = run.process.ends_within(wait::DEADLINE).await;
    assert!(matches!(ended, Stopped::Gracefully(status) if status.code() == Some(1)), "{ended:?}");
    let log = run.process.log();
    assert!(log.contains("nats-server ended") && log.contains("Server is ready"), "{log}");
    run.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_killed_nothing_of_it_is_left() {
    let mut run = Run::start(&[]).await;
    run.process.kill();
    run.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_explained_with_another_to_choose() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = taken.local_addr().expect("address").port();
    let output = tokio::process::Command::new(tools::binary("weir-run").expect("weir-run"))
        .env("PORT", port.to_string())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(wait::DEADLINE, output).await.expect("it ends").expect("it starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("PORT="), "{said}");
}
