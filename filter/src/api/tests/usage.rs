//! Usage in the terms that all families share.

use weir_event::v1;

use crate::api::family::reading::usage::Reported;
use crate::api::{Family, anthropic, cohere, gemini, openai};
use crate::json::scan::Object;

fn read(family: &Family, usage: &str) -> v1::Usage {
    let mut reported = Reported::default();
    reported.read_object("usage", &Object::parse(usage.as_bytes()).unwrap());
    reported.read(family.usage, true).unwrap()
}

fn totals(usage: &v1::Usage) -> [Option<u64>; 5] {
    [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ]
}

#[test]
fn totals_are_in_the_same_terms_whatever_the_provider_counts() {
    let cases = [
        (
            &openai::FAMILY,
            r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#,
            [Some(9), Some(12), Some(4), None, Some(3)],
        ),
        (
            &openai::FAMILY,
            r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":24,"completion_tokens_details":{"reasoning_tokens":3}}"#,
            [Some(9), Some(15), None, None, Some(3)],
        ),
        (
            &openai::FAMILY,
            r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":12}"#,
            [Some(5), Some(7), Some(2), None, Some(6)],
        ),
        (&openai::FAMILY, r#"{"prompt_tokens":8,"total_tokens":8}"#, [Some(8), None, None, None, None]),
        (
            &openai::FAMILY,
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":7}"#,
            [Some(9), Some(1), Some(7), None, None],
        ),
        (
            &anthropic::FAMILY,
            r#"{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":5}"#,
            [Some(60), Some(5), Some(30), Some(20), None],
        ),
        (
            &gemini::FAMILY,
            r#"{"promptTokenCount":11,"candidatesTokenCount":4,"thoughtsTokenCount":6,"cachedContentTokenCount":3,"toolUsePromptTokenCount":2,"totalTokenCount":23}"#,
            [Some(13), Some(10), Some(3), None, Some(6)],
        ),
        (
            &gemini::FAMILY,
            r#"{"promptTokenCount":11,"thoughtsTokenCount":6}"#,
            [Some(11), Some(6), None, None, Some(6)],
        ),
        (
            &cohere::FAMILY,
            r#"{"billed_units":{"input_tokens":1,"output_tokens":2},"tokens":{"input_tokens":70,"output_tokens":2},"cached_tokens":64}"#,
            [Some(1), Some(2), None, None, None],
        ),
        (&cohere::FAMILY, r#"{"billed_units":{"search_units":1}}"#, [None; 5]),
    ];
    for (family, usage, expected) in cases {
        assert_eq!(totals(&read(family, usage)), expected, "{usage}");
    }
}
