use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use weir_event::{
    EventId, VERSION,
    v1::{Ending, Response, Timing, TraceEvent, Usage},
};

use super::{fixture::*, names::*, *};

fn of(id: EventId, event: &TraceEvent) -> Vec<Span> {
    super::of(id, event, &ExportProfile::default())
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

fn value(span: &Span, name: &str) -> Option<Value> {
    let mut found = span.attributes.iter().filter(|attribute| attribute.key == name);
    let value = found.next().and_then(|attribute| attribute.value.clone()?.value);
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

fn text(span: &Span, name: &str) -> String {
    match value(span, name) {
        Some(Value::StringValue(text)) => text,
        None => String::new(),
        other => panic!("{name} is {other:?}"),
    }
}

fn integer(span: &Span, name: &str) -> Option<i64> {
    match value(span, name) {
        Some(Value::IntValue(number)) => Some(number),
        None => None,
        other => panic!("{name} is {other:?}"),
    }
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

#[test]
fn every_span_has_its_parent() {
    let spans = of(ID, &failed_over());
    let (server, chat) = (named(&spans, "POST /v1/chat/completions"), named(&spans, "chat smart"));
    assert_eq!(server.span_id, [0x21; 8]);
    assert_eq!(server.parent_span_id, [0x22; 8]);
    assert_eq!(named(&spans, "resolve_model").parent_span_id, server.span_id);
    assert_eq!(chat.parent_span_id, server.span_id);
    assert_eq!(named(&spans, "stream").parent_span_id, chat.span_id);
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "POST").collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|span| span.parent_span_id == chat.span_id));
    assert_eq!(attempts[1].span_id, [0x32; 8]);
    let trace: Vec<u8> = (1..=16).collect();
    assert!(spans.iter().all(|span| span.trace_id == trace && span.trace_state == "vendor=1"));
}

#[test]
fn kinds_are_those_of_the_conventions() {
    let spans = of(ID, &streamed());
    for (name, kind) in [
        ("POST /v1/chat/completions", SpanKind::Server),
        ("resolve_model", SpanKind::Internal),
        ("chat smart", SpanKind::Client),
        ("POST", SpanKind::Client),
        ("stream", SpanKind::Internal),
    ] {
        assert_eq!(named(&spans, name).kind(), kind, "{name}");
    }
}

#[test]
fn the_same_event_yields_the_same_spans() {
    assert_eq!(of(ID, &failed_over()), of(ID, &failed_over()));
}

#[test]
fn no_two_spans_of_an_event_share_an_id() {
    let mut event = failed_over();
    for attempt in &mut event.attempts {
        attempt.span_id.clear();
    }
    let spans = of(ID, &event);
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len());
}

#[test]
fn the_server_span_tells_the_request() {
    let spans = of(ID, &streamed());
    let server = named(&spans, "POST /v1/chat/completions");
    for (name, expected) in [
        (HTTP_METHOD, "POST"),
        (URL_PATH, "/v1/chat/completions"),
        (URL_SCHEME, "http"),
        (HTTP_ROUTE, "/v1/chat/completions"),
        (SERVER_ADDRESS, "gateway"),
        (CLIENT_ADDRESS, "10.0.0.9"),
        (USER_AGENT, "openai-python/1.0"),
        (WEIR_ENDING, "completed"),
        (WEIR_EVENT_ID, "abababababababababababababababab-7"),
        (ERROR_TYPE, ""),
    ] {
        assert_eq!(text(server, name), expected, "{name}");
    }
    assert_eq!(integer(server, SERVER_PORT), Some(8080));
    assert_eq!(integer(server, HTTP_STATUS_CODE), Some(200));
    assert_eq!(integer(server, HTTP_REQUEST_BODY_SIZE), Some(120));
    assert_eq!(integer(server, HTTP_RESPONSE_BODY_SIZE), Some(2000));
    assert_eq!((server.start_time_unix_nano, server.end_time_unix_nano), (at(0), at(800_000)));
    assert!(!is_error(server));
}

