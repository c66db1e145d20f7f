//! Placeholders for a provider, and the way back to the values that they stand for.
//!
//! A value has one placeholder, numbered by the order in which values of its kind come first, so a
//! conversation that is sent again with more behind it has the same ones, and a provider's cache of
//! prompts still hits. The values are in memory only, as long as the request is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::names::DetectorId;
use super::replace::{LABEL_MAX, NUMBER_DIGITS_MAX, Replace};

/// Most values that are kept, and most bytes of all of them; what comes later has no number and is
/// not turned back.
const VALUES_MAX: usize = 4096;
/// The bytes.
const BYTES_MAX: usize = 1 << 20;

/// The placeholders of one request.
#[derive(Default)]
pub struct Restorer {
    placeholders: HashMap<(DetectorId, String), String>,
    values: HashMap<String, String>,
    /// The last number given for each kind.
    numbers: HashMap<DetectorId, usize>,
    bytes: usize,
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl Replace for Restorer {
    fn replace(&mut self, detector: DetectorId, label: &str, value: &str, out: &mut String) {
        let key = (detector, value.to_owned());
        if let Some(placeholder) = self.placeholders.get(&key) {
            out.push_str(placeholder);
            return;
        }
        if self.values.len() >= VALUES_MAX || self.bytes + value.len() > BYTES_MAX {
            out.extend(["[", label, "]"]);
            return;
        }
        let number = self.numbers.entry(detector).or_default();
        *number += 1;
        let placeholder = format!("[{label}_{number}]");
        self.bytes += value.len();
        out.push_str(&placeholder);
        self.values.insert(placeholder.clone(), value.to_owned());
        self.placeholders.insert(key, placeholder);
    }
}

impl Restorer {
    /// Whether there is nothing to turn back.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text with every placeholder turned back. `depth` says how many strings of JSON the text
    /// is in beside the one that it was read from: 0 for content, 1 for a tool's arguments.
    pub fn restore<'t>(&self, text: &'t str, depth: u32) -> Cow<'t, str> {
        let mut out = String::new();
        let mut copied = 0;
        for (open, _) in text.match_indices('[') {
            let rest = text.get(open..).unwrap_or_default();
            let Placeholder::Whole(length) = placeholder(rest) else { continue };
            let found = rest.get(..length).and_then(|name| self.values.get(name));
            if let Some(value) = found {
                out.push_str(text.get(copied..open).unwrap_or_default());
                escape(value, depth, &mut out);
                copied = open + length;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// Writes a text as it stands within so many strings of JSON.
pub fn escape(text: &str, depth: u32, out: &mut String) {
    let mut text = Cow::Borrowed(text);
    for _ in 0..depth {
        let quoted = serde_json::Value::from(text.as_ref()).to_string();
        let inner = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
        text = Cow::Owned(inner.unwrap_or_default().to_owned());
    }
    out.push_str(&text);
}

enum Placeholder {
    /// So many bytes are one.
    Whole(usize),
    /// All there is may become one.
    Begun,
    None,
}

/// What begins with a bracket.
fn placeholder(text: &str) -> Placeholder {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let name = bytes.iter().skip(1).take(LABEL_MAX + NUMBER_DIGITS_MAX + 2).take_while(|byte| is_part(byte));
    let end = name.count() + 1;
    match bytes.get(end) {
        Some(b']') => Placeholder::Whole(end + 1),
        None if end <= LABEL_MAX + NUMBER_DIGITS_MAX + 1 => Placeholder::Begun,
        _ => Placeholder::None,
    }
}

/// Turns placeholders back in a text that comes in pieces.
#[derive(Default)]
pub struct StreamRestorer {
    held: String,
}

impl fmt::Debug for StreamRestorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRestorer").field("held", &self.held.len()).finish()
    }
}

impl StreamRestorer {
    /// Takes in a piece, and gives what can leave; `depth` as in [`Restorer::restore`].
    pub fn feed(&mut self, restorer: &Restorer, piece: &str, depth: u32) -> String {
        self.held.push_str(piece);
        // Only the last bracket can have its end in a piece that is yet to come.
        let begun = memchr::memrchr(b'[', self.held.as_bytes()).filter(|open| {
            matches!(placeholder(self.held.get(*open..).unwrap_or_default()), Placeholder::Begun)
        });
        let rest = self.held.split_off(begun.unwrap_or(self.held.len()));
        let whole = std::mem::replace(&mut self.held, rest);
        match restorer.restore(&whole, depth) {
            Cow::Borrowed(_) => whole,
            Cow::Owned(restored) => restored,
        }
    }

    /// Gives what is left when nothing more comes.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Builtin;
    use super::*;

    fn restorer(values: &[(Builtin, &str)]) -> (Restorer, String) {
        let (mut restorer, mut out) = (Restorer::default(), String::new());
        for (detector, value) in values {
            restorer.replace(detector.id(), &detector.name().to_uppercase(), value, &mut out);
        }
        (restorer, out)
    }

    #[test]
    fn a_value_has_one_placeholder_numbered_by_its_kind() {
        let (restorer, out) = restorer(&[
            (Builtin::Email, "a@example.com"),
            (Builtin::Ip, "203.0.113.7"),
            (Builtin::Email, "b@example.com"),
            (Builtin::Email, "a@example.com"),
        ]);
        assert_eq!(out, "[EMAIL_1][IP_1][EMAIL_2][EMAIL_1]");
        assert_eq!(
            restorer.restore("[[EMAIL_2], [EMAIL_3] [IP_1]", 0),
            "[b@example.com, [EMAIL_3] 203.0.113.7"
        );
        assert!(matches!(restorer.restore("[x] nothing [EMAIL]", 0), Cow::Borrowed(_)));
        assert!(!format!("{restorer:?}").contains("example.com"));
    }

    #[test]
    fn a_value_is_escaped_for_where_it_lands() {
        let (restorer, _) = restorer(&[(Builtin::GenericSecret, "a\"b\\c")]);
        assert_eq!(restorer.restore(r#"{"k":"[GENERIC_SECRET_1]"}"#, 1), r#"{"k":"a\"b\\c"}"#);
        assert_eq!(restorer.restore("[GENERIC_SECRET_1]", 2), r#"a\\\"b\\\\c"#);
    }

    #[test]
    fn a_placeholder_is_turned_back_wherever_it_is_split() {
        let (restorer, _) =
            restorer(&[(Builtin::Email, "ü@example.com"), (Builtin::Phone, "+49 30 1234567")]);
        let text = "ä [[EMAIL_1] or [PHONE_1][EMAIL_2] [not one] [EMAIL_1";
        let whole = restorer.restore(text, 0);
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (head, tail) = text.split_at(at);
            let mut stream = StreamRestorer::default();
            let mut out = stream.feed(&restorer, head, 0);
            out += &stream.feed(&restorer, tail, 0);
            out += &stream.finish();
            assert_eq!(out, whole, "split at {at}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut restorer = Restorer::default();
        let mut out = String::new();
        for n in 0..VALUES_MAX + 10 {
            out.clear();
            restorer.replace(Builtin::Email.id(), "EMAIL", &format!("{n}@example.com"), &mut out);
        }
        assert_eq!((out.as_str(), restorer.values.len()), ("[EMAIL]", VALUES_MAX));
        let mut long = Restorer::default();
        long.replace(Builtin::Jwt.id(), "JWT", &"x".repeat(BYTES_MAX + 1), &mut out);
        assert!(long.is_empty());
    }
}
