//! Callers' keys, known by their digests alone.
//!
//! Keys are looked up by SHA-256, so the configuration contains nothing that opens the gateway, and a lookup
//! costs the same for one key as for thousands. Digests appear in no message and in no `Debug` output, and are
//! compared in constant time.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use weir_settings::ConfigError;

use crate::api::Feature;
use crate::auth::credential::CREDENTIAL_MAX;
use crate::auth::grant::Grant;
use crate::auth::metadata;
use crate::auth::pattern::Patterns;

/// Longest name of a key, in bytes.
const NAME_MAX: usize = 64;

/// A caller's key.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name in events and messages: 1 to 64 letters, digits, `-`, `_`, `.` or `@`.
    pub name: String,
    /// The SHA-256 of the key in 64 hexadecimal digits, as printed by `printf %s "$KEY" | sha256sum`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9A-Fa-f]{64}$")))]
    pub sha256: String,
    /// Patterns of the models that it may use: `gpt-4o`, `gpt-*`, `openai/*` or `*`. Default: every model. An
    /// empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub models: Option<Vec<String>>,
    /// What it may use beyond calls for its models, if the provider grants the same. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Feature>,
    /// Metadata of all requests with this key, which the caller cannot override.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Stricter redaction for its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<crate::redact::Stricter>,
    /// When it expires: an RFC 3339 timestamp such as `2027-01-31T00:00:00Z`. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "date-time")))]
    pub expires: Option<String>,
}

/// A field that is present must have a value: otherwise an empty `models:` would mean the same as no such line,
/// and allow everything.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a key is rejected. The response is a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No key has this digest.
    #[error("The key is not known to this gateway.")]
    Unknown,
    /// The key has expired. Only those who hold it learn this.
    #[error("The key has expired; ask for a new one.")]
    Expired,
}

/// The checked keys.
pub struct Keys {
    /// By the first eight bytes of the digest, compared at once as one number; the whole is compared in constant
    /// time. A map by the whole digest would compare it byte by byte.
    by_prefix: HashMap<u64, Vec<Entry>>,
}

struct Entry {
    digest: [u8; 32],
    expires_ns: u64,
    grant: Rc<Grant>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_prefix.values().flatten().map(|entry| &entry.grant.name)).finish()
    }
}

impl Keys {
    /// Checks keys, and checks them against each other. An error's path begins with `keys[n]`.
    pub fn new(keys: &[Key]) -> Result<Self, ConfigError> {
        let mut by_prefix: HashMap<u64, Vec<Entry>> = HashMap::with_capacity(keys.len());
        let mut names: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
        let mut digests: HashMap<[u8; 32], usize> = HashMap::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let (entry, path) = (Entry::new(key, index)?, format!("keys[{index}]"));
            if let Some(first) = names.insert(&key.name, index) {
                let message = format!("{:?} is the name of keys[{first}] already; give another", key.name);
                return Err(ConfigError::at(format!("{path}.name"), message));
            }
            if let Some(first) = digests.insert(entry.digest, index) {
                let message = format!("the same key as keys[{first}]; each name needs a key of its own");
                return Err(ConfigError::at(format!("{path}.sha256"), message));
            }
            by_prefix.entry(prefix(&entry.digest)).or_default().push(entry);
        }
        Ok(Self { by_prefix })
    }

    /// Whether there are no keys, so that everybody may call ([`Grant::open`]).
    pub fn is_open(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// Returns the grant of the key `secret` at `now_ns` (Unix time in ns). Without keys, every secret is
    /// unknown.
    pub fn find(&self, secret: &[u8], now_ns: u64) -> Result<Rc<Grant>, Denied> {
        if secret.is_empty() || secret.len() > CREDENTIAL_MAX {
            return Err(Denied::Unknown);
        }
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let entries = self.by_prefix.get(&prefix(&digest)).map(Vec::as_slice).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.digest.ct_eq(&digest).into()).ok_or(Denied::Unknown)?;
        if now_ns >= entry.expires_ns {
            return Err(Denied::Expired);
        }
        Ok(Rc::clone(&entry.grant))
    }
}

