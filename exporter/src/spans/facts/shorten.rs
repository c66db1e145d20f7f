//! Making values fit: a text is cut, JSON is made smaller and stays JSON.

use serde::Serialize;
use serde_json::Value;

/// Strings in JSON are not cut below so many characters; then whole items go.
const MIN_STRING: usize = 16;

/// Cuts a text to so many characters.
pub(in crate::spans) fn text(text: &mut String, limit: usize) {
    // No text has more characters than bytes.
    if text.len() > limit
        && let Some((end, _)) = text.char_indices().nth(limit)
    {
        text.truncate(end);
    }
}

/// A list as JSON of at most so many characters: long strings are cut first, then the oldest items go.
/// `None` where nothing of it fits.
pub(in crate::spans) fn json<T: Serialize>(list: &[T], limit: Option<usize>) -> Option<String> {
    let whole = serde_json::to_string(list).ok()?;
    let Some(limit) = limit.filter(|limit| over(&whole, *limit)) else { return Some(whole) };
    let mut value: Value = serde_json::from_str(&whole).ok()?;
    let mut longest = limit / 2;
    while longest >= MIN_STRING {
        cut(&mut value, longest);
        let shortened = value.to_string();
        if !over(&shortened, limit) {
            return Some(shortened);
        }
        longest /= 2;
    }
    let Value::Array(mut items) = value else { return None };
    while items.len() > 1 {
        items.drain(..items.len().div_ceil(2));
        let fewer = serde_json::to_string(&items).ok()?;
        if !over(&fewer, limit) {
            return Some(fewer);
        }
    }
    None
}

fn over(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().nth(limit).is_some()
}

fn cut(value: &mut Value, longest: usize) {
    match value {
        Value::String(string) if over(string, longest) => {
            text(string, longest.saturating_sub(1));
            string.push('…');
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut(item, longest)),
        Value::Object(members) => members.values_mut().for_each(|member| cut(member, longest)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_that_is_too_long_is_cut_in_its_strings_and_stays_json() {
        let list = [json!({"role": "user", "content": "ä".repeat(1000)})];
        let short = json_of(&list, 200).unwrap();
        assert!(short.chars().count() <= 200, "{short}");
        let read: Value = serde_json::from_str(&short).unwrap();
        assert_eq!(read[0]["role"], "user");
        assert!(read[0]["content"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn of_many_items_the_last_ones_stay() {
        let list: Vec<_> = (0..1000).map(|number| json!({ "n": number })).collect();
        let short = json_of(&list, 100).unwrap();
        let read: Vec<Value> = serde_json::from_str(&short).unwrap();
        assert!(short.len() <= 100 && read.last().unwrap()["n"] == 999, "{short}");
    }

    #[test]
    fn what_fits_is_as_it_was_and_what_cannot_fit_is_none() {
        assert_eq!(json_of(&[json!({"a": 1})], 9).unwrap(), r#"[{"a":1}]"#);
        assert_eq!(json_of(&[json!({"a": 1})], 8), None);
        assert_eq!(json_of(&[json!({"a": 1})], 0), None);
    }

    fn json_of(list: &[Value], limit: usize) -> Option<String> {
        super::json(list, Some(limit))
    }
}
