//! Spans of time as operators write them: a whole number with its unit, such as `100ms`.
//!
//! There is no default unit: a bare `5` could mean seconds or milliseconds, so it is refused. Every
//! value is at most a year, and fits in a `u64` of nanoseconds.

use std::{fmt, str::FromStr};

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::amount::{self, TIMES, UnitError};

/// Longest span that is read: a year of 365 days, in milliseconds.
const MAX_MS: u64 = 365 * 86_400_000;
const NS_PER_MS: u64 = 1_000_000;

/// The units of a [`Duration`]: all but the day.
fn units() -> impl DoubleEndedIterator<Item = (&'static str, u64)> {
    TIMES.into_iter().filter(|(name, _)| *name != "d")
}

/// A span of time: a whole number with the unit ms, s, m or h, at most 8760h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("pattern" = "^[0-9]+(ms|s|m|h)$")),
    schemars(extend("examples" = ["100ms", "5s", "2m", "1h"]))
)]
pub struct Duration {
    ms: u64,
}

/// Why a text is not a [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a whole number followed by a unit.
    #[error("{EXPECTED}")]
    Syntax,
    /// Longer than a year.
    #[error("a duration is at most 8760h")]
    TooLong,
}

const EXPECTED: &str =
    "a duration is a whole number with the unit ms, s, m or h, such as \"100ms\" or \"5s\"";

impl Duration {
    /// A span of so many milliseconds, at most a year.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms: if ms > MAX_MS { MAX_MS } else { ms } }
    }

    /// A span of so many seconds, at most a year.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_ms(seconds.saturating_mul(1000))
    }

    /// The span in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// The span in nanoseconds.
    pub const fn as_ns(self) -> u64 {
        self.ms * NS_PER_MS
    }

    /// Reads `100ms`, `5s`, `2m` or `1h`.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let (number, unit) = amount::split(text);
        let (_, factor) = units().find(|(name, _)| *name == unit).ok_or(DurationError::Syntax)?;
        if unit.len() == text.len() {
            return Err(DurationError::Syntax);
        }
        // What stands before the unit is digits, so a number that does not fit is too long.
        let ms = number.and_then(|number| number.checked_mul(factor));
        ms.filter(|ms| *ms <= MAX_MS).map(|ms| Self { ms }).ok_or(DurationError::TooLong)
    }
}

impl fmt::Display for Duration {
    /// In the longest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = units()
            .rev()
            .find(|(_, factor)| self.ms > 0 && self.ms.is_multiple_of(*factor))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.ms / factor)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED.trim_start_matches("a duration is "))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                Duration::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A span of time: a whole number with the unit `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("pattern" = "^[0-9]+ ?(ms|s|m|h|d)$"))
)]
pub struct Time(pub std::time::Duration);

impl FromStr for Time {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let ms = amount::parse(text, &TIMES).filter(|ms| *ms <= MAX_MS).ok_or(UnitError::Time)?;
        Ok(Self(std::time::Duration::from_millis(ms)))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        amount::text(deserializer, "a time such as \"200ms\"")?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        for (text, ms) in [("100ms", 100), ("5s", 5000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(Duration::parse(text).map(Duration::as_ms), Ok(ms), "{text}");
        }
        for text in ["", "5", "s", "1.5s", "-1s", "+1s", "5 s", " 5s", "5S", "1m30s", "1d", "٣s", "5sec"] {
            assert_eq!(Duration::parse(text), Err(DurationError::Syntax), "{text}");
        }
        for text in ["8761h", "99999999999999999999ms", "18446744073709551615h"] {
            assert_eq!(Duration::parse(text), Err(DurationError::TooLong), "{text}");
        }
        assert!(Duration::parse("8760h").unwrap().as_ns() > 0);
    }

    #[test]
    fn an_error_says_what_would_be_right() {
        let error = serde_json::from_str::<Duration>("\"5 apples\"").unwrap_err().to_string();
        assert!(error.contains("unit ms, s, m or h, such as \"100ms\" or \"5s\""), "{error}");
        let error = serde_json::from_str::<Duration>("5").unwrap_err().to_string();
        assert!(error.contains("expected a whole number with the unit ms, s, m or h"), "{error}");
        let error = serde_json::from_str::<Duration>("\"9999h\"").unwrap_err().to_string();
        assert!(error.contains("at most 8760h"), "{error}");
    }

    #[test]
    fn a_duration_is_written_in_the_longest_unit_that_divides_it() {
        for text in ["100ms", "90s", "2m", "1h", "1500ms", "0ms"] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Duration::from_secs(120).to_string(), "2m");
    }

    #[test]
    fn a_time_needs_its_unit() {
        let days = |count: u64| std::time::Duration::from_secs(count * 86_400);
        assert_eq!("200ms".parse(), Ok(Time(std::time::Duration::from_millis(200))));
        assert_eq!("3d".parse(), Ok(Time(days(3))));
        for text in ["", "5", "5 s s", "-1s", "1.5s", "s", "99999999999999999999s", "366d", "5GiB"] {
            assert_eq!(text.parse::<Time>(), Err(UnitError::Time), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(ms in 0..=MAX_MS) {
            let text = serde_json::to_string(&Duration::from_ms(ms)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Duration>(&text).unwrap().as_ms(), ms);
        }
    }
}
