use proptest::prelude::*;

use super::*;

fn outbox() -> (Outbox, Random) {
    (Outbox::new([9; 16]), Random::from_seed([3; 32]))
}

fn event(size: usize) -> v1::TraceEvent {
    let request = v1::Request { user_agent: "x".repeat(size), ..Default::default() };
    v1::TraceEvent { request: Some(request), ..Default::default() }
}

fn answer(status: u16, stored: &[u64], refused: &[u32]) -> CallOutcome {
    let refused = refused.iter().map(|position| v1::Refusal { position: *position, reason: String::new() });
    let body = v1::BatchAnswer { stored: stored.to_vec(), refused: refused.collect(), ..Default::default() };
    CallOutcome::Status { status, retry_after: None, body: body.encode_to_vec() }
}

fn sequences(batch: &Batch) -> Vec<u64> {
    let decoded = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
    decoded.events.into_iter().map(|bytes| v1::TraceEvent::decode(bytes).unwrap().sequence).collect()
}

#[test]
fn what_waits_loses_its_content_where_the_policy_has_become_stricter() {
    let (mut outbox, mut random) = outbox();
    let content = v1::Content { request: vec![b'c'; 1000].into(), ..Default::default() };
    outbox.push(v1::TraceEvent { content: Some(content), ..event(10) });
    outbox.push(event(10));
    let batch = outbox.next_batch(0).unwrap();
    assert!(batch.body.len() > 1000);
    outbox.sent(1, batch, 0);
    outbox.answered(1, CallOutcome::Failed, 0, &mut random);
    outbox.withhold_content(true);
    let batch = outbox.next_batch(u64::MAX).unwrap();
    assert!(batch.body.len() < 200 && sequences(&batch) == [1, 2]);
    let decoded = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
    let content = v1::TraceEvent::decode(decoded.events[0].clone()).unwrap().content.unwrap();
    assert_eq!(content.capture(), v1::Capture::Excluded);
    assert!(v1::TraceEvent::decode(decoded.events[1].clone()).unwrap().content.is_none());
    outbox.sent(2, batch, 0);
    outbox.answered(2, answer(200, &[1, 2], &[]), 0, &mut random);
    assert_eq!((outbox.totals().accepted, outbox.bytes), (2, 0));
}

fn balanced(outbox: &Outbox) -> bool {
    let t = outbox.totals();
    t.created == t.accepted + t.dropped_outbox_full + t.dropped_refused + t.sampled_out + t.pending
        && outbox.bytes <= OUTBOX_MAX
}

#[test]
fn events_leave_when_ingest_names_them_as_stored() {
    let (mut outbox, mut random) = outbox();
    (0..3).for_each(|_| outbox.push(event(10)));
    let batch = outbox.next_batch(0).unwrap();
    assert_eq!(sequences(&batch), [1, 2, 3]);
    let totals = v1::EventBatch::decode(batch.body.as_slice()).unwrap().totals.unwrap();
    assert_eq!((totals.created, totals.pending), (3, 3));
    outbox.sent(1, batch, 0);
    assert!(outbox.next_batch(0).is_none());
    outbox.answered(1, answer(200, &[1, 2, 3], &[]), 0, &mut random);
    assert_eq!((outbox.totals().accepted, outbox.totals().pending, outbox.bytes), (3, 0, 0));
}

#[test]
fn the_resource_goes_once_with_each_batch_and_with_no_event() {
    let (mut outbox, _) = outbox();
    let resource = BTreeMap::from([("host.name".to_owned(), "node-7".to_owned())]);
    outbox.set_resource(resource.clone());
    for size in [10, BATCH_BYTES, 10] {
        outbox.push(event(size));
    }
    for _ in 0..3 {
        let batch = v1::EventBatch::decode(outbox.next_batch(0).unwrap().body.as_slice()).unwrap();
        assert_eq!(batch.resource, resource);
        assert!(v1::TraceEvent::decode(batch.events[0].clone()).unwrap().resource.is_empty());
    }
}

#[test]
fn an_answer_of_the_exporters_next_version_settles_what_it_names() {
    let (mut outbox, mut random) = outbox();
    (0..2).for_each(|_| outbox.push(event(10)));
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(1, batch, 0);
    let CallOutcome::Status { status, retry_after, mut body } = answer(200, &[1, 2], &[]) else { panic!() };
    // Field 1000, which is in no version yet.
    body.extend([0xc0, 0x3e, 0x01]);
    outbox.answered(1, CallOutcome::Status { status, retry_after, body }, 0, &mut random);
    assert_eq!((outbox.totals().accepted, outbox.totals().pending), (2, 0));
}

#[test]
fn only_what_was_not_stored_is_sent_again_and_after_a_pause() {
    let (mut outbox, mut random) = outbox();
    (0..4).for_each(|_| outbox.push(event(10)));
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(1, batch, 0);
    outbox.answered(1, answer(503, &[1, 3], &[3]), 0, &mut random);
    assert!(outbox.next_batch(0).is_none(), "a failure is followed by a pause");
    assert_eq!(sequences(&outbox.next_batch(200_000_000).unwrap()), [2]);
    assert_eq!(outbox.totals().dropped_refused, 1);
}

