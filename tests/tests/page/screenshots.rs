//! Pictures of every view, from a run with traffic as it is: several models, providers and keys, streams, tools,
//! failures, a destination that is away, one that filters, a dead letter. `make screenshots` takes them.
//!
//! They lie in WEIR_SCREENSHOTS, else below the system's temporary directory. First paint, and frames while a
//! thousand rows are scrolled, are measured and printed. WEIR_SCREENSHOT_SECONDS says how long the traffic runs.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fantoccini::Locator;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weir_tests::{
    callers::{browser::Browser, client, source::Source},
    fakes::{
        otlp::{Endpoint, Reply},
        provider::{Answer, Received},
    },
    stack::{Options, Stack, Upstream},
    system::wait,
};

use crate::rig::{SEALING, json_of};

const KEYS: [&str; 3] = ["search", "support", "nightly-batch"];

const MODELS: &str = "{ gpt-4o: { targets: [{ provider: openai }] }, gpt-4o-mini: { targets: [{ provider: openai }] }, \
     llama-3.3-70b: { targets: [{ provider: vllm }] }, smart: { strategy: priority, targets: [{ provider: openai, \
     model: gpt-4o }, { provider: vllm, model: llama-3.3-70b }], retry: { attempts: 2, on: [429, 503] } } }";

const QUESTIONS: [&str; 5] = [
    "What is a weir, in two sentences?",
    "Compare the discharge of a sharp-crested weir and a broad-crested one.",
    "How high is the river at the gauge of Passau today, and what does that mean for shipping?",
    "Summarise the attached inspection report in three bullet points.",
    "Write a polite answer to this complaint about late delivery.",
];

const ANSWER: &str = "A weir is a low barrier across a river that raises the water behind it and lets the rest flow over \
     its crest. Because the flow over the crest follows from the height of the water, a weir also measures the river.";

