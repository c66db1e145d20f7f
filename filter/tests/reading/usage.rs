//! Tokens, cost and price markers under all names, at all positions and in all forms, in streams and in one
//! piece.

use serde_json::{Value, json};
use weir_event::v1::{self, ModelUsage, UsageSource};
use weir_filter::api::Api;
use weir_filter::api::{anthropic, cohere, gemini, openai};
use weir_filter::capture::transcript::Transcript;
use weir_filter::headers::Headers;
use weir_filter::json::truncate::pieces::LONG;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::parser::ResponseParser;

use super::{Read, stream, whole};

fn chat(usage: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion", "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "At the pier."}, "finish_reason": "stop"}]})
}

fn message(usage: &Value) -> Value {
    json!({"id": "m1", "type": "message", "role": "assistant", "model": "claude-opus-4-6", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "At the pier."}], "usage": usage})
}

/// An Anthropic stream that ends with this usage.
fn message_stream(usage: &Value) -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "m1", "model": "claude-opus-4-6", "content": [],
            "usage": {"input_tokens": 50, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "At the pier."}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

/// Input, output, cache read, cache written, reasoning.
fn totals(read: &Read) -> [Option<u64>; 5] {
    let usage = read.usage();
    assert_eq!(usage.source(), UsageSource::Provider, "{usage:?}");
    [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ]
}

#[test]
fn a_usage_of_any_length_is_read() {
    let iteration = json!({"type": "message", "input_tokens": 50, "output_tokens": 6, "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}});
    for count in [8, 400] {
        let usage = json!({"input_tokens": 50 * count, "output_tokens": 6 * count, "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0, "iterations": vec![iteration.clone(); count]});
        let expected = [Some(50 * count as u64), Some(6 * count as u64), Some(0), Some(0), None];
        assert_eq!(totals(&stream(anthropic::MESSAGES, &message_stream(&usage))), expected);
        assert_eq!(totals(&whole(anthropic::MESSAGES, &message(&usage))), expected);
    }
    let mut details = serde_json::Map::new();
    for n in 0..200 {
        details.insert(format!("a_detail_of_no_interest_{n}"), json!(n));
    }
    let usage = json!({"details": details, "prompt_tokens": 9, "completion_tokens": 12,
        "prompt_tokens_details": {"audio_tokens": 4}});
    let read = whole(openai::CHAT, &chat(&usage));
    assert_eq!(totals(&read), [Some(9), Some(12), None, None, None]);
    let usage = read.usage();
    assert_eq!(usage.figures["prompt_tokens_details.audio_tokens"], 4);
    assert_eq!((usage.figures.len(), usage.figures_left_out), (32, 203 - 32), "what is dropped shows");
}

/// Reads a stream in pieces of this size, without capturing content.
fn in_pieces(api: Api, events: &[Value], size: usize) -> v1::Usage {
    let headers = Headers(vec![("content-type".to_owned(), b"text/event-stream".to_vec())]);
    let mut framer = Framer::new(Form::of(api, &headers), LONG).unwrap();
    let (mut answer, mut response) =
        (ResponseParser::new(api, Transcript::counting()), v1::Response::default());
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    for piece in stream.as_bytes().chunks(size) {
        framer.read(piece, false, |event| {
            answer.read_message(event, &mut response);
        });
    }
    answer.finish(0, true, &mut response);
    response.usage.unwrap()
}

#[test]
fn a_usage_that_comes_in_pieces_and_is_longer_than_what_is_held_of_an_event_is_read() {
    let iteration = json!({"type": "compaction", "input_tokens": 50, "output_tokens": 6,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}});
    for count in [8, 40, 150] {
        let usage =
            json!({"iterations": vec![iteration.clone(); count], "input_tokens": 7, "output_tokens": 3});
        let events = message_stream(&usage);
        for size in [100, 1000] {
            let usage = in_pieces(anthropic::MESSAGES, &events, size);
            assert_eq!(usage.input_tokens, Some(7 + 50 * count as u64), "{count} in {size}");
            assert_eq!(usage.output_tokens, Some(3 + 6 * count as u64), "{count} in {size}");
            assert_eq!((usage.source(), usage.figures_left_out), (UsageSource::Provider, 0));
        }
    }
    let usage = json!({"iterations": vec![iteration; 1000], "input_tokens": 7, "output_tokens": 3});
    let usage = in_pieces(anthropic::MESSAGES, &message_stream(&usage), 1000);
    assert!(usage.input_tokens > Some(50 * 200) && usage.output_tokens > Some(6 * 200), "{usage:?}");
    assert_eq!(usage.figures_left_out, 1, "what was not read shows");
}

#[test]
fn numbers_have_a_point_an_exponent_or_quotes_and_count_all_the_same() {
    let cohere = |figures: [Value; 4]| {
        let [billed_in, billed_out, all_in, all_out] = figures;
        json!({"id": "c1", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "At the pier."}]},
            "usage": {"billed_units": {"input_tokens": billed_in, "output_tokens": billed_out},
                "tokens": {"input_tokens": all_in, "output_tokens": all_out}}})
    };
    let figures = [json!(8.0), json!(50.0), json!(1394.0), json!(54.0)];
    let read = whole(cohere::CHAT, &cohere(figures));
    assert_eq!(totals(&read)[..2], [Some(8), Some(50)]);
    assert_eq!(read.usage().figures["tokens.input_tokens"], 1394);
    let read = whole(openai::CHAT, &chat(&json!({"prompt_tokens": "8", "completion_tokens": 5e1})));
    assert_eq!(totals(&read)[..2], [Some(8), Some(50)]);
}

