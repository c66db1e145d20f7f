//! Telephone numbers: international (ITU-T E.164, E.123), North American, and those of countries that dial a
//! leading zero, with separators. Bare digits count only beside a word for a phone.

use crate::redact::detectors::lexicon::Lexicon;
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
            let closes = read.len == 0
                && (view.before(from) == Some(b'(') || from >= 2 && view.before(from - 1) == Some(b'('));
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
pub(crate) fn may_begin(view: &View<'_>, at: usize, length: usize, floor: usize) -> bool {
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
        (Some(b'2'..=b'9'), 3)
            if view.at(at + 3).is_none_or(|byte| b"-.(".contains(&byte))
                && (digits(at + 4) == 3 || view.is_open()) =>
        {
            true
        }
        // Groups of unequal length, at the beginning of a row of groups.
        (Some(b'8'), 1) | (Some(b'1'..=b'9'), 2 | 3) | (Some(b'6'..=b'9'), 4 | 5) => {
            !is_continued(view, at, floor)
        }
        _ => false,
    }
}

/// Whether a group of digits before `at`, and not before `floor`, is joined to the one there.
fn is_continued(view: &View<'_>, at: usize, floor: usize) -> bool {
    at > floor + 1
        && matches!(view.before(at), Some(b' ' | b'-' | b'.' | b'/'))
        && view.before_is(at - 1, DIGIT)
}

/// Words behind a number of a telephone: `… (office)`.
static WORDS_BEHIND: Lexicon<16> = Lexicon::new([
    "office",
    "fax",
    "mobile",
    "home",
    "work",
    "cell",
    "phone",
    "tel",
    "desk",
    "handy",
    "mobil",
    "direct",
    "cellphone",
    "landline",
    "telefon",
    "portable",
]);

/// Whether a word for a telephone follows a number.
fn precedes_word(view: &View<'_>, end: usize) -> bool {
    let gap = match (view.at(end), view.at(end + 1)) {
        (Some(b' '), Some(b'(')) => 2,
        (Some(b' ' | b'-'), _) => 1,
        _ => return false,
    };
    let word = end + gap;
    WORDS_BEHIND.longest(view, word).is_some_and(|length| !view.is(word + length, ALNUM))
}

/// Whether a number that precedes its word may begin with a group of this length.
pub(crate) fn may_precede_word(
    view: &View<'_>,
    at: usize,
    length: usize,
    is_joined: bool,
    floor: usize,
) -> bool {
    match length {
        7..=12 if !is_joined => precedes_word(view, at + length) || view.is_open(),
        _ => is_joined && length <= 7 && !is_continued(view, at, floor),
    }
}

/// Returns the end of the number at `at`, if a word for a telephone follows it.
pub(crate) fn before_word(view: &View<'_>, at: usize) -> Option<usize> {
    const DIGITS_MIN: u8 = 6;
    if matches!(view.before(at), Some(b'$' | b'#' | b'_')) {
        return None;
    }
    let read = Written::read(view, at, true);
    let fits = |group: &&Group| (DIGITS_MIN..=DIGITS_MAX).contains(&group.digits);
    let ends = read.groups().iter().rev().filter(fits).map(|group| extended(view, read.end(group)));
    ends.into_iter().find(|end| precedes_word(view, *end))
}

/// Returns the end of an extension after a number: `x123`, ` ext. 123`; or that of the number.
fn extended(view: &View<'_>, end: usize) -> usize {
    const EXTENSION_MAX: usize = 6;
    let at = end + usize::from(view.at(end) == Some(b' '));
    let Some(length) = EXTENSIONS.longest(view, at) else { return end };
    let digits = at + length + usize::from(view.at(at + length) == Some(b' '));
    let last = view.run(digits, DIGIT, EXTENSION_MAX + 1);
    if last == digits || last - digits > EXTENSION_MAX || view.is(last, ALNUM) { end } else { last }
}

/// Words for an extension.
static EXTENSIONS: Lexicon<6> = Lexicon::new(["x", "ext", "ext.", "extension", "extn", "durchwahl"]);

