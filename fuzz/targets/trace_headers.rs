//! traceparent, tracestate and baggage: what is propagated is valid, whatever arrived.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::headers::Headers;
use weir_filter::random::Random;
use weir_filter::trace_context;

fuzz_target!(|data: &[u8]| {
    let mut headers = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_first() else { continue };
        let name = ["traceparent", "tracestate", "baggage"][usize::from(*name) % 3];
        headers.push((name.to_owned(), value.to_vec()));
    }
    let headers = Headers(headers);
    let trace = trace_context::of_request(&headers, &mut Random::from_seed([7; 32]));
    assert!(trace.trace_id.len() == 16 && trace.trace_id.iter().any(|byte| *byte != 0));
    assert!(trace.span_id.len() == 8 && matches!(trace.parent_span_id.len(), 0 | 8));
    assert!(!trace.parent_span_id.is_empty() || trace.trace_state.is_empty());
    assert!(trace.trace_state.len() <= 4096 && trace.flags <= 3);
    assert!(trace.trace_state.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')));
    let sent = trace_context::traceparent(&trace, &trace.span_id);
    assert_eq!(sent.len(), 55);
    // The receiver continues the same trace.
    let mut onward = vec![("traceparent".to_owned(), sent.into_bytes())];
    onward.push(("tracestate".to_owned(), trace.trace_state.clone().into_bytes()));
    let next = trace_context::of_request(&Headers(onward), &mut Random::from_seed([8; 32]));
    assert_eq!((&next.trace_id, &next.parent_span_id), (&trace.trace_id, &trace.span_id));
    assert_eq!((next.trace_state, next.flags), (trace.trace_state, trace.flags));
    if let Some(baggage) = trace_context::baggage(&headers) {
        assert!((1..=8192).contains(&baggage.len()));
    }
});
