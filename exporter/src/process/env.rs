//! Environment variables, taken once, so that tests bring their own and a reload sees what the start saw.

use std::{collections::BTreeMap, ffi::OsString};

use weir_settings::ConfigError;

/// The variables of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (OsString, OsString)> + '_ {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone()))
    }

    /// A variable's value, or `None` where it is unset or empty. One that is not UTF-8 is an error.
    pub fn get(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let value = self.0.get(&OsString::from(name)).filter(|value| !value.is_empty());
        let Some(value) = value else { return Ok(None) };
        value
            .to_str()
            .map(|text| Some(text.to_owned()))
            .ok_or_else(|| ConfigError::at(name, "is not valid UTF-8"))
    }

    /// The first of these variables that is set, with its name.
    pub fn first(&self, names: &[&'static str]) -> Result<Option<(&'static str, String)>, ConfigError> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
