//! Private keys in armour (RFC 7468; RFC 9580, section 6.2), over any number of lines.
//!
//! Lines may be joined by blanks or by the letters `
//! `, or be quoted, as in variables and code. A key without an end extends as far as its lines.

use crate::redact::text::view::{ALPHA, BASE64, PADDING, View, is};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Longest name in an armour.
const NAME_MAX: usize = 48;
/// Most header lines, and the longest.
const HEADERS_MAX: usize = 4;
const HEADER_MAX: usize = 96;
/// Shortest line of base64 that proves a key; only the last line of a key may be shorter.
const LINE_MIN: usize = 16;
/// Most bytes between two lines.
const GAP_MAX: usize = 32;

/// Returns the end of the private key whose first line begins at `at`.
pub(crate) fn end(view: &View<'_>, at: usize) -> Option<usize> {
    if !view.starts_with(at, BEGIN) {
        return None;
    }
    let mut next = marker(view, at + BEGIN.len())?;
    let (mut headers, mut good, mut tentative) = (0, None, None);
    loop {
        next = gap(view, next);
        if view.starts_with(next, END) {
            // Begin and end markers without a key in between are only a mention.
            return good.map(|good| marker(view, next + END.len()).unwrap_or(good));
        }
        if tentative.is_some() {
            return good;
        }
        if good.is_none()
            && let Some(end) = header(view, next)
        {
            headers += 1;
            if headers > HEADERS_MAX {
                return None;
            }
            next = end;
            continue;
        }
        let end = view.run(next, BASE64 | PADDING, usize::MAX);
        if end == next {
            return good;
        }
        let is_checksum = view.slice(next..next + 1) == b"=";
        if end - next >= LINE_MIN || (is_checksum && good.is_some()) {
            good = Some(end);
        } else {
            tentative = Some(end);
        }
        next = end;
    }
}

/// Returns the end of the five dashes after the name of a private key.
fn marker(view: &View<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while end - at < NAME_MAX
        && view
            .at(end)
            .is_some_and(|b| b == b' ' || (is(b, ALPHA) && b.is_ascii_uppercase()) || b.is_ascii_digit())
    {
        end += 1;
    }
    let name = view.slice(at..end);
    let private = name.windows(11).any(|part| part == b"PRIVATE KEY");
    (private && view.starts_with(end, DASHES)).then(|| end + DASHES.len())
}

/// Returns the start of the next line: skips white space, quotes, commas, and escaped line ends.
fn gap(view: &View<'_>, from: usize) -> usize {
    let mut at = from;
    while at - from < GAP_MAX {
        match view.at(at) {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b',' | b'>' | b'|') => at += 1,
            Some(b'\\') => at += if matches!(view.at(at + 1), Some(b'n' | b'r')) { 2 } else { 1 },
            Some(b'+') if matches!(view.at(at + 1), Some(b' ' | b'\r' | b'\n')) => at += 1,
            _ => break,
        }
    }
    at
}

/// Returns the end of a header line (`Proc-Type: …`), at a line end or its escape.
fn header(view: &View<'_>, from: usize) -> Option<usize> {
    let mut name = from;
    while name - from < NAME_MAX && (view.is(name, ALPHA) || view.at(name) == Some(b'-')) {
        name += 1;
    }
    if name == from || view.at(name) != Some(b':') {
        return None;
    }
    (name..from + HEADER_MAX).find(|at| match view.at(*at) {
        Some(b'\n') => true,
        Some(b'\\') => matches!(view.at(at + 1), Some(b'n' | b'r')),
        _ => false,
    })
}
