//! The compose files as they are shipped, on a real Docker engine.
//!
//! Part of `make test` where an engine is there or can be started: `tests/scripts/docker.sh` sees to it, and to
//! the images, and says by `WEIR_COMPOSE` how compose is called.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    env,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};
use weir_tests::{
    callers::client,
    fakes::otlp::Endpoint,
    system::{ports, wait},
};

/// Containers start in their own time.
const DEADLINE: Duration = Duration::from_secs(60);

/// What compose was told to start; everything that it made goes when this does.
struct Compose {
    files: Vec<PathBuf>,
    project: String,
    env: BTreeMap<&'static str, String>,
}

impl Compose {
    fn new(files: &[&str], env: &[(&'static str, String)]) -> Self {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../envoy");
        let project = format!("weir-test-{}", std::process::id());
        Self {
            files: files.iter().map(|file| dir.join(file)).collect(),
            project,
            env: env.iter().cloned().collect(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let compose = env::var("WEIR_COMPOSE").expect("set by tests/scripts/docker.sh");
        let mut words = compose.split(' ');
        let mut command = Command::new(words.next().expect("a command"));
        command.args(words);
        for file in &self.files {
            command.arg("-f").arg(file);
        }
        command.args(["-p", &self.project]).args(arguments);
        // Nothing of this environment's keys and destinations.
        for name in
            ["OPENAI_API_KEY", "MW_TENANT", "MW_API_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT", "WEIR_GATEWAY"]
        {
            command.env_remove(name);
        }
        command.envs(&self.env).output().expect("compose")
    }

    /// Runs it, and shows what it said where it fails.
    fn must(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if !status.success() {
            let logs = self.run(&["logs", "--tail=30"]);
            let logs = String::from_utf8_lossy(&logs.stdout).into_owned();
            panic!("{arguments:?}: {status}\n{stdout}\n{stderr}\n{logs}");
        }
        stdout.into_owned()
    }

    /// Waits until every container with a health check is healthy.
    async fn healthy(&self) {
        let look = || async {
            let ids = self.must(&["ps", "--quiet"]);
            let format = "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.Name}}";
            let mut inspect = Command::new("docker");
            let Output { stdout, .. } = inspect
                .args(["inspect", "--format", format])
                .args(ids.split_whitespace())
                .output()
                .expect("docker");
            let states = String::from_utf8_lossy(&stdout).into_owned();
            let well = |line: &str| line.starts_with("healthy ") || line.starts_with("none ");
            states.lines().all(well).then_some(())
        };
        let healthy = wait::poll(DEADLINE, look).await;
        assert!(healthy.is_some(), "not all are healthy:\n{}", self.must(&["ps"]));
    }

    /// What a service has logged.
    fn logs(&self, service: &str) -> String {
        self.must(&["logs", "--no-color", service])
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        self.run(&["kill"]);
        self.run(&["down", "--volumes", "--remove-orphans", "--timeout=1"]);
    }
}

/// Where containers reach this machine: what `host-gateway`, which the compose files use, becomes in one. An engine
/// that has just made its bridge does not name the address as that network's gateway until it is started again.
fn host_gateway() -> IpAddr {
    let compose = include_str!("../../envoy/compose.yaml");
    let mut images = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let image = images.find(|image| image.starts_with("nats:")).expect("NATS's image");
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--network", "none", "--add-host", "here:host-gateway"]);
    docker.args(["--entrypoint", "/bin/busybox", image, "cat", "/etc/hosts"]);
    let Output { status, stdout, stderr } = docker.output().expect("docker");
    let (hosts, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "docker run: {status}\n{error}");
    // One engine may give an address of IPv4 and one of IPv6.
    let addresses =
        hosts.lines().filter_map(|line| line.trim_end().strip_suffix("here")?.trim().parse().ok());
    addresses.min().unwrap_or_else(|| panic!("no address of this machine in\n{hosts}"))
}

/// Two free ports, and where spans go.
async fn rig() -> (Endpoint, u16, Vec<(&'static str, String)>) {
    let collector = Endpoint::start_at(host_gateway()).await;
    let (port, admin) = (ports::free().expect("a port"), ports::free().expect("a port"));
    let env = vec![
        ("PORT", port.to_string()),
        ("ADMIN_PORT", admin.to_string()),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://host.docker.internal:{}", collector.address().port()),
        ),
    ];
    (collector, port, env)
}

/// Asks as the README does. The answer's text and its trace.
async fn ask(port: u16) -> Option<(String, String)> {
    let body =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "What is a weir?" }] });
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    let request = client::http().post(url).header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.ok().filter(|response| response.status().is_success())?;
    let trace = response.headers()["x-weir-trace-id"].to_str().expect("a trace id").to_owned();
    let body: Value = serde_json::from_str(&response.text().await.ok()?).expect("JSON");
    Some((body["choices"][0]["message"]["content"].as_str()?.to_owned(), trace))
}

