//! Sealing secrets: ChaCha20-Poly1305 (RFC 8439) under a key that the operator keeps, with a random nonce each.
//!
//! A seal is bound to whose secret it is, where it may be sent and when it was saved: destination, field, scheme, host,
//! port and the bucket's revision are authenticated with it. So a value that is moved to another place in the bucket
//! does not open there, and an older one that is put back has another revision and does not open either.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use reqwest::Url;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    config::{ConfigError, wire::SecretRef},
    process::env::Env,
    secret::Secret,
};

/// The variable that holds the key where the configuration names no place.
pub const KEY_VARIABLE: &str = "WEIR_SETTINGS_KEY";

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// The most keys: the one that seals, and those before it.
const MAX_KEYS: usize = 8;

/// How many digits of a key's digest name it.
const ID_DIGITS: usize = 12;

/// What is authenticated begins with this, so that nothing that is sealed for another purpose opens here.
const PURPOSE: &str = "weir settings 2";

/// A secret as it is stored. Holds nothing that is one, but for the last four characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key that sealed it, by its id.
    pub by: String,
    /// Nonce, ciphertext and tag, in base64.
    pub sealed: String,
    /// The secret's last four characters; absent where they would reveal much of a short one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
}

/// Whose secret it is, and where it may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The destination.
    pub destination: &'a str,
    /// The field, such as `key`.
    pub field: &'a str,
    /// Where it may be sent.
    pub origin: &'a Origin,
    /// The revision of the bucket that it is saved as.
    pub revision: u64,
}

impl Place<'_> {
    /// What is authenticated: each part with its length before it, so that no two places read the same.
    fn bytes(&self) -> Vec<u8> {
        let Origin { scheme, host, port } = self.origin;
        let (port, revision) = (port.to_string(), self.revision.to_string());
        let mut bytes = Vec::new();
        for part in [PURPOSE, self.destination, self.field, scheme, host, &port, &revision] {
            bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// Scheme, host and port of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// That of a URL over HTTP.
    pub fn of(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_ascii_lowercase(),
            port: url.port_or_known_default().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Why a secret was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key.
    #[error(
        "no key to seal secrets with is configured: make one with `weir-exporter settings-key new` (or `openssl rand \
         -base64 32`), give it as {KEY_VARIABLE} or by settings.key in exporter.yaml to every exporter, and start them again"
    )]
    NoKey,
    /// The key that sealed it is not among the keys.
    #[error(
        "it was sealed by a key that this exporter does not have: give it that key too, or enter the secret anew"
    )]
    OtherKey,
    /// It was sealed for another revision than it has.
    #[error(
        "it was saved as revision {sealed} and lies there as {found}: an older one was put back, or it was copied; enter \
         the secret anew"
    )]
    PutBack {
        /// The revision that it was saved as.
        sealed: u64,
        /// The one that it has.
        found: u64,
    },
    /// It is not what was sealed, or not for this place.
    #[error(
        "it does not open: it was sealed for another destination, field, scheme, host or port, or was changed; enter the \
         secret anew"
    )]
    Moved,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandom,
}

/// One key.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: String,
    bytes: [u8; KEY_LEN],
}

impl Key {
    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.bytes).ok().map(LessSafeKey::new)
    }
}

/// The keys: the first seals, all open.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealingKeys(Vec<Key>);

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

/// By its id, the key that seals.
impl fmt::Display for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("none", |key| &key.id))
    }
}

impl SealingKeys {
    /// The keys that the configuration names, else those of the environment, else none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the field or variable that holds none.
    pub fn find(place: Option<&SecretRef>, env: &Env) -> Result<Self, ConfigError> {
        match place {
            Some(place) => {
                let field = match place {
                    SecretRef::File(_) => "settings.key.file",
                    SecretRef::Env(_) | SecretRef::Given(_) => "settings.key.env",
                };
                Self::parse(field, Secret::find("settings.key", place, env)?.expose())
            }
            None => match env.get(KEY_VARIABLE)? {
                Some(text) => Self::parse(KEY_VARIABLE, &text),
                None => Ok(Self::default()),
            },
        }
    }

    /// Keys by whitespace or commas apart.
    fn parse(field: &str, text: &str) -> Result<Self, ConfigError> {
        let mut keys = Vec::new();
        for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
            let bytes = [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD]
                .iter()
                .find_map(|form| form.decode(word).ok()?.try_into().ok());
            let Some(bytes) = bytes else {
                let message =
                    "must be 32 random bytes in base64: make one with `weir-exporter settings-key new`";
                return Err(ConfigError::at(field, message));
            };
            keys.push(Key { id: id(&bytes), bytes });
        }
        match keys.len() {
            0 => Err(ConfigError::at(field, "holds no key")),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(ConfigError::at(field, format!("may hold {MAX_KEYS} keys at most"))),
        }
    }

    /// A new key, as it is configured.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandom`].
    pub fn generate() -> Result<String, SealError> {
        let mut bytes = [0; KEY_LEN];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::NoRandom)?;
        Ok(STANDARD.encode(bytes))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the first key sealed it.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        self.0.first().is_some_and(|key| key.id == sealed.by)
    }

    /// Seals a secret for this place.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKey`], [`SealError::NoRandom`].
    pub fn seal(&self, secret: &Secret, place: &Place<'_>) -> Result<Sealed, SealError> {
        let key = self.0.first().ok_or(SealError::NoKey)?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut bytes = secret.expose().as_bytes().to_vec();
        let cipher = key.cipher().ok_or(SealError::NoKey)?;
        cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.bytes()),
                &mut bytes,
            )
            .map_err(|_| SealError::NoRandom)?;
        let sealed = STANDARD.encode([nonce.as_slice(), &bytes].concat());
        Ok(Sealed { by: key.id.clone(), sealed, last4: secret.last4() })
    }

    /// Opens a secret at this place.
    ///
    /// # Errors
    ///
    /// [`SealError`] other than [`SealError::NoRandom`].
    pub fn open(&self, sealed: &Sealed, place: &Place<'_>) -> Result<Secret, SealError> {
        if self.is_empty() {
            return Err(SealError::NoKey);
        }
        let key = self.0.iter().find(|key| key.id == sealed.by).ok_or(SealError::OtherKey)?;
        let cipher = key.cipher().ok_or(SealError::NoKey)?;
        let bytes = STANDARD.decode(&sealed.sealed).map_err(|_| SealError::Moved)?;
        let (nonce, mut rest) = match bytes.split_first_chunk::<NONCE_LEN>() {
            Some((nonce, rest)) => (Nonce::assume_unique_for_key(*nonce), rest.to_vec()),
            None => return Err(SealError::Moved),
        };
        let opened = cipher.open_in_place(nonce, Aad::from(place.bytes()), &mut rest);
        let text = opened.map_err(|_| SealError::Moved)?;
        std::str::from_utf8(text).map(Secret::new).map_err(|_| SealError::Moved)
    }
}