#[test]
fn the_chat_span_tells_the_operation() {
    let spans = of(ID, &streamed());
    let chat = named(&spans, "chat smart");
    for (name, expected) in [
        (OPERATION_NAME, "chat"),
        (PROVIDER_NAME, "openai"),
        (REQUEST_MODEL, "smart"),
        (RESPONSE_MODEL, "gpt-4o-2024-08-06"),
        (RESPONSE_ID, "chatcmpl-1"),
        (OUTPUT_TYPE, "json"),
        (OPENAI_RESPONSE_TIER, "default"),
        (OPENAI_REQUEST_TIER, ""),
        (OPENAI_FINGERPRINT, "fp_1"),
        (WEIR_USAGE_SOURCE, "provider"),
        (SERVER_ADDRESS, "api.openai.com"),
        (ERROR_TYPE, ""),
    ] {
        assert_eq!(text(chat, name), expected, "{name}");
    }
    assert_eq!(integer(chat, INPUT_TOKENS), Some(12));
    assert_eq!(integer(chat, OUTPUT_TOKENS), Some(34));
    assert_eq!(integer(chat, CACHE_READ_TOKENS), Some(4));
    assert_eq!(integer(chat, REASONING_TOKENS), Some(2));
    assert_eq!(integer(chat, MAX_TOKENS), Some(100));
    assert_eq!(integer(chat, SEED), Some(-1));
    assert_eq!(integer(chat, CHOICE_COUNT), None);
    assert_eq!(value(chat, TEMPERATURE), Some(Value::DoubleValue(0.5)));
    assert_eq!(value(chat, REQUEST_STREAM), Some(Value::BoolValue(true)));
    assert_eq!(value(chat, TIME_TO_FIRST_CHUNK), Some(Value::DoubleValue(0.0985)));
    assert!(matches!(value(chat, FINISH_REASONS), Some(Value::ArrayValue(array)) if array.values.len() == 1));
    assert_eq!((chat.start_time_unix_nano, chat.end_time_unix_nano), (at(1500), at(800_000)));
}

#[test]
fn tokens_that_are_not_known_are_left_out_and_zero_is_kept() {
    let mut event = streamed();
    event.response.as_mut().unwrap().usage = Some(Usage { output_tokens: Some(0), ..Usage::default() });
    let spans = of(ID, &event);
    assert_eq!(integer(named(&spans, "chat smart"), INPUT_TOKENS), None);
    assert_eq!(integer(named(&spans, "chat smart"), OUTPUT_TOKENS), Some(0));
}

#[test]
fn a_failed_attempt_is_an_error_and_the_operation_that_succeeded_is_none() {
    let spans = of(ID, &failed_over());
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "POST").collect();
    assert!(is_error(attempts[0]) && !is_error(attempts[1]));
    assert_eq!(text(attempts[0], ERROR_TYPE), "503");
    assert_eq!(integer(attempts[0], HTTP_RESEND_COUNT), None);
    assert_eq!(integer(attempts[1], HTTP_RESEND_COUNT), Some(1));
    assert_eq!(text(attempts[1], URL_FULL), "https://api.openai.com/v1/chat/completions");
    assert_eq!(text(attempts[1], WEIR_ATTEMPT_MODEL), "gpt-4o");
    assert!(!is_error(named(&spans, "chat smart")));
    assert!(!is_error(named(&spans, "POST /v1/chat/completions")));
}

#[test]
fn a_refusal_is_an_error_of_the_resolution_and_not_of_the_server() {
    let spans = of(ID, &rejected());
    assert_eq!(spans.len(), 2);
    let (server, resolution) = (named(&spans, "POST /v1/chat/completions"), named(&spans, "resolve_model"));
    assert!(!is_error(server));
    assert_eq!(text(server, ERROR_TYPE), "");
    assert_eq!(integer(server, HTTP_STATUS_CODE), Some(404));
    assert!(is_error(resolution));
    assert_eq!(text(resolution, ERROR_TYPE), "model_not_found");
    assert_eq!(text(resolution, WEIR_MODEL_REQUESTED), "smart");
}

#[test]
fn a_request_without_memory_left_for_it_is_an_error_of_server_and_resolution() {
    let mut event = rejected();
    event.ending = Ending::Overloaded.into();
    let response = event.response.as_mut().unwrap();
    (response.status, response.error_type) = (503, "overloaded".to_owned());
    let spans = of(ID, &event);
    let (server, resolution) = (named(&spans, "POST /v1/chat/completions"), named(&spans, "resolve_model"));
    assert_eq!(
        (text(server, WEIR_ENDING).as_str(), text(server, ERROR_TYPE).as_str()),
        ("overloaded", "503")
    );
    assert_eq!(text(resolution, ERROR_TYPE), "overloaded");
}

#[test]
fn a_provider_that_breaks_off_is_an_error_of_server_and_operation() {
    for (ending, name) in [
        (Ending::UpstreamReset, "upstream_reset"),
        (Ending::ClientDisconnected, "client_disconnected"),
        (Ending::Timeout, "timeout"),
        (Ending::Truncated, "truncated"),
        (Ending::Overloaded, "overloaded"),
    ] {
        let mut event = streamed();
        event.ending = ending.into();
        let spans = of(ID, &event);
        for span in ["POST /v1/chat/completions", "chat smart"] {
            assert!(is_error(named(&spans, span)));
            assert_eq!(text(named(&spans, span), ERROR_TYPE), name);
        }
    }
}

