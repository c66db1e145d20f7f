//! How deep a position in a text is nested in JSON strings: tool arguments, structured output, and JSON in
//! their strings. What is inserted there must be escaped as often.

/// Most levels of strings within strings that are read as JSON, or for escapes.
pub const NESTED_MAX: u32 = 4;

/// The state of a text that was read so far.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    state: State,
    /// The open string, if any.
    inside: Option<Box<Nesting>>,
    escape: Escape,
    level: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Only white space so far.
    #[default]
    Start,
    /// A bracket, which may begin an array or a placeholder.
    Bracket,
    Json,
    /// Not JSON.
    Text,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    /// Digits of `\u` still to come, and the value so far.
    Unicode(u8, u32),
}

impl Nesting {
    /// Reads the next part.
    pub fn read(&mut self, text: &str) {
        if self.state == State::Text {
            return;
        }
        text.chars().for_each(|c| self.next(c));
    }

    /// Nesting depth of what follows.
    pub fn depth(&self) -> u32 {
        self.inside.as_ref().map_or(0, |inside| 1 + inside.depth())
    }

    fn next(&mut self, c: char) {
        match self.state {
            State::Text => {}
            State::Start | State::Bracket if c.is_ascii_whitespace() => {}
            State::Start => {
                self.state = match c {
                    '{' => State::Json,
                    '[' => State::Bracket,
                    _ => State::Text,
                }
            }
            State::Bracket => {
                let begins_value = matches!(c, '{' | '[' | ']' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n');
                self.state = if begins_value { State::Json } else { State::Text };
                self.json(c);
            }
            State::Json => self.json(c),
        }
    }

    fn json(&mut self, c: char) {
        let Some(inside) = &mut self.inside else {
            if self.state == State::Json && c == '"' {
                // Deeper levels are not read as JSON.
                let state = if self.level + 1 < NESTED_MAX { State::Start } else { State::Text };
                let inside = Self { state, level: self.level + 1, ..Self::default() };
                self.inside = Some(Box::new(inside));
            }
            return;
        };
        match (self.escape, c) {
            (Escape::None, '"') => self.inside = None,
            (Escape::None, '\\') => self.escape = Escape::Begun,
            (Escape::None, _) => inside.next(c),
            (Escape::Begun, 'u') => self.escape = Escape::Unicode(4, 0),
            (Escape::Begun, _) => {
                self.escape = Escape::None;
                inside.next(if matches!(c, 'n' | 'r' | 't' | 'b' | 'f') { ' ' } else { c });
            }
            (Escape::Unicode(left, code), _) => {
                let code = code << 4 | c.to_digit(16).unwrap_or(0);
                self.escape = if left > 1 { Escape::Unicode(left - 1, code) } else { Escape::None };
                if left == 1 {
                    inside.next(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(text: &str) -> u32 {
        let mut nesting = Nesting::default();
        nesting.read(text);
        nesting.depth()
    }

    #[test]
    fn a_place_is_as_deep_as_the_strings_of_json_around_it() {
        for (text, expected) in [
            ("", 0),
            ("He said \"hi", 0),
            ("{\"a\": ", 0),
            (" {\"a\": \"b", 1),
            ("{\"a\": \"b\"", 0),
            ("[[\"x", 1),
            ("[EMAIL_1] said \"hi", 0),
            (r#"{"a":"\""#, 1),
            (r#"{"a":"{\"b\": \"c"#, 2),
            (r#"{"a":"{\u0022b\u0022: \u0022c"#, 2),
            (r#"{"a":"{\"b\": \"c\""#, 1),
            (r#"{"a":"[\"{\\\"b\\\":\\\"x"#, 3),
            (r#"{"a":"text \"b"#, 1),
        ] {
            assert_eq!(depth(text), expected, "{text}");
            let mut nesting = Nesting::default();
            for c in text.chars() {
                nesting.read(c.encode_utf8(&mut [0; 4]));
            }
            assert_eq!(nesting.depth(), expected, "{text} one by one");
        }
    }
}
