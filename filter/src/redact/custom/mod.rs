//! Operator-defined detectors: a regular expression, optionally with a checksum and with context words before a
//! match.
//!
//! Expressions run over the folded text on automata of linear time and limited size. A match that could
//! continue past [`MATCH_MAX`] bytes is extended to the next white space, so that no part of it remains. A
//! stream waits for the end of a match for at most twice that length; a match without an end until then is
//! found only in a text in one piece.

mod cost;
pub mod pattern;
pub mod settings;

use regex_automata::meta::Regex;
use regex_automata::{Input, Span};
use regex_syntax::hir::{Hir, HirKind};
use weir_settings::ConfigError;

use crate::redact::custom::cost::{LOOKED_MAX, too_many};
use crate::redact::custom::pattern::{MATCH_MAX, Next, Pattern, build, compile_hir};
use crate::redact::custom::settings::{Checksum, Custom};
use crate::redact::detectors::iban::mod97;
use crate::redact::detectors::number::luhn;
use crate::redact::text::cost::step;
use crate::redact::text::fold::{Reading, fold};
use crate::redact::text::slices::rest;
use crate::redact::text::view::View;

/// How far before a match its context words may stand, in bytes.
const CONTEXT: usize = 96;
/// Most context words, and the longest.
const WORDS_MAX: usize = 32;
const WORD_MAX: usize = 48;

/// Bytes that are searched at once, and how many of them again with the next part: more than a match takes at
/// least.
const PART: usize = 32 << 10;
const OVERLAP: usize = 8 << 10;
/// Overlap of two parts that are searched for context words, in bytes.
const WORD_REACH: usize = 64;

/// A compiled detector.
#[derive(Debug)]
pub(crate) struct Expression {
    pattern: Pattern,
    /// Finds the longest suffix of a text that may be the beginning of a match.
    unfinished: Regex,
    checksum: Option<Checksum>,
    words: Option<Words>,
}

impl Expression {
    /// Compiles a detector. An error names the field below `path`, and never the text of a match.
    pub fn new(custom: &Custom, path: &str) -> Result<Self, ConfigError> {
        let at = |field: &str, message: String| ConfigError::at(format!("{path}.{field}"), message);
        let refused = |reason: String| at("pattern", format!("the pattern of {:?} {reason}", custom.name));
        let hir = compile_hir(&custom.pattern).map_err(refused)?;
        if hir.properties().minimum_len().is_none_or(|min| min == 0) {
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
        let unfinished = Hir::concat(vec![beginnings(&hir), Hir::look(regex_syntax::hir::Look::End)]);
        let words: Vec<String> =
            custom.context.iter().map(|word| fold(word, Reading::Plain).text.into_owned()).collect();
        let expression = Self {
            pattern: Pattern(build(&hir).map_err(refused)?),
            unfinished: build(&unfinished).map_err(refused)?,
            checksum: custom.checksum,
            words: Words::new(&words).map_err(|reason| at("context", format!("the words are {reason}")))?,
        };
        match too_many(&expression.pattern, &hir) {
            None => Ok(expression),
            Some(looked) => Err(refused(format!(
                "is too slow: it looks at {looked} bytes for each byte of a text made for it, and {LOOKED_MAX} \
                 are allowed; bound what follows where a match could end already (`.*`, `(?:…)?`)"
            ))),
        }
    }

    /// Calls `found` with the start and end of each match from `from` on, in order.
    pub async fn find(&self, text: &str, from: usize, mut found: impl FnMut(usize, usize)) {
        let mut at = from;
        let mut context = self.words.as_ref().map(|words| words.before(text, from));
        while at < text.len() {
            // A part at a time, and again what a match may have begun in, so that the search can pause.
            let end = text.ceil_char_boundary(at.saturating_add(PART));
            let next = self.pattern.next(text, at, end);
            let Some(Next { start, end, .. }) = next else {
                step(end - at);
                if end == text.len() {
                    break;
                }
                at = text.floor_char_boundary(end - OVERLAP);
                rest().await;
                continue;
            };
            step(end - at);
            let value = text.get(start..end).unwrap_or_default();
            if self.checks(value) {
                let is_announced = match &mut context {
                    Some(context) => context.reaches(start).await,
                    None => true,
                };
                if is_announced {
                    found(start, end);
                }
            }
            at = end;
            rest().await;
        }
    }

    /// Start of a possible match that the end of the text cuts off.
    pub fn open(&self, view: &View<'_>, text: &str) -> Option<usize> {
        let from = text.floor_char_boundary(text.len().saturating_sub(2 * MATCH_MAX)).max(view.from);
        let input = Input::new(text).span(Span { start: from.min(text.len()), end: text.len() });
        let found = self.unfinished.search(&input)?;
        (found.start() < text.len()).then_some(found.start())
    }

    /// Whether it requires context words.
    pub fn has_context(&self) -> bool {
        self.words.is_some()
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
}

/// Context words, matched in any case.
#[derive(Debug)]
struct Words {
    /// Matches one of them between characters that are not ASCII letters.
    regex: Regex,
}

/// The context words of a text, searched once for all matches.
struct Context<'c> {
    words: &'c Words,
    text: &'c str,
    /// Where the search for the next word continues.
    at: usize,
    /// Start and end of the last word.
    last: Option<(usize, usize)>,
    /// The word after it.
    next: Option<(usize, usize)>,
}

impl Words {
    /// Compiles the words; `None` if there are none.
    fn new(words: &[String]) -> Result<Option<Self>, String> {
        if words.is_empty() {
            return Ok(None);
        }
        let words: Vec<String> = words.iter().map(|word| regex_syntax::escape(word)).collect();
        let pattern = format!("(?:^|[^A-Za-z])(?i:{})(?:[^A-Za-z]|$)", words.join("|"));
        let hir = regex_syntax::parse(&pattern).map_err(|_| "not to be compiled".to_owned())?;
        Ok(Some(Self { regex: build(&hir)? }))
    }

    /// Starts a search shortly before an offset.
    fn before<'c>(&'c self, text: &'c str, from: usize) -> Context<'c> {
        let at = text.floor_char_boundary(from.saturating_sub(CONTEXT));
        Context { words: self, text, at, last: None, next: None }
    }
}

impl Context<'_> {
    /// Whether a word stands within [`CONTEXT`] bytes before an offset. Offsets must ascend.
    async fn reaches(&mut self, start: usize) -> bool {
        loop {
            match self.next {
                // The characters around a word may be part of the match, the word may not.
                Some((_, end)) if end <= start + 1 => self.last = self.next.take(),
                Some(_) => break,
                None if self.at > start => break,
                None => self.next = self.search(),
            }
            rest().await;
        }
        self.last.is_some_and(|(begin, _)| begin + 1 + CONTEXT >= start)
    }

    /// Searches a part of the text for the next word.
    fn search(&mut self) -> Option<(usize, usize)> {
        let end = self.text.ceil_char_boundary(self.at.saturating_add(PART));
        step(end.saturating_sub(self.at));
        let found = self.words.regex.search(&Input::new(self.text).span(self.at.min(end)..end));
        let next = found.map(|found| (found.start(), found.end()));
        self.at = match next {
            Some((start, _)) => self.text.ceil_char_boundary(start + 1),
            None if end == self.text.len() => end + 1,
            None => self.text.floor_char_boundary(end - WORD_REACH),
        };
        next
    }
}

/// An expression for every proper prefix of another's matches, and for the matches themselves.
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

/// Removes assertions, which the end of the text would decide.
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
