//! Conditions under which a target is considered.
//!
//! A condition selects a route and is not an authorization: metadata and headers may be the caller's own
//! statements. No condition can match on a credential, so none can contain one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_settings::ConfigError;

use crate::auth::SECRET_HEADERS;
use crate::headers::Headers;

/// Most values of one condition, to bound the cost of a decision.
const VALUES_MAX: usize = 64;

/// One value, or a list of which one must match.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum OneOrMany<T> {
    /// A single value.
    One(T),
    /// Any of these.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// When a target is considered: everything given must hold. A value must match as a whole, or as a prefix if it
/// ends in `*`; a lone `*` matches any value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Metadata of the request by name, including the key's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, OneOrMany<String>>,
    /// The name of the caller's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<OneOrMany<String>>,
    /// Headers of the request by lowercase name; one of a header's values must match. Headers that carry
    /// credentials cannot be used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, OneOrMany<String>>,
}

/// What is known of a request when its targets are ordered. An empty text is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its metadata, including the key's.
    pub metadata: &'a BTreeMap<String, String>,
    /// The name of the caller's key.
    pub key_name: &'a str,
    /// The user that it is made for.
    pub user: &'a str,
    /// The conversation that it belongs to.
    pub conversation: &'a str,
    /// Its headers.
    pub headers: &'a Headers,
}

/// A checked condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    metadata: Vec<(String, Patterns)>,
    key: Option<Patterns>,
    header: Vec<(String, Patterns)>,
}

impl Condition {
    /// Checks the condition at `path`, such as `models.smart.targets[1].when`.
    pub fn new(when: &When, path: &str) -> Result<Self, ConfigError> {
        if when.metadata.is_empty() && when.key.is_none() && when.header.is_empty() {
            let message = "an empty condition; give metadata, key or header, or leave it out";
            return Err(ConfigError::at(path, message));
        }
        let mut metadata = Vec::with_capacity(when.metadata.len());
        for (name, values) in &when.metadata {
            metadata.push((name.clone(), Patterns::new(values, &format!("{path}.metadata.{name}"))?));
        }
        let key =
            when.key.as_ref().map(|values| Patterns::new(values, &format!("{path}.key"))).transpose()?;
        let mut header = Vec::with_capacity(when.header.len());
        for (name, values) in &when.header {
            let path = format!("{path}.header.{name}");
            check_header_name(name).map_err(|message| ConfigError::at(&path, message))?;
            header.push((name.clone(), Patterns::new(values, &path)?));
        }
        Ok(Self { metadata, key, header })
    }

    /// Whether the whole condition holds.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let metadata = |(name, patterns): &(String, Patterns)| {
            facts.metadata.get(name).is_some_and(|value| patterns.match_any(value.as_bytes()))
        };
        let header = |(name, patterns): &(String, Patterns)| {
            facts.headers.all(name).any(|value| patterns.match_any(value))
        };
        self.key.as_ref().is_none_or(|patterns| {
            !facts.key_name.is_empty() && patterns.match_any(facts.key_name.as_bytes())
        }) && self.metadata.iter().all(metadata)
            && self.header.iter().all(header)
    }
}

fn check_header_name(name: &str) -> Result<(), String> {
    if name.starts_with(':') {
        return Err("a pseudo-header cannot be asked for; name an ordinary header".to_owned());
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("header names are written in lowercase: {:?}", name.to_ascii_lowercase()));
    }
    if SECRET_HEADERS.contains(&name) {
        return Err(
            "carries a credential and cannot be asked for; use `key` to tell callers apart".to_owned()
        );
    }
    if http::HeaderName::from_lowercase(name.as_bytes()).is_err() {
        return Err("not a header's name; give letters, digits and '-', such as x-region".to_owned());
    }
    Ok(())
}

/// Values of which one must match.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Whole(String),
    Prefix(String),
}

impl Patterns {
    fn new(values: &OneOrMany<String>, path: &str) -> Result<Self, ConfigError> {
        let values = values.as_slice();
        if values.is_empty() || values.len() > VALUES_MAX {
            let message = format!("{} values given; give 1 to {VALUES_MAX}", values.len());
            return Err(ConfigError::at(path, message));
        }
        let pattern = |value: &String| match (value.as_str(), value.strip_suffix('*')) {
            ("", _) => Err("an empty value; give a value, or \"*\" for any"),
            (_, None) if !value.contains('*') => Ok(Pattern::Whole(value.clone())),
            (_, Some(prefix)) if !prefix.contains('*') => Ok(Pattern::Prefix(prefix.to_owned())),
            _ => Err("'*' stands only at a value's end, such as \"eu-*\""),
        };
        let patterns: Result<_, _> = values.iter().map(pattern).collect();
        patterns.map(Self).map_err(|message| ConfigError::at(path, message))
    }

