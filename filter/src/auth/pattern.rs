//! Patterns of the models that a key may use.
//!
//! Names match byte for byte as the caller wrote them, without case folding, trimming or decoding, so the name
//! that is allowed is the one that is routed. Anything without a matching pattern is denied. A lookup costs the
//! same for one exact name as for a thousand, and grows with the logarithm of the number of prefixes.

use std::collections::HashSet;

use weir_settings::ConfigError;

/// Longest pattern, in bytes: enough for a provider's name, a slash and a model's name.
const PATTERN_MAX: usize = 512;

/// A checked list of patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    exact: HashSet<String>,
    /// Sorted, none a prefix of another, so at most one can match a name: the last that does not sort after it.
    prefixes: Vec<String>,
}

impl Patterns {
    /// Checks patterns: `gpt-4o` is that name, `gpt-*` all names with that prefix, `openai/*` every model of
    /// that provider, `*` every name; an empty list allows none. An error's path is `path` and the position.
    pub fn new(patterns: &[String], path: &str) -> Result<Self, ConfigError> {
        let mut exact = HashSet::new();
        let mut sorted = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            check(pattern).map_err(|message| ConfigError::at(format!("{path}[{index}]"), message))?;
            match pattern.strip_suffix('*') {
                Some(prefix) => sorted.push(prefix.to_owned()),
                None => {
                    exact.insert(pattern.clone());
                }
            }
        }
        sorted.sort_unstable();
        let mut prefixes: Vec<String> = Vec::with_capacity(sorted.len());
        for prefix in sorted {
            // Longer prefixes sort right after a shorter one, and add nothing to it.
            if !prefixes.last().is_some_and(|shorter| prefix.starts_with(shorter.as_str())) {
                prefixes.push(prefix);
            }
        }
        Ok(Self { exact, prefixes })
    }

    /// The pattern `*`: every model.
    pub fn every() -> Self {
        Self { exact: HashSet::new(), prefixes: vec![String::new()] }
    }

    /// Whether a pattern matches this name.
    pub fn allows(&self, model: &str) -> bool {
        let behind = self.prefixes.partition_point(|prefix| prefix.as_str() <= model);
        let nearest = behind.checked_sub(1).and_then(|last| self.prefixes.get(last));
        nearest.is_some_and(|prefix| model.starts_with(prefix.as_str())) || self.exact.contains(model)
    }
}

fn check(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("is empty; give a model's name, `prefix*`, `provider/*` or `*`".to_owned());
    }
    if pattern.len() > PATTERN_MAX || pattern.chars().any(char::is_control) {
        return Err(format!("must be at most {PATTERN_MAX} bytes without control characters"));
    }
    if pattern.strip_suffix('*').unwrap_or(pattern).contains('*') {
        let rest = "a `*` may only be the last character, as in `gpt-*` or `openai/*`";
        return Err(format!("{pattern:?} has a `*` before its end; {rest}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(patterns: &[&str]) -> Patterns {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Patterns::new(&patterns, "keys[0].models").unwrap()
    }

    #[test]
    fn a_name_is_allowed_exactly_as_a_pattern_gives_it() {
        let patterns = patterns(&["smart", "gpt-4*", "gpt-4o-*", "openai/*"]);
        for model in ["smart", "gpt-4", "gpt-4o", "gpt-4o-mini", "openai/o3", "openai/"] {
            assert!(patterns.allows(model), "{model}");
        }
        let others = ["", "Smart", "smart ", "smarter", "smar", "gpt-5", "GPT-4", "openai", "xopenai/o3"];
        for model in others.into_iter().chain(["OpenAI/o3", "openai%2fo3", "sm\u{0430}rt", "gpt-", "*"]) {
            assert!(!patterns.allows(model), "{model}");
        }
    }

    #[test]
    fn a_lone_star_allows_every_model_and_an_empty_list_none() {
        assert_eq!(patterns(&["a", "*", "b*"]).prefixes, Patterns::every().prefixes);
        assert!(Patterns::every().allows("any/thing") && Patterns::every().allows("\u{10ffff}"));
        assert!(!patterns(&[]).allows("gpt-4o") && !Patterns::default().allows(""));
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused_by_position() {
        let error = |pattern: &str| {
            let error = Patterns::new(&["ok".to_owned(), pattern.to_owned()], "keys[3].models").unwrap_err();
            assert_eq!(error.path, "keys[3].models[1]");
            error.message
        };
        for pattern in ["*-mini", "gpt-*-mini", "**", "openai/*/x", "a*b*"] {
            assert!(error(pattern).contains("may only be the last character"), "{pattern}");
        }
        assert!(error("").contains("is empty; give a model's name"));
        for pattern in ["gpt\n", "\u{7f}", "\u{85}*", &"x".repeat(PATTERN_MAX + 1)] {
            assert!(error(pattern).contains("without control characters"), "{pattern:?}");
        }
    }

    /// The reference implementation.
    fn naive(patterns: &[String], model: &str) -> bool {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => model == pattern,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_model_is_allowed_when_and_only_when_a_pattern_covers_it(
            patterns in prop::collection::vec("[abA/-]{0,4}\\*|[abA/é-]{1,4}", 0..12),
            models in prop::collection::vec("[abA/é-]{0,6}", 1..20),
        ) {
            let checked = Patterns::new(&patterns, "models").unwrap();
            for model in models.iter().chain(&patterns) {
                prop_assert_eq!(checked.allows(model), naive(&patterns, model), "{:?} {}", &patterns, model);
            }
        }
    }
}
