//! Values that must never be shown: keys, tokens, header values.
//!
//! A [`Secret`] has no `Display`, its `Debug` shows nothing of it, and it is read only where it is sent
//! or compared.

use std::{fmt, fs};

use crate::{
    config::{ConfigError, wire::SecretRef},
    process::env::Env,
};

/// The shortest secret of which the end is shown.
const MIN_SHOWN: usize = 12;

/// The longest secret that is read from a file.
const MAX_FILE: u64 = 64 << 10;

/// A string that is neither printed nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value as it is.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Looks up a secret that stands at the field `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the variable or file that is missing or empty.
    pub fn find(path: &str, place: &SecretRef, env: &Env) -> Result<Self, ConfigError> {
        match place {
            SecretRef::Given(secret) => Ok(secret.clone()),
            SecretRef::Env(name) => {
                let unset = || {
                    ConfigError::at(
                        format!("{path}.env"),
                        format!("the environment variable {name} is not set"),
                    )
                };
                env.get(name)?.map(Self::new).ok_or_else(unset)
            }
            SecretRef::File(file) => {
                let at = |what: String| {
                    ConfigError::at(format!("{path}.file"), format!("{}: {what}", file.display()))
                };
                let size = fs::metadata(file).map_err(|error| at(error.to_string()))?.len();
                if size > MAX_FILE {
                    return Err(at(format!("is over {MAX_FILE} bytes")));
                }
                let text = fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
                let text = text.trim_end_matches(['\n', '\r']);
                if text.is_empty() { Err(at("is empty".to_owned())) } else { Ok(Self::new(text)) }
            }
        }
    }

    /// Its last four characters, by which people tell it from another; none of one that is so short that they
    /// would give much of it away.
    pub fn last4(&self) -> Option<String> {
        let length = self.0.chars().count();
        (length >= MIN_SHOWN).then(|| self.0.chars().skip(length - 4).collect())
    }

    /// The value itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let shown = format!("{:?} {:#?}", Secret::new("mw-key-123"), Some(Secret::new("mw-key-123")));
        assert!(!shown.contains("mw-key"), "{shown}");
    }

    #[test]
    fn a_secret_is_found_in_a_variable_or_a_file_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "s3cret\r\n").unwrap();
        let env = Env::from_iter([("KEY", "other")]);
        let found = |place| Secret::find("a.key", &place, &env);
        assert_eq!(found(SecretRef::File(file.clone())).unwrap().expose(), "s3cret");
        assert_eq!(found(SecretRef::Env("KEY".into())).unwrap().expose(), "other");
        fs::write(&file, "\n").unwrap();
        for (place, says) in [
            (SecretRef::File(file), "a.key.file"),
            (SecretRef::Env("NO".into()), "a.key.env: the environment variable NO"),
        ] {
            let error = found(place).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