#[test]
fn where_no_figure_was_read_usage_is_estimated_and_called_so() {
    for usage in [
        json!({}),
        json!({"prompt_tokens": null}),
        json!({"prompt_tokens": "many"}),
        json!({"prompt_tokens": 1.5}),
    ] {
        let read = whole(openai::CHAT, &chat(&usage));
        assert_eq!(
            (read.usage().source(), read.usage().output_tokens),
            (UsageSource::Estimated, Some(3)),
            "{usage}"
        );
    }
}

#[test]
fn what_a_compaction_and_an_advisor_used_is_added_and_a_declined_attempt_is_not() {
    let compaction = json!({"input_tokens": 23000, "output_tokens": 1000, "iterations": [
        {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
        {"type": "message", "input_tokens": 23000, "output_tokens": 1000}]});
    let advisor = json!({"input_tokens": 900, "output_tokens": 60, "iterations": [
        {"type": "message", "input_tokens": 400, "output_tokens": 20},
        {"type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 2700, "output_tokens": 800,
            "cache_read_input_tokens": 28, "cache_creation_input_tokens": 0},
        {"type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 0, "output_tokens": 74},
        {"type": "message", "input_tokens": 500, "output_tokens": 40}]});
    let declined = json!({"input_tokens": 2, "output_tokens": 13658, "cache_read_input_tokens": 79214,
        "cache_creation_input_tokens": 0, "iterations": [
        {"type": "message", "model": "claude-fable-5", "input_tokens": 2, "output_tokens": 578,
            "cache_creation_input_tokens": 10421, "cache_read_input_tokens": 72769},
        {"type": "fallback_message", "model": "claude-opus-4-8", "input_tokens": 2, "output_tokens": 13658,
            "cache_read_input_tokens": 79214}]});
    let advised = ModelUsage {
        model: "claude-opus-4-7".to_owned(),
        input_tokens: Some(2728),
        output_tokens: Some(874),
        cache_read_tokens: Some(28),
        cache_write_tokens: Some(0),
    };
    for (usage, expected, others) in [
        (compaction, [Some(203_000), Some(4500), None, None, None], vec![]),
        (advisor, [Some(3628), Some(934), Some(28), None, None], vec![advised]),
        (declined, [Some(79216), Some(13658), Some(79214), Some(0), None], vec![]),
    ] {
        for read in [
            whole(anthropic::MESSAGES, &message(&usage)),
            stream(anthropic::MESSAGES, &message_stream(&usage)),
        ] {
            // The beginning of a stream repeats earlier figures.
            assert_eq!(totals(&read), expected, "{usage}");
            assert_eq!(read.usage().others, others, "{usage}");
        }
    }
}

#[test]
fn what_cohere_bills_counts_and_what_it_processed_stays_among_the_figures() {
    let usage = json!({"billed_units": {"input_tokens": 8, "output_tokens": 50},
        "tokens": {"input_tokens": 1394, "output_tokens": 54}, "cached_tokens": 1024});
    let body = json!({"id": "c1", "finish_reason": "COMPLETE", "usage": usage,
        "message": {"role": "assistant", "content": [{"type": "text", "text": "At the pier."}]}});
    let end = json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}});
    let rerank = json!({"id": "r1", "results": [], "meta": {"api_version": {"version": "2"}, "billed_units": usage["billed_units"]}});
    for read in [whole(cohere::CHAT, &body), stream(cohere::CHAT, &[end]), whole(cohere::RERANK, &rerank)] {
        assert_eq!(totals(&read), [Some(8), Some(50), None, None, None]);
        assert!(!read.usage().figures.contains_key("api_version.version"));
    }
    assert_eq!(whole(cohere::CHAT, &body).usage().figures["tokens.input_tokens"], 1394);
    let billed_only = json!({"message": {"content": []}, "usage": {"tokens": {"input_tokens": 70, "output_tokens": 2}, "cached_tokens": 64}});
    assert_eq!(totals(&whole(cohere::CHAT, &billed_only)), [Some(70), Some(2), Some(64), None, None]);
}

