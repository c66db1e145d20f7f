//! Values that must never be shown: keys, tokens, header values.
//!
//! A [`Secret`] has no `Display`, its `Debug` shows nothing of it, and it is read only where it is sent
//! or compared.

use std::fmt;

/// A string that is neither printed nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value as it is.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
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
}
