//! A canary search: after everything that can go wrong has gone wrong, no key is anywhere but in
//! the header that it belongs into.

use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Answered, Options, Upstream, canary},
};

use crate::setting::{chat, digest, stream, three};

const GOOD: &str = "sk-good-canary-a94c";
const WRONG: &str = "sk-wrong-canary-e07d";

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_caller_or_a_provider_stands_in_a_log_in_the_configuration_in_a_span_or_in_an_answer() {
    let models = "{ m: { targets: [{ provider: a }, { provider: b }, { provider: c }], retry: { attempts: 2 }, \
                         timeouts: { first_token: 300ms }, health: { failures: 16, within: 1ms } } }";
    let keys = format!(
        "keys: [{{ name: good, sha256: \"{}\", grants: [files] }}]\naccess_log: stdout",
        digest(GOOD)
    );
    let [a, b, c] = three();
    let upstreams = [a, b, c.settings("grants: [files]")];
    let mut stack = Options::default().upstreams(upstreams).models(models).with(&keys).start().await;
    let provider_keys = three().map(|upstream| Upstream::key(&upstream).to_owned());
    let mut answers = Vec::new();
    let ways: [(&str, Option<(&str, &str)>); 7] = [
        ("", Some(("authorization", GOOD))),
        ("", Some(("x-api-key", GOOD))),
        ("", Some(("x-goog-api-key", WRONG))),
        ("", Some(("cookie", WRONG))),
        ("?key=sk-good-canary-a94c", None),
        ("?key=sk-wrong-canary-e07d", None),
        ("?key=sk-good-canary-a94c", Some(("api-key", WRONG))),
    ];
    for round in 0..6 {
        for (name, key) in ["a", "b", "c"].iter().zip(&provider_keys) {
            let provider = if *name == "a" { &stack.provider } else { stack.other(name) };
            let said = format!(
                "{{\"error\":{{\"message\":\"Incorrect API key provided: {key}\",\"code\":\"{key}\"}}}}"
            );
            provider.answers(match round {
                0 => Answer::json("openai/chat.json"),
                1 => Answer::text(said).status(401),
                2 => Answer::text(said).status(403),
                3 => Answer::cut_off(),
                4 => Answer::stream("openai/chat_stream.sse").holding_after(0),
                _ => Answer::stream("openai/chat_stream.sse").breaking_after(700),
            });
        }
        for (query, header) in ways {
            let trace = Trace::new();
            let body = if round < 4 { chat("m") } else { stream("m") };
            let mut request = stack.post(&format!("/v1/chat/completions{query}"), &trace, body.to_string());
            if let Some((name, value)) = header {
                let value =
                    if name == "authorization" { format!("Bearer {value}") } else { value.to_owned() };
                request = request.header(name, value);
            }
            if round < 5 {
                let answered = Answered::to(trace.clone(), request).await;
                answers.push(format!("{:?} {}", answered.headers, String::from_utf8_lossy(&answered.body)));
            } else {
                let mut response = request.send().await.expect("headers");
                while let Ok(Some(_)) = response.chunk().await {}
            }
            stack.otlp.wait_for(&trace).await;
        }
        // Paths that are not served are answered before any key is looked at.
        let request =
            stack.post("/v1/batches?key=sk-good-canary-a94c", &Trace::new(), "{}").bearer_auth(WRONG);
        assert_eq!(request.send().await.expect("an answer").status(), 404);
        // What is passed through is answered whole where the answer comes whole.
        let request = stack.post("/v1/files?key=sk-good-canary-a94c&x=1", &Trace::new(), "{}");
        let status = request.send().await.expect("an answer").status();
        assert_eq!(status, if matches!(round, 1..=3) { 502 } else { 200 });
    }
    let texts: Vec<&str> = provider_keys.iter().map(String::as_str).chain([GOOD, WRONG]).collect();
    let answers = answers.into_iter().map(|text| ("an answer".to_owned(), text)).collect();
    canary::assert_nowhere(&mut stack, &texts, answers).await;
}
