//! Responses that are not billed at the listed price of text, as providers mark them.

use weir_event::v1::{ModelUsage, Response, Usage};

use super::{Cost, Prices};

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

fn figures(usage: Usage, figures: &[(&str, u64)]) -> Usage {
    let figures = figures.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
    Usage { figures, ..usage }
}

fn marks(usage: Usage, marks: &[(&str, &str)]) -> Usage {
    let price_marks = marks.iter().map(|(path, word)| ((*path).to_owned(), (*word).to_owned())).collect();
    Usage { price_marks, ..usage }
}

fn cost(model: &str, tier: &str, usage: Usage) -> Option<Cost> {
    let response = Response {
        model: model.to_owned(),
        service_tier: tier.to_owned(),
        usage: Some(usage),
        ..Response::default()
    };
    Prices::built_in().cost("", &response)
}

fn total(model: &str, usage: Usage) -> Option<f64> {
    cost(model, "", usage).map(|cost| cost.total())
}

#[test]
fn fast_mode_has_its_price_where_a_model_lists_it_and_none_elsewhere() {
    let fast = |input, output| marks(usage(input, output), &[("usage.speed", "fast")]);
    // Twice 0.525.
    let answer = cost("claude-opus-4-8", "standard", fast(100_000, 1000)).unwrap();
    assert_eq!((answer.total(), answer.input(), answer.output()), (1.05, Some(1.0), Some(0.05)));
    let cached = Usage { cache_read_tokens: Some(100_000), ..fast(100_000, 0) };
    assert_eq!(total("claude-opus-5", cached), Some(0.1));
    for model in ["claude-opus-4-6", "claude-opus-4-7", "claude-sonnet-4-5", "gpt-5"] {
        assert_eq!(total(model, fast(100_000, 1000)), None, "{model}");
    }
    let standard = marks(usage(100_000, 1000), &[("usage.speed", "standard")]);
    assert_eq!(total("claude-opus-4-7", standard), Some(0.525));
}

#[test]
fn inference_within_one_place_costs_more_and_stacks_with_fast_mode() {
    let us = ("usage.inference_geo", "us");
    assert_eq!(total("claude-sonnet-4-6", marks(usage(1_000_000, 0), &[us])), Some(3.3));
    let both = marks(usage(1_000_000, 0), &[us, ("usage.speed", "fast")]);
    assert_eq!(total("claude-opus-5", both), Some(11.0));
    assert_eq!(total("claude-sonnet-4-5", marks(usage(1_000_000, 0), &[us])), None);
    let eu = marks(usage(1_000_000, 0), &[("usage.inference_geo", "eu")]);
    assert_eq!(total("claude-sonnet-4-6", eu), None);
    let anywhere = marks(usage(1_000_000, 0), &[("usage.inference_geo", "global")]);
    assert_eq!(total("claude-sonnet-4-5", anywhere), Some(3.0));
}

#[test]
fn a_service_tier_has_its_own_prices() {
    let tier = |model, tier| cost(model, tier, usage(1_000_000, 1_000_000)).map(|cost| cost.total());
    assert_eq!(tier("gpt-5", "priority"), Some(22.5));
    assert_eq!(tier("gpt-5", "flex"), Some(5.625));
    assert_eq!(tier("gpt-5", "default"), Some(11.25));
    assert_eq!(tier("gpt-5", "scale"), None);
    assert_eq!(tier("claude-opus-4-5", "priority"), None);
    assert_eq!(tier("claude-opus-4-5", "batch"), None);
    // Priority does not take long requests.
    assert_eq!(tier("gpt-5.4", "priority"), None);
    assert_eq!(cost("gpt-5.4", "priority", usage(100_000, 0)).unwrap().total(), 0.5);
}

#[test]
fn gemini_and_vertex_mark_a_tier_among_the_usage() {
    let marked = |path, word| total("gemini-2.5-pro", marks(usage(100_000, 0), &[(path, word)]));
    assert_eq!(marked("usageMetadata.trafficType", "ON_DEMAND"), Some(0.125));
    assert_eq!(marked("usageMetadata.serviceTier", "standard"), Some(0.125));
    assert_eq!(marked("usageMetadata.trafficType", "PROVISIONED_THROUGHPUT"), None);
    assert_eq!(marked("usageMetadata.trafficType", "ON_DEMAND_PRIORITY"), None);
    assert_eq!(marked("usageMetadata.serviceTier", "flex"), None);
}

#[test]
fn sound_that_was_read_has_its_own_price() {
    let sound = [("promptTokensDetails.AUDIO", 99_990), ("promptTokensDetails.TEXT", 10)];
    assert_eq!(total("gemini-2.5-flash", figures(usage(100_000, 10), &sound)), Some(0.100_018));
    // As one of OpenAI's, and where none is listed.
    let sound = [("prompt_tokens_details.audio_tokens", 500_000)];
    assert_eq!(total("gpt-audio", figures(usage(1_000_000, 0), &sound)), Some(17.25));
    assert_eq!(total("gpt-4o", figures(usage(1_000_000, 0), &sound)), None);
    // All kinds cost the same with the larger models.
    let sound = [("promptTokensDetails.AUDIO", 50_000), ("promptTokensDetails.VIDEO", 50_000)];
    assert_eq!(total("gemini-2.5-pro", figures(usage(100_000, 0), &sound)), Some(0.125));
}