#[tokio::test]
#[ignore = "takes pictures, which only a person can judge"]
async fn every_view_light_and_dark_wide_and_narrow() {
    let place =
        env::var_os("WEIR_SCREENSHOTS").map_or_else(|| env::temp_dir().join("weir-page"), PathBuf::from);
    fs::create_dir_all(&place).expect("a directory");
    let run = Run::start().await;
    let seconds = env::var("WEIR_SCREENSHOT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    run.traffic(Duration::from_secs(seconds)).await;
    run.dead_letter().await;
    let browser = Browser::start().await;
    run.measure(&browser).await;
    for (width, height) in [(1280, 860), (400, 860)] {
        for scheme in ["light", "dark"] {
            let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.devtools("Emulation.setEmulatedMedia", media).await;
            for (name, path, words) in run.views().await {
                browser.open("about:blank").await;
                browser.open(&run.stack.exporter.page(&format!("/{path}"))).await;
                browser.reads(words).await;
                let shot = json!({ "format": "png", "captureBeyondViewport": name != "traces" });
                let data = browser.devtools("Page.captureScreenshot", shot).await["data"].clone();
                let png = STANDARD.decode(data.as_str().expect("a picture")).expect("base64");
                fs::write(place.join(format!("{name}-{scheme}-{width}.png")), png).expect("a file");
            }
        }
    }
    println!("pictures are in {}", place.display());
}

struct Run {
    stack: Stack,
    collector: Endpoint,
    _errors: Endpoint,
    _away: Endpoint,
}

impl Run {
    async fn start() -> Self {
        let digest = |key: &str| {
            let digest = Sha256::digest(format!("sk-weir-{key}"));
            digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let keys = KEYS.map(|key| format!("{{ name: {key}, sha256: \"{}\", models: ['*'] }}", digest(key)));
        let stack = Options::default()
            .without_destination()
            .upstreams([Upstream::openai("openai", "/v1"), Upstream::openai("vllm", "/v1")])
            .models(MODELS)
            .with(&format!("keys: [{}]", keys.join(", ")))
            .with("redaction: { exported: { content: keep } }")
            .exporter_env("WEIR_SETTINGS_KEY", SEALING)
            .exporter_env(
                "WEIR_EXPORTER__PAGE__LINKS",
                "{ Middleware: 'https://acme.middleware.io/traces/{trace_id}' }",
            )
            .start()
            .await;
        stack.provider.answers_by(|request| answer(request, 20, 900));
        stack.other("vllm").answers_by(|request| answer(request, 4, 1600));
        let (collector, errors, away) =
            (Endpoint::counting().await, Endpoint::counting().await, Endpoint::counting().await);
        let run = Self { stack, collector, _errors: errors, _away: away };
        let destinations = [
            ("collector", json!({ "type": "otlp", "endpoint": run.collector.url(), "metrics": false })),
            (
                "errors-only",
                json!({ "type": "otlp", "endpoint": run._errors.url(), "metrics": false, "when": { "status": ["4xx", "5xx"] }, "exclude_request_data": true }),
            ),
            (
                "long-term",
                json!({ "type": "otlp", "endpoint": run._away.url(), "metrics": false, "overlays": ["openinference"] }),
            ),
        ];
        for (name, settings) in destinations {
            let secrets = json!({ "headers.x-api-key": { "set": format!("key-of-{name}-7f3a") } });
            let body = json!({ "revision": null, "settings": settings, "secrets": secrets });
            json_of(run.ask(Method::PUT, &format!("/api/destinations/{name}")).body(body.to_string())).await;
        }
        run
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        client::http()
            .request(method, self.stack.exporter.page(path))
            .header("x-weir-page", "1")
            .header("content-type", "application/json")
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.ask(Method::GET, path)).await
    }

    /// Requests in waves, a few a second.
    async fn traffic(&self, time: Duration) {
        let (start, mut sent) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            let key = KEYS[fastrand::usize(..KEYS.len())];
            let model = *fastrand::choice(
                ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini", "smart", "smart", "llama-3.3-70b"].iter(),
            )
            .expect("one");
            let model = if fastrand::u8(..50) == 0 { "gpt-4-turbo" } else { model };
            let question = QUESTIONS[fastrand::usize(..QUESTIONS.len())];
            let body = json!({
                "model": model, "stream": fastrand::u8(..10) < 6, "temperature": 0.2,
                "messages": [{ "role": "system", "content": "You are a careful hydrologist." }, { "role": "user", "content": question }],
            });
            let user = *fastrand::choice(["ada", "grace", "linus"].iter()).expect("one");
            let request = client::http()
                .post(self.stack.url("/v1/chat/completions"))
                .bearer_auth(format!("sk-weir-{key}"))
                .header("content-type", "application/json")
                .header("x-weir-user", user)
                .header("x-weir-conversation-id", format!("conv-{}", fastrand::u8(..40)))
                .body(body.to_string());
            sent.push(tokio::spawn(async move { request.send().await.ok()?.bytes().await.ok() }));
            let wave = (start.elapsed().as_secs_f64() / 25.0).sin().mul_add(0.6, 1.2);
            tokio::time::sleep(Duration::from_secs_f64(0.25 / wave)).await;
        }
        for one in sent {
            let _ = one.await;
        }
        self._away.answer(Reply::status(503));
        for _ in 0..12 {
            let body =
                json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": QUESTIONS[0] }] });
            let request =
                client::http().post(self.stack.url("/v1/chat/completions")).bearer_auth("sk-weir-search");
            let _ = request.header("content-type", "application/json").body(body.to_string()).send().await;
        }
    }

    /// One event that the collector will never take.
    async fn dead_letter(&self) {
        let mut source = Source::new().of_key("support");
        let batch = source.batch(1);
        self.collector.poison(batch.ids.clone(), 400);
        batch.store(&self.stack.exporter.url()).await;
        let there = || async { (self.get("/api/ledger").await["dead_letters"] == 1).then_some(()) };
        wait::poll(wait::DEADLINE, there).await.expect("a dead letter");
    }

    /// Each view's name, path, and what stands there once it is whole.
    async fn views(&self) -> Vec<(&'static str, String, &'static str)> {
        let find =
            |list: &Value| format!("#/traces/{}", list["requests"][0]["id"].as_str().unwrap_or_default());
        let streamed = self.get("/api/traces?model=smart&status=ok&limit=1").await;
        let failed = self.get("/api/traces?status=error&limit=1").await;
        vec![
            ("overview", "#/overview".to_owned(), "adds up"),
            ("traces", "#/traces".to_owned(), "the latest"),
            ("trace", find(&streamed), "gen_ai.request.model"),
            ("failed", find(&failed), "Attributes"),
            ("dead-letters", "#/dead-letters".to_owned(), "HTTP 400"),
            ("settings", "#/settings".to_owned(), "Who changed what"),
            ("add", "#/add-destination".to_owned(), "Exclude Request Data"),
            ("edit", "#/settings/errors-only".to_owned(), "Exclude Request Data"),
        ]
    }

    /// First paint, and how smoothly a thousand rows are scrolled.
    async fn measure(&self, browser: &Browser) {
        let mut paints = Vec::new();
        for _ in 0..5 {
            browser.open("about:blank").await;
            browser.open(&self.stack.exporter.page("/#/overview")).await;
            browser.reads("Where every event is").await;
            let paint = "const done = arguments[0]; const look = () => { const [paint] = \
                         performance.getEntriesByName('first-contentful-paint'); \
                         paint ? done(paint.startTime) : setTimeout(look, 20); }; look();";
            paints.push(browser.later(paint).await.as_f64().expect("a time"));
        }
        println!("first contentful paint, ms: {paints:.0?}");
        let held = self.get("/api/traces?limit=1").await["room"]["held"].as_u64().unwrap_or_default();
        let missing = usize::try_from(1000_u64.saturating_sub(held)).unwrap_or_default();
        Source::new().of_key("nightly-batch").store(&self.stack.exporter.url(), missing).await;
        browser.open(&self.stack.exporter.page("/#/traces")).await;
        browser.reads("the latest 1,000 requests").await;
        let _ = browser.client.find(Locator::Css(".rows .tr")).await.expect("rows");
        let frames = "const done = arguments[0], list = document.querySelector('.rows'), times = []; let last = performance.now(); \
            const step = (now) => { times.push(now - last); last = now; list.scrollTop += 400; \
            if (list.scrollTop + list.clientHeight < list.scrollHeight - 1) requestAnimationFrame(step); \
            else { times.sort((one, other) => one - other); const at = (part) => times[Math.floor(part * (times.length - 1))]; \
            done({ frames: times.length, p50: at(.5), p95: at(.95), p99: at(.99), longest: at(1) }); } }; requestAnimationFrame(step);";
        println!("frames while 1000 rows are scrolled, ms: {}", browser.later(frames).await);
    }
}

