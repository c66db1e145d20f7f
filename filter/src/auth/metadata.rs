//! The caller's statements about a request: metadata, a conversation and a user.
//!
//! They are exported and may be conditions of routing, but grant nothing, and the key's metadata wins over
//! them. All are short texts without control characters; anything ambiguous is refused with 400. Errors contain
//! no values.

use std::collections::BTreeMap;

use crate::headers::Headers;
use crate::json::scan::{JsonError, Kind, Object, Value};

/// Metadata: a JSON object of short strings.
pub const WEIR_METADATA: &str = "x-weir-metadata";
/// The same under the name that TrueFoundry's clients use.
pub const TFY_METADATA: &str = "x-tfy-metadata";
/// The conversation of the request.
pub const WEIR_CONVERSATION_ID: &str = "x-weir-conversation-id";
/// The end user that the caller acts for.
pub const WEIR_USER: &str = "x-weir-user";

/// Largest metadata header, in bytes.
const HEADER_MAX: usize = 4096;
/// Most entries of metadata.
const ENTRIES_MAX: usize = 32;
/// Longest key of metadata, in bytes.
const KEY_MAX: usize = 64;
/// Longest value of metadata, conversation or user, in bytes.
const VALUE_MAX: usize = 256;

/// Why a request's metadata is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A header was sent twice.
    #[error("The header {0} was sent more than once; send it once.")]
    Repeated(&'static str),
    /// A header is too long.
    #[error("The header {0} must be at most {HEADER_MAX} bytes long.")]
    TooLong(&'static str),
    /// A header is not a JSON object.
    #[error("The header {header} must be a JSON object of short strings: {source}.")]
    Json {
        /// The header.
        header: &'static str,
        /// What is wrong with the JSON.
        source: JsonError,
    },
    /// Two keys are equal, or differ only in case.
    #[error("The header {0} has two keys that are equal, ignoring case; remove one.")]
    Ambiguous(&'static str),
    /// A key is too long or has other characters.
    #[error("Each key in the header {0} must be 1 to {KEY_MAX} letters a-z, digits, '_', '.' or '-'.")]
    Key(&'static str),
    /// A value has another type or is too long.
    #[error(
        "The value of {key:?} in the header {header} must be a string of at most {VALUE_MAX} bytes \
         without control characters, a number or a boolean."
    )]
    Value {
        /// The header.
        header: &'static str,
        /// The key, which is short and plain.
        key: String,
    },
    /// Too many entries.
    #[error("{WEIR_METADATA} and {TFY_METADATA} may hold at most {ENTRIES_MAX} entries, taken together.")]
    TooMany,
    /// A header is not a short text.
    #[error("The header {0} must be UTF-8 text of at most {VALUE_MAX} bytes without control characters.")]
    Text(&'static str),
}

/// The caller's statements about a request; empty if there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMetadata {
    /// Metadata: at most 32 entries of the caller's, and those of its key.
    pub metadata: BTreeMap<String, String>,
    /// The conversation.
    pub conversation_id: String,
    /// The end user, as stated by the caller.
    pub user: String,
}

impl RequestMetadata {
    /// Reads the four headers. `x-weir-metadata` wins over the other metadata header.
    pub fn read(headers: &Headers) -> Result<Self, MetadataError> {
        let mut metadata = entries(headers, TFY_METADATA)?;
        overlay(&mut metadata, entries(headers, WEIR_METADATA)?);
        if metadata.len() > ENTRIES_MAX {
            return Err(MetadataError::TooMany);
        }
        Ok(Self {
            metadata,
            conversation_id: text(headers, WEIR_CONVERSATION_ID)?,
            user: text(headers, WEIR_USER)?,
        })
    }

    /// Adds the metadata of the caller's key, which wins over the caller's own.
    #[must_use]
    pub fn with_key_metadata(mut self, metadata: &BTreeMap<String, String>) -> Self {
        if !metadata.is_empty() {
            overlay(&mut self.metadata, metadata.clone());
        }
        self
    }
}

/// Checks an entry from the configuration. The error says what would be right.
pub(crate) fn check_entry(key: &str, value: &str) -> Result<(), String> {
    if !is_key(key) {
        return Err(format!("a key of metadata is 1 to {KEY_MAX} letters a-z, digits, '_', '.' or '-'"));
    }
    if !is_short_text(value) {
        return Err(format!("must be at most {VALUE_MAX} bytes without control characters"));
    }
    Ok(())
}

/// Whether a text may be a value: short, and without control characters.
pub(crate) fn is_short_text(text: &str) -> bool {
    text.len() <= VALUE_MAX && !text.chars().any(char::is_control)
}

fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(allowed)
}

