//! Numbers of passports and driving licences. Their forms differ by country, so the word before them decides
//! (ICAO 9303 for the length of passport numbers).

use crate::redact::text::view::{ALNUM, DIGIT, View, is};

/// Most groups in a number.
const GROUPS_MAX: usize = 6;

/// A number written in groups.
struct Written {
    end: usize,
    digits: usize,
    letters: usize,
    groups: usize,
}

/// Reads groups of letters and digits with one separator between them. A group without digits ends the number,
/// unless it is the first.
fn read(view: &View<'_>, at: usize, separators: &[u8], max: usize) -> Written {
    let mut read = Written { end: at, digits: 0, letters: 0, groups: 0 };
    let mut next = at;
    while read.groups < GROUPS_MAX {
        let end = view.run(next, ALNUM, max + 1);
        let group = view.slice(next..end);
        let digits = group.iter().filter(|byte| is(**byte, DIGIT)).count();
        let is_first = read.groups == 0;
        let initial = is_first && group.len() <= 3 && group.iter().all(u8::is_ascii_uppercase);
        let follows =
            view.before(next) == Some(b'-') && group.len() == 1 && group.iter().all(u8::is_ascii_uppercase);
        if group.is_empty() || (digits == 0 && !initial && !follows) {
            break;
        }
        // End before a group that would make the number too long.
        if read.digits + read.letters + group.len() > max && !is_first {
            break;
        }
        read.digits += digits;
        read.letters += group.len() - digits;
        read.groups += 1;
        read.end = end;
        match view.at(end) {
            Some(byte) if separators.contains(&byte) => next = end + 1,
            _ => break,
        }
    }
    read
}

/// Returns the end of the passport number at `at`.
pub(crate) fn passport(view: &View<'_>, at: usize) -> Option<usize> {
    let read = read(view, at, b" -", 10);
    let length = read.digits + read.letters;
    let shaped = (6..=10).contains(&length) && read.digits >= 4 && read.letters <= 6;
    let ends = shaped && read.groups <= 4 && !view.is(read.end, ALNUM) && !is_date(view, at);
    ends.then_some(read.end)
}

/// Returns the end of the driving licence number at `at`.
pub(crate) fn licence(view: &View<'_>, at: usize) -> Option<usize> {
    let read = read(view, at, b" -/", 20);
    let length = read.digits + read.letters;
    let shaped = (6..=20).contains(&length) && read.digits >= 4;
    let ends = shaped && !view.is(read.end, ALNUM) && !is_date(view, at);
    ends.then_some(read.end)
}

/// Dates stand beside such documents too, but are not their numbers.
fn is_date(view: &View<'_>, at: usize) -> bool {
    crate::redact::detectors::birth::date(view, at)
        .is_some_and(|end| !view.slice(at..end).iter().all(|byte| is(*byte, DIGIT)))
}
