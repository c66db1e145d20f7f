//! Sticky targets: requests that share a value go to the same first target.
//!
//! There is no table. Each target gets a number from a hash of the value and of the target's name, scaled by
//! its weight, and the best one wins (rendezvous hashing). All workers and replicas therefore agree without
//! communication, and a target that goes away moves only its own values.

use std::hash::{DefaultHasher, Hasher};

use serde::{Deserialize, Serialize};
use weir_settings::{ConfigError, Duration};

use crate::balancing::condition::Facts;

/// Shortest `for`: below it nothing would be sticky, and replicas' clocks differ by as much.
const LASTS_MIN: Duration = Duration::from_secs(1);

/// Which requests go to the same first target. With `weighted`, weights hold over many values, and so does the
/// order of fallbacks; with `latency`, the first target is drawn by weight and value instead of by its speed;
/// with `priority` it changes nothing, since every request goes to the same first target anyway. An unhealthy
/// target's values go to others until it has recovered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// What the requests share: `key`, `user`, `conversation` or `metadata.<name>`. A request without it is not
    /// sticky.
    pub by: StickyBy,
    /// The longest that a value stays with one target, such as `10m`. Default: as long as targets, weights and
    /// health stay the same. Time is divided into periods of this length, which begin at different moments for
    /// each value, and the target is drawn anew in each. A value may therefore stay for less, and may draw the
    /// same target again.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
}

/// What requests share that go to the same target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum StickyBy {
    /// The name of the caller's key.
    Key,
    /// The user.
    User,
    /// The conversation.
    Conversation,
    /// The metadata of this name.
    Metadata(String),
}

/// Why a text is not a [`StickyBy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StickyError {
    /// It names nothing that a request has.
    #[error("{0:?} is nothing to be sticky by; give key, user, conversation or metadata.<name>")]
    UnknownBy(String),
}

impl TryFrom<String> for StickyBy {
    type Error = StickyError;

    fn try_from(text: String) -> Result<Self, StickyError> {
        match (text.as_str(), text.strip_prefix("metadata.")) {
            ("key", _) => Ok(Self::Key),
            ("user", _) => Ok(Self::User),
            ("conversation", _) => Ok(Self::Conversation),
            (_, Some(name)) if !name.is_empty() => Ok(Self::Metadata(name.to_owned())),
            _ => Err(StickyError::UnknownBy(text)),
        }
    }
}

impl From<StickyBy> for String {
    fn from(by: StickyBy) -> Self {
        match by {
            StickyBy::Key => "key".to_owned(),
            StickyBy::User => "user".to_owned(),
            StickyBy::Conversation => "conversation".to_owned(),
            StickyBy::Metadata(name) => format!("metadata.{name}"),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for StickyBy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StickyBy".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "What requests share that go to the same target.",
            "type": "string",
            "pattern": "^(key|user|conversation|metadata\\..+)$",
            "examples": ["key", "user", "conversation", "metadata.session"],
        })
    }
}

impl Sticky {
    /// Checks the settings at `path`.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        match self.lasts {
            Some(lasts) if lasts < LASTS_MIN => {
                let message = format!("{lasts} is too short to be sticky; give at least {LASTS_MIN}");
                Err(ConfigError::at(format!("{path}.for"), message))
            }
            _ => Ok(()),
        }
    }

    /// Returns the request's draw at this time, if it has the value. All requests with this value share it
    /// within one period.
    pub(crate) fn draw(&self, facts: &Facts<'_>, now_ns: u64) -> Option<Draw> {
        let value = match &self.by {
            StickyBy::Key => facts.key_name,
            StickyBy::User => facts.user,
            StickyBy::Conversation => facts.conversation,
            StickyBy::Metadata(name) => facts.metadata.get(name).map_or("", String::as_str),
        };
        if value.is_empty() {
            return None;
        }
        let value = hash(value);
        let Some(lasts) = self.lasts.map(Duration::as_ns).filter(|lasts| *lasts > 0) else {
            return Some(Draw(value));
        };
        // Each value's periods begin at their own moment: moving all values at once would empty every
        // provider's prompt cache.
        let offset = mix(value) % lasts;
        let period = now_ns.saturating_add(offset) / lasts;
        Some(Draw(mix(value ^ mix(period))))
    }
}

/// A target in draws: a hash of its stable name, never of its number in one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// Creates the seed of the target `provider/model`. `nth` is the number of earlier targets of the same
    /// model with this name, so that each gets its own share of the values.
    pub fn new(key: &str, nth: usize) -> Self {
        Self(mix(hash(key).wrapping_add(nth as u64)))
    }
}

