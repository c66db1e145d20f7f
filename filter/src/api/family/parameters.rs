//! The parameters of a request, by each API's own names, as the event knows them.
//!
//! Numbers and words alone: what people write, such as stop sequences, is content and stays out. One
//! of a wrong type is the provider's to refuse, and not known here.

use weir_event::v1;

use crate::json::scan::{Object, Value};

/// Longest word that is taken for the name of a choice, such as `json_object`, in bytes.
const WORD_MAX: usize = 64;

/// An object whose members may go by several names; the first name that has a value counts.
#[derive(Debug)]
pub struct Members<'a>(pub &'a Object<'a>);

impl<'a> Members<'a> {
    fn first<T>(&self, names: &[&str], read: impl Fn(Value<'a>) -> Option<T>) -> Option<T> {
        names.iter().find_map(|name| self.0.get(name).and_then(&read))
    }

    pub(crate) fn number(&self, names: &[&str]) -> Option<f64> {
        self.first(names, |value| value.as_f64())
    }

    pub(crate) fn count(&self, names: &[&str]) -> Option<u64> {
        self.first(names, |value| value.as_u64())
    }

    pub(crate) fn whole(&self, names: &[&str]) -> Option<i64> {
        self.first(names, |value| value.as_i64())
    }

    pub(crate) fn word(&self, names: &[&str]) -> String {
        let word = self.first(names, |value| value.as_str().filter(|text| is_word(text)));
        word.map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    pub(crate) fn media_type(&self, names: &[&str]) -> String {
        let is_type = |text: &str| text.split('/').count() == 2 && text.split('/').all(is_word);
        let found = self.first(names, |value| value.as_str().filter(|text| is_type(text)));
        found.map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// An object, empty where there is none.
    pub(crate) fn nested(&self, names: &[&str]) -> Object<'a> {
        self.first(names, |value| value.as_object()).unwrap_or_default()
    }

    /// A format, which is a word, or an object that has it as its type.
    pub(crate) fn format(&self, name: &str) -> String {
        first_of([self.word(&[name]), Members(&self.nested(&[name])).word(&["type"])])
    }

    /// What most APIs have by the same names.
    pub(crate) fn sampling(&self) -> v1::Parameters {
        v1::Parameters {
            temperature: self.number(&["temperature"]),
            top_p: self.number(&["top_p"]),
            frequency_penalty: self.number(&["frequency_penalty"]),
            presence_penalty: self.number(&["presence_penalty"]),
            seed: self.whole(&["seed"]),
            ..Default::default()
        }
    }
}

/// The first of some words that is not empty.
pub(crate) fn first_of<const N: usize>(words: [String; N]) -> String {
    words.into_iter().find(|word| !word.is_empty()).unwrap_or_default()
}

/// Whether a text can be the name of a choice: anything else would be somebody's own words.
pub(crate) fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(allowed)
}