/// What a provider says: a stream or not, now and then that it is too busy.
fn answer(request: &Received, fails: u8, slow: u64) -> Answer {
    if fastrand::u8(..) < fails {
        return Answer::error(if fastrand::bool() { 429 } else { 503 });
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let first = Duration::from_millis(fastrand::u64(slow / 6..slow / 2));
    let (input, output) = (fastrand::u32(40..900), fastrand::u32(30..400));
    let usage = json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": input / 3 }, "completion_tokens_details": { "reasoning_tokens": output / 5 },
    });
    let model = body["model"].as_str().unwrap_or("gpt-4o").to_owned();
    let model = if model.starts_with("gpt") { format!("{model}-2024-11-20") } else { model };
    let id = format!("chatcmpl-{:012x}", fastrand::u64(..1 << 48));
    if body["stream"] != true {
        let message = json!({ "role": "assistant", "content": ANSWER, "refusal": null });
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" });
        let whole = json!({ "id": id, "object": "chat.completion", "created": 1_732_000_000, "model": model, "choices": [choice], "usage": usage });
        return Answer::text(whole.to_string()).after(first * 3);
    }
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": id, "object": "chat.completion.chunk", "created": 1_732_000_000, "model": model, "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let mut events = chunk(delta(json!({ "role": "assistant", "content": "" }), None), Value::Null);
    for word in ANSWER.split_inclusive(' ') {
        events.push_str(&chunk(delta(json!({ "content": word }), None), Value::Null));
    }
    events.push_str(&chunk(delta(json!({}), Some("stop")), Value::Null));
    events.push_str(&chunk(json!([]), usage));
    events.push_str("data: [DONE]\n\n");
    Answer::events(events).after(first).pausing(Duration::from_millis(fastrand::u64(8..slow / 40)))
}
