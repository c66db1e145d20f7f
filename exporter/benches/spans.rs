//! What mapping an event to encoded spans takes, without content and with a few kilobytes of it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use weir_event::{
    fixtures::{self, ID},
    v1::{Content, Output, TraceEvent},
};
use weir_exporter::spans::{self, ExportProfile, Overlays};

fn event(content: Option<Content>) -> TraceEvent {
    TraceEvent { content, ..fixtures::streamed() }
}

fn spans(c: &mut Criterion) {
    let message =
        r#"{"role":"user","content":"What is a weir, and how does it measure the flow of a river?"}"#;
    let content = Content {
        request: format!(r#"{{"model":"gpt-4o","messages":[{}]}}"#, [message; 40].join(","))
            .into_bytes()
            .into(),
        outputs: vec![Output { text: "A low dam. ".repeat(100), ..Output::default() }],
        ..Content::default()
    };
    let overlaid = ExportProfile {
        overlays: Overlays { openinference: true, ..Overlays::default() },
        middleware_service: Some("weir-gateway".to_owned()),
        ..ExportProfile::default()
    };
    let mut group = c.benchmark_group("spans");
    group.throughput(Throughput::Elements(1));
    for (name, event, view) in [
        ("without content", event(None), ExportProfile::default()),
        ("with content", event(Some(content.clone())), ExportProfile::default()),
        ("with content, openinference", event(Some(content)), overlaid),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let spans = spans::of(ID, black_box(&event), &view);
                spans.iter().map(|span| span.encode_to_vec().len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, spans);
criterion_main!(benches);
