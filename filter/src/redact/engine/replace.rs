//! Replacements of matches: a label, a mask, or a label with a keyed hash.
//!
//! Detectors leave replacements in the form that is being written alone. Any other text that looks like one may
//! have been written by anybody, and is searched.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::redact::detectors::names::{Builtin, DetectorId};
use crate::redact::text::fold::{Reading, fold};
use crate::redact::text::placeholder::{Form, MASK};

/// Fewest hash digits shown.
pub const HASH_DIGITS_MIN: usize = 8;
/// Most hash digits shown.
pub const HASH_DIGITS_MAX: usize = 64;
/// The replacement of a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// The detector's name: `[EMAIL]`.
    #[default]
    Label,
    /// `***`.
    Mask,
    /// The detector's name and a keyed hash of the value: `[EMAIL:3f9a0c1d]`. Equal values have equal hashes,
    /// and without the key nobody can tell which value it is.
    Hash,
}

/// Writes replacements.
pub trait Replace {
    /// Writes the replacement of `value`, which is the matched text without escapes; `label` is the detector's.
    fn replace(&mut self, detector: DetectorId, label: &str, value: &str, out: &mut String);

    /// The form of its replacements.
    fn form(&self) -> Form {
        Form::Label
    }

    /// Starts the hash of a value that is too long to be held; its parts follow.
    fn begin_hash(&self) -> Option<PartialHash> {
        None
    }

    /// Writes the replacement of such a value.
    fn replace_long(
        &mut self,
        detector: DetectorId,
        label: &str,
        hash: Option<PartialHash>,
        out: &mut String,
    ) {
        let _ = hash;
        self.replace(detector, label, "", out);
    }
}

/// The key of hashes.
#[derive(Clone)]
pub struct HashKey {
    mac: Hmac<Sha256>,
    digits: usize,
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

/// The hash of a value that arrives in parts.
#[derive(Clone)]
pub struct PartialHash(Hmac<Sha256>);

impl PartialHash {
    pub(crate) fn update(&mut self, part: &str) {
        self.0.update(fold(part, Reading::Plain).text.as_bytes());
    }
}

impl HashKey {
    /// Creates a key, and sets how many hexadecimal digits of a hash are shown.
    pub fn new(key: &[u8], digits: usize) -> Self {
        // A key of any length is valid (RFC 2104), so the empty one never stands in for it.
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        Self { mac, digits: digits.clamp(HASH_DIGITS_MIN, HASH_DIGITS_MAX) }
    }

    /// Writes the first digits of a hash. At least one is a letter (for that, one of 281 hashes of twelve
    /// digits starts later), so a number in its place is not taken for a hash, and is searched.
    fn finish(&self, mac: Hmac<Sha256>, out: &mut String) {
        let digest = mac.finalize().into_bytes();
        let digits: Vec<u8> = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
        let letter = digits.iter().position(|digit| *digit > 9).unwrap_or_default();
        let shown = digits.iter().skip((letter + 1).saturating_sub(self.digits)).take(self.digits);
        out.extend(shown.filter_map(|digit| char::from_digit(u32::from(*digit), 16)));
    }
}

/// A way of replacing, ready for use.
#[derive(Clone, Debug, Default)]
pub enum Replacement {
    /// `[EMAIL]`
    #[default]
    Label,
    /// `***`
    Mask,
    /// `[EMAIL:3f9a0c1d]`
    Hash(HashKey),
}

impl Replacement {
    /// Returns the configured replacement. A hash without a key becomes a label.
    pub fn new(style: Style, key: Option<&HashKey>) -> Self {
        match (style, key) {
            (Style::Mask, _) => Self::Mask,
            (Style::Hash, Some(key)) => Self::Hash(key.clone()),
            (Style::Label | Style::Hash, _) => Self::Label,
        }
    }
}

impl Replace for Replacement {
    fn replace(&mut self, detector: DetectorId, label: &str, value: &str, out: &mut String) {
        match self {
            Self::Mask => out.push_str(MASK),
            Self::Label => out.extend(["[", label, "]"]),
            Self::Hash(key) => {
                let mut mac = key.mac.clone();
                mac.update(canonical(detector, value).as_bytes());
                out.extend(["[", label, ":"]);
                key.finish(mac, out);
                out.push(']');
            }
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::Label => Form::Label,
            Self::Mask => Form::Mask,
            Self::Hash(key) => Form::Hash(key.digits),
        }
    }

