//! Tokens, as each provider counts them, brought to the same terms: totals that include what was
//! cached and what was reasoned.
//!
//! Usage is read when it comes, and only its numbers and a few words are held, so that its length does not matter.

pub mod beside;
pub mod figures;
pub mod price;
pub mod terms;

use weir_event::v1;

use crate::api::Family;
use crate::api::reading::usage::beside::Beside;
use crate::api::reading::usage::figures::Figures;
use crate::api::reading::usage::price::Price;
use crate::json::scan::{Object, Value};

/// Members of a response, of an event or of a choice that are its usage.
const USAGE: [&str; 3] = ["usage", "usageMetadata", "usage_metadata"];
/// Members that count where nothing else does: what Bedrock measures, and llama.cpp.
const INSTEAD: [&str; 2] = ["amazon-bedrock-invocationMetrics", "timings"];
/// Groq's own member, which holds the usage of a stream.
const GROQ: &str = "x_groq";

/// The usage that was told so far.
#[derive(Debug, Default)]
pub struct Told {
    figures: Figures,
    instead: Figures,
    beside: Beside,
    price: Price,
}

impl Told {
    /// Reads what a response, an event, or a part of one says of usage and of its price.
    pub fn read_members(&mut self, object: &Object<'_>) {
        self.price.read_response(object);
        for (name, value) in object.iter() {
            if USAGE.contains(&name) {
                self.read_usage(name, &value);
            } else if INSTEAD.contains(&name) {
                self.instead.merge(Figures::of(&value.as_object().unwrap_or_default()));
            } else if name == GROQ
                && let Some(usage) = value.as_object().and_then(|own| own.get("usage"))
            {
                self.read_usage("x_groq.usage", &usage);
            }
        }
    }

    /// Reads a usage that stands at this path in the response. Later figures stand for earlier ones of the same
    /// name.
    pub fn read_usage(&mut self, path: &str, usage: &Value<'_>) {
        if let Some(usage) = usage.as_object() {
            self.read_object(path, &usage);
        }
    }

    /// The same of a usage that was parsed.
    pub fn read_object(&mut self, path: &str, usage: &Object<'_>) {
        self.price.read(path, usage);
        self.figures.merge(Figures::of(usage));
        if let Some(beside) = Beside::of(usage) {
            self.beside = beside;
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.figures.held() + self.instead.held() + self.price.held()
    }

    /// The usage in our terms, without what it says of the price; `None` where no figure was told. `generates` says
    /// whether the response is a text that a model writes.
    pub fn read(&self, family: Family, generates: bool) -> Option<v1::Usage> {
        let figures = if self.figures.is_empty() { &self.instead } else { &self.figures };
        if figures.is_empty() {
            return None;
        }
        let mut read = terms::read(family, figures, &self.beside, generates);
        read.source = v1::UsageSource::Provider.into();
        (read.figures, read.figures_left_out) = figures.of_event();
        read.figures_left_out = read.figures_left_out.saturating_add(self.beside.is_cut.into());
        Some(read)
    }

    /// Puts what was said of the price into a usage.
    pub fn price_into(&self, usage: &mut v1::Usage) {
        self.price.put_into(usage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(family: Family, usage: &str) -> v1::Usage {
        let mut told = Told::default();
        told.read_object("usage", &Object::parse(usage.as_bytes()).unwrap());
        told.read(family, true).unwrap()
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
                Family::OpenAi,
                r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#,
                [Some(9), Some(12), Some(4), None, Some(3)],
            ),
            (
                Family::OpenAi,
                r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":24,"completion_tokens_details":{"reasoning_tokens":3}}"#,
                [Some(9), Some(15), None, None, Some(3)],
            ),
            (
                Family::OpenAi,
                r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":12}"#,
                [Some(5), Some(7), Some(2), None, Some(6)],
            ),
            (Family::OpenAi, r#"{"prompt_tokens":8,"total_tokens":8}"#, [Some(8), None, None, None, None]),
            (
                Family::OpenAi,
                r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":7}"#,
                [Some(9), Some(1), Some(7), None, None],
            ),
            (
                Family::Anthropic,
                r#"{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":5}"#,
                [Some(60), Some(5), Some(30), Some(20), None],
            ),
            (
                Family::Gemini,
                r#"{"promptTokenCount":11,"candidatesTokenCount":4,"thoughtsTokenCount":6,"cachedContentTokenCount":3,"toolUsePromptTokenCount":2,"totalTokenCount":23}"#,
                [Some(13), Some(10), Some(3), None, Some(6)],
            ),
            (
                Family::Gemini,
                r#"{"promptTokenCount":11,"thoughtsTokenCount":6}"#,
                [Some(11), Some(6), None, None, Some(6)],
            ),
            (
                Family::Cohere,
                r#"{"billed_units":{"input_tokens":1,"output_tokens":2},"tokens":{"input_tokens":70,"output_tokens":2},"cached_tokens":64}"#,
                [Some(1), Some(2), None, None, None],
            ),
            (Family::Cohere, r#"{"billed_units":{"search_units":1}}"#, [None; 5]),
        ];
        for (family, usage, expected) in cases {
            assert_eq!(totals(&told(family, usage)), expected, "{usage}");
        }
    }
}
