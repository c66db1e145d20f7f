//! Taking a JSON body apart: each member is moved out once, nothing is copied.

use serde_json::{Map, Value};

/// A JSON object.
pub(in crate::spans) type Object = Map<String, Value>;

/// A member, taken out; null where there is none.
pub(in crate::spans) fn take(object: &mut Object, key: &str) -> Value {
    object.remove(key).unwrap_or_default()
}

/// A member as text, taken out; empty where there is none.
pub(in crate::spans) fn take_text(object: &mut Object, key: &str) -> String {
    text(take(object, key))
}

/// A member that is an object, taken out only then.
pub(in crate::spans) fn take_object(object: &mut Object, key: &str) -> Option<Object> {
    object.get(key).filter(|value| value.is_object())?;
    match object.remove(key)? {
        Value::Object(inner) => Some(inner),
        _ => None,
    }
}

/// A member that is a string, taken out only then.
pub(in crate::spans) fn take_string(object: &mut Object, key: &str) -> Option<String> {
    object.get(key).filter(|value| value.is_string())?;
    Some(text(take(object, key)))
}

/// The items of a member that is a list; one that is not is a list of itself, null is none.
pub(in crate::spans) fn take_items(object: &mut Object, key: &str) -> Vec<Value> {
    items(take(object, key))
}

/// The items of a list; what is no list is a list of itself, null is none.
pub(in crate::spans) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        single => vec![single],
    }
}

/// Whether a value says nothing: null, an empty text, or a list or an object of nothing else. Servers that write
/// all members of a type out fill those that they do not use so.
pub(in crate::spans) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_blank),
        Value::Object(members) => members.values().all(is_blank),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A string's text; empty for what is blank, JSON for the rest.
pub(in crate::spans) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        blank if is_blank(&blank) => String::new(),
        other => other.to_string(),
    }
}

/// The first member of these that is not blank, taken out with all before it; null where there is none.
pub(in crate::spans) fn take_first(object: &mut Object, keys: &[&str]) -> Value {
    keys.iter().map(|key| take(object, key)).find(|value| !is_blank(value)).unwrap_or_default()
}

/// A tool's arguments: JSON where they are, the text where not.
pub(in crate::spans) fn arguments(value: Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(parsed) => parsed,
            Err(_) => Value::String(text),
        },
        other => other,
    }
}

/// A tool's definition under the names of the conventions (`gen-ai-tool-definitions.json`).
pub(in crate::spans) fn definition(kind: &str, name: String, description: Value, parameters: Value) -> Value {
    let mut tool = Object::new();
    tool.insert("type".to_owned(), kind.into());
    tool.insert("name".to_owned(), name.into());
    for (key, value) in [("description", description), ("parameters", parameters)] {
        if !value.is_null() {
            tool.insert(key.to_owned(), value);
        }
    }
    Value::Object(tool)
}
