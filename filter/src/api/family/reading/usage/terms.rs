//! Figures in the terms that all APIs share: totals that include what was cached and what was reasoned, and of which
//! what is billed counts.

use weir_event::v1;

use crate::api::family::reading::usage::beside::Beside;
use crate::api::family::reading::usage::figures::Figures;
use crate::api::family::reading::usage::names::{CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, REASONING, TOTAL};

/// The counts of llama.cpp's timings: the input without what it found in its cache, that, and the output.
const TIMINGS: [&str; 3] = ["prompt_n", "cache_n", "predicted_n"];

/// Brings figures to our terms. The last argument says whether the response is a text that a model writes.
pub(crate) type Terms = fn(&Figures, &Beside, bool) -> v1::Usage;

/// Brings figures to our terms, by those of a family unless they are in OpenAI's words, in which compatible servers
/// and gateways of every family report.
pub(crate) fn read(own: Terms, figures: &Figures, beside: &Beside, generates: bool) -> v1::Usage {
    if figures.at("prompt_tokens").is_some() {
        return compatible(figures, generates);
    }
    own(figures, beside, generates)
}

/// OpenAI's and compatible ones (OpenAI API reference; the Responses API and images say "input" and "output").
/// Totals include cached and reasoning tokens.
pub(crate) fn compatible(usage: &Figures, generates: bool) -> v1::Usage {
    let [uncached, reused, predicted] = TIMINGS.map(|name| usage.at(name));
    let (input, output) = (usage.first_of(&INPUT), usage.first_of(&OUTPUT));
    let read = usage.first_of(&CACHE_READ).or(reused);
    let written = usage.first_of(&CACHE_WRITE);
    let mut totals = v1::Usage {
        input_tokens: input.or_else(|| sum([uncached, reused])),
        output_tokens: output.or(predicted),
        cache_read_tokens: read,
        cache_write_tokens: written,
        reasoning_tokens: usage.first_of(&REASONING),
        ..Default::default()
    };
    let total = usage.first_of(&TOTAL);
    if counts_cache_apart(&totals, total) {
        totals.input_tokens = sum([totals.input_tokens, read, written]);
    } else if generates {
        with_reasoning_of(total, &mut totals);
    }
    totals
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

/// A total that is more than its parts: the rest was reasoned, and is billed as output. xAI reports the figure too,
/// Gemini's compatible endpoint does not.
pub(crate) fn with_reasoning_of(total: Option<u64>, usage: &mut v1::Usage) {
    let (Some(total), Some(input)) = (total, usage.input_tokens) else { return };
    let output = usage.output_tokens.unwrap_or(0);
    let Some(rest) =
        total.checked_sub(input).and_then(|rest| rest.checked_sub(output)).filter(|rest| *rest > 0)
    else {
        return;
    };
    usage.output_tokens = Some(output.saturating_add(rest));
    usage.reasoning_tokens = usage.reasoning_tokens.filter(|reasoned| *reasoned > 0).or(Some(rest));
}

/// The sum of what is known; `None` where nothing is.
pub(crate) fn sum<const N: usize>(parts: [Option<u64>; N]) -> Option<u64> {
    parts.into_iter().flatten().reduce(u64::saturating_add)
}
