//! MAC addresses (IEEE 802) and IPv6 addresses (RFC 4291, section 2.2; zones by RFC 4007).

use crate::redact::detectors::number::ipv4;
use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, HEX, TOKEN, View};

/// Most groups that are read of either, and one more.
const GROUPS_MAX: usize = 9;

/// Returns the start of the address whose first separator is at `at`; `None` at later separators.
pub(crate) fn start(view: &View<'_>, at: usize) -> Option<usize> {
    let mut start = at;
    while at - start <= 4 && view.before_is(start, HEX) {
        start -= 1;
    }
    let separator = view.at(at)?;
    let is_first = !view.before_is(start, ALNUM) && !matches!(view.before(start), Some(b'_' | b'.' | b'%'));
    let goes_on = separator != b'.' && view.before(start) == Some(separator) && {
        // An address may follow `mac:`, but not another group.
        let group = view.run_back(start - 1, HEX, 0, 4);
        let word = group == start - 1 || view.before_is(group, ALNUM);
        !word || view.before(start - 1) == Some(b':')
    };
    (at - start <= 4 && is_first && !goes_on).then_some(start)
}

/// Returns the end of the MAC address at `at`.
pub(crate) fn mac(view: &View<'_>, at: usize) -> Option<usize> {
    let first = view.run(at, HEX, 5) - at;
    let separator = view.at(at + first)?;
    let (length, groups) = match (first, separator) {
        (2, b':' | b'-') => (2, [6, 8]),
        (4, b'.') => (4, [3, 4]),
        _ => return None,
    };
    let (mut next, mut count) = (at, 0);
    loop {
        if view.run(next, HEX, length + 1) - next != length {
            return None;
        }
        next += length;
        count += 1;
        if view.at(next) != Some(separator) || !view.is(next + 1, HEX) || count == GROUPS_MAX {
            break;
        }
        next += 1;
    }
    let ends =
        !view.is(next, TOKEN) || (matches!(view.at(next), Some(b'-' | b'_')) && !view.is(next + 1, ALNUM));
    let text = view.slice(at..next);
    let digits = || text.iter().copied().filter(|byte| *byte != separator);
    // All zeros and all ones identify nobody; digit groups with hyphens are mostly something else.
    let nobody = digits().all(|byte| byte == b'0') || digits().all(|byte| matches!(byte, b'f' | b'F'));
    let letters = separator == b':' || digits().any(|byte| byte.is_ascii_alphabetic());
    (groups.contains(&count) && ends && !nobody && letters).then_some(next)
}

/// Returns the end of the IPv6 address at `at`.
pub(crate) fn ipv6(view: &View<'_>, at: usize) -> Option<usize> {
    let (mut next, mut groups, mut gap) = (at, 0, None);
    let mut longest = 0;
    if view.at(next) == Some(b':') {
        if view.at(next + 1) != Some(b':') {
            return None;
        }
        gap = Some(0);
        next += 2;
    }
    let mut embedded = false;
    while groups < GROUPS_MAX {
        let end = view.run(next, HEX, 5);
        if end == next {
            break;
        }
        // A full stop may end the sentence, or an IPv4 address be embedded.
        if view.at(end) == Some(b'.')
            && (groups > 0 || gap.is_some())
            && view.is(end + 1, DIGIT)
            && let Some(end) = ipv4(view, next)
        {
            next = end;
            groups += 2;
            embedded = true;
            break;
        }
        if end - next > 4 {
            return None;
        }
        longest = longest.max(end - next);
        groups += 1;
        next = end;
        if view.at(next) != Some(b':') {
            break;
        }
        if view.at(next + 1) == Some(b':') {
            if gap.is_some() || view.at(next + 2) == Some(b':') {
                return None;
            }
            gap = Some(groups);
            next += 2;
        } else if view.is(next + 1, HEX) {
            next += 1;
        } else {
            break;
        }
    }
    let end = zone(view, next);
    let follows = match view.at(end) {
        Some(b'.' | b'-') => view.is(end + 1, DIGIT),
        Some(b':') => view.is(end + 1, ALNUM) || view.at(end + 1) == Some(b':'),
        // Emphasis ends too, and a reference to a footnote.
        Some(b'_' | b'*') => view.is(end + 1, ALNUM),
        Some(b'[') => !view.is(end + 1, DIGIT),
        _ => view.is(end, ALNUM),
    };
    let whole = match gap {
        None => groups == 8 && longest > 2,
        // Names in code contain two colons too; addresses have long groups and digits.
        Some(before) => {
            groups < 8
                && (embedded || (before > 0 && groups > 1 || groups > 2) && longest > 2)
                && view.slice(at..next).iter().any(u8::is_ascii_digit)
        }
    };
    (whole && !follows).then_some(end)
}

/// Returns the end of a zone after an address: `%eth0`.
fn zone(view: &View<'_>, at: usize) -> usize {
    if view.at(at) != Some(b'%') || !view.is(at + 1, ALPHA) {
        return at;
    }
    view.run(at + 1, ALNUM, 16)
}
