//! Private keys in their armour (RFC 7468; RFC 9580, section 6.2), over as many lines as they have.
//!
//! The lines may be joined by blanks, by `\n` in letters, or stand in quotes, as keys do in variables
//! and in code. A key whose end is missing goes as far as its lines do.

use crate::redact::text::view::{ALPHA, BASE64, PADDING, View, is};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Longest name of what is in an armour.
const NAME_MAX: usize = 48;
/// Most lines of headers, and the longest of them.
const HEADERS_MAX: usize = 4;
const HEADER_MAX: usize = 96;
/// Shortest line that shows that a key stands there, in base64; shorter ones are only a key's last.
const LINE_MIN: usize = 16;
/// Most bytes between two lines.
const GAP_MAX: usize = 32;

/// Where a private key ends whose first line begins at `at`.
pub(crate) fn end(view: &View<'_>, at: usize) -> Option<usize> {
    if !view.stands(at, BEGIN) {
        return None;
    }
    let mut next = marker(view, at + BEGIN.len())?;
    let (mut headers, mut good, mut tentative) = (0, None, None);
    loop {
        next = gap(view, next);
        if view.stands(next, END) {
            // Two lines with nothing between them that could be a key are only mentioned.
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

/// Where the five dashes end that follow the name of a private key.
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
    (private && view.stands(end, DASHES)).then(|| end + DASHES.len())
}

/// Where the next line begins: behind white space, quotes, commas, and escapes for a line's end.
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

/// Where the line of a header ends (`Proc-Type: …`), at a line's end, in letters or as such.
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
