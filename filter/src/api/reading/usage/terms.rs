//! Figures in the terms that all APIs share: totals that include what was cached and what was reasoned, and of which
//! what is billed counts.
//!
//! Every figure has one list of the names that it goes by, whoever tells it: gateways hand a provider's own names on,
//! and servers of a compatible API have theirs.

use weir_event::v1;

use crate::api::Family;
use crate::api::reading::usage::beside::Beside;
use crate::api::reading::usage::figures::Figures;

/// Input tokens: OpenAI, Anthropic and the Responses API, Gemini, Bedrock.
const INPUT: [&str; 7] = [
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "inputTokens",
    "promptTokens",
    "inputTokenCount",
    "prompt_token_count",
];
/// Output tokens of the same.
const OUTPUT: [&str; 7] = [
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "outputTokens",
    "completionTokens",
    "outputTokenCount",
    "candidates_token_count",
];
/// Input and output together.
const TOTAL: [&str; 4] = ["total_tokens", "totalTokenCount", "totalTokens", "total_token_count"];
/// Input tokens read from a cache: OpenAI; Mistral; DeepSeek; Moonshot and Together; Anthropic; Bedrock; Gemini.
const CACHE_READ: [&str; 15] = [
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_token_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cachedContentTokenCount",
    "cached_content_token_count",
    "prompt_tokens_details.cache_read_input_tokens",
    "input_tokens_details.cached_read_tokens",
    "prompt_tokens_details.cached_read_tokens",
];
/// Input tokens written to a cache.
const CACHE_WRITE: [&str; 10] = [
    "prompt_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "cache_creation_input_tokens",
    "cache_write_tokens",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "prompt_tokens_details.cache_creation_input_tokens",
    "input_tokens_details.cached_write_tokens",
    "prompt_tokens_details.cached_write_tokens",
];
/// Output tokens spent on reasoning: OpenAI, Perplexity, Anthropic, Gemini.
const REASONING: [&str; 7] = [
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
    "output_tokens_details.thinking_tokens",
    "completion_tokens_details.thinking_tokens",
    "thoughtsTokenCount",
    "thoughts_token_count",
];
/// What Cohere bills, and what it has processed.
const BILLED: [&str; 2] = ["billed_units.input_tokens", "billed_units.output_tokens"];
const PROCESSED: [&str; 2] = ["tokens.input_tokens", "tokens.output_tokens"];
/// The counts of llama.cpp's timings: the input without what it found in its cache, that, and the output.
const TIMINGS: [&str; 3] = ["prompt_n", "cache_n", "predicted_n"];

/// Whether a figure is one of those above.
pub(crate) fn is_total(path: &str) -> bool {
    let all = [&INPUT[..], &OUTPUT, &TOTAL, &CACHE_READ, &CACHE_WRITE, &REASONING, &BILLED, &PROCESSED];
    all.iter().any(|names| names.contains(&path))
}

/// The figures in our terms. `generates` says whether the response is a text that a model writes.
pub(crate) fn read(family: Family, figures: &Figures, beside: &Beside, generates: bool) -> v1::Usage {
    let is_openai = figures.at("prompt_tokens").is_some();
    match family {
        Family::Anthropic if !is_openai => anthropic(figures, beside),
        Family::Gemini if !is_openai => gemini(figures),
        Family::Cohere if !is_openai => cohere(figures),
        _ => openai(figures, generates),
    }
}

/// OpenAI's and compatible ones (OpenAI API reference; the Responses API and images say "input" and "output").
/// Totals include cached and reasoning tokens.
fn openai(usage: &Figures, generates: bool) -> v1::Usage {
    let [uncached, reused, predicted] = TIMINGS.map(|name| usage.at(name));
    let (input, output) = (usage.first_of(&INPUT), usage.first_of(&OUTPUT));
    let read = usage.first_of(&CACHE_READ).or(reused);
    let written = usage.first_of(&CACHE_WRITE);
    let mut told = v1::Usage {
        input_tokens: input.or_else(|| sum([uncached, reused])),
        output_tokens: output.or(predicted),
        cache_read_tokens: read,
        cache_write_tokens: written,
        reasoning_tokens: usage.first_of(&REASONING),
        ..Default::default()
    };
    let total = usage.first_of(&TOTAL);
    if counts_cache_apart(&told, total) {
        told.input_tokens = sum([told.input_tokens, read, written]);
    } else if generates {
        with_reasoning_of(total, &mut told);
    }
    told
}

