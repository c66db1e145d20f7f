//! Measures an operator's pattern, in bytes examined, on the worst texts derived from the pattern itself, so
//! that a pattern that could stall a worker is refused at load.
//!
//! A search looks past a match for as long as the match may still grow, and the next search examines the same
//! bytes again: `ID(?:.*secret)?` scans to the end of the line for each `ID`.

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use crate::redact::custom::pattern::{Pattern, SIZE_MAX};

/// Most bytes examined for each byte of a text.
pub(crate) const LOOKED_MAX: usize = 16;
/// Measuring stops at this figure: it is far too much.
const STOP: usize = 32 * LOOKED_MAX;
/// Length of the texts tried, in bytes: more than a search looks past a match.
const LENGTH: usize = 2048;
/// Most texts derived from one part of a pattern, and the longest.
const VARIANTS_MAX: usize = 4;
const VARIANT_MAX: usize = 256;
/// Most prefixes of a text that are tried.
const BEGINNINGS: usize = 4;
/// Separators between repetitions.
const BETWEEN: [&str; 4] = ["", " ", "\n", "x"];

/// Returns the bytes examined for each byte of a text, if some text exceeds the limit.
pub(crate) fn too_many(pattern: &Pattern, hir: &Hir) -> Option<usize> {
    let nfa = thompson::Config::new().nfa_size_limit(Some(SIZE_MAX));
    let nfa = thompson::Compiler::new().configure(nfa).build_from_hir(hir).ok()?;
    let config = DFA::config().unicode_word_boundary(true).skip_cache_capacity_check(true);
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
    let mut cache = dfa.create_cache();
    let mut each = texts(hir).into_iter().map(|text| looked(pattern, &dfa, &mut cache, &text));
    each.find(|looked| *looked > LOOKED_MAX)
}

/// Texts with many matches or near-matches: repetitions of what the pattern matches, and of prefixes of it.
fn texts(pattern: &Hir) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for variant in variants(pattern) {
        let places: Vec<usize> = variant.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
        let step = places.len().div_ceil(BEGINNINGS).max(1);
        let ends = places.iter().rev().step_by(step);
        parts.extend(ends.filter_map(|end| variant.get(..*end)).map(str::to_owned));
    }
    parts.sort_unstable();
    parts.dedup();
    let texts = parts.iter().flat_map(|part| BETWEEN.iter().map(move |between| format!("{part}{between}")));
    texts.map(|part| part.repeat(LENGTH / part.len().max(1) + 1)).collect()
}

/// A few texts that the pattern matches, the shortest first, ignoring assertions.
fn variants(hir: &Hir) -> Vec<String> {
    let mut variants = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Class(class) => characters(class),
        HirKind::Capture(capture) => variants(&capture.sub),
        HirKind::Repetition(repetition) => {
            let count =
                |most: usize| usize::try_from(repetition.min).unwrap_or(usize::MAX).clamp(most, VARIANT_MAX);
            let subs = variants(&repetition.sub);
            let shortest = subs.first().map(|sub| sub.repeat(count(0)));
            shortest.into_iter().chain(subs.iter().map(|sub| sub.repeat(count(1)))).collect()
        }
        HirKind::Concat(parts) => {
            let parts: Vec<Vec<String>> = parts.iter().map(variants).collect();
            let most = parts.iter().map(Vec::len).max().unwrap_or(0);
            let nth =
                |parts: &[String], place: usize| parts.get(place.min(parts.len().saturating_sub(1))).cloned();
            (0..most).map(|place| parts.iter().filter_map(|part| nth(part, place)).collect()).collect()
        }
        HirKind::Alternation(parts) => parts.iter().flat_map(variants).collect(),
    };
    variants.truncate(VARIANTS_MAX);
    for variant in &mut variants {
        variant.truncate(variant.floor_char_boundary(VARIANT_MAX));
    }
    variants
}

/// A few characters of a class.
fn characters(class: &Class) -> Vec<String> {
    let printable = |c: &char| !c.is_control() || *c == '\n';
    let of_unicode = |class: &ClassUnicode| -> Vec<String> {
        let letters = ('a'..='z').chain('0'..='9').chain('A'..='Z').chain([' ', '-', '_']);
        let known =
            letters.filter(|c| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(c)));
        let known: Vec<char> = known.step_by(13).take(VARIANTS_MAX).collect();
        let others = class.ranges().iter().map(ClassUnicodeRange::end).filter(printable);
        let others = others.take(if known.is_empty() { VARIANTS_MAX } else { 0 });
        known.iter().copied().chain(others).map(String::from).collect()
    };
    match class {
        Class::Unicode(class) => of_unicode(class),
        Class::Bytes(class) => class.to_unicode_class().map(|class| of_unicode(&class)).unwrap_or_default(),
    }
}

/// Counts the bytes examined for each byte of a text, in the same steps as a search.
fn looked(pattern: &Pattern, dfa: &DFA, cache: &mut Cache, text: &str) -> usize {
    let mut total = 0;
    let mut at = 0;
    // Stop measuring when it is far too much.
    while total <= STOP * text.len()
        && let Some(next) = pattern.next(text, at, text.len())
    {
        for (start, end, anchored, earliest) in next.searches {
            let input = Input::new(text).span(start..end).anchored(anchored).earliest(earliest);
            total += forward(dfa, cache, &input);
        }
        // The way back to the start of the match.
        total += next.end - next.start;
        at = next.end;
    }
    (total + text.len() - at.min(text.len())) / text.len().max(1)
}

/// Counts the bytes examined until nothing more can match.
fn forward(dfa: &DFA, cache: &mut Cache, input: &Input<'_>) -> usize {
    let span = input.get_span();
    let Ok(mut state) = dfa.start_state_forward(cache, input) else { return span.len() };
    let bytes = input.haystack().get(span.range()).unwrap_or_default();
    for (count, byte) in bytes.iter().enumerate() {
        match dfa.next_state(cache, state, *byte) {
            Ok(next) if next.is_dead() || next.is_match() && input.get_earliest() => return count + 1,
            // The automaton does not know words beyond ASCII.
            Ok(next) if next.is_quit() => return count + 1,
            Ok(next) => state = next,
            Err(_) => return bytes.len(),
        }
    }
    bytes.len()
}