#[test]
fn the_pause_grows_to_its_cap_and_honours_retry_after() {
    let (mut outbox, mut random) = outbox();
    outbox.push(event(10));
    let mut pauses = Vec::new();
    for token in 0..12 {
        let batch = outbox.next_batch(u64::MAX).unwrap();
        outbox.sent(token, batch, u64::MAX);
        outbox.answered(token, CallOutcome::Failed, 0, &mut random);
        pauses.push(outbox.not_before_ns / 1_000_000);
    }
    assert!((100..=200).contains(&pauses[0]) && (5000..=10_000).contains(&pauses[11]), "{pauses:?}");
    let batch = outbox.next_batch(u64::MAX).unwrap();
    outbox.sent(99, batch, u64::MAX);
    let asked = CallOutcome::Status { status: 503, retry_after: Some(30), body: Vec::new() };
    outbox.answered(99, asked, 0, &mut random);
    assert_eq!(outbox.not_before_ns, 30_000_000_000);
}

#[test]
fn when_full_the_oldest_unsent_goes_and_is_counted() {
    let (mut outbox, _) = outbox();
    (0..5).for_each(|_| outbox.push(event(1 << 20)));
    assert_eq!(outbox.totals().dropped_outbox_full, 2);
    let batch = outbox.next_batch(0).unwrap();
    assert_eq!(sequences(&batch), [3]);
    outbox.sent(0, batch, 0);
    outbox.push(event(OUTBOX_MAX));
    assert_eq!((outbox.totals().dropped_outbox_full, outbox.totals().pending), (3, 3));
    assert!(balanced(&outbox), "{:?}", outbox.totals());
}

#[test]
fn a_batch_refused_whole_is_sent_event_by_event_and_only_the_culprit_is_dropped() {
    let (mut outbox, mut random) = outbox();
    (0..3).for_each(|_| outbox.push(event(10)));
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(0, batch, 0);
    outbox.answered(0, answer(400, &[], &[]), 0, &mut random);
    for sequence in 1..=3 {
        let batch = outbox.next_batch(0).unwrap();
        assert_eq!(sequences(&batch), [sequence]);
        outbox.sent(0, batch, 0);
        let status = if sequence == 2 { 400 } else { 200 };
        outbox.answered(0, answer(status, &[sequence], &[]), 0, &mut random);
    }
    let totals = outbox.totals();
    assert_eq!((totals.accepted, totals.dropped_refused, totals.pending), (2, 1, 0));
}

#[test]
fn a_call_that_is_never_answered_is_given_up_and_its_events_sent_again() {
    let (mut outbox, mut random) = outbox();
    outbox.push(event(10));
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(7, batch, 0);
    assert!(outbox.next_batch(30_000_000_000).is_none());
    assert_eq!(sequences(&outbox.next_batch(30_000_000_001).unwrap()), [1]);
    outbox.answered(7, answer(200, &[1], &[]), 0, &mut random);
    assert_eq!(outbox.totals().accepted, 0, "an answer that comes too late settles nothing twice");
}

#[test]
fn a_wrong_token_keeps_the_events() {
    let (mut outbox, mut random) = outbox();
    outbox.push(event(10));
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(0, batch, 0);
    outbox.answered(
        0,
        CallOutcome::Status { status: 401, retry_after: None, body: Vec::new() },
        0,
        &mut random,
    );
    assert_eq!(outbox.totals().pending, 1);
}

proptest! {
    #[test]
    fn the_ledger_balances_whatever_happens(steps in prop::collection::vec((0u8..6, 0usize..700_000, any::<u64>()), 1..80)) {
        let (mut outbox, mut random) = outbox();
        let mut open = Vec::new();
        for (token, (what, size, salt)) in (0u32..).zip(steps) {
            match what {
                0 | 1 => outbox.push(event(size)),
                2 => if let Some(batch) = outbox.next_batch(u64::MAX) {
                    open.push((token, sequences(&batch)));
                    outbox.sent(token, batch, u64::MAX - salt % 60_000_000_000);
                },
                3 => if let Some(batch) = outbox.next_batch(u64::MAX) {
                    outbox.not_sent(batch, 0, &mut random);
                },
                _ => if let Some((token, sent)) = open.pop() {
                    let stored: Vec<u64> = sent.into_iter().filter(|s| (s ^ salt) & 1 == 0).collect();
                    let status = [200, 503, 400, 500][(salt % 4) as usize];
                    outbox.answered(token, answer(status, &stored, &[(salt % 7) as u32]), 0, &mut random);
                },
            }
            prop_assert!(balanced(&outbox), "{:?}", outbox.totals());
        }
    }
}