/// Returns the end of a number and its extension; `None` if something else follows that continues it.
fn finish(view: &View<'_>, end: usize) -> Option<usize> {
    let last = extended(view, end);
    (last > end || ends(view, end)).then_some(last)
}

/// Whether more pairs begin at `at` than a number has.
fn more_than_five_pairs(view: &View<'_>, at: usize) -> bool {
    let is_pair = |at| view.is(at, DIGIT) && view.is(at + 1, DIGIT) && !view.is(at + 2, DIGIT);
    (1..5).all(|place| is_pair(at + 3 * place)) && view.is(at + 15, DIGIT)
}

/// Returns the end of the number at `at`, which begins with `+`, `(` or a digit. `floor` is the end of the last
/// match.
pub(crate) fn phone(view: &View<'_>, at: usize, floor: usize) -> Option<usize> {
    let before = view.before(at);
    match view.at(at)? {
        b'+' => {
            if before == Some(b'+') {
                None
            } else {
                international(view, at + 1).or_else(|| before_word(view, at + 1))
            }
        }
        b'(' if view.at(at + 1) == Some(b'+') => None,
        // No area code has one digit.
        b'(' if view.at(at + 2) == Some(b')') => None,
        b'(' => national(view, at, floor).or_else(|| before_word(view, at)),
        _ => {
            let joined = matches!(before, Some(b'-' | b'.' | b'/' | b'_')) && view.before_is(at - 1, ALNUM);
            if joined || matches!(before, Some(b'+' | b'(' | b'$' | b'#' | b'\'' | b'_')) {
                return None;
            }
            national(view, at, floor)
        }
    }
}

/// The same beside a word for it, where bare digits suffice.
pub(crate) fn labelled_phone(view: &View<'_>, at: usize) -> Option<usize> {
    let from = if view.at(at)? == b'+' { at + 1 } else { at };
    let read = Written::read(view, from, false);
    // Three groups may have one digit less.
    let fits = |(place, group): (usize, &Group)| {
        let least = if place > 1 { LABELLED_MIN - 1 } else { LABELLED_MIN };
        (least..=DIGITS_MAX).contains(&group.digits).then(|| finish(view, read.end(group))).flatten()
    };
    let end = read.groups().iter().enumerate().rev().find_map(fits)?;
    let is_date = matches!(read.groups(), [a, b, c, ..] if b.separator == c.separator && c.separator != b' '
        && matches!((a.length, b.length, c.length), (4, 2, 2) | (1 | 2, 1 | 2, 4)));
    (!is_date).then_some(end)
}

/// Whether nothing follows that would continue the number.
fn ends(view: &View<'_>, end: usize) -> bool {
    match view.at(end) {
        Some(b'-' | b'.' | b'/' | b'_') => !view.is(end + 1, ALNUM) || precedes_word(view, end),
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
    let ends = |group: &Group| fits(&group).then(|| finish(view, read.end(group))).flatten();
    let (place, end) =
        read.groups().iter().enumerate().rev().find_map(|(place, group)| Some((place, ends(group)?)))?;
    let groups = read.groups().get(..=place)?;
    // `+255959.999` is a decimal, `+262142-12-31` a date in the far future.
    let other = match groups {
        [_, fraction] => fraction.separator == b'.',
        [_, month, day] => month.separator == b'-' && (month.length, day.length) == (2, 2),
        _ => false,
    };
    (!other).then_some(end)
}

fn national(view: &View<'_>, at: usize, floor: usize) -> Option<usize> {
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
            shaped.then(|| finish(view, read.end(last))).flatten()
        });
    }
    let end = north_american(&read, opened)
        .or_else(|| mobile(&read, opened))
        .or_else(|| uneven(view, at, floor))?;
    finish(view, end)
}