async fn answer(port: u16) -> (String, String) {
    wait::poll(DEADLINE, || ask(port)).await.expect("an answer through Envoy")
}

/// Waits until the spans of this trace are where spans go.
async fn arrived(collector: &Endpoint, trace: &str) {
    let has_arrived = || async {
        let spans = collector.trace(trace);
        spans.iter().any(|span| span.name == "chat gpt-4o-mini").then_some(())
    };
    wait::poll(DEADLINE, has_arrived)
        .await
        .unwrap_or_else(|| panic!("the spans of trace {trace} did not arrive"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker engine: make test-docker"]
async fn one_machine_answers_ships_its_spans_and_loses_none_when_it_stops() {
    let (collector, port, env) = rig().await;
    let compose = Compose::new(&["compose.yaml"], &env);
    compose.must(&["up", "--detach", "--build"]);
    let (text, trace) = answer(port).await;
    assert!(text.contains("built-in demo provider"), "{text}");
    arrived(&collector, &trace).await;
    compose.healthy().await;
    assert!(!compose.logs("nats").contains("Violation"), "{}", compose.logs("nats"));

    // Envoy is told to stop at once after an answer: what its filter holds leaves first.
    let (_, last) = answer(port).await;
    compose.must(&["stop", "envoy"]);
    arrived(&collector, &last).await;

    // A second start finds what the first one made.
    compose.must(&["down"]);
    compose.must(&["up", "--detach"]);
    assert!(compose.logs("credentials").contains("stays as it is"));
    let (_, again) = answer(port).await;
    arrived(&collector, &again).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker engine: make test-docker"]
async fn a_key_that_is_missing_is_named_before_envoy_is_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let yaml = include_str!("../../envoy/docker/gateway.yaml").replace("  # openai:", "  openai:");
    let file = dir.path().join("gateway.yaml");
    std::fs::write(&file, yaml).expect("written");
    // The container's user is another one than this.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let compose = Compose::new(&["compose.yaml"], &[("WEIR_GATEWAY", file.display().to_string())]);
    let Output { stdout, stderr, .. } = compose.run(&["run", "--rm", "config"]);
    // How compose shows a container's output depends on its version.
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let expected = "providers.openai.key.env: the environment variable OPENAI_API_KEY is not set";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker engine: make test-docker"]
async fn a_cluster_goes_on_without_a_node_of_nats_and_without_an_exporter() {
    let (collector, port, env) = rig().await;
    let compose = Compose::new(&["compose.yaml", "compose.cluster.yaml"], &env);
    compose.must(&["up", "--detach", "--build"]);
    let (_, trace) = answer(port).await;
    arrived(&collector, &trace).await;
    compose.healthy().await;

    compose.must(&["kill", "nats-2"]);
    let (_, trace) = answer(port).await;
    arrived(&collector, &trace).await;

    compose.must(&["kill", "ingest", "ship"]);
    let (_, trace) = answer(port).await;
    arrived(&collector, &trace).await;

    // Another may go once the first is back.
    compose.must(&["up", "--detach"]);
    compose.healthy().await;
    compose.must(&["kill", "nats"]);
    let (_, trace) = answer(port).await;
    arrived(&collector, &trace).await;
}
