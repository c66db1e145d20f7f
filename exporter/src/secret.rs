//! Values that must never be shown: keys, tokens, header values.
//!
//! A [`Secret`] has no `Display`, its `Debug` shows nothing of it, and it is read only where it is sent
//! or compared.

use std::{fmt, fs, path::PathBuf};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, value::MapAccessDeserializer},
};
use weir_settings::ConfigError;

use crate::process::env::Env;

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

/// Where a secret is found: `{ env: VARIABLE }` or `{ file: /path }`. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "SecretFields")]
pub enum SecretRef {
    /// An environment variable of the exporter's process.
    Env(String),
    /// A file; a line end at its end is not part of the secret. It is read anew at every reload.
    File(PathBuf),
    /// The secret itself: never written in a file, but opened from what the page has saved.
    Given(Secret),
}

/// Where a secret is found: `{ env: VARIABLE }` or `{ file: /path }`. Never the secret itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Secret", extend("minProperties" = 1, "maxProperties" = 1))]
struct SecretFields {
    /// An environment variable of the exporter's process.
    #[serde(default)]
    env: Option<String>,
    /// A file; a line end at its end is not part of the secret. It is read anew at every reload.
    #[serde(default)]
    file: Option<PathBuf>,
}

impl TryFrom<SecretFields> for SecretRef {
    type Error = &'static str;

    fn try_from(fields: SecretFields) -> Result<Self, &'static str> {
        match (fields.env, fields.file) {
            (Some(variable), None) if !variable.is_empty() => Ok(Self::Env(variable)),
            (None, Some(file)) => Ok(Self::File(file)),
            _ => Err("give one of { env: VARIABLE } and { file: /path }"),
        }
    }
}

/// What would be right where a secret's place belongs.
const PLACE: &str = "give { env: VARIABLE } or { file: /path }, never the secret itself";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ env: VARIABLE } or { file: /path }")
            }

            // What stands here instead may be the secret: it is not shown.
            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(PLACE))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
                Err(E::custom(PLACE))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(E::custom(PLACE))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                Err(E::custom(PLACE))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                let fields = SecretFields::deserialize(MapAccessDeserializer::new(map))?;
                SecretRef::try_from(fields).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
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
