//! What could not be carried over, or should be looked at.

use serde_json::Value;

/// What a reader should know beside the result.
#[derive(Debug, Default)]
pub(in crate::import) struct Notes(pub(in crate::import) Vec<String>);

impl Notes {
    pub(in crate::import) fn add(&mut self, field: &str, message: &str) {
        let note = format!("{field}: {message}");
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Notes every field of a map that is not among these words.
    pub(in crate::import) fn others(&mut self, path: &str, map: &Value, known: &str, message: &str) {
        for name in map.as_object().into_iter().flat_map(|map| map.keys()) {
            if !known.split(' ').any(|word| word == name) {
                self.add(&format!("{path}.{name}"), message);
            }
        }
    }
}
