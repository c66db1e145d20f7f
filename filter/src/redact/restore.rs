//! Numbered placeholders for a provider, and their restoration to the original values.
//!
//! A value has one placeholder, numbered by the first appearance of values of its kind. A conversation that is
//! sent again with more turns therefore gets the same placeholders, and the provider's prompt cache still hits.
//! Values are held in memory only, for as long as the request lives.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::json::scan::end_of_string;
use crate::redact::detectors::names::DetectorId;
use crate::redact::engine::compiled::Detectors;
use crate::redact::engine::counts::Counts;
use crate::redact::engine::replace::Replace;
use crate::redact::json::nesting::{NESTED_MAX, Nesting};
use crate::redact::text::cost::step;
use crate::redact::text::fold::{Reading, escape, fold, fold_in_slices};
use crate::redact::text::placeholder::{LABEL_MAX, NUMBER_DIGITS_MAX};
use crate::redact::text::slices::{now, rest};

/// Most values held for one request. Further ones get a label without a number and are not restored.
const VALUES_MAX: usize = 4096;
/// Most bytes of all values held for one request.
const BYTES_MAX: usize = 1 << 20;
/// Highest number assigned: twice the number of values, to leave room for numbers that are taken.
const NUMBER_MAX: usize = 2 * VALUES_MAX;
/// Words of a set of numbers.
const NUMBER_WORDS: usize = NUMBER_MAX / 64 + 1;
/// Bytes that a value takes beside its text: its entry in a table that may be half empty, its placeholder, and
/// what the allocator adds to each of both.
const VALUE_OVERHEAD: usize = 2 * size_of::<(Rc<str>, (DetectorId, Rc<str>))>() + 2 * ALLOCATION + LABEL_MAX;
/// Bytes that an allocation takes beside what it is for.
const ALLOCATION: usize = 32;
/// The prefix of every escape of a placeholder's character: all of them are ASCII.
const ESCAPE: &[u8] = b"\\u00";

/// The placeholders of one request.
#[derive(Default)]
pub struct Restorer {
    values: HashMap<Rc<str>, (DetectorId, Rc<str>)>,
    bytes: usize,
    numbering: Numbering,
}

/// What is needed until every value has its placeholder.
#[derive(Default)]
struct Numbering {
    placeholders: HashMap<DetectorId, HashMap<Rc<str>, Rc<str>>>,
    /// The last number assigned, for each kind.
    last: HashMap<DetectorId, usize>,
    /// Numbers that are never assigned, because their placeholders already occur in the text.
    taken: HashMap<DetectorId, Numbers>,
}

/// A set of numbers up to [`NUMBER_MAX`], one bit each: a text can hold a million placeholders.
struct Numbers(Box<[u64; NUMBER_WORDS]>);

impl Numbers {
    fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn insert(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl Replace for Restorer {
    fn replace(&mut self, detector: DetectorId, label: &str, value: &str, out: &mut String) {
        if value.len() > BYTES_MAX {
            // It is never held, so it is not looked for either.
            out.extend(["[", label, "]"]);
            return;
        }
        let known = self.numbering.placeholders.get(&detector).and_then(|values| values.get(value));
        if let Some(placeholder) = known {
            out.push_str(placeholder);
            return;
        }
        if self.values.len() >= VALUES_MAX || self.bytes + value.len() > BYTES_MAX {
            out.extend(["[", label, "]"]);
            return;
        }
        let Some(number) = self.next_number(detector) else {
            out.extend(["[", label, "]"]);
            return;
        };
        let (placeholder, value): (Rc<str>, Rc<str>) = (format!("[{label}_{number}]").into(), value.into());
        self.bytes += value.len();
        out.push_str(&placeholder);
        self.values.insert(Rc::clone(&placeholder), (detector, Rc::clone(&value)));
        self.numbering.placeholders.entry(detector).or_default().insert(value, placeholder);
    }
}

impl Restorer {
    /// Creates the placeholders for a JSON text. A placeholder that the text already contains, however it is
    /// escaped, is the caller's own text: it is not assigned to a value, so it comes back unchanged.
    ///
    /// Only that number is skipped, so other values keep theirs: the same text always has the same
    /// placeholders, and so has its next turn, in which responses contain the values again.
    pub fn for_text(json: &str, detectors: &Detectors) -> Self {
        now(Self::for_text_in_slices(json, detectors))
    }

    /// The same, with pauses.
    pub(crate) async fn for_text_in_slices(json: &str, detectors: &Detectors) -> Self {
        let mut restorer = Self::default();
        // The label of an operator's detector may look like a placeholder of another one.
        for label in detectors.labels() {
            restorer.take(&format!("[{label}]"), detectors).await;
        }
        let mut text = Cow::Borrowed(json);
        for _ in 0..=NESTED_MAX {
            restorer.take(&text, detectors).await;
            if memchr::memmem::find(text.as_bytes(), ESCAPE).is_none() {
                break;
            }
            text = Cow::Owned(fold_in_slices(&text, Reading::EscapesOnly).await.text.into_owned());
        }
        restorer
    }

    /// Marks the numbers of the placeholders in a text as taken.
    async fn take(&mut self, text: &str, detectors: &Detectors) {
        let mut before = 0;
        for open in memchr::memchr_iter(b'[', text.as_bytes()) {
            step(open - before);
            before = open;
            rest().await;
            let rest = text.get(open..).unwrap_or_default();
            let Placeholder::Whole(length) = placeholder(rest) else { continue };
            let name = rest.get(1..length - 1).unwrap_or_default();
            let Some((label, number)) = name.rsplit_once('_') else { continue };
            let number = number.parse().ok().filter(|number| *number <= NUMBER_MAX);
            if let Some((detector, number)) = detectors.by_label(label).zip(number) {
                let new = || Numbers(Box::new([0; NUMBER_WORDS]));
                self.numbering.taken.entry(detector).or_insert_with(new).insert(number);
            }
        }
    }

    /// Returns the next free number of a kind, if there is one.
    fn next_number(&mut self, detector: DetectorId) -> Option<usize> {
        let Numbering { last, taken, .. } = &mut self.numbering;
        let (last, taken) = (last.entry(detector).or_default(), taken.get(&detector));
        let is_free = |number: &usize| !taken.is_some_and(|taken| taken.has(*number));
        let next = (*last + 1..=NUMBER_MAX).find(is_free);
        *last = next.unwrap_or(NUMBER_MAX);
        next
    }

    /// Every value has its placeholder: drops what was needed for that alone.
    #[must_use]
    pub fn numbered(self) -> Self {
        Self { numbering: Numbering::default(), ..self }
    }

    /// Bytes allocated for what is restored.
    pub fn allocated(&self) -> usize {
        self.bytes + self.values.len() * VALUE_OVERHEAD
    }

    /// Whether there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Restores every placeholder in the text of a string. Values within nested JSON are escaped accordingly.
    pub fn restore<'t>(&self, text: &'t str, counts: &mut Counts) -> Cow<'t, str> {
        self.turn_back(text, &mut Nesting::default(), counts)
    }

