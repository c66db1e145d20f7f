//! Tokens, as each provider counts them, brought to the same terms: totals that include what was
//! cached and what was reasoned.
//!
//! While a response comes, only the text of its newest figures is held; it is read once, at the end.

use std::collections::BTreeMap;

use weir_event::v1;

use crate::api::Family;
use crate::json::{Kind, Object, Value};

/// Most bytes of one usage that are held.
const TEXT_MAX: usize = 3 << 9;
/// Most figures that are kept.
const FIGURES_MAX: usize = 32;
/// Longest path of a figure, and deepest.
const PATH_MAX: usize = 100;
const DEPTH_MAX: usize = 3;

/// The usage that was told so far, as text.
#[derive(Debug, Default)]
pub struct Told {
    first: String,
    last: String,
}

impl Told {
    /// Figures came; they stand for those before.
    pub fn replace(&mut self, usage: &Value<'_>) {
        if usage.kind == Kind::Object && usage.raw.len() <= TEXT_MAX {
            usage.raw.clone_into(&mut self.last);
        }
    }

    /// The first figures of several, of which later ones replace only what they name (Anthropic API,
    /// "Streaming messages": `message_start`, then a cumulative `message_delta`).
    pub fn begin(&mut self, usage: &Value<'_>) {
        if usage.kind == Kind::Object && usage.raw.len() <= TEXT_MAX {
            usage.raw.clone_into(&mut self.first);
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.first.len() + self.last.len()
    }

    /// The usage in our terms; `None` where none was told.
    pub fn read(&self, family: Family) -> Option<v1::Usage> {
        let objects: Vec<Object<'_>> = [&self.first, &self.last]
            .into_iter()
            .filter_map(|text| Object::parse(text.as_bytes()).ok())
            .collect();
        if objects.is_empty() {
            return None;
        }
        let usage = Figures(&objects);
        let mut read = match family {
            Family::OpenAi => openai(&usage),
            Family::Anthropic => anthropic(&usage),
            Family::Gemini => gemini(&usage),
            Family::Cohere => cohere(&usage),
        };
        read.source = v1::UsageSource::Provider.into();
        for object in &objects {
            flatten("", object, 1, &mut read.figures);
        }
        Some(read)
    }
}

/// Figures told one after the other; the last that names one stands.
struct Figures<'f, 'a>(&'f [Object<'a>]);

impl Figures<'_, '_> {
    fn at(&self, path: &[&str]) -> Option<u64> {
        self.0.iter().rev().find_map(|object| {
            let (name, groups) = path.split_last()?;
            let mut object = object.clone();
            for group in groups {
                object = object.get(group)?.as_object()?;
            }
            object.get(name)?.as_u64()
        })
    }

    fn first_of(&self, paths: &[&[&str]]) -> Option<u64> {
        paths.iter().find_map(|path| self.at(path))
    }
}

/// OpenAI's and compatible ones (OpenAI API reference; the Responses API and images say "input" and
/// "output"). Totals include cached and reasoning tokens.
fn openai(usage: &Figures<'_, '_>) -> v1::Usage {
    let input = usage.first_of(&[&["prompt_tokens"], &["input_tokens"]]);
    let output = usage.first_of(&[&["completion_tokens"], &["output_tokens"]]);
    let reasoning = usage.first_of(&[
        &["completion_tokens_details", "reasoning_tokens"],
        &["output_tokens_details", "reasoning_tokens"],
    ]);
    // Some (xAI) count reasoning beside the completion, which shows in their total.
    let beside = match (input, output, reasoning, usage.at(&["total_tokens"])) {
        (Some(input), Some(output), Some(reasoning), Some(total)) if reasoning > 0 => {
            input.checked_add(output).and_then(|sum| sum.checked_add(reasoning)) == Some(total)
        }
        _ => false,
    };
    v1::Usage {
        input_tokens: input,
        output_tokens: if beside { sum([output, reasoning]) } else { output },
        cache_read_tokens: usage.first_of(&[
            &["prompt_tokens_details", "cached_tokens"],
            &["input_tokens_details", "cached_tokens"],
            // DeepSeek API docs, "Context Caching".
            &["prompt_cache_hit_tokens"],
        ]),
        cache_write_tokens: usage.first_of(&[
            &["prompt_tokens_details", "cache_write_tokens"],
            &["input_tokens_details", "cache_write_tokens"],
        ]),
        reasoning_tokens: reasoning,
        ..Default::default()
    }
}

