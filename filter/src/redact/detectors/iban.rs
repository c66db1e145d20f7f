//! International bank account numbers (ISO 13616; lengths from SWIFT's IBAN registry, release 99).

use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, View, is};

/// Lengths by country.
#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16),
    (b"BG", 22), (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22),
    (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20),
    (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22),
    (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27), (b"GT", 28), (b"HN", 28), (b"HR", 21),
    (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27), (b"JO", 30),
    (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20),
    (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23),
    (b"PK", 24), (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22),
    (b"RU", 33), (b"SA", 24), (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24),
    (b"SM", 27), (b"SO", 23), (b"ST", 25), (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26),
    (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20), (b"YE", 30),
];

/// Returns the start of the number whose first check digit is at `at`.
pub(crate) fn start(view: &View<'_>, at: usize) -> Option<usize> {
    let start = at.checked_sub(2)?;
    let letters = view.before_is(at, ALPHA) && view.before_is(at - 1, ALPHA);
    (letters && !view.before_is(start, ALNUM) && view.before(start) != Some(b'_')).then_some(start)
}

/// Returns the end of the number at `at`, in one piece or in groups.
pub(crate) fn end(view: &View<'_>, at: usize) -> Option<usize> {
    let country = [view.at(at)?.to_ascii_uppercase(), view.at(at + 1)?.to_ascii_uppercase()];
    let place = LENGTHS.binary_search_by(|(known, _)| (*known).cmp(&country)).ok()?;
    let (_, length) = LENGTHS.get(place)?;
    if !view.is(at + 2, DIGIT) || !view.is(at + 3, DIGIT) {
        return None;
    }
    let (mut number, mut count, mut next) = ([0u8; 34], 0, at);
    while count < *length {
        let byte = view.at(next)?;
        if is(byte, ALNUM) {
            *number.get_mut(count)? = byte.to_ascii_uppercase();
            count += 1;
        } else if !matches!(byte, b' ' | b'-' | b'.') || !view.is(next + 1, ALNUM) {
            return None;
        }
        next += 1;
    }
    let number = number.get(..count)?;
    let (head, account) = number.split_at_checked(4)?;
    (!view.is(next, ALNUM) && mod97(account.iter().chain(head).copied()) == Some(1)).then_some(next)
}

/// Returns the remainder of a number in which letters stand for 10 to 35 (ISO/IEC 7064, MOD 97-10).
pub(crate) fn mod97(characters: impl Iterator<Item = u8>) -> Option<u32> {
    // Reduced only when another character would overflow.
    const LIMIT: u64 = u64::MAX / 100 - 35;
    let mut remainder = 0u64;
    for byte in characters {
        let value = u64::from(char::from(byte).to_digit(36)?);
        if remainder > LIMIT {
            remainder %= 97;
        }
        remainder = remainder * if value > 9 { 100 } else { 10 } + value;
    }
    u32::try_from(remainder % 97).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_countries_are_in_order() {
        assert!(LENGTHS.iter().zip(LENGTHS.iter().skip(1)).all(|(a, b)| a.0 < b.0));
    }

    #[test]
    fn check_digits_and_length_must_be_right() {
        let end = |text| end(&View::new(text, 0, 0), 0);
        assert_eq!(end("DE89370400440532013000"), Some(22));
        assert_eq!(end("GB82 WEST 1234 5698 7654 32, please"), Some(27));
        assert_eq!(end("de89 3704 0044 0532 0130 00"), Some(27));
        for wrong in ["DE88370400440532013000", "DE8937040044053201300", "DE893704004405320130001", "XX89"] {
            assert_eq!(end(wrong), None, "{wrong}");
        }
    }
}