#[test]
fn cached_tokens_are_found_under_every_name_that_servers_give_them() {
    for cached in [
        json!({"num_cached_tokens": 900}),
        json!({"cached_tokens": 900}),
        json!({"prompt_token_details": {"cached_tokens": 900}}),
        json!({"prompt_tokens_details": {"cached_tokens": 900}}),
        json!({"prompt_cache_hit_tokens": 900, "prompt_cache_miss_tokens": 100}),
        json!({"cache_read_input_tokens": 900}),
        json!({"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 900}),
    ] {
        let mut usage = json!({"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007});
        usage.as_object_mut().unwrap().extend(cached.as_object().unwrap().clone());
        let read = whole(openai::CHAT, &chat(&usage));
        assert_eq!(totals(&read)[..3], [Some(1000), Some(7), Some(900)], "{usage}");
    }
}

#[test]
fn anthropics_cache_in_openais_words_is_part_of_the_input_unless_it_cannot_be() {
    for (usage, expected) in [
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}),
            [Some(100), Some(5), Some(60), Some(30), None],
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}),
            [Some(100), Some(5), Some(60), Some(30), None],
        ),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 165, "cache_read_input_tokens": 60}),
            [Some(160), Some(5), Some(60), None, None],
        ),
    ] {
        assert_eq!(totals(&whole(openai::CHAT, &chat(&usage))), expected, "{usage}");
    }
}

#[test]
fn a_total_that_is_more_than_its_parts_was_reasoned() {
    for (usage, expected) in [
        (
            json!({"prompt_tokens": 7, "completion_tokens": 12, "total_tokens": 402}),
            [Some(7), Some(395), None, None, Some(383)],
        ),
        (json!({"prompt_tokens": 7, "total_tokens": 402}), [Some(7), Some(395), None, None, Some(395)]),
        (
            json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 24, "completion_tokens_details": {"reasoning_tokens": 3}}),
            [Some(9), Some(15), None, None, Some(3)],
        ),
        (
            json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "reasoning_tokens": 4}),
            [Some(9), Some(12), None, None, Some(4)],
        ),
        (
            json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 20}),
            [Some(9), Some(12), None, None, None],
        ),
    ] {
        assert_eq!(totals(&whole(openai::CHAT, &chat(&usage))), expected, "{usage}");
    }
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "At the pier."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 12, "totalTokenCount": 402}});
    assert_eq!(totals(&whole(gemini::GENERATE, &gemini)), [Some(7), Some(395), None, None, Some(383)]);
    let embedding = json!({"object": "list", "data": [], "usage": {"prompt_tokens": 7, "total_tokens": 9}});
    assert_eq!(totals(&whole(openai::EMBEDDINGS, &embedding))[..2], [Some(7), None]);
}

