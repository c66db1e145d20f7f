//! An operator-defined detector, as written.

use serde::{Deserialize, Serialize};

/// A detector of your own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Its name, of lowercase letters, digits and `_`; in capitals it is the label.
    pub name: String,
    /// A number of yours that identifies this version of the detector in traces.
    #[serde(default = "one")]
    pub version: u32,
    /// The regular expression, in the syntax of Rust's `regex` crate, without look-around and backreferences.
    pub pattern: String,
    /// A checksum that matches must pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// Words of which one must stand shortly before a match. Default: none is required.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
}

/// A checksum over the digits, or letters and digits, of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// As on payment cards (ISO/IEC 7812-1).
    Luhn,
    /// As in bank account numbers (ISO/IEC 7064, MOD 97-10), after moving the first four characters to the end.
    Mod97,
}

fn one() -> u32 {
    1
}