    fn match_any(&self, value: &[u8]) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Whole(whole) => whole.as_bytes() == value,
            Pattern::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(json: &str) -> Result<Condition, String> {
        let when: When = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Condition::new(&when, "when").map_err(|error| error.to_string())
    }

    fn holds(json: &str) -> bool {
        let metadata = [("region", "eu-west"), ("tier", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let headers = Headers(vec![
            ("x-tier".to_owned(), b"basic".to_vec()),
            ("x-tier".to_owned(), b"gold".to_vec()),
            ("x-bytes".to_owned(), vec![0xff, b'a']),
        ]);
        let facts = Facts {
            metadata: &metadata.into(),
            key_name: "team-a",
            user: "",
            conversation: "",
            headers: &headers,
        };
        condition(json).unwrap().holds(&facts)
    }

    #[test]
    fn all_that_is_given_must_hold() {
        assert!(holds(r#"{"metadata":{"region":"eu-west"},"key":"team-a","header":{"x-tier":"gold"}}"#));
        assert!(!holds(r#"{"metadata":{"region":"eu-west"},"key":"team-a","header":{"x-tier":"silver"}}"#));
        assert!(!holds(r#"{"metadata":{"region":"eu-west"},"key":"team-b","header":{"x-tier":"gold"}}"#));
        assert!(!holds(r#"{"metadata":{"region":"eu"},"key":"team-a","header":{"x-tier":"gold"}}"#));
        assert!(!holds(r#"{"metadata":{"region":"eu-west","city":"*"}}"#));
    }

    #[test]
    fn one_of_many_values_is_enough_and_a_star_ends_a_prefix() {
        assert!(holds(r#"{"key":["team-b","team-a"]}"#));
        assert!(holds(r#"{"metadata":{"region":["us-*","eu-*"]}}"#));
        assert!(!holds(r#"{"metadata":{"region":["us-*","eu-east*"]}}"#));
        assert!(holds(r#"{"header":{"x-bytes":"*"}}"#));
        assert!(holds(r#"{"metadata":{"tier":"*"}}"#));
    }

    #[test]
    fn what_is_absent_matches_nothing_not_even_a_star() {
        assert!(!holds(r#"{"header":{"x-none":"*"}}"#));
        assert!(!holds(r#"{"metadata":{"none":"*"}}"#));
        let (metadata, headers) = (BTreeMap::new(), Headers::default());
        let nobody =
            Facts { metadata: &metadata, key_name: "", user: "", conversation: "", headers: &headers };
        assert!(!condition(r#"{"key":"*"}"#).unwrap().holds(&nobody));
    }

    #[test]
    fn credentials_and_pseudo_headers_cannot_be_asked_for() {
        for name in SECRET_HEADERS.into_iter().chain([":path", ":authority", "Authorization", "X-API-Key"]) {
            let error = condition(&format!(r#"{{"header":{{"{name}":"canary"}}}}"#)).unwrap_err();
            assert!(error.starts_with(&format!("when.header.{name}: ")), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn errors_name_the_field_and_what_would_be_right() {
        for (json, message) in [
            ("{}", "when: an empty condition; give metadata, key or header, or leave it out"),
            (r#"{"key":[]}"#, "when.key: 0 values given; give 1 to 64"),
            (r#"{"key":""}"#, "when.key: an empty value; give a value, or \"*\" for any"),
            (
                r#"{"metadata":{"a":"x*y"}}"#,
                "when.metadata.a: '*' stands only at a value's end, such as \"eu-*\"",
            ),
            (
                r#"{"metadata":{"a":["b","**"]}}"#,
                "when.metadata.a: '*' stands only at a value's end, such as \"eu-*\"",
            ),
            (
                r#"{"header":{"X-Tier":"a"}}"#,
                "when.header.X-Tier: header names are written in lowercase: \"x-tier\"",
            ),
            (
                r#"{"header":{"x tier":"a"}}"#,
                "when.header.x tier: not a header's name; give letters, digits and '-', such as x-region",
            ),
        ] {
            assert_eq!(condition(json).unwrap_err(), message);
        }
        assert!(condition(r#"{"key":7}"#).unwrap_err().contains("expected a string or a list of strings"));
        assert!(condition(r#"{"keys":"a"}"#).unwrap_err().contains("unknown field `keys`"));
    }

    proptest! {
        #[test]
        fn a_prefix_matches_what_begins_with_it_and_a_whole_value_itself_alone(
            value in "[a-c]{0,4}", wanted in "[a-c]{1,3}", star: bool,
        ) {
            let written = if star { format!("{wanted}*") } else { wanted.clone() };
            let patterns = Patterns::new(&OneOrMany::One(written), "p").unwrap();
            let expected = if star { value.starts_with(&wanted) } else { value == wanted };
            prop_assert_eq!(patterns.match_any(value.as_bytes()), expected);
        }
    }
}
