//! Without the upstream filter, as an older Envoy or Istio's WasmPlugin alone runs it: one attempt, at the
//! first healthy target.

use reqwest::Method;
use weir_tests::{
    callers::client::{self, Trace},
    fakes::{fixtures, provider::Answer},
    stack::{Answered, CALLER_KEY, Options, Stack, Upstream},
};

use crate::setting::{Attempt, ask, attempts, chat, json_of, three};

async fn stack() -> Stack {
    let models = "{ m: { targets: [{ provider: a, model: of-a, params: { temperature: 0.5 } }, { provider: b, model: of-b }], \
                         retry: { attempts: 3, backoff: 50ms }, timeouts: { first_token: 300ms }, health: { failures: 2 } } }";
    let [a, b, c] = three();
    let upstreams = [a, b, c.settings("grants: [files]")];
    Options::default().upstreams(upstreams).models(models).with("upstream_filter: false").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_to_its_first_healthy_target_once_and_to_no_other() {
    let stack = stack().await;
    let (a, b) = (&stack.provider, stack.other("b"));
    let log = stack.envoy.process.log();
    let said = "weir runs without its upstream filter: no retry, no fallback and no limit on the first token";
    assert!(log.contains(said), "{log}");

    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "a/of-a"), "{answered:?}");
    let received = a.last().await;
    let [of_a, of_b, _] = three();
    assert_eq!(received.path, "/of-a/v1/chat/completions");
    assert_eq!(received.header("host"), Some(a.address().to_string().as_str()));
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", Upstream::key(&of_a)).as_str()));
    assert_eq!(json_of(&received)["model"], "of-a");
    assert_eq!(json_of(&received)["temperature"], 0.5);
    for word in [CALLER_KEY, "x-forwarded", "x-request-id", "x-envoy", "x-weir"] {
        assert!(!format!("{received:?}").contains(word), "{word}: {received:?}");
    }
    a.take();

    // A failing target is answered with its own error, and nothing is tried again.
    for round in 0..2 {
        a.answers_once(Answer::error(503));
        let answered = ask(&stack, "m").await;
        assert_eq!(
            (answered.status, answered.header("x-weir-attempts")),
            (503, "1"),
            "{round}: {answered:?}"
        );
        assert_eq!(answered.body, fixtures::bytes("openai/error_500.json"));
        assert_eq!((a.take().len(), b.count()), (1, 0));
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(attempts(&all), [Attempt::with("a", 503)]);
    }
    // Now it is unhealthy, so the next one is first.
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/of-b"), "{answered:?}");
    let received = b.last().await;
    assert_eq!(
        (received.path.as_str(), &json_of(&received)["model"]),
        ("/of-b/v1/chat/completions", &"of-b".into())
    );
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", Upstream::key(&of_b)).as_str()));
    assert_eq!(a.count(), 0);
    b.take();

    // One that gives no answer is not followed by another either.
    b.answers_once(Answer::cut_off());
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, &answered.json()["error"]["code"]), (502, &"provider_unreachable".into()));
    assert_eq!((a.count(), b.take().len()), (0, 1));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_be_given_less_time_without_it_too() {
    let stack = stack().await;
    for (provider, path) in [(&stack.provider, "/v1/chat/completions"), (stack.other("c"), "/v1/files")] {
        provider.answers(Answer::json("openai/chat.json").held());
        let request = stack.request(&Trace::new(), chat("m").to_string()).build().expect("a request");
        let request = client::http().post(stack.url(path)).headers(request.headers().clone());
        let request = request.body(chat("m").to_string()).header("x-weir-timeout-ms", "300");
        let answered = Answered::to(Trace::new(), request).await;
        assert_eq!((answered.status, &answered.json()["error"]["code"]), (504, &"provider_timeout".into()));
        let received = provider.take();
        assert_eq!(received.len(), 1);
        assert!(!format!("{received:?}").contains("x-envoy"), "{received:?}");
        provider.release();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_and_granted_paths_work_without_it_too() {
    let stack = stack().await;
    let c = stack.other("c");
    let form = |model: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--\r\n")
    };
    let request = client::http().post(stack.url("/v1/audio/translations")).body(form("m"));
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let received = stack.provider.last().await;
    assert_eq!((received.path.as_str(), received.body), ("/of-a/v1/audio/translations", form("of-a").into()));
    for (method, body) in [(Method::DELETE, String::new()), (Method::POST, "x".repeat(12 << 20))] {
        let request = client::http().request(method.clone(), stack.url("/v1/files/f?x=1")).body(body.clone());
        let response =
            request.header("cookie", "c=1").bearer_auth(CALLER_KEY).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let received = c.last().await;
        assert_eq!((received.method.clone(), received.path.as_str()), (method, "/of-c/v1/files/f?x=1"));
        assert!(received.body == body && received.header("cookie").is_none());
        assert_eq!(
            received.header("authorization"),
            Some(format!("Bearer {}", Upstream::key(&three()[2])).as_str())
        );
    }
    stack.assert_vm_is_well().await;
}
