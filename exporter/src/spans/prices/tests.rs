use std::io::Write as _;

use weir_event::v1::Usage;

use super::*;

fn answer(model: &str, usage: Usage) -> Response {
    Response { model: model.to_owned(), usage: Some(usage), ..Response::default() }
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

fn loaded(yaml: &str) -> Result<Arc<Prices>, PricesError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    Prices::load(file.path())
}

fn total(model: &str, usage: Usage) -> Option<f64> {
    Prices::built_in().cost("", &answer(model, usage)).map(|cost| cost.total())
}

#[test]
fn the_table_that_is_compiled_in_is_whole() {
    let models = table::parse(BUILT_IN).unwrap();
    assert!(models.len() > 100, "{}", models.len());
    for name in ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "mistral-large", "command-a-03-2025"]
    {
        assert!(models.contains_key(name), "{name}");
    }
}

#[test]
fn cached_tokens_are_not_paid_twice() {
    let usage = Usage { cache_read_tokens: Some(400_000), ..tokens(1_000_000, 100_000) };
    let cost = Prices::built_in().cost("", &answer("gpt-4o", usage)).unwrap();
    assert_eq!((cost.input(), cost.cache_read(), cost.output()), (Some(2.0), Some(0.5), Some(1.0)));
    assert_eq!(cost.total(), 3.0);
}

#[test]
fn what_a_cache_takes_has_its_own_price_and_another_for_an_hour() {
    let mut usage = Usage { cache_write_tokens: Some(1_000_000), ..tokens(1_000_000, 0) };
    assert_eq!(total("claude-sonnet-4-5", usage.clone()), Some(3.75));
    usage.figures.insert("cache_creation.ephemeral_1h_input_tokens".to_owned(), 400_000);
    assert_eq!(total("claude-sonnet-4-5", usage.clone()), Some(0.6 * 3.75 + 0.4 * 6.0));
    assert_eq!(total("gpt-5.6", usage), None);
}

#[test]
fn figures_that_contradict_each_other_cost_no_more_than_the_total() {
    let usage = Usage {
        cache_read_tokens: Some(u64::MAX),
        cache_write_tokens: Some(u64::MAX),
        reasoning_tokens: Some(u64::MAX),
        ..tokens(1_000_000, 1_000_000)
    };
    assert_eq!(total("claude-sonnet-4-5", usage), Some(15.3));
    assert!(total("o1-pro", tokens(u64::MAX, u64::MAX)).unwrap().is_finite());
}

#[test]
fn a_long_request_has_the_prices_of_long_requests() {
    assert_eq!(total("gemini-2.5-pro", tokens(200_000, 0)), Some(0.25));
    assert_eq!(total("gemini-2.5-pro", tokens(400_000, 0)), Some(1.0));
}