/// Gateways before Anthropic's models may say OpenAI's words with Anthropic's meaning: the input without what was
/// cached. It shows where the cached tokens are more than the input, and where the total has them beside it.
fn counts_cache_apart(usage: &v1::Usage, total: Option<u64>) -> bool {
    let (Some(input), Some(cached)) =
        (usage.input_tokens, sum([usage.cache_read_tokens, usage.cache_write_tokens]))
    else {
        return false;
    };
    let beside = sum([Some(input), Some(cached), usage.output_tokens]);
    cached > input || (cached > 0 && total.is_some() && total == beside)
}

/// A total that is more than its parts: the rest was reasoned, and is billed as output. xAI tells the figure beside,
/// Gemini's compatible endpoint does not.
fn with_reasoning_of(total: Option<u64>, usage: &mut v1::Usage) {
    let (Some(total), Some(input)) = (total, usage.input_tokens) else { return };
    let output = usage.output_tokens.unwrap_or(0);
    let Some(rest) =
        total.checked_sub(input).and_then(|rest| rest.checked_sub(output)).filter(|rest| *rest > 0)
    else {
        return;
    };
    usage.output_tokens = Some(output.saturating_add(rest));
    usage.reasoning_tokens = usage.reasoning_tokens.filter(|told| *told > 0).or(Some(rest));
}

/// Anthropic's (Messages API, "Usage"): input tokens exclude those read from and written to the cache.
fn anthropic(usage: &Figures, beside: &Beside) -> v1::Usage {
    let more = |told: Option<u64>, more: u64| {
        told.map_or((more > 0).then_some(more), |told| Some(told.saturating_add(more)))
    };
    let read = usage.first_of(&CACHE_READ);
    let written = usage.first_of(&CACHE_WRITE);
    let input = usage.first_of(&INPUT).and_then(|input| sum([Some(input), read, written]));
    v1::Usage {
        input_tokens: more(input, beside.all.input_in_all()),
        output_tokens: more(usage.first_of(&OUTPUT), beside.all.output),
        cache_read_tokens: more(read, beside.all.cache_read),
        cache_write_tokens: more(written, beside.all.cache_write),
        reasoning_tokens: usage.first_of(&REASONING),
        others: beside.others(),
        ..Default::default()
    }
}

/// Gemini's (API reference, "UsageMetadata"): thoughts stand beside candidates, and what tools put into the prompt
/// beside the prompt; cached content is part of the prompt.
fn gemini(usage: &Figures) -> v1::Usage {
    let thoughts = usage.first_of(&REASONING);
    let mut told = v1::Usage {
        input_tokens: sum([usage.first_of(&INPUT), usage.at("toolUsePromptTokenCount")]),
        output_tokens: sum([usage.first_of(&OUTPUT), thoughts]),
        cache_read_tokens: usage.first_of(&CACHE_READ),
        reasoning_tokens: thoughts,
        ..Default::default()
    };
    // While a stream runs, its total may be ahead of its parts; at the end only thoughts are missing of them.
    if told.output_tokens.is_some() {
        with_reasoning_of(usage.first_of(&TOTAL), &mut told);
    }
    told
}

/// Cohere's (API v2, "Usage"): what is billed, which leaves out what Cohere puts around a prompt; else all tokens.
fn cohere(usage: &Figures) -> v1::Usage {
    let [billed_input, billed_output] = BILLED.map(|path| usage.at(path));
    let [input, output] = PROCESSED.map(|path| usage.at(path));
    let input_tokens = billed_input.or(input).or_else(|| usage.first_of(&INPUT));
    // What was cached is part of all tokens, and may be more than what is billed.
    let fits = |cached: &u64| input_tokens.is_some_and(|input| *cached <= input);
    v1::Usage {
        input_tokens,
        output_tokens: billed_output.or(output).or_else(|| usage.first_of(&OUTPUT)),
        cache_read_tokens: usage.first_of(&CACHE_READ).filter(fits),
        ..Default::default()
    }
}

/// The sum of what is known; `None` where nothing is.
fn sum<const N: usize>(parts: [Option<u64>; N]) -> Option<u64> {
    parts.into_iter().flatten().reduce(u64::saturating_add)
}
