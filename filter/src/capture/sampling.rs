//! Decides which finished requests are exported.
//!
//! Decides after the fact, so that errors and slow requests are never lost, and by the trace id, so that
//! everybody sampling by it decides alike (OpenTelemetry, "TraceState: Probability Sampling", whose 56 bits of
//! randomness are the last seven bytes of the trace id).

use serde::de;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_event::v1;
use weir_settings::Duration;

/// Bits of randomness in a trace id (W3C Trace Context Level 2, "Random Trace ID Flag").
const RANDOM_BITS: u32 = 56;
/// The "sampled" bit of trace-flags.
const SAMPLED: u32 = 1;

/// What is sampled whatever the ratio, as written: `error`, or `slow>10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlwaysKeep {
    /// Requests that failed, were cut off or were refused.
    Error,
    /// Requests that took longer.
    Slow(Duration),
}

impl AlwaysKeep {
    fn parse(text: &str) -> Option<Self> {
        if text == "error" {
            return Some(Self::Error);
        }
        let limit = text.strip_prefix("slow")?.trim_start().strip_prefix('>')?;
        Duration::parse(limit.trim_start()).ok().map(Self::Slow)
    }
}

impl<'de> Deserialize<'de> for AlwaysKeep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"\"error\" or \"slow>10s\""))
    }
}

impl Serialize for AlwaysKeep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Error => serializer.serialize_str("error"),
            Self::Slow(limit) => serializer.serialize_str(&format!("slow>{limit}")),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for AlwaysKeep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AlwaysKeep".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`error`: what failed, broke off or was refused. `slow>10s`: what took longer.",
            "type": "string",
            "pattern": "^(error|slow *> *[0-9]+(ms|s|m|h))$",
            "examples": ["error", "slow>10s"],
        })
    }
}

/// Checked sampling rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The sampled fraction of all traces, from 0 to 1.
    pub ratio: f64,
    /// What is always sampled.
    pub always_keep: Vec<AlwaysKeep>,
    /// Whether the caller's decision overrides the ratio.
    pub follow_caller: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { ratio: 1.0, always_keep: vec![AlwaysKeep::Error], follow_caller: false }
    }
}

impl Sampling {
    /// Whether a finished request is sampled, and why. `failed`: whether it failed.
    pub fn decide(&self, trace: &v1::TraceContext, took_ns: u64, failed: bool) -> Option<v1::Sampling> {
        let kept_for = |reason: &str| Some(v1::Sampling { ratio: self.ratio, kept_for: reason.to_owned() });
        let has_caller = !trace.parent_span_id.is_empty();
        if self.follow_caller && has_caller {
            if trace.flags & SAMPLED != 0 {
                return kept_for("caller");
            }
        } else if self.covers(&trace.trace_id) {
            return kept_for("ratio");
        }
        self.always_keep.iter().find_map(|rule| match rule {
            AlwaysKeep::Error if failed => kept_for("error"),
            AlwaysKeep::Slow(limit) if took_ns > limit.as_ns() => kept_for("slow"),
            AlwaysKeep::Error | AlwaysKeep::Slow(_) => None,
        })
    }

    /// Whether the ratio covers a trace: its randomness reaches the rejection threshold.
    fn covers(&self, trace_id: &[u8]) -> bool {
        if self.ratio >= 1.0 {
            return true;
        }
        let random = trace_id.iter().skip(16 - RANDOM_BITS as usize / 8);
        let random = random.fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let threshold = ((1.0 - self.ratio) * (1_u64 << RANDOM_BITS) as f64) as u64;
        self.ratio > 0.0 && random >= threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(random: u64, flags: u32, parent: bool) -> v1::TraceContext {
        let mut trace_id = [7; 16];
        trace_id[8..].copy_from_slice(&random.to_be_bytes());
        let parent_span_id = if parent { vec![1; 8] } else { Vec::new() };
        v1::TraceContext {
            trace_id: trace_id.to_vec().into(),
            flags,
            parent_span_id: parent_span_id.into(),
            ..Default::default()
        }
    }

    fn reason(sampling: &Sampling, trace: &v1::TraceContext, took_ms: u64, failed: bool) -> Option<String> {
        sampling.decide(trace, took_ms * 1_000_000, failed).map(|kept| kept.kept_for)
    }

    #[test]
    fn the_ratio_covers_its_part_of_all_traces_and_the_same_ones_each_time() {
        let half = Sampling { ratio: 0.5, always_keep: Vec::new(), follow_caller: false };
        let quarter = Sampling { ratio: 0.25, ..half.clone() };
        let (mut halves, mut quarters) = (0, 0);
        for n in 0..10_000_u64 {
            // A fixed sequence that is spread over all bits (SplitMix64).
            let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits ^= bits >> 27;
            let trace = trace(bits, 0, false);
            let kept = [&half, &quarter].map(|sampling| reason(sampling, &trace, 0, false).is_some());
            assert!(kept[0] || !kept[1], "what the smaller part has, the larger has too");
            halves += usize::from(kept[0]);
            quarters += usize::from(kept[1]);
        }
        assert!((4800..5200).contains(&halves) && (2350..2650).contains(&quarters), "{halves} {quarters}");
        let none = Sampling { ratio: 0.0, ..half };
        assert_eq!(reason(&none, &trace(u64::MAX, 0, false), 0, false), None);
    }

    #[test]
    fn errors_and_slow_ones_are_kept_whatever_the_ratio() {
        let sampling = Sampling {
            ratio: 0.0,
            always_keep: vec![AlwaysKeep::Error, AlwaysKeep::Slow(Duration::from_secs(10))],
            follow_caller: false,
        };
        let trace = trace(1, 1, true);
        assert_eq!(reason(&sampling, &trace, 5, true).as_deref(), Some("error"));
        assert_eq!(reason(&sampling, &trace, 10_001, false).as_deref(), Some("slow"));
        assert_eq!(reason(&sampling, &trace, 10_000, false), None);
    }

    #[test]
    fn a_callers_decision_is_followed_where_asked_for_and_errors_are_kept_all_the_same() {
        let sampling = Sampling { ratio: 0.0, follow_caller: true, ..Sampling::default() };
        assert_eq!(reason(&sampling, &trace(0, 1, true), 0, false).as_deref(), Some("caller"));
        let all = Sampling { ratio: 1.0, ..sampling };
        assert_eq!(reason(&all, &trace(0, 0, true), 0, false), None);
        assert_eq!(reason(&all, &trace(0, 0, true), 0, true).as_deref(), Some("error"));
        assert_eq!(reason(&all, &trace(0, 0, false), 0, false).as_deref(), Some("ratio"));
    }

    #[test]
    fn what_is_always_kept_is_written_in_words() {
        for (text, rule) in [
            ("error", Some(AlwaysKeep::Error)),
            ("slow>10s", Some(AlwaysKeep::Slow(Duration::from_secs(10)))),
            ("slow > 500ms", Some(AlwaysKeep::Slow(Duration::from_ms(500)))),
            ("slow", None),
            ("slow>", None),
            ("errors", None),
        ] {
            assert_eq!(AlwaysKeep::parse(text), rule, "{text}");
        }
    }
}