#[test]
fn a_model_is_known_by_every_form_of_its_name() {
    for (name, same) in [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("models/gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("mistral-large-latest", "mistral-large"),
        ("GPT-4o", "gpt-4o"),
        ("groq/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("anthropic/claude-4.5-sonnet-20250929", "claude-sonnet-4-5"),
        ("anthropic/Claude-Opus-4.1", "claude-opus-4-1"),
        ("claude-3.5-haiku-20241022", "claude-3-5-haiku"),
    ] {
        let usage = tokens(1_000_000, 1_000_000);
        let expected = total(same, usage.clone());
        assert!(expected.is_some(), "{same}");
        assert_eq!(total(name, usage), expected, "{name}");
    }
}

#[test]
fn a_dated_model_with_its_own_price_keeps_it() {
    assert_eq!(total("gpt-4o-2024-05-13", tokens(1_000_000, 0)), Some(5.0));
    assert_eq!(total("gpt-4o", tokens(1_000_000, 0)), Some(2.5));
}

#[test]
fn what_is_not_known_has_no_cost() {
    let known = || tokens(10, 10);
    for name in [
        "",
        "llama-at-home",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "gpt-4o-mini-tuned",
        "ft:gpt-4o-mini-2024-07-18:acme::x",
        "gpt-4o-",
        "-",
        "claude-sonnet-9.5",
        "anthropic/claude-4.6-opus-fast-20260407",
        "anthropic/claude-sonnet-4.5:free",
        "gpt-4-1",
    ] {
        assert_eq!(total(name, known()), None, "{name}");
    }
    assert_eq!(total("gpt-4o", Usage { input_tokens: Some(3), ..Usage::default() }), None);
    assert_eq!(total("gpt-4o", Usage { output_tokens: Some(3), ..Usage::default() }), None);
    assert_eq!(Prices::built_in().cost("gpt-4o", &Response::default()), None);
    let mut sound = known();
    sound.figures.insert("prompt_tokens_details.audio_tokens".to_owned(), 4);
    assert_eq!(total("gpt-4o", sound), None);
    let flex = Response { service_tier: "flex".to_owned(), ..answer("gpt-4o", known()) };
    assert_eq!(Prices::built_in().cost("", &flex), None);
}

#[test]
fn the_model_that_answered_counts_and_the_one_asked_for_where_none_is_named() {
    let usage = tokens(1_000_000, 0);
    let prices = Prices::built_in();
    assert_eq!(prices.cost("gpt-4o", &answer("", usage.clone())).unwrap().total(), 2.5);
    assert_eq!(prices.cost("gpt-4o", &answer("house-model", usage)), None);
}

#[test]
fn an_embedding_costs_its_input() {
    let usage = Usage { input_tokens: Some(1_000_000), ..Usage::default() };
    assert_eq!(total("text-embedding-3-small", usage), Some(0.02));
    assert_eq!(total("text-embedding-3-small", tokens(1, 1)), None);
}

#[test]
fn a_file_adds_models_and_replaces_others() {
    let prices = loaded(
        "models:\n  house: { input: 1, output: 2, reasoning: 4 }\n  gpt-4o: { input: 7, output: 7 }\n",
    )
    .unwrap();
    let cost = |model: &str, usage| prices.cost("", &answer(model, usage)).map(|cost| cost.total());
    let thought = Usage { reasoning_tokens: Some(500_000), ..tokens(1_000_000, 1_000_000) };
    assert_eq!(cost("house", thought), Some(4.0));
    assert_eq!(cost("gpt-4o-2024-08-06", tokens(1_000_000, 0)), Some(7.0));
    assert_eq!(cost("gpt-4o-mini", tokens(1_000_000, 0)), Some(0.15));
    let cached = Usage { cache_read_tokens: Some(1_000_000), ..tokens(1_000_000, 0) };
    assert_eq!(cost("house", cached), Some(1.0));
}

#[test]
fn a_file_that_does_not_fit_is_refused_by_the_fields_name() {
    for (yaml, field) in [
        ("models: { a: { input: -1 } }", "models.a.input"),
        ("models: { a: { input: .nan } }", "models.a.input"),
        ("models: { a: { input: .inf } }", "models.a.input"),
        ("models: { a: { input: 1, output: 1e9 } }", "models.a.output"),
        ("models: { a: { input: 1, long: { over: 9, input: -3 } } }", "models.a.long.input"),
        ("models: { a: { input: cheap } }", "models.a.input"),
        ("models: { a: { input: 1, ouput: 1 } }", "models.a.ouput"),
        ("models: { a: { output: 1 } }", "models.a"),
        ("models: { a: { input: 1, over: 9 } }", "models.a.over"),
        ("models: { a: { input: 1, long: { input: 3 } } }", "models.a.long.over"),
        (
            "models: { a: { input: 1, long: { over: 1, input: 3, long: { over: 2, input: 1 } } } }",
            "models.a.long.long",
        ),
        ("models: { a: { input: 1, long: { over: 1, input: 3, fast: 2 } } }", "models.a.long.fast"),
        ("models: { a: { input: 1, tiers: { flex: { input: -1 } } } }", "models.a.tiers.flex.input"),
        (
            "models: { a: { input: 1, tiers: { flex: { input: 1, geo: { us: 2 } } } } }",
            "models.a.tiers.flex.geo",
        ),
        ("models: { a: { input: 1, geo: { us: -1 } } }", "models.a.geo.us"),
        ("models: { a: { input: 1, fast: 1e9 } }", "models.a.fast"),
        ("models: { a: { input: 1, as_text: [smell] } }", "models.a.as_text"),
        ("prices: {}", "prices"),
    ] {
        let refused = loaded(yaml).unwrap_err().to_string();
        assert!(refused.contains(field), "{yaml}: {refused}");
    }
    let refused = Prices::load(Path::new("/nonexistent/prices.yaml")).unwrap_err().to_string();
    assert!(refused.contains("/nonexistent/prices.yaml"), "{refused}");
}
