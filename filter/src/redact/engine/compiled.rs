//! All detectors of a gateway, compiled once, and their matches in a text.
//!
//! Overlapping matches are merged, from the start of the first to the end of the last, so that nothing any of
//! them matched remains; the most specific detector names the result. It therefore does not depend on the order
//! in which matches are found.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, Look};
use serde::{Deserialize, Serialize};
use weir_settings::{ConfigError, did_you_mean};

use crate::redact::custom::Expression;
use crate::redact::custom::pattern::{build, compile_hir};
use crate::redact::custom::settings::Custom;
use crate::redact::detectors::names::{Builtin, CUSTOM_MAX, DetectorId, SECRETS, Set};
use crate::redact::engine::literals::Literals;
use crate::redact::engine::scan::Scan;
use crate::redact::engine::sink::{Found, Sink};
use crate::redact::text::cost::step;
use crate::redact::text::fold::{Back, Reading, fold, fold_in_slices};
use crate::redact::text::placeholder::{Form, LABEL_MAX};
use crate::redact::text::slices::{now, rest};
use crate::redact::text::view::View;

/// Most values, and most patterns, that are never redacted, and the longest.
const ALLOW_MAX: usize = 256;
const ALLOWED_LENGTH_MAX: usize = 256;

/// What is never redacted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Values, compared ignoring ASCII case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Regular expressions that must match a whole value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

/// A part of a text to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub range: Range<usize>,
    pub detector: DetectorId,
}

/// A text, or the part of it received so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Part<'t> {
    pub text: &'t str,
    pub reading: Reading,
    /// Matches start here or later; the text before is context.
    pub from: usize,
    /// No match reaches back past this offset.
    pub barrier: usize,
    /// Whether this is the end of the text.
    pub last: bool,
    /// The form of earlier replacements, which are left alone.
    pub form: Form,
}

impl<'t> Part<'t> {
    /// A text in one piece.
    pub fn whole(text: &'t str, reading: Reading, form: Form) -> Self {
        Self { text, reading, form, last: true, ..Self::default() }
    }
}

/// The matches in a text.
#[derive(Debug)]
pub(crate) struct Hits {
    /// In order, without overlaps.
    pub hits: Vec<Hit>,
    /// Up to here the hits are final, whatever follows the text.
    pub settled: usize,
}

/// All detectors, compiled.
pub struct Detectors {
    literals: Literals,
    custom: Vec<(String, u32, Expression)>,
    labels: Vec<String>,
    allowed: Vec<String>,
    allowed_patterns: Vec<Regex>,
}

impl fmt::Debug for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detectors").field("custom", &self.custom.len()).finish_non_exhaustive()
    }
}

impl Detectors {
    /// Compiles the built-in detectors and the operator's. An error's path begins with `path`.
    pub fn new(custom: &[Custom], allow: &Allow, path: &str) -> Result<Self, ConfigError> {
        if custom.len() > CUSTOM_MAX {
            let message = format!("{} detectors given; give at most {CUSTOM_MAX}", custom.len());
            return Err(ConfigError::at(format!("{path}.custom"), message));
        }
        let mut compiled: Vec<(String, u32, Expression)> = Vec::with_capacity(custom.len());
        for (index, detector) in custom.iter().enumerate() {
            let path = format!("{path}.custom[{index}]");
            check_name(&detector.name, compiled.iter().map(|(name, ..)| name.as_str()))
                .map_err(|message| ConfigError::at(format!("{path}.name"), message))?;
            let expression = Expression::new(detector, &path)?;
            compiled.push((detector.name.clone(), detector.version, expression));
        }
        let builtin = Builtin::ALL.into_iter().map(|builtin| builtin.name().to_uppercase());
        let labels = builtin.chain(custom.iter().map(|custom| custom.name.to_uppercase()));
        Ok(Self {
            literals: Literals::new(),
            labels: labels.collect(),
            custom: compiled,
            allowed: allowed_values(&allow.values, &format!("{path}.allow.values"))?,
            allowed_patterns: allowed_patterns(&allow.patterns, &format!("{path}.allow.patterns"))?,
        })
    }

    /// All detectors.
    pub fn all(&self) -> Set {
        let custom = (0..self.custom.len()).map(DetectorId::custom);
        custom.collect::<Set>().union(Set::builtin())
    }

