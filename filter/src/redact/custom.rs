//! Detectors of the operator's own: a regular expression, perhaps with a checksum and with words
//! that must stand before a match.
//!
//! Expressions run on automata whose time is linear and whose size is limited, over the folded
//! text. A match that could go on behind [`MATCH_MAX`] bytes takes in what follows up to the next
//! white space, so that no part of it is left. A stream waits for a match's end for twice as long
//! at most: one that has none until then is only found in a text that comes in one piece.

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::{Anchored, Input, Span};
use regex_syntax::hir::{Hir, HirKind};

use super::fold::{Reading, fold};
use super::iban::mod97;
use super::number::luhn;
use super::settings::{Checksum, Custom};
use super::view::{View, is};
use crate::config::ConfigError;

/// Longest match that an expression gives, in bytes.
pub(super) const MATCH_MAX: usize = 1024;
/// Longest expression, in bytes.
const PATTERN_MAX: usize = 2048;
/// Largest automaton of one expression, in bytes.
const SIZE_MAX: usize = 256 << 10;
/// How far before a match its context words may stand, in bytes.
const CONTEXT: usize = 96;
/// Most context words, and the longest.
const WORDS_MAX: usize = 32;
const WORD_MAX: usize = 48;

/// A compiled detector.
#[derive(Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// Finds the longest end of a text that may be the beginning of a match.
    unfinished: Regex,
    checksum: Option<Checksum>,
    words: Vec<String>,
}

impl Expression {
    /// Compiles a detector; an error names the field of `path`, and never the text of a match.
    pub fn new(custom: &Custom, path: &str) -> Result<Self, ConfigError> {
        let at = |field: &str, message: String| ConfigError::at(format!("{path}.{field}"), message);
        let refused = |reason: String| at("pattern", format!("the pattern of {:?} {reason}", custom.name));
        let pattern = compile_hir(&custom.pattern).map_err(refused)?;
        if pattern.properties().minimum_len().is_none_or(|min| min == 0) {
            return Err(refused("matches the empty text; it must take at least one character".to_owned()));
        }
        if custom.context.len() > WORDS_MAX {
            return Err(at(
                "context",
                format!("{} words given; give at most {WORDS_MAX}", custom.context.len()),
            ));
        }
        for (index, word) in custom.context.iter().enumerate() {
            if word.is_empty() || word.len() > WORD_MAX {
                return Err(at(&format!("context[{index}]"), format!("must be 1 to {WORD_MAX} bytes")));
            }
        }
        let unfinished = Hir::concat(vec![beginnings(&pattern), Hir::look(regex_syntax::hir::Look::End)]);
        let words =
            custom.context.iter().map(|word| fold(word, Reading::Plain).text.to_lowercase()).collect();
        Ok(Self {
            regex: build(&pattern).map_err(refused)?,
            unfinished: build(&unfinished).map_err(refused)?,
            checksum: custom.checksum,
            words,
        })
    }

    /// Calls `found` with the start and end of each match from `from` on.
    pub fn find(&self, text: &str, from: usize, mut found: impl FnMut(usize, usize)) {
        let mut at = from;
        while let Some((start, end)) = self.next(text, at) {
            let value = text.get(start..end).unwrap_or_default();
            if self.checks(value) && self.in_context(text, start) {
                found(start, end);
            }
            at = end;
        }
    }

    /// The first match from an offset on.
    fn next(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let input = |start: usize, end: usize| {
            Input::new(text).span(Span { start: start.min(end), end: end.min(text.len()) })
        };
        // The first place where any match ends bounds how far the leftmost one is looked for, so
        // no search goes over the same text more often than a match is long.
        let first = self.regex.search_half(&input(at, text.len()).earliest(true))?.offset();
        let found = self.regex.search(&input(at, text.ceil_char_boundary(first + MATCH_MAX)))?;
        let limit = text.ceil_char_boundary(found.start() + MATCH_MAX);
        let found = self.regex.search(&input(found.start(), limit).anchored(Anchored::Yes)).unwrap_or(found);
        let mut end = found.end();
        if end >= limit {
            let rest = text.get(end..).unwrap_or_default();
            end += rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        }
        (end > found.start()).then_some((found.start(), end))
    }

