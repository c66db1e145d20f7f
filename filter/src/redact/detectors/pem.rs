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

/// Bytes of a key that are read at once.
const READ_MAX: usize = 4096;

/// A private key, as far as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armour {
    begin: usize,
    /// Where its next line begins.
    next: usize,
    headers: usize,
    /// End of the lines that are a key.
    good: Option<usize>,
    /// End of a short line, which must be the last.
    tentative: Option<usize>,
}

/// Returns the end of the private key whose first line begins at `at`. `read` has the key that was paused.
pub(crate) fn end(view: &View<'_>, read: &mut Option<Armour>, at: usize) -> Option<usize> {
    let known = read.take().filter(|known| known.begin == at);
    let mut key = match known {
        Some(known) => known,
        None => {
            let is_begin = view.starts_with(at, BEGIN);
            let next = is_begin.then(|| marker(view, at + BEGIN.len())).flatten()?;
            Armour { begin: at, next, headers: 0, good: None, tentative: None }
        }
    };
    let limit = key.next + READ_MAX;
    loop {
        if key.next >= limit {
            *read = Some(key);
            view.pause();
            return None;
        }
        let next = gap(view, key.next);
        if view.starts_with(next, END) {
            // Begin and end markers without a key in between are only a mention.
            return key.good.map(|good| marker(view, next + END.len()).unwrap_or(good));
        }
        if key.tentative.is_some() {
            return key.good;
        }
        if key.good.is_none()
            && let Some(end) = header(view, next)
        {
            key.headers += 1;
            if key.headers > HEADERS_MAX {
                return None;
            }
            key.next = end;
            continue;
        }
        let end = view.run(next, BASE64 | PADDING, usize::MAX);
        if view.is_paused() {
            *read = Some(key);
            return None;
        }
        if end == next {
            return key.good;
        }
        let is_checksum = view.tail(next, 1) == b"=";
        if end - next >= LINE_MIN || (is_checksum && key.good.is_some()) {
            key.good = Some(end);
        } else {
            key.tentative = Some(end);
        }
        key.next = end;
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
