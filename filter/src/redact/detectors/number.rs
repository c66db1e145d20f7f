//! Numbers recognized by their groups of digits alone: payment cards, social security numbers, IPv4 addresses.
//!
//! A number begins at a group of digits and is read for at most [`DIGITS_MAX`] digits, so a text of digits
//! alone costs no more per byte than any other.

use crate::redact::text::view::{ALNUM, ALPHA, BLANK, DIGIT, View, is};

/// Fewest digits of a card number.
pub(crate) const CARD_MIN: usize = 13;
/// Most digits of any recognized number, and one more.
const DIGITS_MAX: usize = 20;
/// Most groups in a number, and one more.
const GROUPS_MAX: usize = 9;

/// Groups of digits with one separator between them.
#[derive(Debug)]
pub(crate) struct Groups {
    digits: [u8; DIGITS_MAX],
    count: usize,
    /// For each group: its length, the separator before it, and its end.
    groups: [(usize, u8, usize); GROUPS_MAX],
    len: usize,
}

impl Groups {
    /// Reads as many groups as fit, with one separator between them.
    pub fn read(view: &View<'_>, at: usize, separators: &[u8]) -> Self {
        Self::separated(view, at, |view, at| {
            let byte = view.at(at).filter(|byte| separators.contains(byte))?;
            Some((byte, at + 1))
        })
    }