    /// Returns the detectors with these names; all if there is no list. An error's path is `path` and the
    /// position.
    pub fn select(&self, names: Option<&[String]>, path: &str) -> Result<Set, ConfigError> {
        let Some(names) = names else { return Ok(self.all()) };
        let mut set = Set::EMPTY;
        for (index, name) in names.iter().enumerate() {
            let custom = self.custom.iter().position(|(custom, ..)| custom == name);
            let one = match (name.as_str(), Builtin::named(name), custom) {
                (SECRETS, ..) => Set::secrets(),
                (_, Some(builtin), _) => Set::EMPTY.with(builtin.id()),
                (.., Some(custom)) => Set::EMPTY.with(DetectorId::custom(custom)),
                _ => {
                    let builtin = Builtin::ALL.into_iter().map(|builtin| self.name(builtin.id()).0);
                    let custom = self.custom.iter().map(|(name, ..)| name.as_str());
                    let hint = did_you_mean(name, builtin.chain(custom).chain(std::iter::once(SECRETS)));
                    let message = format!("no detector named {name:?}{hint}");
                    return Err(ConfigError::at(format!("{path}[{index}]"), message));
                }
            };
            set = set.union(one);
        }
        Ok(set)
    }

    /// A detector's name and version.
    pub fn name(&self, id: DetectorId) -> (&str, u32) {
        if let Some(builtin) = Builtin::ALL.get(id.index()) {
            return (builtin.name(), builtin.version());
        }
        let custom = id.index().checked_sub(Builtin::ALL.len()).and_then(|index| self.custom.get(index));
        custom.map_or(("", 0), |(name, version, _)| (name, *version))
    }

    /// The label that replaces a detector's matches, without brackets.
    pub(crate) fn label(&self, id: DetectorId) -> &str {
        self.labels.get(id.index()).map_or("", String::as_str)
    }

    /// The labels of all detectors.
    pub(crate) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Returns the detector with this label.
    pub(crate) fn by_label(&self, label: &str) -> Option<DetectorId> {
        let index = self.labels.iter().position(|known| known == label)?;
        u8::try_from(index).ok().map(DetectorId)
    }

    /// Memory taken by the built-in detectors, in bytes. Each operator's detector takes up to 2 MiB more, most
    /// of it when it first runs.
    pub fn size(&self) -> usize {
        self.literals.size()
    }

    /// Finds the matches of a set of detectors.
    pub(crate) fn find(&self, set: Set, part: &Part<'_>) -> Hits {
        now(self.search(set, part))
    }

    /// The same, with pauses.
    pub(crate) async fn search(&self, set: Set, part: &Part<'_>) -> Hits {
        let Part { text, reading, from, barrier, last, form } = *part;
        if set.is_empty() {
            return Hits { hits: Vec::new(), settled: text.len() };
        }
        let folded = fold_in_slices(text, reading).await;
        let forth = |at: usize| match &folded.text {
            Cow::Borrowed(_) => at,
            Cow::Owned(_) => fold(text.get(..at).unwrap_or_default(), reading).text.len(),
        };
        // An unfinished escape may become any character.
        let known = folded.unfinished.filter(|_| !last).unwrap_or(folded.text.len());
        let read = folded.text.get(..known).unwrap_or_default();
        let mut view = View::new(read, forth(from), forth(barrier));
        view.signed = reading == Reading::Escaped;
        let mut scan = Scan::new(&self.literals, set, (&self.labels, form), &view);
        while scan.go_on() {
            rest().await;
        }
        let mut sink = scan.finish();
        for (index, (_, _, expression)) in self.custom.iter().enumerate() {
            let detector = DetectorId::custom(index);
            if !set.contains(detector) {
                continue;
            }
            let mut found = Vec::new();
            let take = |start, end| found.push(Found { start, end, detector });
            expression.find(read, view.from, take).await;
            if !found.is_empty() {
                sink.found = in_order(std::mem::take(&mut sink.found), found).await;
            }
            if !last && let Some(open) = expression.open(&view, read) {
                sink.open = sink.open.min(open);
            }
        }
        let found = self.merged(read, &sink).await;
        let open = if last { view.len() } else { sink.open.min(view.len()) };
        // An open candidate may yet extend the match that it begins in.
        let reached = found.iter().find(|found| !last && found.start < open && found.end > open);
        let open = reached.map_or(open, |found| found.start);
        // A replacement is recognized only as a whole.
        let reached = sink.replaced.iter().find(|range| !last && range.start < open && range.end > open);
        let open = reached.map_or(open, |range| range.start);
        let mut back = Back::new(text, reading);
        let is_same = matches!(folded.text, Cow::Borrowed(_));
        let mut hits = Vec::with_capacity(found.len());
        for Found { start, end, detector } in found {
            let range = if is_same { start..end } else { back.range(start..end).await };
            hits.push(Hit { range, detector });
        }
        let settled = if open == folded.text.len() {
            text.len()
        } else if is_same {
            open
        } else {
            Back::new(text, reading).start(open).await
        };
        Hits { hits, settled: settled.max(from) }
    }

    /// Whether a key announces its value to a detector of the set.
    pub(crate) fn announces(&self, set: Set, key: &str) -> bool {
        !key.is_empty()
            && (self.literals.has_word(&fold(key, Reading::Escaped).text)
                || self.custom.iter().enumerate().any(|(index, (_, _, expression))| {
                    set.contains(DetectorId::custom(index)) && expression.has_context()
                }))
    }

