//! Which events a destination gets.
//!
//! All conditions must hold; of a condition's names any may. `*` stands for any run of characters.

use weir_event::v1::TraceEvent;

use crate::config::{ConfigError, wire};

/// Conditions on an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    metadata: Vec<(String, Vec<String>)>,
    model: Option<Vec<String>>,
    provider: Option<Vec<String>>,
    key: Option<Vec<String>>,
    status: Option<Vec<Statuses>>,
}

/// One status, or all of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u32),
    Class(u32),
}

impl When {
    /// Checks what stands at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] of a list without entries or a status that is none.
    pub fn new(path: &str, when: &wire::When) -> Result<Self, ConfigError> {
        let patterns = |field: &str, names: &Option<wire::OneOrMany>| match names {
            None => Ok(None),
            Some(names) if names.all().is_empty() => {
                Err(ConfigError::at(format!("{path}.{field}"), "must name at least one"))
            }
            Some(names) => Ok(Some(names.all().to_vec())),
        };
        let mut metadata = Vec::new();
        for (name, values) in &when.metadata {
            let values = patterns(&format!("metadata.{name}"), &Some(values.clone()))?;
            metadata.push((name.clone(), values.unwrap_or_default()));
        }
        let status = patterns("status", &when.status)?;
        let status = status.map(|all| {
            let wrong =
                || ConfigError::at(format!("{path}.status"), "must be statuses such as 429 or \"5xx\"");
            all.iter().map(|text| statuses(text).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            metadata,
            model: patterns("model", &when.model)?,
            provider: patterns("provider", &when.provider)?,
            key: patterns("key", &when.key)?,
            status: status.transpose()?,
        })
    }

    /// Whether an event is to go there.
    pub fn holds(&self, event: &TraceEvent) -> bool {
        let caller = event.caller.as_ref();
        let metadata = self.metadata.iter().all(|(name, patterns)| {
            caller.and_then(|caller| caller.metadata.get(name)).is_some_and(|value| any(patterns, value))
        });
        metadata
            && holds(&self.key, || caller.map(|caller| caller.key_name.as_str()))
            && holds(&self.model, || models(event))
            && holds(&self.provider, || event.attempts.iter().map(|attempt| attempt.provider.as_str()))
            && self.status.as_ref().is_none_or(|all| {
                let status = event.response.as_ref().map(|response| response.status).unwrap_or_default();
                all.iter().any(|one| match one {
                    Statuses::One(wanted) => *wanted == status,
                    Statuses::Class(class) => status / 100 == *class,
                })
            })
    }
}

fn models(event: &TraceEvent) -> impl Iterator<Item = &str> {
    let asked = event.request.as_ref().map(|request| request.model.as_str());
    let answered = event.response.as_ref().map(|response| response.model.as_str());
    let sent = event.attempts.iter().map(|attempt| attempt.model.as_str());
    asked.into_iter().chain(sent).chain(answered)
}

fn holds<'e, I: IntoIterator<Item = &'e str>>(
    patterns: &Option<Vec<String>>,
    values: impl Fn() -> I,
) -> bool {
    patterns.as_ref().is_none_or(|patterns| values().into_iter().any(|value| any(patterns, value)))
}

fn any(patterns: &[String], value: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, value))
}

/// Whether a value is what a pattern with `*` says.
fn matches(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn statuses(text: &str) -> Option<Statuses> {
    if let Some(class) = text.strip_suffix("xx") {
        return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Statuses::Class);
    }
    text.parse().ok().filter(|status| *status == 0 || (100..=599).contains(status)).map(Statuses::One)
}

#[cfg(test)]
mod tests {
    use weir_event::v1::Caller;

    use super::*;
    use crate::spans::fixture;

    fn when(yaml: &str) -> Result<When, ConfigError> {
        let config =
            crate::config::parse(&format!("destinations: {{ a: {{ type: console, when: {yaml} }} }}"))?;
        When::new("destinations.a.when", config.destinations.unwrap()["a"].when.as_ref().unwrap())
    }

    #[test]
    fn all_conditions_must_hold_and_any_of_their_names_may() {
        let mut event = fixture::streamed();
        let metadata = [("team".to_owned(), "a".to_owned())].into();
        event.caller = Some(Caller { key_name: "ci".to_owned(), metadata, ..Caller::default() });
        for (yaml, expected) in [
            ("{}", true),
            ("{ metadata: { team: a } }", true),
            ("{ metadata: { team: [b, a] } }", true),
            ("{ metadata: { team: b } }", false),
            ("{ metadata: { region: '*' } }", false),
            ("{ model: 'gpt-*' }", true),
            ("{ model: smart, provider: [other, openai] }", true),
            ("{ model: smart, provider: other }", false),
            ("{ key: 'c*', status: 2xx }", true),
            ("{ key: ci, status: [429, 5xx] }", false),
            ("{ status: 200 }", true),
        ] {
            assert_eq!(when(yaml).unwrap().holds(&event), expected, "{yaml}");
        }
        event.caller = None;
        assert!(!when("{ key: '*' }").unwrap().holds(&event));
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, value, expected) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("*b*", "abc", true),
            ("*", "", true),
            ("a", "ab", false),
            ("*x", "abx", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn what_can_never_hold_is_refused_by_its_field() {
        let error = when("{ status: 6xx }").unwrap_err();
        assert_eq!(error.path, "destinations.a.when.status");
        assert!(when("{ model: [] }").unwrap_err().to_string().contains("at least one"));
        assert_eq!(when("{ metadata: { team: [] } }").unwrap_err().path, "destinations.a.when.metadata.team");
    }
}