    /// The same with separators of any kind: `separator` returns what stands for one, and its end.
    fn separated(
        view: &View<'_>,
        at: usize,
        separator_at: impl Fn(&View<'_>, usize) -> Option<(u8, usize)>,
    ) -> Self {
        let mut read = Self { digits: [0; DIGITS_MAX], count: 0, groups: [(0, 0, 0); GROUPS_MAX], len: 0 };
        let (mut start, mut separator) = (at, 0);
        loop {
            let end = view.run(start, DIGIT, DIGITS_MAX - read.count);
            for (slot, byte) in read.digits.iter_mut().skip(read.count).zip(view.slice(start..end)) {
                *slot = byte - b'0';
            }
            read.count += end - start;
            if let Some(group) = read.groups.get_mut(read.len) {
                *group = (end - start, separator, end);
                read.len += 1;
            }
            if read.count == DIGITS_MAX || read.len == GROUPS_MAX {
                return read;
            }
            match separator_at(view, end).filter(|(_, next)| view.is(*next, DIGIT)) {
                Some((byte, next)) => (start, separator) = (next, byte),
                None => return read,
            }
        }
    }

    pub fn groups(&self) -> &[(usize, u8, usize)] {
        self.groups.get(..self.len).unwrap_or_default()
    }

    pub fn first_digits(&self, count: usize) -> &[u8] {
        self.digits.get(..count.min(self.count)).unwrap_or_default()
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

/// Whether the last digit is a valid check digit (ISO/IEC 7812-1, annex B).
pub(crate) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns what stands for the separator between two groups of a card number, and its end: blanks, or a sign
/// with or without blanks around it; other signs too where a word for a card stands (`is_labelled`).
fn card_separator(view: &View<'_>, at: usize, is_labelled: bool) -> Option<(u8, usize)> {
    const WIDTH_MAX: usize = 3;
    let (mut end, mut sign) = (at, None);
    while end - at < WIDTH_MAX {
        match view.at(end) {
            Some(b' ' | b'\t') => end += 1,
            Some(b'\n' | b'\r') if is_labelled => end += 1,
            Some(byte @ (b'-' | b'.' | b'/' | b'_' | b',' | b':' | b'|'))
                if sign.is_none() && (is_labelled || !b",:|".contains(&byte)) =>
            {
                sign = Some(byte);
                end += 1;
            }
            // A middle dot.
            Some(0xc2) if sign.is_none() && view.at(end + 1) == Some(0xb7) => {
                sign = Some(b'.');
                end += 2;
            }
            _ => break,
        }
    }
    (end > at).then_some((sign.unwrap_or(b' '), end))
}

/// Whether a card number may begin with the group `at..end` and a separator.
pub(crate) fn may_be_card(view: &View<'_>, at: usize, end: usize) -> bool {
    let separated = || card_separator(view, end, false).is_some_and(|(_, next)| view.is(next, DIGIT));
    end - at >= CARD_MIN || matches!(end - at, 4 | 6) && separated()
}

/// Returns the end of the card number at `at`.
pub(crate) fn card(view: &View<'_>, at: usize) -> Option<usize> {
    if in_decimal(view, at) || !matches!(view.run(at, DIGIT, DIGITS_MAX) - at, 4 | 6 | 13..=19) {
        return None;
    }
    // Other first digits: old numbers of JCB and Diners Club.
    if !view.at(at).is_some_and(|first| matches!(first, b'2'..=b'6' | b'8')) && !view.starts_with(at, b"1800")
    {
        return None;
    }
    card_of(view, at, false, |groups, digits| is_card_shape(groups) && is_brand(digits))
}

/// The same beside a word for it, where other schemes' numbers of 12 to 19 digits count.
pub(crate) fn labelled_card(view: &View<'_>, at: usize) -> Option<usize> {
    card_of(view, at, true, |_, digits| (12..=19).contains(&digits.len()))
}

fn card_of(
    view: &View<'_>,
    at: usize,
    is_labelled: bool,
    fits: impl Fn(&[(usize, u8, usize)], &[u8]) -> bool,
) -> Option<usize> {
    let read = Groups::separated(view, at, |view, at| card_separator(view, at, is_labelled));
    let mut groups = read.groups();
    let mut count = read.count();
    while let Some((last, others)) = groups.split_last() {
        let digits = read.first_digits(count);
        if fits(groups, digits) && luhn(digits.iter().copied()) {
            let end = last.2;
            let goes_on = view.is(end, ALNUM) || (view.at(end) == Some(b'.') && view.is(end + 1, DIGIT));
            return (!goes_on).then_some(end);
        }
        count = count.saturating_sub(last.0);
        groups = others;
    }
    None
}

/// Whether it continues another number: `3.1415`, or the last part of `ab-1234`.
fn in_decimal(view: &View<'_>, at: usize) -> bool {
    matches!(view.before(at), Some(b'.' | b'-')) && view.before_is(at - 1, DIGIT)
}

/// Groups as printed on cards: in one piece, by fours, or 4-6-5, 4-6-4 and 6-13.
fn is_card_shape(groups: &[(usize, u8, usize)]) -> bool {
    let mut separators = groups.iter().skip(1).map(|group| group.1);
    let separator = separators.next();
    if separators.any(|other| Some(other) != separator) {
        return false;
    }
    let mut lengths = groups.iter().map(|group| group.0);
    match (groups.len(), lengths.next(), lengths.next(), lengths.next()) {
        (1, Some(13..=19), ..) | (3, Some(4), Some(6), Some(4 | 5)) | (2, Some(6), Some(13), _) => true,
        (4 | 5, Some(4), Some(4), Some(4)) => match (lengths.next(), lengths.next()) {
            (Some(1..=4), None) => true,
            (Some(4), Some(last)) => last <= 3,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a scheme issues numbers of this length with this prefix.
fn is_brand(digits: &[u8]) -> bool {
    let value = |count| digits.iter().take(count).fold(0u32, |value, digit| value * 10 + u32::from(*digit));
    let (two, three, four) = (value(2), value(3), value(4));
    match digits.len() {
        13 => value(1) == 4 || matches!(two, 50 | 56..=58 | 67),
        14 => matches!(two, 36 | 38 | 39) || (300..=305).contains(&three),
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131),
        16 if matches!(two, 51..=55) || (2221..=2720).contains(&four) => true,
        16 | 19 if value(1) == 4 => true,
        16..=19 => {
            matches!(two, 50 | 56..=58 | 60 | 62 | 64 | 65 | 67 | 81 | 82 | 36 | 38 | 39)
                || (2200..=2204).contains(&four)
                || (3528..=3589).contains(&four)
        }
        _ => false,
    }
}

/// Returns the end of the social security number at `at`, written in three groups.
pub(crate) fn ssn(view: &View<'_>, at: usize) -> Option<usize> {
    if matches!(view.before(at), Some(b'-' | b'.' | b'/' | b'+')) {
        return None;
    }
    ssn_of(view, &Groups::read(view, at, b"- "))
}

/// The same beside a word for it, where it may be in one piece, or have dots, slashes or wider gaps.
pub(crate) fn labelled_ssn(view: &View<'_>, at: usize) -> Option<usize> {
    let end = view.run(at, DIGIT, 10);
    let digits: Vec<u8> = view.slice(at..end).iter().map(|byte| byte - b'0').collect();
    if digits.len() == 9 && !view.is(end, ALNUM) && is_ssn(&digits) {
        return Some(end);
    }
    ssn_of(view, &Groups::separated(view, at, |view, at| card_separator(view, at, false)))
}

fn ssn_of(view: &View<'_>, read: &Groups) -> Option<usize> {
    let [(3, ..), (2, first, _), (4, second, end), more @ ..] = read.groups() else { return None };
    let goes_on = more.first().is_some_and(|(_, separator, _)| separator == first)
        || view.is(*end, ALNUM)
        || (view.at(*end) == Some(b'-') && view.is(*end + 1, ALNUM));
    (first == second && !goes_on && is_ssn(read.first_digits(9))).then_some(*end)
}

/// Excludes numbers that are never issued (SSA, POMS RM 10201.035).
fn is_ssn(digits: &[u8]) -> bool {
    let value = |from: usize, count| {
        digits.iter().skip(from).take(count).fold(0, |value, digit| value * 10 + u32::from(*digit))
    };
    let area = value(0, 3);
    digits.len() == 9 && area != 0 && area != 666 && area < 900 && value(3, 2) != 0 && value(5, 4) != 0
}

/// Words before four numbers that are not an address.
const NOT_ADDRESSES: [&[u8]; 14] = [
    b"version",
    b"versions",
    b"ver",
    b"v",
    b"release",
    b"section",
    b"chapter",
    b"clause",
    b"firmware",
    b"build",
    b"oid",
    b"paragraph",
    b"revision",
    b"update",
];

/// Returns the end of the IPv4 address at `at` (RFC 3986, section 3.2.2: no leading zeros).
pub(crate) fn ipv4(view: &View<'_>, at: usize) -> Option<usize> {
    if view.before(at) == Some(b'.') {
        return None;
    }
    let (mut start, mut octets) = (at, [0u32; 4]);
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            if view.at(start) != Some(b'.') {
                return None;
            }
            start += 1;
        }
        let end = view.run(start, DIGIT, 4);
        let digits = view.slice(start..end);
        if !(1..=3).contains(&digits.len()) || (digits.len() > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        *octet = digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        start = end;
    }
    let more = match view.at(start) {
        Some(b'.') => view.is(start + 1, DIGIT),
        Some(b'-') => view.is(start + 1, ALPHA),
        Some(b'_') => view.is(start + 1, ALNUM),
        Some(byte) => is(byte, ALNUM),
        None => false,
    };
    // Loopback, "any" and netmasks identify nobody.
    let nobody = matches!(octets, [127 | 0 | 255, ..]);
    let fits = octets.iter().all(|octet| *octet < 256) && !more && !nobody;
    (fits && !follows_a_word_for_versions(view, at)).then_some(start)
}

fn follows_a_word_for_versions(view: &View<'_>, at: usize) -> bool {
    let mut end = at;
    while at - end < 4 && view.before(end).is_some_and(|b| is(b, BLANK) || b":=\"'.".contains(&b)) {
        end -= 1;
    }
    view.before_is(end, ALPHA)
        && NOT_ADDRESSES
            .iter()
            .any(|word| view.ends_with_any_case(end, word) && !view.before_is(end - word.len(), ALPHA))
        || view.ends_with_any_case(end, "§".as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_of_a_card_is_checked() {
        let digits = |text: &str| text.bytes().map(|byte| byte - b'0').collect::<Vec<_>>();
        for (number, right) in
            [("4111111111111111", true), ("4111111111111112", false), ("79927398713", true)]
        {
            assert_eq!(luhn(digits(number).into_iter()), right, "{number}");
        }
    }

    #[test]
    fn a_card_ends_where_its_groups_do() {
        let end = |text| card(&View::new(text, 0, 0), 0);
        assert_eq!(end("4111 1111 1111 1111 4222 2222 2222 2"), Some(19));
        assert_eq!(end("4111-1111-1111-1111."), Some(19));
        assert_eq!(end("3782 822463 10005"), Some(17));
        assert_eq!(end("41111111111111115"), None);
        assert_eq!(end("4111 1111-1111 1111"), None);
    }
}
