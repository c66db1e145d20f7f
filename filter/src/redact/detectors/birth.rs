//! Dates beside a word for birth: numeric, year first or last, or with a month's name.

use crate::redact::detectors::lexicon::Lexicon;
use crate::redact::text::view::{ALNUM, DIGIT, View};

/// Prefixes of month names: English, German, French, Spanish, Italian, Portuguese, Dutch, the Nordic languages,
/// Polish, Czech, Turkish, Russian.
#[rustfmt::skip]
static MONTHS: Lexicon<100> = Lexicon::new([
    "jan", "jän", "ene", "gen", "sty", "led", "oca", "янв", "tammi", "feb", "fév", "fev", "lut", "úno",
    "şub", "фев", "helmi", "mar", "mär", "maa", "mrt", "bře", "мар", "apr", "avr", "abr", "kwi", "dub",
    "nis", "апр", "huhti", "may", "mai", "mag", "maj", "mei", "kvě", "мая", "touko", "jun", "jui", "giu",
    "cze", "haz", "июн", "jul", "lug", "lip", "tem", "июл", "aug", "aoû", "ago", "sie", "srp", "ağu", "авг",
    "sep", "set", "wrz", "сен", "oct", "okt", "ott", "out", "окт", "nov", "dec", "lis", "kas", "ноя",
    "marras", "dez", "déc", "dic", "des", "gru", "pro", "ara", "дек", "joulu", "paź", "říj", "eki", "zář",
    "Янв", "Úno", "Şub", "Фев", "Мар", "Апр", "Мая", "Июн", "Июл", "Авг", "Сен", "Окт", "Ноя", "Дек", "Říj",
]);
/// Small words within a date.
static SMALL: Lexicon<8> = Lexicon::new(["de", "of", "del", "do", "di", "года", "г.", "the"]);
/// Suffixes of a day.
static SUFFIXES: Lexicon<6> = Lexicon::new(["st", "nd", "rd", "th", "er", "."]);
/// Longest month name, in bytes.
const NAME_MAX: usize = 20;

/// Returns the end of the date at `at`.
pub(crate) fn date(view: &View<'_>, at: usize) -> Option<usize> {
    let end = by_numbers(view, at).or_else(|| by_name(view, at)).or_else(|| compact(view, at))?;
    let goes_on = view.is(end, ALNUM) || (view.at(end) == Some(b'-') && view.is(end + 1, DIGIT));
    (!goes_on).then_some(end)
}

/// Reads up to `max` digits: their value, their count and their end.
fn digits(view: &View<'_>, at: usize, max: usize) -> Option<(u32, usize, usize)> {
    let end = view.run(at, DIGIT, max + 1);
    let value = view.slice(at..end).iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    (end > at && end - at <= max).then_some((value, end - at, end))
}

fn blanks(view: &View<'_>, at: usize) -> usize {
    if view.at(at) == Some(b' ') { at + 1 } else { at }
}

/// `1980-03-12`, `12.03.1980`, `12. 3. 80`, `1980年3月12日`.
fn by_numbers(view: &View<'_>, at: usize) -> Option<usize> {
    let (first, first_length, end) = digits(view, at, 4)?;
    let (separator, mut next) = separator(view, end)?;
    next = blanks(view, next);
    let (second, second_length, end) = digits(view, next, 2)?;
    let (again, mut next) = crate::redact::detectors::birth::separator(view, end)?;
    next = blanks(view, next);
    let (third, third_length, mut end) = digits(view, next, 4)?;
    if separator != again || second_length > 2 {
        return None;
    }
    let (day, month) = match (first_length, third_length) {
        (4, 1 | 2) if is_year(first) => (third, second),
        (1 | 2, 4) if is_year(third) => (first, second),
        (1 | 2, 2) => (first, second),
        _ => return None,
    };
    // The USA write the month first.
    let is_date = is_day(day) && is_month(month) || is_day(month) && is_month(day) && first_length < 3;
    for unit in ["日", "일"] {
        if view.starts_with(end, unit.as_bytes()) {
            end += unit.len();
        }
    }
    is_date.then_some(end)
}

/// Returns the first byte of a separator's kind, and the separator's end.
fn separator(view: &View<'_>, at: usize) -> Option<(u8, usize)> {
    for unit in ["年", "月", "년", "월"] {
        if view.starts_with(at, unit.as_bytes()) {
            return Some((0, at + unit.len()));
        }
    }
    let byte = view.at(at)?;
    b"./- ".contains(&byte).then_some((byte, at + 1))
}

/// `12 March 1980`, `March 12th, 1980`, `12 de marzo de 1980`, `1980 March 12`.
fn by_name(view: &View<'_>, at: usize) -> Option<usize> {
    let mut next = at;
    let (mut day, mut year, mut named) = (None, None, false);
    let mut end = at;
    for _ in 0..6 {
        if let Some((value, length, after)) = digits(view, next, 4) {
            let slot = if length == 4 { &mut year } else { &mut day };
            let fits = if length == 4 { is_year(value) } else { length < 3 && is_day(value) };
            if !fits || slot.replace(value).is_some() {
                return None;
            }
            end = after;
            next = after + SUFFIXES.longest(view, after).unwrap_or(0);
        } else if let Some(after) = month(view, next).filter(|_| !named) {
            named = true;
            next = after;
        } else {
            next += SMALL.longest(view, next)?;
        }
        if day.is_some() && year.is_some() && named {
            return Some(end);
        }
        let mut gaps = 0;
        while gaps < 2 && view.at(next).is_some_and(|byte| b" ,.-/".contains(&byte)) {
            next += 1;
            gaps += 1;
        }
    }
    None
}

/// Returns the end of a month's name.
fn month(view: &View<'_>, at: usize) -> Option<usize> {
    MONTHS.longest(view, at)?;
    Some(view.run_of_letters(at, crate::redact::text::view::ALPHA, NAME_MAX)).filter(|end| *end > at)
}

/// `19800312`.
fn compact(view: &View<'_>, at: usize) -> Option<usize> {
    let (value, length, end) = digits(view, at, 8)?;
    let (year, month, day) = (value / 10_000, value / 100 % 100, value % 100);
    let last = (value % 10_000, value / 10_000 % 100, value / 1_000_000);
    let year_first = is_year(year) && is_month(month) && is_day(day);
    let year_last = is_year(last.0) && is_month(last.1) && is_day(last.2);
    (length == 8 && (year_first || year_last)).then_some(end)
}

fn is_year(value: u32) -> bool {
    (1900..=2099).contains(&value)
}

fn is_month(value: u32) -> bool {
    (1..=12).contains(&value)
}

fn is_day(value: u32) -> bool {
    (1..=31).contains(&value)
}
