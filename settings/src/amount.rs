//! Amounts as operators write them: a whole number with a unit, such as `200ms` or `10GiB`.

use std::fmt;

use serde::{Deserializer, de};

/// The units of time and their milliseconds.
pub(crate) const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The units of size and their bytes.
pub(crate) const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No time.
    #[error(
        "must be a whole number with the unit ms, s, m, h or d, such as \"200ms\" or \"72h\", at most a year"
    )]
    Time,
    /// No size.
    #[error("must be a whole number with the unit B, KiB, MiB, GiB or TiB, such as \"10GiB\"")]
    Size,
}

/// The number that a text begins with, and the rest. The number is absent where it does not fit.
pub(crate) fn split(text: &str) -> (Option<u64>, &str) {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (text.strip_suffix(unit).and_then(|digits| digits.parse().ok()), unit)
}

/// Reads an amount in the smallest unit; spaces around it and before the unit are allowed.
pub(crate) fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = split(text.trim());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number?.checked_mul(*factor)
}

/// Reads an amount as the text that it is written as: a bare number too, to be refused with what would be right.
pub(crate) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    deserializer.deserialize_any(Text(expected))
}

struct Text(&'static str);

impl de::Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }
}
