//! Many streams at once: every byte arrives, and the memory of the VM has a bound that it keeps to.

use futures_util::future::join_all;
use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Options, Stack},
    system::wait,
};

/// Streams at once, and chunks of each.
const STREAMS: usize = 1000;
const CHUNKS: usize = 200;
/// What the VM of one worker may have, in bytes.
const MEMORY_MAX: u64 = 64 << 20;
/// What it may have more in the second round: allocators do not give back alike each time.
const MEMORY_SLACK: u64 = 1 << 20;

/// A stream of many chunks, as the caller is to see it.
fn stream() -> String {
    let chunk = |n: usize| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"word{n} \"}}}}]}}\n\n"
        )
    };
    (0..CHUNKS).map(chunk).collect::<String>() + "data: [DONE]\n\n"
}

async fn gauge(stack: &Stack, name: &str) -> u64 {
    let stats = stack.admin(&format!("/stats?filter={name}$")).await;
    stats.lines().find_map(|line| line.split(": ").nth(1)?.trim().parse().ok()).expect("a gauge")
}

/// One round: all streams begin before one of them goes on. Gives the VM's memory behind it.
async fn round(stack: &Stack) -> u64 {
    let expected = stream();
    let before = stack.provider.count();
    let asked = json!({
        "model": "gpt-4o", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "many words, please" }],
    })
    .to_string();
    let all = join_all((0..STREAMS).map(|_| async {
        let response = stack.request(&Trace::new(), asked.clone()).send().await.expect("headers");
        assert_eq!(response.status(), 200);
        response.bytes().await.expect("the whole stream")
    }));
    let release = async {
        wait::until("every stream", || stack.provider.count() == before + STREAMS).await;
        stack.provider.release();
    };
    let (bodies, ()) = tokio::join!(all, release);
    stack.provider.hold_again();
    for body in bodies {
        assert!(body == expected, "{}", String::from_utf8_lossy(&body));
    }
    let left =
        wait::poll(wait::DEADLINE, || async { (gauge(stack, "weir.streams").await == 0).then_some(()) });
    left.await.expect("no stream is left behind");
    gauge(stack, "weir.memory_bytes").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_at_once_arrive_whole_in_bounded_memory_and_leave_nothing_behind() {
    let options = Options::default().with("redaction: { exported: { content: keep } }");
    let stack = options.start().await;
    stack.provider.answers(Answer::events(stream()).holding_after(1000));
    let first = round(&stack).await;
    let second = round(&stack).await;
    assert!(first <= MEMORY_MAX, "{first} bytes");
    assert!(second <= first + MEMORY_SLACK, "{first} bytes, then {second}");
    stack.assert_vm_is_well().await;
}