impl Entry {
    fn new(key: &Key, index: usize) -> Result<Self, ConfigError> {
        let at = |field: &str, message: String| ConfigError::at(format!("keys[{index}].{field}"), message);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if !(1..=NAME_MAX).contains(&key.name.len()) || !key.name.chars().all(allowed) {
            let message = format!("must be 1 to {NAME_MAX} letters, digits, '-', '_', '.' or '@'");
            return Err(at("name", message));
        }
        // The value may be the key itself, entered by mistake, so it is never repeated.
        let digest = digest_of_hex(&key.sha256).ok_or_else(|| {
            at("sha256", "must be the 64 hexadecimal digits of the key's SHA-256, not the key".to_owned())
        })?;
        if digest == <[u8; 32]>::from(Sha256::digest(b"")) {
            let message = "is the digest of an empty key; was the key's variable set when it was made?";
            return Err(at("sha256", message.to_owned()));
        }
        for (name, value) in &key.metadata {
            metadata::check_entry(name, value)
                .map_err(|message| at(&format!("metadata.{name:?}"), message))?;
        }
        let models = match &key.models {
            Some(models) => Patterns::new(models, &format!("keys[{index}].models"))?,
            None => Patterns::every(),
        };
        let expires_ns = match &key.expires {
            Some(text) => unix_ns(text).ok_or_else(|| {
                at("expires", "must be an RFC 3339 timestamp such as 2027-01-31T00:00:00Z".to_owned())
            })?,
            None => u64::MAX,
        };
        let features = key.grants.iter().copied().collect();
        let grant = Grant { name: key.name.clone(), models, features, metadata: key.metadata.clone() };
        Ok(Self { digest, expires_ns, grant: Rc::new(grant) })
    }
}

fn prefix(digest: &[u8; 32]) -> u64 {
    digest.first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default()
}

fn digest_of_hex(hex: &str) -> Option<[u8; 32]> {
    let nibble = |digit: &u8| char::from(*digit).to_digit(16);
    let mut digest = [0; 32];
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(nibble(high)? << 4 | nibble(low)?).ok()?;
    }
    Some(digest)
}