/// The draw shared by requests with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw(u64);

impl Draw {
    /// Returns the target's number in this draw, uniform in (0, 1].
    pub(crate) fn unit(self, target: Seed) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        ((mix(self.0 ^ target.0) >> 11) + 1) as f64 / STEPS
    }
}

/// SipHash with a key of zeros. It is the same in every VM of one build; another compiler's may differ, so old
/// and new replicas can disagree during a rollout.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Mixes the bits: the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::headers::Headers;

    const SECOND: u64 = 1_000_000_000;

    fn sticky(json: &str) -> Sticky {
        serde_json::from_str(json).unwrap()
    }

    fn draw(sticky: &Sticky, session: &str, now_ns: u64) -> Option<Draw> {
        let metadata = BTreeMap::from([("session".to_owned(), session.to_owned())]);
        let headers = Headers::default();
        let facts =
            Facts { metadata: &metadata, key_name: "k", user: "u", conversation: "", headers: &headers };
        sticky.draw(&facts, now_ns)
    }

    #[test]
    fn what_to_be_sticky_by_is_read_and_written_the_same() {
        for by in ["key", "user", "conversation", "metadata.session", "metadata.a.b"] {
            let json = format!(r#"{{"by":"{by}","for":"10m"}}"#);
            assert_eq!(serde_json::to_string(&sticky(&json)).unwrap(), json);
        }
        for by in ["", "keys", "metadata", "metadata.", "header.x"] {
            let error = serde_json::from_str::<Sticky>(&format!(r#"{{"by":"{by}"}}"#)).unwrap_err();
            assert!(error.to_string().contains("give key, user, conversation or metadata.<name>"), "{error}");
        }
        let error = sticky(r#"{"by":"key","for":"0s"}"#).check("models.m.sticky").unwrap_err();
        assert_eq!(error.to_string(), "models.m.sticky.for: 0ms is too short to be sticky; give at least 1s");
        assert_eq!(sticky(r#"{"by":"key","for":"1s"}"#).check("x"), Ok(()));
    }

    #[test]
    fn a_request_without_the_value_is_not_sticky() {
        assert_eq!(draw(&sticky(r#"{"by":"conversation"}"#), "s", 0), None);
        assert_eq!(draw(&sticky(r#"{"by":"metadata.none"}"#), "s", 0), None);
        assert_eq!(draw(&sticky(r#"{"by":"metadata.session"}"#), "", 0), None);
        assert!(draw(&sticky(r#"{"by":"user"}"#), "s", 0).is_some());
    }

    #[test]
    fn a_value_keeps_its_draw_for_one_period_and_periods_of_values_begin_apart() {
        let sticky = sticky(r#"{"by":"metadata.session","for":"10m"}"#);
        let start = 1_700_000_000;
        let changes = |session: &str| -> Vec<u64> {
            let at = |second: u64| draw(&sticky, session, (start + second) * SECOND);
            (1..1800).filter(|second| at(*second) != at(second - 1)).collect()
        };
        let (a, b) = (changes("a"), changes("b"));
        assert_eq!((a.len(), b.len()), (3, 3), "{a:?} {b:?}");
        assert!(a[1] - a[0] == 600 && a[2] - a[1] == 600);
        assert_ne!(a[0], b[0]);
    }

    #[test]
    fn every_build_draws_the_same() {
        // Replicas agree on this. If a compiler changes it, a release note must say so.
        let sticky = sticky(r#"{"by":"metadata.session","for":"10m"}"#);
        let draw = draw(&sticky, "d5a1", 1_700_000_000 * SECOND).unwrap();
        let unit = draw.unit(Seed::new("openai/gpt-4o", 0));
        assert_eq!(unit.to_bits(), 4_596_188_663_089_296_492, "{unit}");
    }

    #[test]
    fn draws_are_spread_evenly_and_differ_between_targets() {
        let (a, b) = (Seed::new("openai/gpt-4o", 0), Seed::new("openai/gpt-4o", 1));
        let mut both = [0_u32; 16];
        for n in 0..16_000 {
            let draw = Draw(hash(&n.to_string()));
            both[(draw.unit(a) * 3.999_999) as usize * 4 + (draw.unit(b) * 3.999_999) as usize] += 1;
        }
        // 15 degrees of freedom: chance exceeds 37.7 once in a thousand.
        let chi: f64 = both.iter().map(|n| (f64::from(*n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 37.7, "{chi} {both:?}");
    }
}
