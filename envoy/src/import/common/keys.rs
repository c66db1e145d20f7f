//! Keys of an imported configuration, and the variables that take their place.
//!
//! A variable belongs to one host: it is never given to a second one, so no host receives another one's key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// How LiteLLM names a variable of its environment.
pub(in crate::import) const ENVIRONMENT: &str = "os.environ/";

/// What stands for a key, besides nothing, where software demands one that its server does not: as [`plain`] writes it.
const STAND_INS: &str = "none null nil undefined na false dummy dummykey dummyapikey dummytoken fake fakekey \
     fakeapikey empty nokey nokeyrequired nokeyneeded noapikey noapikeyneeded \
     noapikeyrequired notneeded notrequired notused unused ignored ollama lmstudio";

/// A key as a file gives it. It has no `Debug`: a literal is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::import) enum Key {
    /// The file says nothing.
    Absent,
    /// The file says that there is none.
    Without,
    /// A variable holds it.
    Named(String),
    /// It stands in the file itself.
    Literal(String),
}

impl Key {
    /// The key that a field gives.
    pub(in crate::import) fn of(value: &Value) -> Self {
        let text = match value {
            Value::Null => return Self::Absent,
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        if let Some(variable) = variable(&text) {
            return Self::Named(variable.to_owned());
        }
        if is_stand_in(&text) { Self::Without } else { Self::Literal(text) }
    }
}

/// The variable that a text of the form `os.environ/NAME` names.
pub(in crate::import) fn variable(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix(ENVIRONMENT)?;
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_next = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (name.starts_with(is_first) && name.chars().all(is_next)).then_some(name)
}

fn is_stand_in(text: &str) -> bool {
    let plain = plain(text);
    let bare = plain.strip_prefix("sk").unwrap_or(&plain);
    STAND_INS.split(' ').any(|word| word == bare) || bare.chars().all(|c| c == 'x')
}

/// A text in lowercase, letters and digits alone.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a header holds a secret, by its name or by its value.
pub(in crate::import) fn is_secret_header(name: &str, value: &str) -> bool {
    const NAMES: [&str; 8] =
        ["auth", "key", "token", "secret", "password", "cookie", "credential", "signature"];
    const VALUES: [&str; 4] = ["bearer ", "basic ", "sk-", "token "];
    let (name, value) = (name.to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    NAMES.iter().any(|sign| name.contains(sign)) || VALUES.iter().any(|sign| value.starts_with(sign))
}

/// The variables of the file that is being made, each with the host that it belongs to.
#[derive(Default)]
pub(in crate::import) struct Variables {
    /// Names that no new variable is given.
    reserved: BTreeSet<String>,
    /// The origin that each variable belongs to.
    owners: BTreeMap<String, String>,
    /// The variables that were made, by what they are for.
    made: BTreeMap<(String, String), String>,
}

impl Variables {
    /// Keeps a name from being given to a new variable.
    pub(in crate::import) fn reserve(&mut self, variable: &str) {
        self.reserved.insert(variable.to_owned());
    }

    /// Keeps every variable that a value names, however deep, from being given to a new one.
    pub(in crate::import) fn reserve_named(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(variable) = variable(text) {
                    self.reserve(variable);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.reserve_named(value)),
            Value::Object(map) => map.values().for_each(|value| self.reserve_named(value)),
            _ => {}
        }
    }

    /// Gives a variable to a host, unless another one has it. Whether the host has it now.
    pub(in crate::import) fn claim(&mut self, variable: &str, origin: &str) -> bool {
        self.owners.entry(variable.to_owned()).or_insert_with(|| origin.to_owned()) == origin
    }

    /// The variable of this key at this host: the one that was made for it before, else `preferred` where no host has
    /// that, else a new one whose name is made of `stem` and `ending`.
    pub(in crate::import) fn own(
        &mut self,
        key: &str,
        origin: &str,
        preferred: Option<&str>,
        stem: &str,
        ending: &str,
    ) -> String {
        let purpose = (origin.to_owned(), key.to_owned());
        if let Some(variable) = self.made.get(&purpose) {
            return variable.clone();
        }
        let preferred = preferred.filter(|variable| !self.owners.contains_key(*variable));
        let variable = preferred.map_or_else(|| self.unused(&format!("{stem}_{ending}")), str::to_owned);
        self.owners.insert(variable.clone(), origin.to_owned());
        self.made.insert(purpose, variable.clone());
        variable
    }

    /// The first name like this that is nobody's.
    fn unused(&self, like: &str) -> String {
        let name = shouted(like);
        let mut number = 1_usize;
        loop {
            let candidate = if number == 1 { name.clone() } else { format!("{name}_{number}") };
            if !self.owners.contains_key(&candidate) && !self.reserved.contains(&candidate) {
                return candidate;
            }
            number = number.saturating_add(1);
        }
    }
}

/// A text as the name of a variable.
fn shouted(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_for_no_key_is_none() {
        let words =
            "none None null dummy EMPTY no-key no_key sk-no-key-required sk-dummy not-needed N/A sk-xxxx";
        for text in words.split(' ').chain(["", " ", "ollama"]) {
            assert!(Key::of(&json!(text)) == Key::Without, "{text}");
        }
        assert!(Key::of(&json!(false)) == Key::Without && Key::of(&Value::Null) == Key::Absent);
        for text in ["sk-nonesuch", "emptyish-1", "token-abc123", "os.environ/", "os.environ/sk-a", "$KEY"] {
            assert!(Key::of(&json!(text)) == Key::Literal(text.to_owned()), "{text}");
        }
        assert!(Key::of(&json!(12345)) == Key::Literal("12345".to_owned()));
        assert!(Key::of(&json!(" os.environ/A_1 ")) == Key::Named("A_1".to_owned()));
    }

    #[test]
    fn a_variable_belongs_to_one_host() {
        let mut variables = Variables::default();
        assert!(variables.claim("A", "https://a:443") && variables.claim("A", "https://a:443"));
        assert!(!variables.claim("A", "https://b:443"));
    }

    #[test]
    fn a_new_variable_has_a_name_that_nothing_else_has() {
        let mut variables = Variables::default();
        variables.reserve("OPENAI_API_KEY");
        variables.reserve_named(&json!({"deep": [{"key": "os.environ/OPENAI_API_KEY_2"}]}));
        let mut own = |key, origin, stem| variables.own(key, origin, None, stem, "API_KEY");
        assert_eq!(own("k", "o", "openai"), "OPENAI_API_KEY_3");
        assert_eq!(own("k", "o", "other"), "OPENAI_API_KEY_3");
        assert_eq!([own("l", "o", "a-b"), own("l", "p", "a.b")], ["A_B_API_KEY", "A_B_API_KEY_2"]);
        assert_eq!(own("l", "o", "1up"), "A_B_API_KEY");
        assert_eq!(own("m", "o", "1up"), "_1UP_API_KEY");
        let mut preferring = |key| variables.own(key, "o", Some("OPENAI_API_KEY"), "x", "API_KEY");
        assert_eq!(
            [preferring("n"), preferring("n"), preferring("q")],
            ["OPENAI_API_KEY", "OPENAI_API_KEY", "X_API_KEY"]
        );
    }

    #[test]
    fn a_secret_header_is_known_by_its_name_or_its_value() {
        for (name, value) in
            [("Authorization", "x"), ("X-Api-Key", "x"), ("x-team", "Bearer x"), ("x-t", "sk-x")]
        {
            assert!(is_secret_header(name, value), "{name}");
        }
        assert!(!is_secret_header("x-region", "eu"));
    }
}
