//! Maps an event from the wire to spans, for each kind of destination: the same event yields the same spans,
//! they are valid OTLP within its limits, and an event without content yields none.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use weir_event::{EventId, v1::TraceEvent};
use weir_exporter::config::wire::Compression;
use weir_exporter::metrics::genai::observe::observations;
use weir_exporter::ship::encode::{Encoder, Format, Fragments};
use weir_exporter::spans::resource::Resource;
use weir_exporter::spans::{self, ExportProfile, Overlays};
use weir_fuzz::{CANARY, plant};

static VIEWS: LazyLock<[ExportProfile; 3]> = LazyLock::new(|| {
    let overlays = Overlays { openinference: true, tfy: true };
    let middleware_service = Some("weir".to_owned());
    [
        ExportProfile::default(),
        ExportProfile {
            overlays,
            middleware_service: middleware_service.clone(),
            value_limit: Some(64),
            ..ExportProfile::default()
        },
        ExportProfile { exclude_content: true, overlays, middleware_service, ..ExportProfile::default() },
    ]
});

fuzz_target!(|data: &[u8]| {
    // The fuzzer puts what it finds in one input into others, also where no content belongs.
    if data.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
        return;
    }
    let Ok(mut event) = TraceEvent::decode(data) else { return };
    let id = EventId::of(&event).unwrap_or(EventId { source: [7; 16], sequence: 1 });
    // Plants an address wherever content is.
    let content = event.content.get_or_insert_default();
    content.request = plant(&content.request).into();
    content.response = plant(&content.response).into();
    content.error_message.push_str(CANARY);
    for output in &mut content.outputs {
        for text in [&mut output.text, &mut output.reasoning, &mut output.refusal] {
            text.push_str(CANARY);
        }
        for call in &mut output.tool_calls {
            call.arguments.push_str(CANARY);
        }
    }
    drop(observations(&event));
    for view in VIEWS.iter() {
        let spans = spans::of(id, &event, view);
        assert_eq!(spans::of(id, &event, view), spans);
        let ids: HashSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
        for span in &spans {
            assert!(span.trace_id.len() == 16 && span.span_id.len() == 8, "{span:?}");
            assert!(span.trace_id.iter().any(|byte| *byte != 0), "{span:?}");
            assert!(matches!(span.parent_span_id.len(), 0 | 8), "{span:?}");
            assert!(span.attributes.len() <= 128, "{} attributes", span.attributes.len());
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
            assert!(!span.name.is_empty());
            let names: HashSet<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
            assert_eq!(names.len(), span.attributes.len(), "an attribute stands there twice: {span:?}");
        }
        assert!(spans[1..].iter().all(|span| ids.contains(span.parent_span_id.as_slice())), "{spans:?}");
        for format in [Format::Protobuf, Format::Json] {
            let encoder = Encoder::new(format, &Resource::default()).expect("an encoder");
            let mut fragments = Fragments::default();
            encoder.add(&mut fragments, &spans, &event.resource).expect("it can be encoded");
            let body = encoder.body(&fragments.seal(), &(0..1));
            let body = body.compress(Compression::None).expect("as it is");
            let read = match format {
                Format::Json => serde_json::from_slice(&body).expect("JSON"),
                _ => ExportTraceServiceRequest::decode(body.clone()).expect("protobuf"),
            };
            assert_eq!(read.resource_spans[0].scope_spans[0].spans.len(), spans.len());
            if view.exclude_content {
                let text = String::from_utf8_lossy(&body);
                assert!(!text.contains(CANARY), "{text}");
            }
        }
    }
});
