//! A fresh key for a caller: printed once, stored nowhere, known to the gateway by its digest.

use std::fmt::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use weir_filter::auth::{Key, Keys};
use weir_settings::ConfigError;

/// By this a key is known for one, by people and by scanners for leaked keys.
const PREFIX: &str = "weir-";
/// As much as the digest can tell apart.
const RANDOM_BYTES: usize = 32;

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// The name cannot be a key's.
    #[error("--name: {0}")]
    Name(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// A fresh key. There is no other place from which it could be had again.
pub struct NewKey {
    /// The key, for its holder.
    pub secret: String,
    name: String,
    sha256: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NewKey {
    /// Makes a key of this name: `weir-` and 32 random bytes in base64url (RFC 4648, section 5).
    pub fn generate(name: &str) -> Result<Self, NewKeyError> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        Self::from_random(name, random)
    }

    fn from_random(name: &str, random: [u8; RANDOM_BYTES]) -> Result<Self, NewKeyError> {
        let secret = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
        let sha256 = Sha256::digest(&secret).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let new = Self { secret, name: name.to_owned(), sha256 };
        Keys::new(&[new.key()]).map_err(|ConfigError { message, .. }| NewKeyError::Name(message))?;
        Ok(new)
    }

    /// Its entry in the configuration.
    pub fn key(&self) -> Key {
        Key {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            models: None,
            grants: Vec::new(),
            metadata: std::collections::BTreeMap::new(),
            expires: None,
            redaction: None,
        }
    }

    /// Its line under `keys:` in gateway.yaml.
    pub fn line(&self) -> String {
        format!("- {{ name: \"{}\", sha256: \"{}\" }}", self.name, self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_admits_the_key_and_does_not_hold_it() {
        let new = NewKey::generate("team-a").unwrap();
        let read: Vec<Key> = serde_saphyr::from_str(&new.line()).unwrap();
        let keys = Keys::new(&read).unwrap();
        assert_eq!(keys.find(new.secret.as_bytes(), 0).unwrap().name, "team-a");
        assert!(!new.line().contains(&new.secret) && !format!("{new:?}").contains(&new.secret));
    }

    #[test]
    fn a_key_is_32_random_bytes_in_base64url() {
        let new = NewKey::from_random("a", [0xfb; 32]).unwrap();
        assert_eq!(new.secret, format!("weir-{}-_s", "-_v7".repeat(10)));
        assert_ne!(NewKey::generate("a").unwrap().secret, NewKey::generate("a").unwrap().secret);
    }

    #[test]
    fn a_name_that_gateway_yaml_would_refuse_is_refused() {
        for name in ["", "a b", "a\"", &"x".repeat(65)] {
            let error = NewKey::generate(name).unwrap_err().to_string();
            assert!(error.starts_with("--name: "), "{error}");
        }
    }
}