/// Overlays entries with others. An entry whose key differs only in case is removed too, or a case-insensitive
/// reader could take it for the one that won.
fn overlay(entries: &mut BTreeMap<String, String>, over: BTreeMap<String, String>) {
    entries.retain(|key, _| !over.keys().any(|winner| winner.eq_ignore_ascii_case(key)));
    entries.extend(over);
}

/// Returns the only value of a header; empty if there is none.
fn only<'a>(headers: &'a Headers, header: &'static str) -> Result<&'a [u8], MetadataError> {
    let mut values = headers.all(header);
    let value = values.next().unwrap_or_default();
    if values.next().is_some() {
        return Err(MetadataError::Repeated(header));
    }
    Ok(value)
}

fn text(headers: &Headers, header: &'static str) -> Result<String, MetadataError> {
    let text = std::str::from_utf8(only(headers, header)?).ok().filter(|text| is_short_text(text));
    text.map(str::to_owned).ok_or(MetadataError::Text(header))
}

fn entries(headers: &Headers, header: &'static str) -> Result<BTreeMap<String, String>, MetadataError> {
    let json = only(headers, header)?;
    if json.is_empty() {
        return Ok(BTreeMap::new());
    }
    if json.len() > HEADER_MAX {
        return Err(MetadataError::TooLong(header));
    }
    let object = Object::parse(json).map_err(|source| MetadataError::Json { header, source })?;
    if object.ambiguous_keys().is_some() {
        return Err(MetadataError::Ambiguous(header));
    }
    let mut entries = BTreeMap::new();
    for (key, value) in object.iter() {
        if !is_key(key) {
            return Err(MetadataError::Key(header));
        }
        let value = value_text(&value).filter(|value| is_short_text(value));
        let value = value.ok_or_else(|| MetadataError::Value { header, key: key.to_owned() })?;
        entries.insert(key.to_owned(), value);
    }
    Ok(entries)
}

