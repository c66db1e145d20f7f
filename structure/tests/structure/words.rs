//! Words that were replaced throughout, and must not come back as identifiers.

use std::collections::BTreeSet;

use crate::crates::Crate;
use crate::violation::Violation;

/// A word of an identifier, in lower case, and what to say for it.
const REPLACED: [(&str, &str); 8] = [
    ("told", "reported or exported"),
    ("glance", "BestEffortBody"),
    ("onlooker", "tail reader"),
    ("grave", "DeadLetter"),
    ("managed", "saved destinations"),
    ("returning", "response redaction"),
    ("passage", "passthrough"),
    ("basis", "static configuration"),
];
/// Whole identifiers, as they are written.
const REPLACED_WHOLE: [(&str, &str); 2] = [("Orders", "RouterHeaders"), ("Room", "BudgetPermit")];

/// Fields of the event, whose names stay.
const FIELDS: [&str; 1] = ["returning_ns"];

/// Every identifier of `package` with a replaced word, once a file.
pub(crate) fn check(package: &Crate) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (name, file, line) in &package.identifiers {
        if FIELDS.contains(&name.as_str()) {
            continue;
        }
        let whole = REPLACED_WHOLE.iter().find(|(word, _)| word == name);
        let replaced = whole.or_else(|| {
            let words = words(name);
            REPLACED
                .iter()
                .find(|(word, _)| words.iter().any(|own| own == word || own.strip_suffix('s') == Some(word)))
        });
        if let (Some((_, instead)), true) = (replaced, seen.insert((name, file))) {
            let path = package.files.get(*file).map_or("", String::as_str);
            found.push(Violation { rule: "word", message: format!("{path}:{line}: {name}: say {instead}") });
        }
    }
    found
}

/// The words of `snake_case`, `CamelCase` and `UPPER_CASE` names, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if let (Some(word), true) = (words.last_mut(), character != '_') {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words
}
