//! A compiled pattern and its next match in a text.

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::{Anchored, Input, Span};
use regex_syntax::hir::Hir;

/// Longest match of an expression, in bytes.
pub(crate) const MATCH_MAX: usize = 1024;
/// Longest expression, in bytes.
const PATTERN_MAX: usize = 2048;
/// Largest automaton of one expression, in bytes.
pub(crate) const SIZE_MAX: usize = 256 << 10;
/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern(pub(crate) Regex);

impl Pattern {
    /// Returns the first match from an offset on that ends before another, or may.
    pub(crate) fn next(&self, text: &str, at: usize, before: usize) -> Option<Next> {
        let search = |start: usize, end: usize, anchored, earliest| {
            let input = Input::new(text).span(Span { start: start.min(end), end: end.min(text.len()) });
            input.anchored(anchored).earliest(earliest)
        };
        // The end of the earliest match bounds the search for the leftmost one, so no text is searched more
        // often than a match is long.
        let first = self.0.search_half(&search(at, before, Anchored::No, true))?.offset();
        let bound = text.ceil_char_boundary(first + MATCH_MAX);
        let found = self.0.search(&search(at, bound, Anchored::No, false))?;
        let limit = text.ceil_char_boundary(found.start() + MATCH_MAX);
        let longest = self.0.search(&search(found.start(), limit, Anchored::Yes, false)).unwrap_or(found);
        let (start, mut end) = (found.start(), longest.end());
        if end >= limit {
            let rest = text.get(end..).unwrap_or_default();
            end += rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        }
        let searches = [
            (at, first, Anchored::No, true),
            (at, bound, Anchored::No, false),
            (start, limit, Anchored::Yes, false),
        ];
        (end > start).then_some(Next { start, end, searches })
    }
}

/// A match, and the searches that it took.
pub(crate) struct Next {
    pub start: usize,
    pub end: usize,
    pub searches: [Searched; 3],
}

/// Parses an expression; an error is the reason why it cannot be used.
pub(crate) fn compile_hir(pattern: &str) -> Result<Hir, String> {
    if pattern.is_empty() || pattern.len() > PATTERN_MAX {
        return Err(format!("must be 1 to {PATTERN_MAX} bytes long"));
    }
    let mut parser = regex_syntax::ParserBuilder::new().nest_limit(64).build();
    parser.parse(pattern).map_err(|error| {
        let reason = match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "cannot be read".to_owned(),
        };
        format!("is not a regular expression that can be used: {reason} (there are no backreferences and no look-around)")
    })
}

/// Compiles an expression within the size limit.
pub(crate) fn build(hir: &Hir) -> Result<Regex, String> {
    let config =
        Config::new().nfa_size_limit(Some(SIZE_MAX)).hybrid_cache_capacity(SIZE_MAX).utf8_empty(true);
    Regex::builder().configure(config).build_from_hir(hir).map_err(|error: BuildError| {
        if error.size_limit().is_some() {
            format!("is too large when compiled: its limit is {} KiB", SIZE_MAX >> 10)
        } else {
            "cannot be compiled".to_owned()
        }
    })
}

/// A search: start, end, whether it is anchored, and whether it stops at the earliest match.
pub(crate) type Searched = (usize, usize, Anchored, bool);