/// By what a key is named: the beginning of its digest.
fn id(bytes: &[u8; KEY_LEN]) -> String {
    let digest = Sha256::new().chain_update(b"weir settings key id").chain_update(bytes).finalize();
    let mut hex = String::new();
    for byte in digest.iter().take(ID_DIGITS / 2) {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> SealingKeys {
        SealingKeys::parse("k", text).unwrap()
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed_for() {
        let keys = keys(&SealingKeys::generate().unwrap());
        let secret = Secret::new("mw-key-0123456789");
        let here = origin("https://acme.middleware.io:443/v1/traces");
        let place = Place { destination: "mw", field: "key", origin: &here, revision: 7 };
        let sealed = keys.seal(&secret, &place).unwrap();
        assert_eq!(keys.open(&sealed, &place), Ok(secret.clone()));
        assert_eq!(sealed.last4.as_deref(), Some("6789"));
        assert!(!format!("{sealed:?}").contains("mw-key"));
        // The path, and a port that is the scheme's own, are no other place.
        let same = origin("https://ACME.middleware.io/elsewhere");
        assert_eq!(keys.open(&sealed, &Place { origin: &same, ..place.clone() }), Ok(secret));
        for moved in [
            Place { destination: "other", ..place.clone() },
            Place { field: "headers.authorization", ..place.clone() },
            Place { origin: &origin("https://evil.example/v1/traces"), ..place.clone() },
            Place { origin: &origin("http://acme.middleware.io:443"), ..place.clone() },
            Place { origin: &origin("https://acme.middleware.io:444"), ..place.clone() },
            Place { revision: 8, ..place.clone() },
            Place { revision: 0, ..place.clone() },
        ] {
            assert_eq!(keys.open(&sealed, &moved), Err(SealError::Moved), "{moved:?}");
        }
        let mut changed = sealed.clone();
        changed.sealed.replace_range(20..21, if sealed.sealed.get(20..21) == Some("A") { "B" } else { "A" });
        assert_eq!(keys.open(&changed, &place), Err(SealError::Moved));
    }

    #[test]
    fn no_two_seals_of_a_secret_are_the_same() {
        let keys = keys(&SealingKeys::generate().unwrap());
        let here = origin("https://h");
        let place = Place { destination: "d", field: "key", origin: &here, revision: 7 };
        let seal = || keys.seal(&Secret::new("0123456789abcdef"), &place).unwrap().sealed;
        assert_ne!(seal(), seal());
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (SealingKeys::generate().unwrap(), SealingKeys::generate().unwrap());
        let here = origin("https://h");
        let place = Place { destination: "d", field: "key", origin: &here, revision: 7 };
        let sealed = keys(&old).seal(&Secret::new("secret"), &place).unwrap();
        let both = keys(&format!("{new}\n{old}\n"));
        assert!(both.open(&sealed, &place).is_ok() && !both.is_current(&sealed));
        let again = both.seal(&Secret::new("secret"), &place).unwrap();
        assert!(keys(&new).open(&again, &place).is_ok() && both.is_current(&again));
        assert_eq!(keys(&new).open(&sealed, &place), Err(SealError::OtherKey));
        assert_eq!(SealingKeys::default().open(&sealed, &place), Err(SealError::NoKey));
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_field_and_not_shown() {
        let found = |value: &str| SealingKeys::find(None, &Env::from_iter([(KEY_VARIABLE, value)]));
        for wrong in ["s3cret", "czNjcmV0", "czNjcmV0,"] {
            let error = found(wrong).unwrap_err();
            assert_eq!(error.path, KEY_VARIABLE);
            assert!(
                !error.to_string().contains(wrong) && error.message.contains("32 random bytes"),
                "{error}"
            );
        }
        assert!(found("").unwrap().is_empty());
        let key = SealingKeys::generate().unwrap();
        assert!(!format!("{:?}", found(&key).unwrap()).contains(&key));
    }

    #[test]
    fn of_a_short_secret_nothing_is_shown() {
        assert_eq!(Secret::new("0123456789a").last4(), None);
        assert_eq!(Secret::new("0123456789ab").last4().as_deref(), Some("89ab"));
    }
}