    /// Restores every placeholder in the strings of a JSON text; borrows the text if there is none. Strings
    /// that start at an offset in `except` are left alone.
    pub fn restore_json<'t>(&self, json: &'t str, except: &[usize], counts: &mut Counts) -> Cow<'t, str> {
        let bytes = json.as_bytes();
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(start) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
            let start = at + start;
            let Some(length) = end_of_string(bytes.get(start + 1..).unwrap_or_default(), &mut false) else {
                break;
            };
            at = start + length + 2;
            let raw = json.get(start + 1..start + 1 + length).unwrap_or_default();
            let may_hold = memchr::memchr2(b'[', b'\\', raw.as_bytes()).is_some();
            if !may_hold || except.binary_search(&start).is_ok() {
                continue;
            }
            let decoded = fold(raw, Reading::EscapesOnly).text;
            if let Cow::Owned(restored) = self.restore(&decoded, counts) {
                out.push_str(json.get(copied..start).unwrap_or_default());
                out.push_str(&serde_json::Value::from(restored).to_string());
                copied = at;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(json);
        }
        out.push_str(json.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Restores the placeholders of the next part of a text.
    fn turn_back<'t>(&self, text: &'t str, nesting: &mut Nesting, counts: &mut Counts) -> Cow<'t, str> {
        let (mut out, mut copied, mut read) = (String::new(), 0, 0);
        for (open, _) in text.match_indices('[') {
            let rest = text.get(open..).unwrap_or_default();
            let Placeholder::Whole(length) = placeholder(rest) else { continue };
            let found = rest.get(..length).and_then(|name| self.values.get(name));
            if let Some((detector, value)) = found {
                nesting.read(text.get(read..open).unwrap_or_default());
                read = open;
                out.push_str(text.get(copied..open).unwrap_or_default());
                escape(value, nesting.depth(), &mut out);
                counts.add(*detector);
                copied = open + length;
            }
        }
        nesting.read(text.get(read..).unwrap_or_default());
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }
}

enum Placeholder {
    /// A placeholder of this many bytes.
    Whole(usize),
    /// A possible prefix of a placeholder.
    Begun,
    None,
}

/// Classifies a text that starts with a bracket.
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

/// Restores placeholders in streamed text.
#[derive(Default)]
pub struct StreamRestorer {
    held: String,
    nesting: Nesting,
}

impl fmt::Debug for StreamRestorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRestorer").field("held", &self.held.len()).finish()
    }
}

