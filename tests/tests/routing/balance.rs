//! Which of several healthy targets a request goes to: by weight, by speed, or always the same one.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use weir_tests::{fakes::provider::Answer, stack::Stack, system::wait};

use crate::setting::{self, ask, ask_with};

/// The requests that each of the first two providers has received since the last time.
fn shares(stack: &Stack) -> [usize; 2] {
    [stack.provider.take().len(), stack.other("b").take().len()]
}

/// Sends so many requests, a few at a time.
async fn ask_often(stack: &Stack, model: &str, count: usize) {
    let asked = stream::iter(0..count).map(|_| ask(stack, model)).buffer_unordered(8);
    let failed: Vec<_> = asked.filter(|answered| std::future::ready(answered.status != 200)).collect().await;
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn weighted_targets_get_their_parts_and_one_of_weight_0_only_what_the_others_cannot_take() {
    const COUNT: usize = 2000;
    let models = "{ m: { strategy: weighted, targets: [{ provider: a, weight: 80 }, { provider: b, weight: 20 }, \
                         { provider: c, weight: 0 }] } }";
    let stack = setting::stack(models).await;
    ask_often(&stack, "m", COUNT).await;
    let (seen, expected) = (shares(&stack), [COUNT as f64 * 0.8, COUNT as f64 * 0.2]);
    assert_eq!(seen.iter().sum::<usize>(), COUNT);
    let off = |(seen, expected): (&usize, &f64)| (*seen as f64 - expected).powi(2) / expected;
    let chi_square: f64 = seen.iter().zip(&expected).map(off).sum();
    // With one degree of freedom, 19.5 is passed by chance once in 100 000 runs.
    assert!(chi_square < 19.5, "{chi_square} {seen:?}");
    assert_eq!(stack.other("c").count(), 0);

    // While a and b fail, c stands in.
    stack.provider.answers(Answer::error(503));
    stack.other("b").answers(Answer::error(503));
    ask_often(&stack, "m", 20).await;
    assert_eq!(stack.other("c").count(), 20);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_slows_down_loses_its_share_and_gets_it_back_when_it_has_recovered() {
    let models = "{ m: { strategy: latency, targets: [{ provider: a }, { provider: b }] } }";
    let stack = setting::stack(models).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    let answer = |ms| Answer::json("openai/chat.json").after(Duration::from_millis(ms));
    let rounds = [(10, 60, 0), (120, 60, 1), (10, 60, 0)];
    for (ms_of_a, ms_of_b, faster) in rounds {
        a.answers(answer(ms_of_a));
        b.answers(answer(ms_of_b));
        // What was seen before weighs for a while; a recovered target is found by exploring.
        let led = wait::poll(2 * wait::DEADLINE, || async {
            ask_often(&stack, "m", 40).await;
            let seen = shares(&stack);
            println!("a takes {ms_of_a} ms and b {ms_of_b} ms: {seen:?}");
            (seen[faster] >= 32).then_some(())
        });
        assert!(
            led.await.is_some(),
            "with {ms_of_a} and {ms_of_b} ms the faster one never got most requests"
        );
        ask_often(&stack, "m", 100).await;
        let seen = shares(&stack);
        assert!(seen[faster] >= 75, "with {ms_of_a} and {ms_of_b} ms: {seen:?}");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_share_a_value_go_to_the_same_target_and_values_spread_over_all() {
    let models = "{ m: { strategy: weighted, sticky: { by: metadata.session }, \
                         targets: [{ provider: a }, { provider: b }, { provider: c }] }, \
                    talk: { strategy: weighted, sticky: { by: conversation, for: 24h }, \
                         targets: [{ provider: a }, { provider: b }, { provider: c }] } }";
    let stack = setting::stack(models).await;
    let mut chosen: BTreeMap<String, usize> = BTreeMap::new();
    for session in 0..60 {
        let metadata = format!("{{\"session\":\"s-{session}\"}}");
        let first =
            ask_with(&stack, "m", "x-weir-metadata", &metadata).await.header("x-weir-model").to_owned();
        for _ in 0..3 {
            let again = ask_with(&stack, "m", "x-tfy-metadata", &metadata).await;
            assert_eq!((again.status, again.header("x-weir-model")), (200, first.as_str()), "{session}");
        }
        *chosen.entry(first).or_default() += 1;
    }
    // Each would get 20; below 6 is a matter of once in 100 000 runs, and the values are fixed.
    assert!(chosen.len() == 3 && chosen.values().all(|count| *count >= 6), "{chosen:?}");

    let first =
        ask_with(&stack, "talk", "x-weir-conversation-id", "c-1").await.header("x-weir-model").to_owned();
    for _ in 0..10 {
        let again = ask_with(&stack, "talk", "x-weir-conversation-id", "c-1").await;
        assert_eq!(again.header("x-weir-model"), first);
    }
    // When the target of a value fails, another one answers for it.
    let sticky = ask_with(&stack, "m", "x-weir-metadata", r#"{"session":"s-0"}"#).await;
    let provider = match sticky.header("x-weir-model") {
        "a/m" => &stack.provider,
        other => stack.other(other.trim_end_matches("/m")),
    };
    provider.answers(Answer::error(503));
    let answered = ask_with(&stack, "m", "x-weir-metadata", r#"{"session":"s-0"}"#).await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"));
    stack.assert_vm_is_well().await;
}