#[test]
fn usage_is_found_wherever_a_server_puts_it() {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21});
    let chunk = |rest: Value| {
        let mut chunk = json!({"id": "c1", "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": "At the pier."}, "finish_reason": "stop"}]});
        chunk.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        chunk
    };
    let moonshot =
        json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]});
    for event in [
        chunk(json!({"usage": usage})),
        chunk(json!({"x_groq": {"id": "req_1", "usage": usage}})),
        moonshot,
        chunk(json!({"timings": {"prompt_n": 9, "predicted_n": 12, "prompt_ms": 3.0}})),
    ] {
        assert_eq!(
            totals(&stream(openai::CHAT, std::slice::from_ref(&event)))[..2],
            [Some(9), Some(12)],
            "{event}"
        );
    }
    let reused = chunk(json!({"timings": {"prompt_n": 9, "cache_n": 91, "predicted_n": 12}}));
    assert_eq!(totals(&stream(openai::CHAT, &[reused]))[..3], [Some(100), Some(12), Some(91)]);

    let stop = json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9,
        "outputTokenCount": 12, "invocationLatency": 700, "cacheReadInputTokenCount": 80, "cacheWriteInputTokenCount": 0}});
    let read = stream(anthropic::MESSAGES, &[stop]);
    assert_eq!(totals(&read), [Some(89), Some(12), Some(80), Some(0), None]);
    let response = json!({"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": [],
        "usage": {"input_tokens": 9, "output_tokens": 12}}});
    assert_eq!(totals(&stream(openai::RESPONSES, &[response]))[..2], [Some(9), Some(12)]);
}

#[test]
fn figures_by_modality_are_distinguished_by_list_and_modality() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "A bell."}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 100_000, "candidatesTokenCount": 10, "totalTokenCount": 100_010,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 99_990}, {"modality": "TEXT", "tokenCount": 10}]}});
    for read in [whole(gemini::GENERATE, &body), stream(gemini::STREAM, std::slice::from_ref(&body))] {
        assert_eq!(totals(&read)[..2], [Some(100_000), Some(10)]);
        let figures = &read.usage().figures;
        assert_eq!((figures["promptTokensDetails.AUDIO"], figures["promptTokensDetails.TEXT"]), (99_990, 10));
    }
}

#[test]
fn cost_and_the_marks_of_a_price_are_read_in_every_api() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 1000, "cost": 0.0123, "cost_details": {"upstream_inference_cost": 0.01}});
    let mut body = chat(&usage);
    body["service_tier"] = json!("flex");
    let read = whole(openai::CHAT, &body);
    assert_eq!(read.usage().cost_usd, Some(0.0123));
    assert_eq!(read.usage().price_marks["service_tier"], "flex");

    let usage = json!({"input_tokens": 100, "output_tokens": 10, "service_tier": "standard", "speed": "fast", "inference_geo": "us"});
    for read in
        [whole(anthropic::MESSAGES, &message(&usage)), stream(anthropic::MESSAGES, &message_stream(&usage))]
    {
        let marks = &read.usage().price_marks;
        assert_eq!((marks["usage.speed"].as_str(), marks["usage.inference_geo"].as_str()), ("fast", "us"));
        assert_eq!(marks["usage.service_tier"], "standard");
    }
    let gemini = json!({"candidates": [], "usageMetadata": {"promptTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}, "serviceTier": "priority"});
    let read = whole(gemini::GENERATE, &gemini);
    let marks = &read.usage().price_marks;
    assert_eq!(marks["usageMetadata.trafficType"], "PROVISIONED_THROUGHPUT");
    assert_eq!(marks["serviceTier"], "priority");
    let completed = json!({"type": "response.completed", "response": {"status": "completed", "service_tier": "priority",
        "usage": {"input_tokens": 1, "output_tokens": 1, "cost_in_usd_ticks": 37_756_000}}});
    let read = stream(openai::RESPONSES, &[completed]);
    assert_eq!(read.usage().price_marks["service_tier"], "priority");
    assert!((read.usage().cost_usd.unwrap() - 0.003_775_6).abs() < 1e-12);
}