impl StreamRestorer {
    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        size_of::<Self>() + self.held.capacity()
    }

    /// Number of bytes held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next piece and returns what can be released.
    pub fn feed(&mut self, restorer: &Restorer, piece: &str, counts: &mut Counts) -> String {
        self.held.push_str(piece);
        // Only the last bracket can be completed by a later piece.
        let begun = memchr::memrchr(b'[', self.held.as_bytes()).filter(|open| {
            matches!(placeholder(self.held.get(*open..).unwrap_or_default()), Placeholder::Begun)
        });
        let rest = self.held.split_off(begun.unwrap_or(self.held.len()));
        let whole = std::mem::replace(&mut self.held, rest);
        match restorer.turn_back(&whole, &mut self.nesting, counts) {
            Cow::Borrowed(_) => whole,
            Cow::Owned(restored) => restored,
        }
    }

    /// Returns what is left at the end of the text.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Allow, Builtin, Custom};

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
        let mut counts = Counts::default();
        assert_eq!(
            restorer.restore("[[EMAIL_2], [EMAIL_3] [IP_1]", &mut counts),
            "[b@example.com, [EMAIL_3] 203.0.113.7"
        );
        assert!(matches!(restorer.restore("[x] nothing [EMAIL]", &mut counts), Cow::Borrowed(_)));
        assert!(!format!("{restorer:?}").contains("example.com"));
    }

    #[test]
    fn a_number_that_stands_in_the_text_is_not_given_out() {
        let custom: Custom = serde_json::from_str(r#"{"name": "email_4", "pattern": "Q{9}"}"#).unwrap();
        let detectors = Detectors::new(&[custom], &Allow::default(), "redaction").unwrap();
        for (text, first) in [
            (r#"{"a": "nothing [EMAIL] [EMAIL_x] [EMAIL_99999999999999999999] [IP_1] [EMAIL_3"}"#, 1),
            (r#"{"a": "[EMAIL_1]"}"#, 2),
            (r#"{"[EMAIL_2]": ["x[[EMAIL_1]]", "[EMAIL_3]"]}"#, 5),
            (r#"{"a": "\u005bEM\u0041IL_\u0031\u005D"}"#, 2),
            (r#"{"a": "{\"b\": \"\\u005bEMAIL_1]\"}"}"#, 2),
        ] {
            let (mut restorer, mut out) = (Restorer::for_text(text, &detectors), String::new());
            restorer.replace(Builtin::Email.id(), "EMAIL", "a@example.com", &mut out);
            assert_eq!(out, format!("[EMAIL_{first}]"), "{text}");
            let mut counts = Counts::default();
            assert_eq!(restorer.restore(&out, &mut counts), "a@example.com");
        }
    }

    #[test]
    fn where_every_number_is_taken_a_value_has_none() {
        let text: String = (0..=NUMBER_MAX + 10).map(|number| format!("[EMAIL_{number}]")).collect();
        let detectors = Detectors::new(&[], &Allow::default(), "redaction").unwrap();
        let (mut restorer, mut out) = (Restorer::for_text(&text, &detectors), String::new());
        let taken = restorer.numbering.taken.values().next().unwrap();
        assert!((0..=NUMBER_MAX).all(|number| taken.has(number)));
        restorer.replace(Builtin::Email.id(), "EMAIL", "a@example.com", &mut out);
        restorer.replace(Builtin::Ip.id(), "IP", "203.0.113.7", &mut out);
        assert_eq!(out, "[EMAIL][IP_1]");
    }

    #[test]
    fn a_value_is_escaped_for_where_it_lands() {
        let (restorer, _) = restorer(&[(Builtin::GenericSecret, "a\"b\\c")]);
        let mut counts = Counts::default();
        for (text, expected) in [
            (r#"{"k":"[GENERIC_SECRET_1]"}"#, r#"{"k":"a\"b\\c"}"#),
            (r#"{"k":"{\"i\":\"[GENERIC_SECRET_1]\"}"}"#, r#"{"k":"{\"i\":\"a\\\"b\\\\c\"}"}"#),
            ("said \"[GENERIC_SECRET_1]\"", "said \"a\"b\\c\""),
        ] {
            assert_eq!(restorer.restore(text, &mut counts), expected);
            let body = serde_json::json!({"x": [text], "y": "\u{1}é"}).to_string();
            let restored = restorer.restore_json(&body, &[], &mut counts);
            let value: serde_json::Value = serde_json::from_str(&restored).unwrap();
            assert_eq!(value["x"][0], expected);
            let start = body.find(": [").unwrap_or(body.find(":[").unwrap()) + 2;
            assert!(matches!(restorer.restore_json(&body, &[start], &mut counts), Cow::Borrowed(_)));
        }
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 6);
    }

    #[test]
    fn a_placeholder_is_turned_back_wherever_it_is_split() {
        let (restorer, _) =
            restorer(&[(Builtin::Email, "ü@example.com"), (Builtin::Phone, "+49 30 1234567")]);
        let text = "ä [[EMAIL_1] or [PHONE_1][EMAIL_2] [not one] [EMAIL_1";
        let mut counts = Counts::default();
        let whole = restorer.restore(text, &mut counts);
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (head, tail) = text.split_at(at);
            let mut stream = StreamRestorer::default();
            let mut out = stream.feed(&restorer, head, &mut counts);
            out += &stream.feed(&restorer, tail, &mut counts);
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
        let restorer = restorer.numbered();
        assert_eq!(restorer.restore("[EMAIL_2]", &mut Counts::default()), "1@example.com");
        let mut long = Restorer::default();
        long.replace(Builtin::Jwt.id(), "JWT", &"x".repeat(BYTES_MAX + 1), &mut out);
        assert!(long.is_empty());
    }
}