#[test]
fn sound_in_a_cache_has_no_cost_unless_the_cache_had_text_alone() {
    let cached = |details: &[(&str, u64)]| {
        let usage = Usage { cache_read_tokens: Some(50_000), ..usage(100_000, 0) };
        let mut all = vec![("promptTokensDetails.AUDIO", 40_000)];
        all.extend(details);
        total("gemini-2.5-flash", figures(usage, &all))
    };
    assert_eq!(cached(&[]), None);
    assert_eq!(cached(&[("cacheTokensDetails.AUDIO", 10)]), None);
    // 50 000 cached at 0.03, 40 000 of sound at 1, 10 000 of text at 0.3.
    assert_eq!(cached(&[("cacheTokensDetails.TEXT", 50_000)]), Some(0.0445));
}

#[test]
fn pictures_and_pages_cost_what_text_does_where_the_model_says_so() {
    let read = [("promptTokensDetails.IMAGE", 50_000), ("promptTokensDetails.DOCUMENT", 50_000)];
    assert_eq!(total("gemini-2.5-flash", figures(usage(100_000, 0), &read)), Some(0.03));
    assert_eq!(total("mistral-large", figures(usage(100_000, 0), &[("image_tokens", 5)])), None);
    assert_eq!(total("mistral-small", figures(usage(100_000, 0), &[("prompt_audio_seconds", 5)])), None);
}

#[test]
fn what_was_written_as_sound_or_pictures_has_its_own_price() {
    let drawn = [("candidatesTokensDetails.IMAGE", 1290)];
    assert_eq!(total("gemini-2.5-flash-image", figures(usage(0, 1300), &drawn)), Some(0.038_725));
    assert_eq!(total("gemini-2.5-flash", figures(usage(0, 1300), &drawn)), None);
    let spoken = [("completion_tokens_details.audio_tokens", 500_000)];
    assert_eq!(total("gpt-audio-mini", figures(usage(0, 1_000_000), &spoken)), Some(11.2));
    assert_eq!(total("gpt-4o-mini", figures(usage(0, 1_000_000), &spoken)), None);
}

#[test]
fn searches_of_the_web_are_added_and_other_calls_have_no_cost() {
    let searched = |model, name, count| cost(model, "", figures(usage(1_000_000, 0), &[(name, count)]));
    let name = "server_tool_use.web_search_requests";
    let answer = searched("claude-sonnet-4-5", name, 3).unwrap();
    assert_eq!((answer.total(), answer.input(), answer.output()), (3.03, Some(3.0), Some(0.0)));
    assert_eq!(searched("claude-3-haiku", name, 3), None);
    assert!(searched("claude-3-haiku", name, 0).is_some());
    assert_eq!(searched("claude-sonnet-4-5", "server_tool_use.code_execution_requests", 1), None);
    assert!(searched("claude-sonnet-4-5", "server_tool_use.web_fetch_requests", 9).is_some());
}

#[test]
fn what_another_model_used_has_that_models_price() {
    let advisor = |model: &str| ModelUsage {
        model: model.to_owned(),
        input_tokens: Some(2728),
        output_tokens: Some(874),
        ..ModelUsage::default()
    };
    let with = |others| Usage { others, ..usage(102_728, 1874) };
    // 100 000 and 1000 of Sonnet's at 3 and 15, 2728 and 874 of Opus' at 5 and 25.
    let expected = 0.315 + 0.013_64 + 0.021_85;
    let answer = total("claude-sonnet-4-6", with(vec![advisor("claude-opus-4-7")])).unwrap();
    assert!((answer - expected).abs() < 1e-12, "{answer}");
    assert_eq!(total("claude-sonnet-4-6", with(vec![advisor("house-advisor")])), None);
    // More than all cannot be a part of it.
    let more = Usage { others: vec![advisor("claude-opus-4-7")], ..usage(2000, 1000) };
    assert_eq!(total("claude-sonnet-4-6", more), None);
    let nothing = ModelUsage { model: "house-advisor".to_owned(), ..ModelUsage::default() };
    assert!(total("claude-sonnet-4-6", with(vec![nothing])).is_some());
    let fast = marks(with(vec![advisor("claude-opus-4-7")]), &[("usage.speed", "fast")]);
    assert_eq!(total("claude-opus-4-8", fast), None);
}

#[test]
fn tokens_of_compaction_are_in_the_totals_and_paid_for() {
    assert_eq!(total("claude-opus-4-6", usage(203_000, 4500)), Some(1.1275));
}

#[test]
fn what_cohere_bills_is_what_is_paid_for() {
    let processed = [("tokens.input_tokens", 1394), ("billed_units.input_tokens", 8)];
    assert_eq!(total("command-a-03-2025", figures(usage(8, 50), &processed)), Some(0.000_52));
}

#[test]
fn cached_tokens_have_their_price_whoever_names_them() {
    let cached = Usage { cache_read_tokens: Some(900_000), ..usage(1_000_000, 0) };
    assert_eq!(total("mistral-small-2603", cached), Some(0.0285));
}

#[test]
fn the_providers_own_figure_goes_before_the_table_and_has_no_parts() {
    let told = |cost_usd| Usage { cost_usd: Some(cost_usd), ..usage(1_000_000, 0) };
    for model in ["qwen/qwen3-max", "gpt-4o", ""] {
        let answer = cost(model, "flex", figures(told(0.0123), &[("num_search_queries", 2)])).unwrap();
        assert_eq!((answer.total(), answer.source()), (0.0123, "provider"), "{model}");
        assert_eq!((answer.input(), answer.output(), answer.cache_read()), (None, None, None));
    }
    assert_eq!(cost("gpt-4o", "", told(0.0)).unwrap().total(), 0.0);
    for nonsense in [-1.0, f64::NAN, f64::INFINITY] {
        let answer = cost("gpt-4o", "", told(nonsense)).unwrap();
        assert_eq!((answer.total(), answer.source()), (2.5, "table"));
    }
}