    fn begin_hash(&self) -> Option<PartialHash> {
        match self {
            Self::Hash(key) => Some(PartialHash(key.mac.clone())),
            Self::Label | Self::Mask => None,
        }
    }

    fn replace_long(
        &mut self,
        detector: DetectorId,
        label: &str,
        hash: Option<PartialHash>,
        out: &mut String,
    ) {
        match (&*self, hash) {
            (Self::Hash(key), Some(hash)) => {
                out.extend(["[", label, ":"]);
                key.finish(hash.0, out);
                out.push(']');
            }
            _ => self.replace(detector, label, "", out),
        }
    }
}

/// Normalizes a value so that spellings of the same value have the same hash: drops separators, and lowercases
/// what ignores case.
fn canonical(detector: DetectorId, value: &str) -> String {
    let folded = fold(value, Reading::Plain).text;
    let is = |builtin: Builtin| detector == builtin.id();
    if is(Builtin::Email) || is(Builtin::Ip) {
        return folded.to_lowercase();
    }
    let numbers = [Builtin::Phone, Builtin::CreditCard, Builtin::Ssn, Builtin::Iban, Builtin::Mac];
    if numbers.into_iter().any(is) || is(Builtin::Passport) || is(Builtin::DrivingLicence) {
        let kept = folded.chars().filter(char::is_ascii_alphanumeric);
        return kept.map(|c| c.to_ascii_lowercase()).collect();
    }
    folded.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(replacement: &mut Replacement, detector: Builtin, value: &str) -> String {
        let mut out = String::new();
        replacement.replace(detector.id(), &detector.name().to_uppercase(), value, &mut out);
        out
    }

    #[test]
    fn a_hash_follows_a_person_through_spellings_and_tells_nothing_without_the_key() {
        let mut hash = Replacement::Hash(HashKey::new(b"a key of the operator's", 8));
        let mut other = Replacement::Hash(HashKey::new(b"another key", 8));
        let one = replaced(&mut hash, Builtin::Email, "Jo@Example.com");
        assert_eq!(one, replaced(&mut hash, Builtin::Email, "jo@example.com"));
        assert_ne!(one, replaced(&mut other, Builtin::Email, "jo@example.com"));
        assert_eq!(one.len(), "[EMAIL:]".len() + 8);
        let phone = replaced(&mut hash, Builtin::Phone, "+49 30 123-4567");
        assert_eq!(phone, replaced(&mut hash, Builtin::Phone, "+4930 1234567"));
    }

    #[test]
    fn there_is_a_letter_among_the_digits_of_a_hash() {
        let mut hash = Replacement::Hash(HashKey::new(b"key", HASH_DIGITS_MIN));
        for value in 0..500 {
            let out = replaced(&mut hash, Builtin::Ssn, &value.to_string());
            let digits = out.strip_prefix("[SSN:").and_then(|out| out.strip_suffix(']')).unwrap();
            assert_eq!(digits.len(), HASH_DIGITS_MIN);
            assert!(digits.contains(|digit: char| ('a'..='f').contains(&digit)), "{out}");
        }
    }

    #[test]
    fn the_hash_is_hmac_with_sha_256() {
        // RFC 4231, test case 2.
        let mut hash = Replacement::Hash(HashKey::new(b"Jefe", 16));
        let out = replaced(&mut hash, Builtin::GenericSecret, "what do ya want for nothing?");
        assert_eq!(out, "[GENERIC_SECRET:5bdcc146bf60754e]");
    }
}
