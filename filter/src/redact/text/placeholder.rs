//! Replacements that already stand in a text: what they look like, and where one ends.
//!
//! They are made of capitals, digits, `_`, `:`, `*` and brackets, so they read the same in JSON however often it
//! is escaped.

use crate::redact::text::view::{DIGIT, View, is};

/// The replacement of a mask.
pub const MASK: &str = "***";
/// Most digits of a placeholder's number.
pub(crate) const NUMBER_DIGITS_MAX: usize = 4;
/// Longest label, in bytes.
pub(crate) const LABEL_MAX: usize = 40;

/// The form of the replacements that one way of replacing writes, to know them by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `[EMAIL]`, `[EMAIL_2]`
    #[default]
    Label,
    /// `[EMAIL:3f9a0c1d]`, with exactly so many digits, at least one of which is a letter.
    Hash(usize),
    /// None in brackets.
    Mask,
}

/// Where a replacement of a form ends that begins at `at`, if one of these labels does there.
pub(crate) fn placeholder(view: &View<'_>, at: usize, labels: &[String], form: Form) -> Option<usize> {
    let start = at + 1;
    let mut end = start;
    let is_label = |byte: u8| byte.is_ascii_uppercase() || is(byte, DIGIT) || byte == b'_';
    while end - start <= LABEL_MAX + NUMBER_DIGITS_MAX && view.at(end).is_some_and(is_label) {
        end += 1;
    }
    let name = view.slice(start..end);
    let known = |name: &[u8]| !name.is_empty() && labels.iter().any(|label| label.as_bytes() == name);
    match (form, view.at(end)?) {
        (Form::Label, b']') => (known(name) || known(unnumbered(name)?)).then_some(end + 1),
        (Form::Hash(digits), b':') if known(name) => {
            let is_digit = |byte: u8| is(byte, DIGIT) || matches!(byte, b'a'..=b'f');
            let (first, mut hash, mut is_number) = (end + 1, end + 1, true);
            while let Some(byte) = view.at(hash).filter(|byte| hash - first <= digits && is_digit(*byte)) {
                is_number &= is(byte, DIGIT);
                hash += 1;
            }
            (!is_number && hash - first == digits && view.at(hash) == Some(b']')).then_some(hash + 1)
        }
        _ => None,
    }
}

/// The label of a numbered placeholder; `None` where it has no number that is given out.
fn unnumbered(name: &[u8]) -> Option<&[u8]> {
    let last = name.iter().rposition(|byte| *byte == b'_')?;
    let number = name.get(last + 1..)?;
    let is_number = number.iter().all(|byte| is(*byte, DIGIT)) && !number.starts_with(b"0");
    (is_number && (1..=NUMBER_DIGITS_MAX).contains(&number.len())).then(|| name.get(..last)).flatten()
}
