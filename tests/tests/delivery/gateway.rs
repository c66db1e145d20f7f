//! Envoy killed under load: what its filter had not sent is lost with it, bounded, and the ledger of its source
//! says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use serde_json::Value;
use weir_tests::{
    stack::{Stack, question},
    system::wait,
};

use super::rig::{Ledger, is_long, status};

/// Callers at once.
const CALLERS: usize = 8;

/// What a worker holds at most is 4 MiB of events, and none of these is smaller than this.
const MOST_UNSENT: usize = (4 << 20) / 256;

/// Has callers call until told to stop; gives how many were answered.
async fn calling(stack: &Stack, stop: &AtomicBool, answered: &AtomicUsize) {
    join_all((0..CALLERS).map(|_| async {
        while !stop.load(Ordering::Relaxed) {
            let sent = stack
                .request(&weir_tests::callers::client::Trace::new(), question().to_string())
                .send()
                .await;
            let Ok(response) = sent else { return };
            if response.bytes().await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
    .await;
}

async fn sources(stack: &Stack) -> Vec<Value> {
    status(&stack.exporter).await["gateway"]["latest"].as_array().cloned().unwrap_or_default()
}

fn figure(source: &Value, name: &str) -> usize {
    let figure = source[name].as_u64().unwrap_or_else(|| panic!("{name} in {source}"));
    usize::try_from(figure).expect("a count")
}

fn sum(sources: &[Value], name: &str) -> usize {
    sources.iter().map(|source| figure(source, name)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_is_killed_under_load_loses_no_more_than_its_outbox_and_the_ledger_says_so() {
    let mut stack = Stack::start().await;
    let mut answered_in_all = 0;
    let mut before: Vec<Value> = Vec::new();
    for round in 0..if is_long() { 10 } else { 2 } {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let process = stack.envoy.process.id();
        let enough = async {
            let known = before.len();
            wait::until("events of the new source", || answered.load(Ordering::Relaxed) > 200).await;
            let heard =
                wait::poll(wait::DEADLINE, || async { (sources(&stack).await.len() > known).then_some(()) });
            heard.await.expect("the new source is heard of");
            // Not through the handle, which the callers share.
            let pid = rustix::process::Pid::from_raw(i32::try_from(process).expect("a pid")).expect("a pid");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a kill");
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(enough, calling(&stack, &stop, &answered));
        answered_in_all += answered.load(Ordering::Relaxed);

        // All that was stored arrives, and the equation of the destination holds.
        let settled = wait::poll(wait::DEADLINE, || async {
            let all = sources(&stack).await;
            let ledger = Ledger::of(&stack.exporter, "middleware").await;
            let stored = sum(&all, "stored") as u64;
            (ledger.stored == stored && ledger.delivered == stored && ledger.sum() == stored).then_some(all)
        });
        let all = settled.await.expect("everything stored is delivered");
        let stored = sum(&all, "stored");
        assert!(stored <= answered_in_all + CALLERS * (round + 1), "{stored} of {answered_in_all}: {all:?}");
        let lost = answered_in_all.saturating_sub(stored);
        assert!(lost <= MOST_UNSENT * (round + 1), "{lost} lost: {all:?}");
        // By its own word, what a source made is stored here or unsent; of the rest nothing is known.
        for source in &all {
            let known = figure(source, "stored") + figure(source, "unsent") + figure(source, "dropped");
            assert!(figure(source, "created") <= known, "{source}");
            assert_eq!(figure(source, "refused"), 0, "{source}");
            assert!(figure(source, "missing") <= figure(source, "unsent"), "{source}");
        }
        // What a dead source's ledger said stays as it was.
        for old in &before {
            let same = all.iter().find(|source| source["source"] == old["source"]);
            assert_eq!(same.map(|same| &same["stored"]), Some(&old["stored"]));
        }
        before = all;
        stack.envoy.process.restart().await.expect("Envoy is back");
    }
    stack.chat().await;
}