/// Parses a timestamp (RFC 3339, section 5.6) into Unix time in ns. Values outside a `u64` are clamped, digits
/// beyond ns dropped; a leap second counts as the next second.
fn unix_ns(text: &str) -> Option<u64> {
    let ns = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    // A leap second is read as the last ns before it.
    let is_leap = text.get(17..19) == Some("60");
    Some(u64::try_from((ns + i128::from(is_leap)).max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn hex(secret: &str) -> String {
        Sha256::digest(secret).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    fn key(name: &str, secret: &str) -> Key {
        let json = format!(r#"{{"name":"{name}","sha256":"{}"}}"#, hex(secret));
        serde_json::from_str(&json).unwrap()
    }

    fn refused(change: impl FnOnce(&mut Key)) -> ConfigError {
        let mut keys = [key("a", "sk-a"), key("b", "sk-b"), key("c", "sk-c")];
        change(&mut keys[2]);
        Keys::new(&keys).unwrap_err()
    }

    #[test]
    fn each_of_a_thousand_keys_opens_what_it_grants_and_nothing_else() {
        let keys: Vec<_> = (0..1000)
            .map(|n| Key {
                models: Some(vec![format!("m-{n}")]),
                ..key(&format!("k{n}"), &format!("sk-{n}"))
            })
            .collect();
        let keys = Keys::new(&keys).unwrap();
        for n in 0..1000 {
            let grant = keys.find(format!("sk-{n}").as_bytes(), 0).unwrap();
            assert_eq!(grant.name, format!("k{n}"));
            assert!(grant.models.allows(&format!("m-{n}")) && !grant.models.allows(&format!("m-{}", n + 1)));
        }
        let digest = hex("sk-1");
        let too_long = "x".repeat(CREDENTIAL_MAX + 1);
        for secret in ["", "sk-", "sk-1000", "SK-1", "sk-1 ", "sk-1\0", digest.as_str(), too_long.as_str()] {
            assert_eq!(keys.find(secret.as_bytes(), 0), Err(Denied::Unknown), "{secret}");
        }
    }

    #[test]
    fn a_prefix_of_a_digest_opens_nothing() {
        let mut twin = key("twin", "sk-a");
        twin.sha256.replace_range(16.., &"0".repeat(48));
        let keys = Keys::new(&[twin, key("a", "sk-a")]).unwrap();
        assert_eq!(keys.find(b"sk-a", 0).unwrap().name, "a");
        let mut twin = key("twin", "sk-a");
        twin.sha256.replace_range(62.., if hex("sk-a").ends_with("00") { "01" } else { "00" });
        assert_eq!(Keys::new(&[twin]).unwrap().find(b"sk-a", 0), Err(Denied::Unknown));
    }

    #[test]
    fn a_key_works_until_it_expires_and_not_at_that_moment() {
        let dated = Key { expires: Some("1970-01-01T00:00:01Z".to_owned()), ..key("dated", "sk-d") };
        let keys = Keys::new(&[dated, key("plain", "sk-p")]).unwrap();
        assert!(keys.find(b"sk-d", 999_999_999).is_ok());
        assert_eq!(keys.find(b"sk-d", 1_000_000_000), Err(Denied::Expired));
        assert!(keys.find(b"sk-p", u64::MAX - 1).is_ok());
    }

    #[test]
    fn no_keys_are_an_open_gateway_and_open_nothing() {
        let keys = Keys::new(&[]).unwrap();
        assert!(keys.is_open() && !Keys::new(&[key("a", "sk-a")]).unwrap().is_open());
        assert_eq!(keys.find(b"anything", 0), Err(Denied::Unknown));
        assert!(Grant::open().models.allows("any/model"));
    }

    #[test]
    fn models_are_all_where_absent_none_where_empty_and_never_null() {
        let sha256 = hex("sk");
        let read =
            |rest: &str| serde_json::from_str::<Key>(&format!(r#"{{"name":"a","sha256":"{sha256}"{rest}}}"#));
        let allows = |rest: &str| {
            let grant = Keys::new(&[read(rest).unwrap()]).unwrap().find(b"sk", 0).unwrap();
            (grant.models.allows("gpt-4o"), grant.models.allows("o3"))
        };
        assert_eq!(allows(""), (true, true));
        assert_eq!(allows(r#","models":["gpt-*"]"#), (true, false));
        assert_eq!(allows(r#","models":[]"#), (false, false));
        for rest in [r#","models":null"#, r#","expires":null"#, r#","model":["*"]"#] {
            assert!(read(rest).is_err(), "{rest}");
        }
        let whole = read(r#","models":[],"metadata":{"team":"a"},"expires":"2027-01-31T00:00:00Z""#).unwrap();
        let again: Key = serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
        assert!(again == whole, "what is written is read the same");
    }

    #[test]
    fn an_error_names_the_key_by_position_and_never_repeats_a_digest() {
        for name in ["", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(refused(|key| name.clone_into(&mut key.name)).path, "keys[2].name");
        }
        let error = refused(|key| key.name = "a".to_owned());
        assert_eq!(error.to_string(), "keys[2].name: \"a\" is the name of keys[0] already; give another");
        let error = refused(|key| key.sha256 = hex("sk-b").to_uppercase());
        assert_eq!((error.path.as_str(), error.message.contains("keys[1]")), ("keys[2].sha256", true));
        for sha256 in
            ["", "sk-live-canary", &"g".repeat(64), &"é".repeat(32), &format!("+{}", "a".repeat(63))]
        {
            let error = refused(|key| sha256.clone_into(&mut key.sha256));
            assert_eq!(error.path, "keys[2].sha256");
            assert!(error.message.contains("64 hexadecimal digits") && !error.message.contains("canary"));
        }
        assert!(refused(|key| key.sha256 = hex("")).message.contains("empty key"));
        assert_eq!(refused(|key| key.models = Some(vec!["*x".to_owned()])).path, "keys[2].models[0]");
        let error = refused(|key| key.metadata = BTreeMap::from([("a b".to_owned(), String::new())]));
        assert_eq!(error.path, "keys[2].metadata.\"a b\"");
        let error = refused(|key| key.expires = Some("tomorrow".to_owned()));
        assert_eq!((error.path.as_str(), error.message.contains("RFC 3339")), ("keys[2].expires", true));
    }

    #[test]
    fn debug_output_shows_names_and_no_digest() {
        let key = key("team-a", "sk-a");
        let shown = format!("{key:?} {:?}", Keys::new(std::slice::from_ref(&key)).unwrap());
        assert!(shown.contains("team-a") && !shown.contains(key.sha256.get(..8).unwrap()), "{shown}");
    }

    #[test]
    fn timestamps_are_read_as_rfc_3339_writes_them() {
        const S: u64 = 1_000_000_000;
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:01z", S),
            ("1970-01-01 00:00:00-00:01", 60 * S),
            ("1985-04-12T23:20:50.52Z", 482_196_050 * S + 520_000_000),
            ("1996-12-19T16:39:57-08:00", 851_042_397 * S),
            ("1990-12-31T23:59:60Z", 662_688_000 * S),
            ("1990-12-31T15:59:60-08:00", 662_688_000 * S),
            ("2000-02-29T00:00:00Z", 951_782_400 * S),
            ("2024-02-29T23:59:59.999999999Z", 1_709_251_199 * S + 999_999_999),
            ("2024-03-01T00:00:00.0000000009+00:00", 1_709_251_200 * S),
            ("2024-03-01T05:45:00+05:45", 1_709_251_200 * S),
            ("1937-01-01T12:00:27.87+00:20", 0),
            ("0000-01-01T00:00:00Z", 0),
            ("9999-12-31T23:59:59Z", u64::MAX),
        ] {
            assert_eq!(unix_ns(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_timestamp_is_not_guessed_at() {
        for text in [
            "",
            "2027",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00Z",
            "2027-01-31T00:00:00.Z",
            "2027-01-31T00:00:00,5Z",
            "2027-01-31T00:00:00ZZ",
            "2027-01-31T00:00:00Z ",
            "2027-01-31T00:00:00+0100",
            "2027-01-31T00:00:00+01",
            "2027-01-31T00:00:00+24:00",
            "2027-01-31T00:00:00+01:60",
            "2027-01-31T24:00:00Z",
            "2027-01-31T00:60:00Z",
            "2027-01-31T00:00:61Z",
            "2027-00-31T00:00:00Z",
            "2027-13-31T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-04-31T00:00:00Z",
            "2027-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "+027-01-31T00:00:00Z",
            "2027-1-31T00:00:00ZZ",
            "2027-01-31T00:00:00−01:00",
            "20２7-01-31T00:00:00Z",
            "1893456000",
        ] {
            assert_eq!(unix_ns(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_offset_moves_a_timestamp_by_itself(
            hour in 0..24_u64, minute in 0..60_u64, off_hour in 0..24_u64, off_minute in 0..60_u64, west: bool,
        ) {
            let utc = unix_ns(&format!("2027-01-31T{hour:02}:{minute:02}:00Z")).unwrap();
            let sign = if west { '-' } else { '+' };
            let local = format!("2027-01-31T{hour:02}:{minute:02}:00{sign}{off_hour:02}:{off_minute:02}");
            let offset_ns = (off_hour * 60 + off_minute) * 60_000_000_000;
            let expected = if west { utc + offset_ns } else { utc - offset_ns };
            prop_assert_eq!(unix_ns(&local), Some(expected));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{0,30}|\\PC{0,40}") {
            let _ = unix_ns(&text);
        }
    }
}
