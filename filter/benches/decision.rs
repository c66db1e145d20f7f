//! Cost of a routing decision, natively. `cargo bench -p weir-filter --bench decision`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::Criterion;
use serde_json::json;
use sha2::{Digest, Sha256};
use weir_event::v1;
use weir_filter::api::call::Call;
use weir_filter::auth::credential;
use weir_filter::balancing::sticky::Seed;
use weir_filter::balancing::{
    Candidate, Condition, Facts, LoadBalancing, Strategy, TargetIds, TargetStates, When, order,
};
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::headers::Headers;
use weir_filter::random::Random;
use weir_filter::routing::decide::{Question, decide};

const TARGETS: u32 = 8;
const NOW_NS: u64 = 1_700_000_000_000_000_000;

fn candidates(ids: &mut TargetIds) -> Vec<Candidate> {
    let when: When =
        serde_json::from_str(r#"{"metadata":{"region":"eu*"},"header":{"x-tier":"gold"}}"#).unwrap();
    let target = |n: u32| {
        let key = format!("provider-{n}/model");
        Candidate {
            id: ids.id(&key),
            seed: Seed::new(&key, 0),
            weight: n + 1,
            when: n.is_multiple_of(2).then(|| Condition::new(&when, "when").unwrap()),
            may_fallback: true,
        }
    };
    (0..TARGETS).map(target).collect()
}

/// Orders eight targets with full histories, half of them with a condition that holds.
fn order_targets(criterion: &mut Criterion) {
    let candidates = candidates(&mut TargetIds::default());
    let mut states = TargetStates::default();
    for candidate in &candidates {
        for n in 0..64 {
            states.latency.record(candidate.id, 1_000_000 + n * 7919 % 1000, NOW_NS);
        }
        states.health.failed(candidate.id, NOW_NS);
    }
    let metadata = BTreeMap::from(
        [("region", "eu-west"), ("session", "d5a1")].map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let mut headers = Headers::default();
    headers.0.extend((0..16).map(|n| (format!("x-header-{n}"), b"value".to_vec())));
    headers.0.push(("x-tier".to_owned(), b"gold".to_vec()));
    let facts =
        Facts { metadata: &metadata, key_name: "team-a", user: "", conversation: "", headers: &headers };
    let mut random = Random::from_seed([7; 32]);
    let sticky = serde_json::from_str(r#"{"by":"metadata.session","for":"10m"}"#).ok();
    for (name, strategy, sticky) in [
        ("priority", Strategy::Priority, None),
        ("weighted", Strategy::Weighted, None),
        ("weighted, sticky", Strategy::Weighted, sticky),
        ("latency", Strategy::Latency, None),
    ] {
        let policy = LoadBalancing { strategy, sticky, ..Default::default() };
        criterion.bench_function(&format!("order of 8 targets, {name}"), |bencher| {
            bencher.iter(|| {
                order(&policy, black_box(&candidates), &facts, &mut states, &mut random, black_box(NOW_NS))
            });
        });
    }
}

/// A configuration with this many keys and virtual models of two targets each.
fn config(keys: usize, models: usize) -> Config {
    let models: serde_json::Map<_, _> = (0..models)
        .map(|n| {
            let targets = json!([{"provider": "a", "model": format!("up-{n}")}, {"provider": "b"}]);
            (format!("model-{n}"), json!({"targets": targets, "retry": {"attempts": 2}}))
        })
        .collect();
    let keys: Vec<_> = (0..keys)
        .map(|n| {
            let digest: String =
                Sha256::digest(format!("key-{n}")).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"name": format!("team-{n}"), "sha256": digest, "models": ["model-*"]})
        })
        .collect();
    let providers = json!({"a": {"api": "openai", "url": "https://a.example/v1"},
        "b": {"api": "openai", "url": "https://b.example/v1"}});
    let plugin = json!({"providers": providers, "models": models, "keys": keys}).to_string();
    Config::new(&PluginConfig::from_json(plugin.as_bytes()).unwrap(), &mut TargetIds::default()).unwrap()
}

/// The whole decision for a request of 1 KB: key, model, order, and the rewritten body.
fn decide_and_rewrite(criterion: &mut Criterion) {
    let content = "What is a weir, and what does it measure? ".repeat(22);
    let body = json!({"model": "model-7", "temperature": 0.2,
        "messages": [{"role": "user", "content": content}]})
    .to_string();
    let headers = Headers(vec![("authorization".to_owned(), b"Bearer key-7".to_vec())]);
    let call = Call::of(b"POST", "/v1/chat/completions").unwrap();
    let (vm, caller) = (Vm::new(&[7; ENTROPY]), v1::Caller::default());
    for (keys, models) in [(8, 8), (1000, 500)] {
        let config = config(keys, models);
        criterion.bench_function(&format!("decision, {keys} keys, {models} models"), |bencher| {
            bencher.iter(|| {
                let secret = credential(&headers, None).unwrap().unwrap();
                let grant = config.keys.find(&secret, NOW_NS).unwrap();
                let question = Question {
                    config: &config,
                    memory: &vm.memory,
                    targets: &vm.targets,
                    random: &vm.random,
                    call: &call,
                    caller: &caller,
                    grant: &grant,
                    headers: &headers,
                    body: black_box(body.as_bytes()),
                    now_ns: NOW_NS,
                    clock: &|| NOW_NS,
                };
                let forward = decide(&question, None).outcome.unwrap();
                let edits = forward.decision.edits.first().unwrap();
                edits.rewrite(body.as_bytes().get(..edits.end()).unwrap()).unwrap()
            });
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    order_targets(&mut criterion);
    decide_and_rewrite(&mut criterion);
    criterion.final_summary();
}
