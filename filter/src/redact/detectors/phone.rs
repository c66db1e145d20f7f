//! Telephone numbers: international (ITU-T E.164, E.123), North American, and those of countries that dial a
//! leading zero, with separators. Bare digits count only beside a word for a phone.

use crate::redact::detectors::number::{card, ssn};
use crate::redact::text::view::{ALNUM, DIGIT, HEX, View};

/// Most digits of a number (E.164, section 6).
const DIGITS_MAX: u8 = 15;
const DIGITS: usize = DIGITS_MAX as usize;
/// Fewest digits of an international number.
const INTERNATIONAL_MIN: u8 = 8;
/// Fewest digits of a number beside a word for it.
const LABELLED_MIN: u8 = 7;
/// Longest written number, in bytes.
const BYTES_MAX: usize = 32;
/// Most groups of a number, and one more.
const GROUPS_MAX: usize = 9;

/// Leading digits whose values are examined.
const VALUES: usize = 5;

/// A written number: groups of digits, some perhaps in parentheses.
#[derive(Debug, Default)]
struct Written {
    /// The leading digits.
    digits: [u8; VALUES],
    groups: [Group; GROUPS_MAX],
    len: usize,
    /// Start of the number.
    from: usize,
}

/// A group of digits. Small, since most groups that are read belong to no number.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Number of its digits.
    length: u8,
    /// Digits up to its end.
    digits: u8,
    /// Length of the number up to its end, including the parenthesis.
    reach: u8,
    /// The separator before it: one character, or `(` for any that opens a parenthesis.
    separator: u8,
}

impl Written {
    /// Reads a number from its first digit or opening parenthesis. A number without a form of its own (not
    /// `alone`) ends before another number.
    fn read(view: &View<'_>, from: usize, alone: bool) -> Self {
        let mut read = Self { from, ..Self::default() };
        let (mut at, mut count, mut separator) = (from, 0, 0);
        while at - from < BYTES_MAX && read.len < GROUPS_MAX {
            let opened = view.at(at) == Some(b'(');
            if opened {
                at += 1;
                separator = b'(';
            }
            let end = view.run(at, DIGIT, DIGITS + 1 - count);
            // Another number after this one is not its rest.
            let other = || card(view, at).or_else(|| ssn(view, at)).is_some();
            if end == at || (!alone && separator == b' ' && other()) {
                break;
            }
            for (slot, byte) in read.digits.iter_mut().skip(count).zip(view.tail(at, end - at)) {
                *slot = byte - b'0';
            }
            let length = (end - at) as u8;
            count += end - at;
            at = end;
            if opened && view.at(at) != Some(b')') {
                break;
            }
            // `(+49) 30 …`: the parenthesis opened before the number.
            let closes = read.len == 0 && from >= 2 && view.before(from - 1) == Some(b'(');
            if opened || (closes && view.at(at) == Some(b')')) {
                at += 1;
            }
            if let Some(group) = read.groups.get_mut(read.len) {
                *group = Group { length, digits: count as u8, reach: (at - from) as u8, separator };
                read.len += 1;
            }
            if count > DIGITS {
                break;
            }
            separator = b')';
            match view.at(at) {
                Some(byte @ (b' ' | b'-' | b'.' | b'/')) => {
                    separator = byte;
                    at += 1;
                }
                Some(b'(') => {}
                Some(byte) if byte.is_ascii_digit() && opened => {}
                _ => break,
            }
        }
        read
    }

    fn groups(&self) -> &[Group] {
        self.groups.get(..self.len).unwrap_or_default()
    }

    /// End of a group.
    fn end(&self, group: &Group) -> usize {
        self.from + usize::from(group.reach)
    }

    fn digit(&self, place: usize) -> u8 {
        self.digits.get(place).copied().unwrap_or_default()
    }
}