    /// Whether the set contains an operator's detector.
    pub(crate) fn has_custom(&self, set: Set) -> bool {
        !set.without(Set::builtin()).is_empty()
    }

    /// Joins two lists of hits, each in order, and merges those that overlap.
    pub(crate) async fn join_hits(one: Vec<Hit>, other: Vec<Hit>) -> Vec<Hit> {
        let found = |hits: Vec<Hit>| -> Vec<Found> {
            let found = hits.into_iter().map(|Hit { range, detector }| Found {
                start: range.start,
                end: range.end,
                detector,
            });
            found.collect()
        };
        let mut merging = Merging::default();
        for next in in_order(found(one), found(other)).await {
            merging.take(next);
            rest().await;
        }
        let merged = merging.merged.into_iter();
        merged.map(|(found, _)| Hit { range: found.start..found.end, detector: found.detector }).collect()
    }

    /// Merges overlapping matches, without those that are allowed or lie within a replacement.
    async fn merged(&self, folded: &str, sink: &Sink) -> Vec<Found> {
        let replaced = &sink.replaced;
        let mut merging = Merging::default();
        for found in &sink.found {
            let next = replaced.partition_point(|range| range.end < found.end);
            let within = replaced.get(next).is_some_and(|range| range.start <= found.start);
            if !within && !self.is_allowed(folded.get(found.start..found.end).unwrap_or_default()) {
                merging.take(*found);
            }
            rest().await;
        }
        merging.merged.into_iter().map(|(found, _)| found).collect()
    }

    fn is_allowed(&self, value: &str) -> bool {
        value.len() <= ALLOWED_LENGTH_MAX
            && (self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value))
                || self
                    .allowed_patterns
                    .iter()
                    .any(|pattern| pattern.is_match(Input::new(value).anchored(Anchored::Yes))))
    }
}

/// Steps that a match costs beyond the bytes that were looked at for it.
const EACH: usize = 4;

/// Joins two lists that are in order each.
async fn in_order(one: Vec<Found>, other: Vec<Found>) -> Vec<Found> {
    let mut all = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        let is_first = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => one.key() <= other.key(),
            (one, _) => one.is_some(),
        };
        let Some(next) = (if is_first { one.next() } else { other.next() }) else { return all };
        all.push(next);
        step(EACH);
        rest().await;
    }
}

/// Groups of overlapping matches become one match each.
#[derive(Default)]
struct Merging {
    /// The groups so far, and the length of the match that names each.
    merged: Vec<(Found, usize)>,
}

impl Merging {
    /// Takes the next match, in order of their starts.
    fn take(&mut self, next: Found) {
        step(EACH);
        match self.merged.last_mut() {
            Some((last, longest)) if next.start < last.end => {
                let length = next.end - next.start;
                if (next.detector.rank(), Reverse(length)) < (last.detector.rank(), Reverse(*longest)) {
                    last.detector = next.detector;
                    *longest = length;
                }
                last.end = last.end.max(next.end);
            }
            _ => self.merged.push((next, next.end - next.start)),
        }
    }
}

fn check_name<'a>(name: &str, mut others: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let shaped = name.len() < LABEL_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !shaped {
        return Err(format!("{name:?} must be lowercase letters, digits and `_`, at most {}", LABEL_MAX - 1));
    }
    if name == SECRETS || Builtin::named(name).is_some() {
        return Err(format!("{name:?} is the name of a built-in detector; choose another"));
    }
    if others.any(|other| other == name) {
        return Err(format!("{name:?} is given twice"));
    }
    Ok(())
}

fn allowed_values(values: &[String], path: &str) -> Result<Vec<String>, ConfigError> {
    check_count(values.len(), path)?;
    let checked = values.iter().enumerate().map(|(index, value)| {
        if value.is_empty() || value.len() > ALLOWED_LENGTH_MAX {
            let message = format!("must be 1 to {ALLOWED_LENGTH_MAX} bytes");
            return Err(ConfigError::at(format!("{path}[{index}]"), message));
        }
        Ok(fold(value, Reading::Plain).text.into_owned())
    });
    checked.collect()
}

fn allowed_patterns(patterns: &[String], path: &str) -> Result<Vec<Regex>, ConfigError> {
    check_count(patterns.len(), path)?;
    let compiled = patterns.iter().enumerate().map(|(index, pattern)| {
        let whole = |hir| Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        compile_hir(pattern)
            .and_then(|hir| build(&whole(hir)))
            .map_err(|reason| ConfigError::at(format!("{path}[{index}]"), format!("the pattern {reason}")))
    });
    compiled.collect()
}

fn check_count(count: usize, path: &str) -> Result<(), ConfigError> {
    if count > ALLOW_MAX {
        return Err(ConfigError::at(path, format!("{count} given; give at most {ALLOW_MAX}")));
    }
    Ok(())
}
