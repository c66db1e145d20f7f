//! Closes JSON that was cut off, so that it can be parsed.
//!
//! An incomplete value is dropped, except a string, which ends where it was cut. Time is linear and depth is
//! bounded.

use crate::json::scan::MAX_DEPTH;

/// Closes the beginning of a JSON object or array; `None` if it is neither, or too deep.
pub fn close(beginning: &[u8]) -> Option<Vec<u8>> {
    let mut scan = Scan::default();
    for (at, byte) in beginning.iter().enumerate() {
        scan.take(at, *byte);
        if scan.open.len() > MAX_DEPTH as usize {
            return None;
        }
    }
    let is_text = scan.in_string && !scan.is_key;
    let end = if is_text { whole_characters(beginning, scan.string_start) } else { scan.safe_end };
    let open = if is_text { &scan.open } else { &scan.safe_open };
    let mut closed = beginning.get(..end).filter(|whole| !whole.is_empty())?.to_vec();
    if is_text {
        closed.push(b'"');
    }
    closed.extend(open.iter().rev());
    Some(closed)
}

/// The state of reading.
#[derive(Debug, Default)]
struct Scan {
    /// The closing brackets needed, the innermost last.
    open: Vec<u8>,
    in_string: bool,
    is_escaped: bool,
    /// Whether the current or next string is a key.
    is_key: bool,
    string_start: usize,
    /// The end of the last complete value, and what was open there.
    safe_end: usize,
    safe_open: Vec<u8>,
}

impl Scan {
    fn take(&mut self, at: usize, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.in_string = false;
                    if !self.is_key {
                        self.mark_safe(at + 1);
                    }
                }
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.string_start = at;
            }
            b'{' | b'[' => {
                self.open.push(if byte == b'{' { b'}' } else { b']' });
                self.is_key = byte == b'{';
                self.mark_safe(at + 1);
            }
            b'}' | b']' => {
                self.open.pop();
                self.mark_safe(at + 1);
            }
            b',' => {
                self.mark_safe(at);
                self.is_key = self.open.last() == Some(&b'}');
            }
            b':' => self.is_key = false,
            _ => {}
        }
    }

    fn mark_safe(&mut self, end: usize) {
        self.safe_end = end;
        self.safe_open.clone_from(&self.open);
    }
}

/// Returns the end of the last complete character of a string, without a partial escape.
fn whole_characters(json: &[u8], start: usize) -> usize {
    /// A pair of surrogates, as two escapes of six bytes.
    const ESCAPE_MAX: usize = 12;
    let text = json.get(start..).unwrap_or_default();
    let is_whole = |end: usize| {
        let text = [text.get(..end).unwrap_or_default(), b"\""].concat();
        serde_json::from_slice::<String>(&text).is_ok()
    };
    // Only the last bytes can be incomplete, so only they are tried.
    let shortest = text.len().saturating_sub(ESCAPE_MAX).max(1);
    let end = (shortest..=text.len()).rev().find(|end| is_whole(*end));
    start + end.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::scan::Object;

    fn closed(text: &str) -> String {
        String::from_utf8(close(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_whole_is_kept_and_a_text_ends_where_it_was_cut() {
        for (cut, expected) in [
            (r#"{"a":1,"b":"At the p"#, r#"{"a":1,"b":"At the p"}"#),
            (r#"{"a":1,"b":"At \"#, r#"{"a":1,"b":"At "}"#),
            (r#"{"a":1,"b":"At \u00"#, r#"{"a":1,"b":"At "}"#),
            (r#"{"a":[{"b":true},{"c":fal"#, r#"{"a":[{"b":true},{}]}"#),
            (r#"{"a":{"b":1},"c"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":{"b":1},"c""#, r#"{"a":{"b":1}}"#),
            (r#"{"a":{"b":1},"c":"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":"b","c":"d""#, r#"{"a":"b","c":"d"}"#),
            (r#"{"a":12"#, r#"{}"#),
            ("[", "[]"),
        ] {
            assert_eq!(closed(cut), expected, "{cut}");
        }
        assert_eq!(close(b""), None);
        assert_eq!(close("[".repeat(1000).as_bytes()), None);
    }

    #[test]
    fn an_object_is_one_wherever_it_was_cut() {
        let text =
            r#"{"id":"c1","n":[1,-2.5e3,null,{"é":"\ud83c\udf0a \\\" ü"}],"t":{"a":{},"b":"x"},"z":false}"#;
        for end in 1..text.len() {
            let closed = close(&text.as_bytes()[..end]).unwrap();
            assert!(Object::parse(&closed).is_ok(), "{end}: {}", String::from_utf8_lossy(&closed));
        }
    }
}