/// Whether a number may begin at `at` with a group of this length and a separator. Rules most groups out at
/// once.
pub(crate) fn may_begin(view: &View<'_>, at: usize, length: usize) -> bool {
    let zero = |at| view.at(at).is_none_or(|byte| byte == b'0');
    let digits = |from: usize| view.run(from, DIGIT, 4) - from;
    match (view.at(at), length) {
        // Two zeros and no third, or one and an area code of one to four digits.
        (Some(b'0'), 1) => zero(at + 2) && view.at(at + 3).is_none_or(|byte| matches!(byte, b'1'..=b'9')),
        (Some(b'0'), 2) => (!zero(at + 1) || !zero(at + 3)) && !more_than_five_pairs(view, at),
        (Some(b'0'), 3..=5) => !(zero(at + 1) && zero(at + 2)),
        (Some(b'0'), _) => zero(at + 1) && !zero(at + 2),
        // North America, with the country code.
        (Some(b'1'), 1) => view.at(at + 2).is_none_or(|byte| byte == b'(') || digits(at + 2) == 3,
        // Mobile numbers in China, and North American area codes.
        (Some(b'1'), 3) => digits(at + 4) == 4 || view.is_open(),
        (Some(b'2'..=b'9'), 3) => {
            view.at(at + 3).is_none_or(|byte| b"-.(".contains(&byte))
                && (digits(at + 4) == 3 || view.is_open())
        }
        _ => false,
    }
}

/// Whether more pairs begin at `at` than a number has.
fn more_than_five_pairs(view: &View<'_>, at: usize) -> bool {
    let is_pair = |at| view.is(at, DIGIT) && view.is(at + 1, DIGIT) && !view.is(at + 2, DIGIT);
    (1..5).all(|place| is_pair(at + 3 * place)) && view.is(at + 15, DIGIT)
}

/// Returns the end of the number at `at`, which begins with `+`, `(` or a digit.
pub(crate) fn phone(view: &View<'_>, at: usize) -> Option<usize> {
    let before = view.before(at);
    match view.at(at)? {
        b'+' => {
            if before == Some(b'+') {
                None
            } else {
                international(view, at + 1)
            }
        }
        b'(' if view.at(at + 1) == Some(b'+') => None,
        b'(' => national(view, at),
        _ => {
            let joined = matches!(before, Some(b'-' | b'.' | b'/' | b'_')) && view.before_is(at - 1, ALNUM);
            if joined || matches!(before, Some(b'+' | b'(' | b'$' | b'#' | b'\'' | b'_')) {
                return None;
            }
            national(view, at)
        }
    }
}

/// The same beside a word for it, where bare digits suffice.
pub(crate) fn labelled_phone(view: &View<'_>, at: usize) -> Option<usize> {
    let from = if view.at(at)? == b'+' { at + 1 } else { at };
    let read = Written::read(view, from, false);
    let fits =
        |group: &&Group| (LABELLED_MIN..=DIGITS_MAX).contains(&group.digits) && ends(view, read.end(group));
    let end = read.end(read.groups().iter().rfind(fits)?);
    let is_date = matches!(read.groups(), [a, b, c, ..] if b.separator == c.separator && c.separator != b' '
        && matches!((a.length, b.length, c.length), (4, 2, 2) | (1 | 2, 1 | 2, 4)));
    (!is_date).then_some(end)
}

/// Whether nothing follows that would continue the number.
fn ends(view: &View<'_>, end: usize) -> bool {
    match view.at(end) {
        Some(b'-' | b'.' | b'/' | b'_') => !view.is(end + 1, ALNUM),
        Some(b':') => !view.is(end + 1, DIGIT),
        Some(b'%') => false,
        _ => !view.is(end, ALNUM),
    }
}

fn international(view: &View<'_>, at: usize) -> Option<usize> {
    let read = Written::read(view, at, false);
    if read.digit(0) == 0 {
        return None;
    }
    // Numbers in North America, and in Russia and Kazakhstan, have eleven digits.
    let fits = |group: &&Group| match read.digit(0) {
        1 | 7 => group.digits == 11 && (read.digit(0) == 7 || read.digit(1) > 1),
        _ => (INTERNATIONAL_MIN..=DIGITS_MAX).contains(&group.digits),
    };
    let place = read.groups().iter().rposition(|group| fits(&group) && ends(view, read.end(group)))?;
    let groups = read.groups().get(..=place)?;
    // `+255959.999` is a decimal, `+262142-12-31` a date in the far future.
    let other = match groups {
        [_, fraction] => fraction.separator == b'.',
        [_, month, day] => month.separator == b'-' && (month.length, day.length) == (2, 2),
        _ => false,
    };
    groups.last().filter(|_| !other).map(|last| read.end(last))
}