    /// Where a match may begin that the text's end cuts off.
    pub fn open(&self, view: &View<'_>, text: &str) -> Option<usize> {
        let from = text.floor_char_boundary(text.len().saturating_sub(2 * MATCH_MAX)).max(view.from);
        let input = Input::new(text).span(Span { start: from.min(text.len()), end: text.len() });
        let found = self.unfinished.search(&input)?;
        (found.start() < text.len()).then_some(found.start())
    }

    /// Whether it asks for words before a match.
    pub fn has_context(&self) -> bool {
        !self.words.is_empty()
    }

    fn checks(&self, value: &str) -> bool {
        let characters = value.bytes().filter(u8::is_ascii_alphanumeric);
        match self.checksum {
            None => true,
            Some(Checksum::Luhn) => {
                let digits = || value.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0');
                digits().count() > 1 && luhn(digits())
            }
            Some(Checksum::Mod97) => {
                let characters: Vec<u8> = characters.collect();
                let Some((head, rest)) = characters.split_at_checked(4) else { return false };
                mod97(rest.iter().chain(head).copied()) == Some(1)
            }
        }
    }

    fn in_context(&self, text: &str, start: usize) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let from = text.ceil_char_boundary(start.saturating_sub(CONTEXT));
        let before = text.get(from..start).unwrap_or_default().to_lowercase();
        self.words.iter().any(|word| {
            before.match_indices(word.as_str()).any(|(at, _)| {
                let joined = |byte: Option<&u8>| byte.is_some_and(|byte| is(*byte, super::view::ALPHA));
                let bytes = before.as_bytes();
                !joined(at.checked_sub(1).and_then(|at| bytes.get(at))) && !joined(bytes.get(at + word.len()))
            })
        })
    }
}

/// Reads an expression; the reason where it cannot be used.
pub(super) fn compile_hir(pattern: &str) -> Result<Hir, String> {
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

/// Compiles an expression, within the limit of its size.
pub(super) fn build(hir: &Hir) -> Result<Regex, String> {
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

/// An expression for the proper beginnings of another's matches, and for those themselves.
fn beginnings(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Hir::empty(),
        HirKind::Class(_) => optional(hir.clone()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).unwrap_or_default();
            let mut rest = Hir::empty();
            for c in text.chars().rev() {
                let mut bytes = [0; 4];
                let c = Hir::literal(c.encode_utf8(&mut bytes).as_bytes().to_vec());
                rest = optional(Hir::concat(vec![c, rest]));
            }
            rest
        }
        HirKind::Capture(capture) => beginnings(&capture.sub),
        HirKind::Repetition(repetition) => {
            let mut whole = repetition.clone();
            whole.min = 0;
            whole.max = whole.max.map(|max| max.saturating_sub(1));
            Hir::concat(vec![Hir::repetition(whole), beginnings(&repetition.sub)])
        }
        HirKind::Concat(parts) => {
            let mut rest = Hir::empty();
            for part in parts.iter().rev() {
                let whole = without_looks(part);
                rest = Hir::alternation(vec![Hir::concat(vec![whole, rest]), beginnings(part)]);
            }
            rest
        }
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(beginnings).collect()),
    }
}

/// The same without assertions, which the text's end would decide.
fn without_looks(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(_) => Hir::empty(),
        HirKind::Capture(capture) => without_looks(&capture.sub),
        HirKind::Repetition(repetition) => {
            let mut repetition = repetition.clone();
            *repetition.sub = without_looks(&repetition.sub);
            Hir::repetition(repetition)
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_looks).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_looks).collect()),
        _ => hir.clone(),
    }
}

fn optional(hir: Hir) -> Hir {
    Hir::alternation(vec![hir, Hir::empty()])
}
