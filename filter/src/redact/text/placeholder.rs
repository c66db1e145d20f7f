//! Recognizes replacements that a text already contains.
//!
//! They consist of capitals, digits, `_`, `:`, `*` and brackets, so JSON escaping never changes them.

use crate::redact::text::view::{DIGIT, View, is};

/// The replacement of a mask.
pub const MASK: &str = "***";
/// Most digits of a placeholder's number.
pub(crate) const NUMBER_DIGITS_MAX: usize = 4;
/// Longest label, in bytes.
pub(crate) const LABEL_MAX: usize = 40;

/// The form of replacements that are being written, to recognize them by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `[EMAIL]`, `[EMAIL_2]`
    #[default]
    Label,
    /// `[EMAIL:3f9a0c1d]`, with exactly this many digits, at least one of which is a letter.
    Hash(usize),
    /// Without brackets.
    Mask,
}

/// Returns the end of the replacement that begins at `at`, if it has this form and one of these labels.
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

/// Returns the label of a numbered placeholder; `None` if it has no number that is ever assigned.
fn unnumbered(name: &[u8]) -> Option<&[u8]> {
    let last = name.iter().rposition(|byte| *byte == b'_')?;
    let number = name.get(last + 1..)?;
    let is_number = number.iter().all(|byte| is(*byte, DIGIT)) && !number.starts_with(b"0");
    (is_number && (1..=NUMBER_DIGITS_MAX).contains(&number.len())).then(|| name.get(..last)).flatten()
}
