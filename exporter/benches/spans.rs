//! What mapping an event to encoded spans takes, without content and with a few kilobytes of it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use weir_event::{
    EventId,
    v1::{
        Api, Attempt, Content, Ending, Output, Parameters, Request, Resolution, Response, Timing,
        TraceContext, TraceEvent, Usage, UsageSource,
    },
};
use weir_exporter::spans::{self, ExportProfile, Overlays};

const ID: EventId = EventId { source: [7; 16], sequence: 1 };

fn event(content: Option<Content>) -> TraceEvent {
    let text = str::to_owned;
    let at = |milliseconds: u64| 1_700_000_000_000_000_000 + milliseconds * 1_000_000;
    TraceEvent {
        source: ID.source.to_vec().into(),
        sequence: ID.sequence,
        trace: Some(TraceContext {
            trace_id: vec![1; 16].into(),
            span_id: vec![2; 8].into(),
            flags: 1,
            ..TraceContext::default()
        }),
        request: Some(Request {
            api: Api::OpenaiChat.into(),
            method: text("POST"),
            path: text("/v1/chat/completions"),
            route: text("/v1/chat/completions"),
            scheme: text("http"),
            authority: text("gateway:8080"),
            client_address: text("10.0.0.9"),
            user_agent: text("openai-python/1.0"),
            body_bytes: 1000,
            model: text("gpt-4o"),
            stream: true,
            parameters: Some(Parameters {
                temperature: Some(0.5),
                max_tokens: Some(100),
                ..Parameters::default()
            }),
            operation: text("chat"),
            ..Request::default()
        }),
        resolution: Some(Resolution { rule: text("models.gpt-4o"), targets: 1, strategy: text("priority") }),
        attempts: vec![Attempt {
            number: 1,
            span_id: vec![3; 8].into(),
            provider: text("openai"),
            provider_kind: text("openai"),
            scheme: text("https"),
            host: text("api.openai.com"),
            port: 443,
            path: text("/v1/chat/completions"),
            model: text("gpt-4o"),
            started_ns: at(2),
            response_headers_ns: at(200),
            ended_ns: at(900),
            status: 200,
            error: String::new(),
        }],
        response: Some(Response {
            status: 200,
            id: text("chatcmpl-1"),
            model: text("gpt-4o-2024-08-06"),
            finish_reasons: vec![text("stop")],
            usage: Some(Usage {
                source: UsageSource::Provider.into(),
                input_tokens: Some(12),
                output_tokens: Some(34),
                ..Usage::default()
            }),
            streamed: true,
            chunks: 9,
            body_bytes: 1800,
            ..Response::default()
        }),
        timing: Some(Timing {
            received_ns: at(0),
            body_received_ns: at(1),
            resolved_ns: at(2),
            first_byte_ns: at(200),
            first_token_ns: at(210),
            last_token_ns: at(890),
            done_ns: at(900),
            ..Timing::default()
        }),
        ending: Ending::Completed.into(),
        content,
        ..TraceEvent::default()
    }
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