#[test]
fn a_truncated_response_says_so_and_the_providers_own_word_for_an_error_goes_before() {
    let mut event = streamed();
    event.ending = Ending::Truncated.into();
    let spans = of(ID, &event);
    assert_eq!(text(named(&spans, "POST /v1/chat/completions"), WEIR_ENDING), "truncated");
    event.response.as_mut().unwrap().error_type = "overloaded_error".to_owned();
    assert_eq!(text(named(&of(ID, &event), "chat smart"), ERROR_TYPE), "overloaded_error");
}

#[test]
fn a_200_that_is_no_answer_is_an_error_of_the_operation_by_the_gateways_word() {
    for error in ["empty_response", "unexpected_content_type"] {
        let mut event = streamed();
        event.ending = Ending::Completed.into();
        let response = event.response.as_mut().unwrap();
        *response = Response { status: 200, error_type: error.to_owned(), ..Response::default() };
        let spans = of(ID, &event);
        assert!(is_error(named(&spans, "chat smart")));
        assert_eq!(text(named(&spans, "chat smart"), ERROR_TYPE), error);
    }
}

#[test]
fn a_status_of_5xx_is_the_servers_error() {
    let mut event = streamed();
    event.attempts = vec![attempt(1, 0x31, 503, "", (2000, 50_000))];
    let response = event.response.as_mut().unwrap();
    (response.status, response.error_type) = (503, "overloaded".to_owned());
    let spans = of(ID, &event);
    assert_eq!(text(named(&spans, "POST /v1/chat/completions"), ERROR_TYPE), "503");
    assert_eq!(text(named(&spans, "chat smart"), ERROR_TYPE), "overloaded");
}

#[test]
fn a_path_that_nothing_serves_names_no_span() {
    let mut event = rejected();
    let request = event.request.as_mut().unwrap();
    request.api = 0;
    request.path = "/wp-admin/1234".to_owned();
    let spans = of(ID, &event);
    assert_eq!(spans[0].name, "POST");
    assert_eq!(text(&spans[0], URL_PATH), "/wp-admin/1234");
    assert_eq!(text(&spans[0], HTTP_ROUTE), "");
}

#[test]
fn an_answer_in_one_piece_has_no_stream() {
    let mut event = streamed();
    event.response.as_mut().unwrap().streamed = false;
    let spans = of(ID, &event);
    assert!(spans.iter().all(|span| span.name != "stream"));
    assert_eq!(value(named(&spans, "chat smart"), TIME_TO_FIRST_CHUNK), None);
}

#[test]
fn no_span_ends_before_it_starts_whatever_the_times() {
    let mut event = failed_over();
    event.timing = Some(Timing {
        received_ns: at(10),
        body_received_ns: at(9),
        resolved_ns: at(8),
        first_token_ns: at(7),
        ..Timing::default()
    });
    event.attempts[0].ended_ns = 0;
    for span in of(ID, &event) {
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{}", span.name);
    }
}

#[test]
fn an_event_with_nothing_in_it_is_one_span() {
    let spans = of(ID, &TraceEvent::default());
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_id.len(), 8);
    assert_eq!(spans[0].trace_id.len(), 16);
}

#[test]
fn a_batch_is_one_resource_and_one_scope() {
    let request = request(&[(SERVICE_NAME, "svc".to_owned()), ("empty", String::new())], of(ID, &streamed()));
    assert_eq!(request.resource_spans.len(), 1);
    let resource_spans = &request.resource_spans[0];
    let attributes = &resource_spans.resource.as_ref().unwrap().attributes;
    assert_eq!(attributes.len(), 1);
    assert_eq!(attributes[0].key, "service.name");
    assert_eq!(resource_spans.scope_spans.len(), 1);
    let scope = resource_spans.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("weir", VERSION));
    assert_eq!(resource_spans.scope_spans[0].spans.len(), 5);
}

#[test]
fn a_caller_with_a_key_is_told_and_its_authentication_has_a_span() {
    let mut event = streamed();
    event.caller = Some(weir_event::v1::Caller {
        key_name: "team-a".to_owned(),
        user: "ann".to_owned(),
        metadata: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
        conversation_id: "c-1".to_owned(),
        ..Default::default()
    });
    if let Some(timing) = &mut event.timing {
        timing.authenticated_ns = timing.received_ns + 5000;
    }
    let id = EventId::of(&event).unwrap();
    let spans = of(id, &event);
    assert_eq!(
        named(&spans, "authenticate").parent_span_id,
        named(&spans, "POST /v1/chat/completions").span_id
    );
    let keys: Vec<&str> =
        named(&spans, "POST /v1/chat/completions").attributes.iter().map(|pair| pair.key.as_str()).collect();
    for key in [WEIR_KEY, USER_ID, "weir.metadata.a", "weir.metadata.b"] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert_eq!(spans, of(id, &event), "the same event gives the same spans");
}

#[test]
fn an_event_that_tells_nothing_still_becomes_a_span_with_a_name() {
    let spans = of(ID, &TraceEvent::default());
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["HTTP"]);
}