/// Anthropic's (Messages API, "Usage"): input tokens exclude those read from and written to the cache.
fn anthropic(usage: &Figures<'_, '_>) -> v1::Usage {
    let read = usage.at(&["cache_read_input_tokens"]);
    let written = usage.at(&["cache_creation_input_tokens"]);
    let input = usage.at(&["input_tokens"]);
    v1::Usage {
        input_tokens: input.and_then(|_| sum([input, read, written])),
        output_tokens: usage.at(&["output_tokens"]),
        cache_read_tokens: read,
        cache_write_tokens: written,
        reasoning_tokens: usage.at(&["output_tokens_details", "thinking_tokens"]),
        ..Default::default()
    }
}

/// Gemini's (API reference, "UsageMetadata"): thoughts stand beside candidates, and what tools put
/// into the prompt beside the prompt; cached content is part of the prompt.
fn gemini(usage: &Figures<'_, '_>) -> v1::Usage {
    let thoughts = usage.at(&["thoughtsTokenCount"]);
    let (prompt, candidates) = (usage.at(&["promptTokenCount"]), usage.at(&["candidatesTokenCount"]));
    v1::Usage {
        input_tokens: sum([prompt, usage.at(&["toolUsePromptTokenCount"])]),
        output_tokens: sum([candidates, thoughts]),
        cache_read_tokens: usage.at(&["cachedContentTokenCount"]),
        reasoning_tokens: thoughts,
        ..Default::default()
    }
}

/// Cohere's (API v2, "Usage"): all tokens where told, else the billed ones.
fn cohere(usage: &Figures<'_, '_>) -> v1::Usage {
    v1::Usage {
        input_tokens: usage.first_of(&[&["tokens", "input_tokens"], &["billed_units", "input_tokens"]]),
        output_tokens: usage.first_of(&[&["tokens", "output_tokens"], &["billed_units", "output_tokens"]]),
        cache_read_tokens: usage.at(&["cached_tokens"]),
        ..Default::default()
    }
}

/// The sum of what is known; `None` where nothing is.
fn sum<const N: usize>(parts: [Option<u64>; N]) -> Option<u64> {
    parts.into_iter().flatten().reduce(u64::saturating_add)
}

/// Every whole number by its path. Names are the provider's to choose, so only plain ones count.
fn flatten(path: &str, object: &Object<'_>, depth: usize, into: &mut BTreeMap<String, u64>) {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    for (name, value) in object.iter() {
        if !plain(name) || path.len() + name.len() > PATH_MAX {
            continue;
        }
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value.kind {
            Kind::Number => {
                if let Some(number) = value.as_u64()
                    && (into.len() < FIGURES_MAX || into.contains_key(&path))
                {
                    into.insert(path, number);
                }
            }
            Kind::Object if depth < DEPTH_MAX => {
                flatten(&path, &value.as_object().unwrap_or_default(), depth + 1, into);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(family: Family, first: &str, last: &str) -> v1::Usage {
        Told { first: first.to_owned(), last: last.to_owned() }.read(family).unwrap()
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
                [Some(70), Some(2), Some(64), None, None],
            ),
            (Family::Cohere, r#"{"billed_units":{"search_units":1}}"#, [None; 5]),
        ];
        for (family, usage, expected) in cases {
            assert_eq!(totals(&told(family, "", usage)), expected, "{usage}");
        }
    }

    #[test]
    fn later_figures_replace_earlier_ones_and_are_never_added() {
        let first = r#"{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":30,"output_tokens":1}"#;
        let usage = told(Family::Anthropic, first, r#"{"input_tokens":12,"output_tokens":90}"#);
        assert_eq!(totals(&usage), [Some(42), Some(90), Some(30), Some(0), None]);
        assert_eq!(usage.figures["input_tokens"], 12);
    }

    #[test]
    fn every_whole_number_is_kept_by_its_path_and_nothing_else_is() {
        let usage = told(
            Family::OpenAi,
            "",
            r#"{"prompt_tokens":1,"cost":0.5,"tier":"t","a b":7,"x":{"audio_tokens":3,"y":{"z":{"n":1},"n":2}},"l":[1]}"#,
        );
        let paths: Vec<_> = usage.figures.iter().map(|(path, number)| (path.as_str(), *number)).collect();
        assert_eq!(paths, [("prompt_tokens", 1), ("x.audio_tokens", 3), ("x.y.n", 2)]);
        let many: Vec<String> = (0..100).map(|n| format!("\"n{n}\":{n}")).collect();
        let many = told(Family::OpenAi, "", &format!("{{{}}}", many.join(",")));
        assert_eq!(many.figures.len(), FIGURES_MAX);
    }
}