/// The text of a string; a number or a boolean as written.
fn value_text(value: &Value<'_>) -> Option<String> {
    match value.kind {
        Kind::String => value.as_str().map(std::borrow::Cow::into_owned),
        Kind::Number | Kind::Bool => Some(value.raw.to_owned()),
        Kind::Object | Kind::Array | Kind::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RequestMetadata, MetadataError> {
        RequestMetadata::read(&pairs.iter().copied().collect())
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn entries_conversation_and_user_are_read_as_they_stand() {
        let said = read(&[
            (WEIR_METADATA, r#" {"region":"eu","n":1e3,"test":true,"name":"J\u00f6rg","empty":""} "#),
            (WEIR_CONVERSATION_ID, "c-1"),
            (WEIR_USER, "jörg"),
        ])
        .unwrap();
        let expected = [("region", "eu"), ("n", "1e3"), ("test", "true"), ("name", "Jörg"), ("empty", "")];
        assert_eq!(said.metadata, map(&expected));
        assert_eq!((said.conversation_id.as_str(), said.user.as_str()), ("c-1", "jörg"));
        assert_eq!(read(&[]).unwrap(), RequestMetadata::default());
        assert_eq!(read(&[(WEIR_METADATA, ""), (TFY_METADATA, "{}")]).unwrap(), RequestMetadata::default());
    }

    #[test]
    fn weirs_own_header_wins_over_the_other_by_any_case_of_the_key() {
        let said = read(&[
            (TFY_METADATA, r#"{"a":"tfy","B":"tfy","c":"tfy"}"#),
            (WEIR_METADATA, r#"{"a":"weir","b":"weir"}"#),
        ]);
        assert_eq!(said.unwrap().metadata, map(&[("a", "weir"), ("b", "weir"), ("c", "tfy")]));
    }

    #[test]
    fn a_keys_metadata_cannot_be_overridden_by_its_caller() {
        let of_key = map(&[("team", "a"), ("tier", "gold")]);
        let said = read(&[(WEIR_METADATA, r#"{"team":"b","TIER":"free","region":"eu"}"#)]).unwrap();
        let metadata = said.with_key_metadata(&of_key).metadata;
        assert_eq!(metadata, map(&[("region", "eu"), ("team", "a"), ("tier", "gold")]));
    }

    #[test]
    fn what_is_no_object_of_short_strings_is_refused_and_the_header_named() {
        let long_value = format!(r#"{{"a":"{}"}}"#, "x".repeat(257));
        let long_key = format!(r#"{{"{}":"x"}}"#, "k".repeat(65));
        let deep = format!(r#"{{"a":{}}}"#, "[".repeat(2000));
        for json in [
            "eu",
            "[]",
            "null",
            r#""a""#,
            r#"{"a":"x"} {"b":"y"}"#,
            r#"{"a":null}"#,
            r#"{"a":["x"]}"#,
            r#"{"a":{"b":"x"}}"#,
            r#"{"a":"x","a":"y"}"#,
            r#"{"a":"x","A":"y"}"#,
            r#"{"a":"x","\u0061":"y"}"#,
            r#"{"a":"x\r\ny"}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a":"\u007f"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"":"x"}"#,
            r#"{"a b":"x"}"#,
            r#"{"a\n":"x"}"#,
            r#"{"ä":"x"}"#,
            &long_value,
            &long_key,
            &deep,
        ] {
            for header in [WEIR_METADATA, TFY_METADATA] {
                let message = read(&[(header, json)]).unwrap_err().to_string();
                assert!(message.contains(header) && message.len() < 250, "{json}: {message}");
            }
        }
        let twice = read(&[(WEIR_METADATA, "{}"), (WEIR_METADATA, "{}")]);
        assert_eq!(twice, Err(MetadataError::Repeated(WEIR_METADATA)));
        let error = read(&[(WEIR_METADATA, r#"{"a":["canary"]}"#)]).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn caps_hold_to_the_byte() {
        let json = |entries: std::ops::Range<usize>| {
            let entries: Vec<_> = entries.map(|n| format!(r#""k{n}":"v""#)).collect();
            format!("{{{}}}", entries.join(","))
        };
        assert_eq!(read(&[(WEIR_METADATA, &json(0..32))]).unwrap().metadata.len(), 32);
        assert_eq!(read(&[(WEIR_METADATA, &json(0..33))]), Err(MetadataError::TooMany));
        assert!(read(&[(WEIR_METADATA, &json(0..32)), (TFY_METADATA, &json(0..32))]).is_ok());
        let apart = read(&[(WEIR_METADATA, &json(0..20)), (TFY_METADATA, &json(20..33))]);
        assert_eq!(apart, Err(MetadataError::TooMany));
        let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
        assert!(read(&[(WEIR_METADATA, &padded(4096))]).is_ok());
        assert_eq!(read(&[(WEIR_METADATA, &padded(4097))]), Err(MetadataError::TooLong(WEIR_METADATA)));
        for header in [WEIR_USER, WEIR_CONVERSATION_ID] {
            assert!(read(&[(header, &"x".repeat(256))]).is_ok());
            for value in ["x".repeat(257), "a\tb".to_owned(), "a\u{85}b".to_owned()] {
                assert_eq!(read(&[(header, &value)]), Err(MetadataError::Text(header)));
            }
            let latin1 = Headers(vec![(header.to_owned(), b"J\xf6rg".to_vec())]);
            assert_eq!(RequestMetadata::read(&latin1), Err(MetadataError::Text(header)));
            assert_eq!(read(&[(header, "a"), (header, "a")]), Err(MetadataError::Repeated(header)));
        }
    }

    fn hostile_value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::btree_map("[a-z0-9_.-]{1,4}", "\\PC{0,4}", 0..40)
                .prop_map(|map| serde_json::to_vec(&map).unwrap()),
            prop::collection::btree_map("\\PC{0,3}", ".{0,4}", 0..3)
                .prop_map(|map| serde_json::to_vec(&map).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_taken_from_hostile_headers_is_within_every_cap(
            values in prop::collection::vec((0..4_usize, hostile_value()), 0..4),
        ) {
            let names = [WEIR_METADATA, TFY_METADATA, WEIR_CONVERSATION_ID, WEIR_USER];
            let headers = values.into_iter().map(|(at, value)| (names[at].to_owned(), value)).collect();
            if let Ok(said) = RequestMetadata::read(&Headers(headers)) {
                prop_assert!(said.metadata.len() <= ENTRIES_MAX);
                for (key, value) in &said.metadata {
                    prop_assert!(check_entry(key, value).is_ok());
                }
                prop_assert!(is_short_text(&said.conversation_id) && is_short_text(&said.user));
            }
        }
    }
}
