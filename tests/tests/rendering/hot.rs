//! A gateway whose configuration changes while it is under load.

use std::{
    collections::HashSet,
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use weir_tests::{
    callers::client::Trace,
    stack::{CALLER_KEY, Options, Stack, Upstream, Wiring, question},
    system::wait,
    telemetry::spans,
};

/// How many changes there are, and how long each stays.
fn changes() -> (usize, Duration) {
    let is_long = env::var_os("WEIR_FAULTS").is_some_and(|value| value == "long");
    if is_long { (12, Duration::from_secs(5)) } else { (4, Duration::from_millis(1500)) }
}

/// The gateway after so many changes: each has a provider of its own name, which the one before had not,
/// at one of the two servers, and a model of its own beside the one that callers use.
fn yaml(wiring: &Wiring, change: usize) -> String {
    let server = wiring.providers[change % 2];
    let key = change % 2;
    format!(
        "listen: {}\n\
         admin: {}\n\
         providers:\n\
         \x20 p{change}: {{ api: openai, url: \"http://{server}/v1\", key: {{ env: WEIR_TEST_KEY_{key} }} }}\n\
         models:\n\
         \x20 gpt-4o: {{ targets: [{{ provider: p{change} }}], retry: {{ attempts: 2, backoff: {}ms }} }}\n\
         \x20 of-change-{change}: {{ alias: gpt-4o }}\n\
         exporter: {{ url: \"{}\" }}\n",
        wiring.gateway.listen,
        wiring.gateway.admin,
        100 + change,
        wiring.exporter,
    )
}

async fn start() -> (Stack, Wiring) {
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let upstreams = [Upstream::openai("one", "/v1"), Upstream::openai("two", "/v1")];
    let options = Options::default().upstreams(upstreams).hot().yaml(move |wiring| {
        *note.lock().expect("no panic") = Some(wiring.clone());
        yaml(wiring, 0)
    });
    let stack = options.start().await;
    let wiring = seen.lock().expect("no panic").clone().expect("it was rendered");
    (stack, wiring)
}

/// Asks over and over, on connections that are kept, until it is told to stop; gives each trace, and
/// what came of each request that failed.
async fn load(url: String, stop: Arc<AtomicBool>) -> (Vec<Trace>, Vec<String>) {
    let client = reqwest::Client::builder().no_proxy().timeout(wait::DEADLINE).build().expect("a client");
    let (mut traces, mut failures) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let trace = Trace::new();
        let mut body = question();
        body["stream"] = traces.len().is_multiple_of(3).into();
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .header("traceparent", trace.parent())
            .bearer_auth(CALLER_KEY)
            .body(body.to_string());
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = answer.text().await;
                if status != 200 || body.is_err() {
                    failures.push(format!("{status}: {body:?}"));
                }
            }
            Err(error) => failures.push(format!("{error:?}")),
        }
        traces.push(trace);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (traces, failures)
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_change_is_taken_without_a_failed_request_or_a_lost_event() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (stack, wiring) = start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> =
        (0..4).map(|_| tokio::spawn(load(stack.url("/v1/chat/completions"), Arc::clone(&stop)))).collect();
    let (count, pause) = changes();
    for change in 1..=count {
        let published = stack.envoy.change(&yaml(&wiring, change)).await.unwrap_or_else(|error| {
            panic!("{error:#}\n{}", stack.envoy.process.log_end());
        });
        assert!(
            published.taken && published.retired.contains(&format!("provider.p{}", change - 1)),
            "{published:?}"
        );
        // From now on, whoever connects has the new configuration.
        let answered = stack.chat().await;
        assert_eq!(answered.header("x-weir-model"), format!("p{change}/gpt-4o"), "{answered:?}");
        tokio::time::sleep(pause).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut traces, mut failures) = (Vec::new(), Vec::new());
    for load in loads {
        let (more, failed) = load.await.expect("a load that ends");
        traces.extend(more);
        failures.extend(failed);
    }
    assert!(
        failures.is_empty(),
        "{} of {} requests failed: {:?}",
        failures.len(),
        traces.len(),
        &failures[..1]
    );
    assert!(traces.len() > count * 20, "{} requests", traces.len());
    let asked: HashSet<String> = traces.iter().map(|trace| trace.trace_id.clone()).collect();
    let missing = || {
        let told: HashSet<String> = stack.otlp.spans().into_iter().map(|span| span.trace_id).collect();
        asked.difference(&told).count()
    };
    // A call whose answer went astray would be made again after 30 s.
    let told =
        wait::poll(Duration::from_secs(60), || std::future::ready((missing() == 0).then_some(()))).await;
    assert!(told.is_some(), "{} of {} events are not told", missing(), asked.len());
    stack.assert_vm_is_well().await;
    println!("{} requests through {count} changes, none failed, every event told", traces.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_no_route_names_is_not_reached_and_no_other_is_in_its_place() {
    let (stack, wiring) = start().await;
    stack.chat().await;
    let routes = stack.envoy.watched().join("routes.yaml");
    let before = fs::read_to_string(&routes).expect("the routes");
    stack.envoy.change(&yaml(&wiring, 1)).await.expect("a change");
    // The routes of before, which know of p0 alone.
    let stale = routes.with_extension("stale");
    fs::write(&stale, &before).and_then(|()| fs::rename(&stale, &routes)).expect("the routes of before");
    let version = before.lines().find_map(|line| line.strip_prefix("version_info: ")).expect("a version");
    let version = version.trim_matches(['"', '\'']);
    let taken = wait::poll(wait::DEADLINE, || async {
        let stats = stack.admin("/stats?filter=rds.weir.version_text").await;
        stats.contains(version).then_some(())
    });
    assert!(taken.await.is_some());
    let (one, two) = (stack.provider.count(), stack.other("two").count());
    let answered = stack.send(question().to_string()).await;
    assert_eq!((answered.status, answered.header("content-type")), (502, "application/json"), "{answered:?}");
    assert_eq!(answered.json()["error"]["code"], "provider_unreachable");
    assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
    assert_eq!(answered.header("x-weir-attempts"), "0");
    assert_eq!((stack.provider.count(), stack.other("two").count()), (one, two), "nobody was asked");
    let all = stack.otlp.wait_for(&answered.trace).await;
    let server = spans::only(&all, "the SERVER span", |span| span.kind == SpanKind::Server);
    assert_eq!(server.attribute("http.response.status_code"), 502);
    assert_eq!(server.attribute("weir.ending"), "upstream_reset");
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_refuses_changes_nothing_and_is_said() {
    let (stack, wiring) = start().await;
    // A file that is not there when the configuration is taken.
    let wrong = yaml(&wiring, 1).replace(
        "key: { env: WEIR_TEST_KEY_1 }",
        "key: { env: WEIR_TEST_KEY_1 }, proxy: \"http://127.0.0.1:9\"",
    );
    let wrong = wrong
        .replace("url: \"http://", "url: \"https://")
        .replace("/v1\",", "/v1\", tls: { ca: /nowhere/ca.pem },");
    let error = stack.envoy.change(&wrong).await.expect_err("it is refused").to_string();
    assert!(error.contains("clusters.yaml") && error.contains("refused"), "{error}");
    let answered = stack.chat().await;
    assert_eq!(answered.header("x-weir-model"), "p0/gpt-4o");
    assert!(stack.envoy.change(&yaml(&wiring, 1)).await.expect("a good change").taken);
}
