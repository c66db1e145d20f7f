//! Email addresses (RFC 5321 for lengths, RFC 5322 for the dot-atom, RFC 6531 for letters beyond ASCII),
//! without quoted local parts and address literals.

use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, LOCAL, View, is};

/// Longest local part, in bytes (RFC 5321, section 4.5.3.1.1).
pub(crate) const LOCAL_MAX: usize = 64;
/// Longest domain, in bytes (section 4.5.3.1.2).
const DOMAIN_MAX: usize = 255;
/// Longest label of a domain (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// File name extensions that look like a top-level domain: `icon@2x.png`.
const FILE_ENDINGS: [&[u8]; 10] =
    [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"avif", b"css", b"js", b"tiff"];

/// Returns the start of the address whose `@` is at `at`, not before `floor`.
pub(crate) fn start(view: &View<'_>, at: usize, floor: usize) -> Option<usize> {
    let mut start = view.run_back(at, LOCAL, floor, LOCAL_MAX);
    if at - start > LOCAL_MAX {
        return None;
    }
    while start < at && view.is(start, LOCAL) && !view.is(start, ALNUM) && view.at(start) != Some(b'_') {
        start += 1;
    }
    (start < at && view.before(at) != Some(b'.')).then_some(start)
}

/// Returns the end of the address whose `@` is at `at`.
pub(crate) fn end(view: &View<'_>, at: usize) -> Option<usize> {
    let domain = at + 1;
    let (mut label, mut labels, mut good) = (domain, 0, None);
    loop {
        let end = view.run_of_letters(label, ALNUM, LABEL_MAX + 1);
        // A hyphen may stand within a label, but not at its ends.
        let mut last = end;
        while view.at(last) == Some(b'-') && last > label && last - label <= LABEL_MAX {
            let mut next = last;
            while next - label <= LABEL_MAX && view.at(next) == Some(b'-') {
                next += 1;
            }
            let more = view.run_of_letters(next, ALNUM, LABEL_MAX + 1);
            if more == next {
                break;
            }
            last = more;
        }
        if end == label || last - label > LABEL_MAX || last - domain > DOMAIN_MAX {
            break;
        }
        if labels > 0 && is_top_level(view, label, end, last) {
            good = Some(if view.slice(label..end).eq_ignore_ascii_case(b"xn") { last } else { end });
        }
        labels += 1;
        if view.at(last) != Some(b'.') {
            break;
        }
        label = last + 1;
    }
    let end = good?;
    let is_call = view.at(end) == Some(b'(') && !view.is(end + 1, DIGIT);
    (!is_call && !is_file(view, domain, end)).then_some(end)
}

/// Whether the label `start..end`, or up to `last` with hyphens, may be a top-level domain.
fn is_top_level(view: &View<'_>, start: usize, end: usize, last: usize) -> bool {
    let label = view.slice(start..end);
    let letters = label.len() >= 2 && label.iter().all(|byte| is(*byte, ALPHA) || *byte >= 0x80);
    letters || (label.eq_ignore_ascii_case(b"xn") && last > end)
}

/// Whether the domain belongs to a file name for dense displays: `@2x.png`.
fn is_file(view: &View<'_>, domain: usize, end: usize) -> bool {
    let name = view.slice(domain..end);
    let dense = name.first().is_some_and(|byte| is(*byte, DIGIT)) && name.get(1) == Some(&b'x');
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    dense && FILE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}