/// Forms of countries without a leading zero, which no other numbers are written in: `8 (495) 123-45-67`,
/// `612 34 56 78`, `91 123 45 67`, `532 123 45 67`, `71-33-52-22`, `98765 43210`, `(99) 645-791`.
fn uneven(view: &View<'_>, at: usize, floor: usize) -> Option<usize> {
    // Part of a row of groups, or the pages of a journal after its volume: `521 (99) 436-444`.
    if is_continued(view, at, floor) {
        return None;
    }
    let read = Written::read(view, at, false);
    let opened = read.groups().first()?.separator == b'(';
    (2..=read.len.min(5)).rev().find_map(|count| {
        let (groups, more) = read.groups().split_at_checked(count)?;
        let last = groups.last()?;
        // A row of groups goes on; another number may follow.
        let goes_on = more.first().is_some_and(|next| next.separator == last.separator)
            && more.get(1).is_none_or(|after| after.separator == last.separator);
        (!goes_on && is_uneven(view, &read, groups, opened)).then(|| read.end(last))
    })
}

fn is_uneven(view: &View<'_>, read: &Written, groups: &[Group], opened: bool) -> bool {
    let mut lengths = [0u8; 5];
    lengths.iter_mut().zip(groups).for_each(|(length, group)| *length = group.length);
    let (first, second) = (read.digit(0), read.digit(1));
    let mut separators = groups.iter().skip(1).map(|group| group.separator);
    let separator = separators.next().unwrap_or_default();
    let even = separators.clone().all(|other| other == separator);
    let rest_even = separators.next().is_none_or(|second| separators.all(|other| other == second));
    let (blank, hyphen) = (even && separator == b' ', even && separator == b'-');
    let spaced = (blank || hyphen) && !opened;
    let last = groups.last().map_or(0, |last| last.separator);
    let is_round = || {
        let end = groups.last().map_or(0, |last| read.end(last));
        view.ends_with_any_case(end, b"00")
    };
    match lengths {
        // Russia's and Lithuania's trunk prefix.
        [1, 3, 3, 2, 2] => first == 8 && matches!(second, 3 | 4 | 8 | 9),
        [1, 3, 7, 0, 0] => first == 8 && matches!(second, 3 | 4 | 8 | 9) && separator == b'(',
        [1, 3, 5, 0, 0] => first == 8 && second == 6 && spaced,
        [3, 3, 2, 2, 0] | [2, 3, 2, 2, 0] => first > 1 && (spaced || opened && rest_even),
        [3, 2, 2, 2, 0] => first > 5 && spaced,
        [2, 3, 3, 4, 0] => first > 1 && spaced,
        [2, 2, 2, 2, 0] => first > 1 && hyphen && !opened,
        // Thousands have three digits; a row of numbers ends in a round one more often.
        [3, 3, 4, 0, 0] => {
            first > 1 && !opened && (separator == b'/' && last == b'-' || blank && !is_round())
        }
        [3, 3, 3, 0, 0] => first > 4 && hyphen && !opened,
        [2, 5, 4, 0, 0] | [2, 1, 4, 4, 0] => last == b'-' && rest_even || opened,
        [2, 4, 4, 0, 0] | [2, 3, 4, 0, 0] => first > 1 && hyphen && !opened,
        [5, 5, 0, 0, 0] => first > 5 && spaced,
        [4, 4, 0, 0, 0] => matches!(first, 6 | 8 | 9) && hyphen && !opened,
        [3, 7, 0, 0, 0] => {
            opened && first > 1 || spaced && (first, second) == (6, 9) || spaced && first == 3 && second > 1
        }
        [2, 3, 3, 0, 0] => opened && rest_even,
        // Norway's and Cyprus' plans.
        [3, 2, 3, 0, 0] => matches!(first, 4 | 9) && blank && !opened,
        [2, 6, 0, 0, 0] => matches!((first, second), (2, 2..=6) | (9, 4..=9)) && blank && !opened,
        _ => false,
    }
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

/// `(212) 555-0123`, `212-555-0123`, `1-212-555-0123` (NANPA: no area begins with 0 or 1).
fn north_american(read: &Written, opened: bool) -> Option<usize> {
    let (skip, groups) = match read.groups() {
        [one, rest @ ..] if one.length == 1 && read.digit(0) == 1 => (1, rest),
        all => (0, all),
    };
    let [area, exchange, line, more @ ..] = groups else { return None };
    let shaped = (area.length, exchange.length, line.length) == (3, 3, 4);
    let given = read.digit(skip) > 1;
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
