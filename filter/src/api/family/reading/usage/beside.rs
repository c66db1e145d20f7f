//! What is billed beside the totals of Anthropic's usage (Messages API, "Compaction", "Understanding usage"; "Advisor
//! tool").
//!
//! Its `iterations` list every sampling of a response. Those that wrote the message are in the totals. A compaction
//! is not, and neither is what an advisor wrote, which is another model. An attempt that a model declined, after
//! which another one served, is not billed.

use weir_event::v1;

use crate::api::family::reading::usage::figures::count;
use crate::json::scan::{Kind, Object};
use crate::json::values::objects;

/// Most other models that are counted separately; the tokens of further ones count as the response's own.
const OTHERS_MAX: usize = 8;
/// Longest name of a model, in bytes.
const MODEL_MAX: usize = 256;
/// Iterations that the totals include, or that are not billed.
const NOT_BESIDE: [&str; 3] = ["", "message", "fallback_message"];

/// Tokens beside the totals, in Anthropic's terms: the input excludes those read from and written to the cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Beside {
    /// All of them.
    pub(crate) all: Tokens,
    /// The parts that other models used.
    others: Vec<(String, Tokens)>,
    /// Whether the list was longer than what was stored of it.
    pub(crate) is_cut: bool,
}

/// The tokens of one or several samplings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
}

impl Beside {
    /// What a usage lists beside its totals; `None` where it has no such list.
    pub(crate) fn of(usage: &Object<'_>) -> Option<Self> {
        let iterations = usage.get("iterations")?;
        let elements = iterations.as_array().unwrap_or_default();
        // What is made short leaves a null where it left something out.
        let is_cut = elements.iter().any(|element| element.kind == Kind::Null);
        let mut beside = Self { is_cut, ..Self::default() };
        for iteration in objects(Some(iterations)) {
            let kind = iteration.text("type");
            if !NOT_BESIDE.contains(&kind.as_ref()) {
                beside.add(&kind, &iteration);
            }
        }
        Some(beside)
    }

    /// The parts of the totals that other models used.
    pub(crate) fn others(&self) -> Vec<v1::ModelUsage> {
        let others = self.others.iter().map(|(model, tokens)| v1::ModelUsage {
            model: model.clone(),
            input_tokens: Some(tokens.input_in_all()),
            output_tokens: Some(tokens.output),
            cache_read_tokens: Some(tokens.cache_read),
            cache_write_tokens: Some(tokens.cache_write),
        });
        others.collect()
    }

    fn add(&mut self, kind: &str, iteration: &Object<'_>) {
        let tokens = Tokens::of(iteration);
        self.all = self.all.plus(tokens);
        let model = iteration.text("model");
        if kind == "compaction" || model.is_empty() || model.len() > MODEL_MAX {
            return;
        }
        if let Some((_, sum)) = self.others.iter_mut().find(|(known, _)| *known == *model) {
            *sum = sum.plus(tokens);
        } else if self.others.len() < OTHERS_MAX {
            self.others.push((model.into_owned(), tokens));
        }
    }
}

impl Tokens {
    fn of(iteration: &Object<'_>) -> Self {
        let figure = |key| iteration.get(key).and_then(|value| count(&value)).unwrap_or(0);
        Self {
            input: figure("input_tokens"),
            output: figure("output_tokens"),
            cache_read: figure("cache_read_input_tokens"),
            cache_write: figure("cache_creation_input_tokens"),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }

    /// Input tokens, those read from and written to the cache included.
    pub(crate) fn input_in_all(self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}