fn national(view: &View<'_>, at: usize) -> Option<usize> {
    let read = Written::read(view, at, true);
    let groups = read.groups();
    let opened = groups.first()?.separator == b'(';
    if read.digit(0) == 0 {
        // The longest form with a valid end, since another number may follow.
        let long = |group: &&Group| match read.digit(1) {
            0 => (11..=DIGITS_MAX).contains(&group.digits) && read.digit(2) != 0,
            _ => (9..=12).contains(&group.digits),
        };
        return (2..=groups.len()).rev().find_map(|count| {
            let groups = groups.get(..count)?;
            let last = groups.last().filter(long)?;
            let shaped = read.digit(1) == 0 && groups.len() > 2 || is_zero_first(groups);
            // Numbers in pairs have five of them; more pairs are bytes in a dump.
            let pairs = groups.iter().all(|group| group.length == 2);
            let shaped = shaped && !(pairs && (read.len != 5 || in_pairs(view, at, read.end(last))));
            (shaped && ends(view, read.end(last))).then(|| read.end(last))
        });
    }
    let end = north_american(&read, opened).or_else(|| mobile(&read, opened))?;
    ends(view, end).then_some(end)
}

/// Whether hexadecimal pairs precede or follow.
fn in_pairs(view: &View<'_>, start: usize, end: usize) -> bool {
    let before = start >= 3
        && view.before(start) == Some(b' ')
        && view.before_is(start - 1, HEX)
        && view.before_is(start - 2, HEX);
    let behind = view.at(end) == Some(b' ') && view.is(end + 1, HEX) && view.is(end + 2, HEX);
    before && !(start > 3 && view.before_is(start - 3, ALNUM)) || behind && !view.is(end + 3, ALNUM)
}

/// A zero, the area code and the rest: `030 1234567`, `(020) 7946 0958`, `01 23 45 67 89`.
fn is_zero_first(groups: &[Group]) -> bool {
    let Some((first, rest)) = groups.split_first() else { return false };
    let separator = rest.first().map_or(0, |group| group.separator);
    let even =
        rest.iter().skip(2).all(|group| rest.get(1).is_some_and(|one| one.separator == group.separator));
    let date = matches!(groups, [a, b, c, ..] if (a.length, b.length, c.length) == (2, 2, 4)
        && b.separator == c.separator && separator != b' ');
    // Seconds with a fraction, and US ZIP codes.
    let other = match rest {
        [one] => one.separator == b'.' || (one.separator == b'-' && (first.length, one.length) == (5, 4)),
        _ => false,
    };
    !other && (2..=5).contains(&first.length) && groups.iter().all(|group| group.length >= 2) && even && !date
}

/// `(212) 555-0123`, `212-555-0123`, `1-212-555-0123` (NANPA: neither area nor exchange begins with 0 or 1).
fn north_american(read: &Written, opened: bool) -> Option<usize> {
    let (skip, groups) = match read.groups() {
        [one, rest @ ..] if one.length == 1 && read.digit(0) == 1 => (1, rest),
        all => (0, all),
    };
    let [area, exchange, line, more @ ..] = groups else { return None };
    let shaped = (area.length, exchange.length, line.length) == (3, 3, 4);
    let given = read.digit(skip) > 1 && read.digit(skip + 3) > 1;
    let in_parentheses = area.separator == b'(' && matches!(line.separator, b'-' | b'.' | b' ');
    let even = exchange.separator == line.separator && matches!(line.separator, b'-' | b'.');
    let goes_on = more.first().is_some_and(|group| group.separator == line.separator);
    (shaped && given && !goes_on && (in_parentheses || (even && !opened))).then(|| read.end(line))
}

/// `138-0013-8000` in China, `(11) 91234-5678` in Brazil.
fn mobile(read: &Written, opened: bool) -> Option<usize> {
    let [first, second, third, more @ ..] = read.groups() else { return None };
    let lengths = (first.length, second.length, third.length);
    let even = second.separator == third.separator || opened;
    let shaped = match lengths {
        (3, 4, 4) => read.digit(0) == 1 && read.digit(1) > 2 && even && !opened,
        (2, 4 | 5, 4) => opened && third.separator == b'-',
        _ => false,
    };
    let goes_on = more.first().is_some_and(|group| group.separator == third.separator);
    (shaped && !goes_on).then(|| read.end(third))
}
