//! What a response is by how its body begins. Servers call streams `text/plain`, `application/json` or
//! nothing at all, and one JSON object `text/event-stream`; a body's first bytes distinguish them.

use crate::json::truncate::pieces::{MARK, body};

/// Most bytes that are held until it is known: a byte order mark, or the start of a field's name.
pub const OPENING_MAX: usize = 5;

/// The fields of server-sent events (WHATWG HTML, "Interpreting an event stream"); a comment has no name.
const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// What a body begins like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A stream of server-sent events.
    Events,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// Something else.
    Other,
}

/// What the first bytes of a body show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing, whatever follows: white space, which providers send to keep a connection open.
    Blank,
    /// Nothing before more has come. At most [`OPENING_MAX`] bytes stand behind the white space.
    Unclear,
    /// What it is.
    Is(Shape),
}

impl Opening {
    /// What these bytes show, before which there was only white space.
    pub fn of(bytes: &[u8]) -> Self {
        let rest = body(bytes);
        if rest.is_empty() {
            return Self::Blank;
        }
        let is_start_of = |whole: &[u8]| whole.len() > rest.len() && whole.starts_with(rest);
        Self::Is(match rest.first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            _ if FIELDS.iter().any(|field| rest.starts_with(field)) => Shape::Events,
            _ if FIELDS.iter().any(|field| is_start_of(field)) || is_start_of(MARK) => return Self::Unclear,
            _ => Shape::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_it_begins_like_whatever_white_space_stands_before_it() {
        for (body, shape) in [
            ("data: {}", Shape::Events),
            ("data:{}", Shape::Events),
            ("event: error\ndata: {}", Shape::Events),
            (": OPENROUTER PROCESSING\n\n", Shape::Events),
            ("id: 1\n", Shape::Events),
            ("retry: 3000\n", Shape::Events),
            ("{\"id\":1}", Shape::Object),
            ("[{}]", Shape::Array),
            ("dataset", Shape::Other),
            ("<html>", Shape::Other),
            ("Internal Server Error", Shape::Other),
            ("identity", Shape::Other),
        ] {
            for before in ["", "\u{feff}", "\n\n", "\r\n \t", "\u{feff}\r\n\r\n"] {
                let whole = format!("{before}{body}");
                assert_eq!(Opening::of(whole.as_bytes()), Opening::Is(shape), "{whole:?}");
            }
        }
    }

    #[test]
    fn however_a_body_is_cut_only_a_few_bytes_are_held_until_it_is_known() {
        for (body, shape) in [
            ("\u{feff}\n\nretry: 1\n", Shape::Events),
            ("\n: wait\n", Shape::Events),
            ("\r\n{", Shape::Object),
            ("even so", Shape::Other),
            ("\u{fee0}", Shape::Other),
        ] {
            let (mut held, mut found) = (Vec::new(), None);
            for byte in body.bytes() {
                held.push(byte);
                match Opening::of(&held) {
                    Opening::Blank => held.clear(),
                    Opening::Unclear => assert!(held.len() <= OPENING_MAX, "{body:?}"),
                    Opening::Is(shape) => found = found.or(Some(shape)),
                }
            }
            assert_eq!(found, Some(shape), "{body:?}");
        }
    }
}
