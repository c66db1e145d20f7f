//! YAML as it is handed out: sorted by key, and with comments where a reader needs them.
//!
//! A comment travels inside the value, as a field whose name begins with `# ` and whose value is
//! null; it becomes lines above the other fields of its map.

use serde_json::Value;

use crate::gateway::Error;

/// What a comment's field begins with.
const MARK: &str = "# ";
/// Where a comment's line is broken, in characters.
const WIDTH: usize = 100;

/// Puts a comment above a map's other fields.
pub(crate) fn comment(value: &mut Value, text: &str) {
    set(value, &format!("{MARK}{text}"), Value::Null);
}

/// Sets a field of a map.
pub(crate) fn set(map: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(map) = map.as_object_mut() {
        map.insert(field.to_owned(), value.into());
    }
}

/// The value as a YAML document.
pub(crate) fn to_yaml(value: &Value) -> Result<String, Error> {
    let plain = serde_saphyr::to_string(value).map_err(|error| Error::Output(error.to_string()))?;
    let mut out = String::with_capacity(plain.len());
    // The dash of a list's item whose first field is a comment belongs to the field that follows.
    let mut owed_dashes = None;
    for line in plain.lines() {
        let body = line.trim_start_matches([' ', '-']);
        let indent = line.len() - body.len();
        let comment = body.strip_suffix(": null").map(unquoted).and_then(|key| key.strip_prefix(MARK));
        match comment {
            Some(text) => {
                let dashes = line.get(..indent).unwrap_or_default();
                // Above the item and not inside it.
                let above = dashes.find('-').unwrap_or(indent);
                for piece in wrapped(text, WIDTH.saturating_sub(above + MARK.len())) {
                    out.push_str(&" ".repeat(above));
                    out.push_str(MARK);
                    out.push_str(&piece);
                    out.push('\n');
                }
                if dashes.contains('-') {
                    owed_dashes = Some(dashes.to_owned());
                }
            }
            None => {
                out.push_str(owed_dashes.take().as_deref().unwrap_or(line.get(..indent).unwrap_or_default()));
                out.push_str(body);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

fn unquoted(key: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| key.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(key)
}

/// Text in lines of at most so many characters, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_stand_above_what_they_are_about_and_the_rest_reads_as_it_was() {
        let value = json!({
            "a": {"# why b: is 1": null, "b": 1},
            "list": [{"# first": null, "x": {"y": [1, 2]}}, {"x": 2}, [{"# nested": null, "z": "- # no: null"}]],
        });
        let yaml = to_yaml(&value).unwrap();
        let read: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let plain = json!({
            "a": {"b": 1},
            "list": [{"x": {"y": [1, 2]}}, {"x": 2}, [{"z": "- # no: null"}]],
        });
        assert_eq!(read, plain, "{yaml}");
        for comment in ["  # why b: is 1\n  b: 1\n", "# first\n", "# nested\n"] {
            assert!(yaml.contains(comment), "{yaml}");
        }
    }

    #[test]
    fn long_comments_are_broken_between_words() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
