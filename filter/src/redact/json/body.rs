//! Redacts the strings, object keys and long numbers of a JSON text.
//!
//! Everything else stays byte for byte the same. Strings are searched decoded, and so is JSON within strings,
//! up to [`NESTED_MAX`] levels; replacements are escaped accordingly. A number that matches becomes a string. A
//! text that is not JSON is an error, so that the caller can refuse it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use weir_event::words;

use crate::json::scan::{JsonError, MAX_DEPTH, Scanner};
use crate::redact::detectors::names::Set;
use crate::redact::engine::compiled::{Detectors, Hit, Hits, Part};
use crate::redact::engine::counts::Counts;
use crate::redact::engine::replace::Replace;
use crate::redact::json::depths::{depths, join};
use crate::redact::json::fields::{Fields, Place, is_label, names_one};
use crate::redact::json::nesting::NESTED_MAX;
use crate::redact::text::cost::{roughly, step};
use crate::redact::text::fold::{Back, Reading, escape, fold, fold_in_slices};
use crate::redact::text::slices::{now, rest};

/// Fewest digits of a number that may identify somebody.
const LONG_NUMBER: usize = 9;
/// The end of a string that was cut.
const ELLIPSIS: &str = crate::json::truncate::ELLIPSIS;
/// Steps of a value beyond its bytes: most values are short.
const TOKEN: usize = 16;
/// Bytes of a string that are read before a search may pause.
const STRIDE: usize = 16 << 10;
/// Steps that a change costs beyond the bytes that were looked at for it.
const EACH: usize = 64;
/// Bytes at the end of a key that are searched for words announcing its value.
const KEY_MAX: usize = 128;

/// A redacted JSON text.
pub struct Redacted<'t> {
    /// The text; borrowed if nothing matched.
    pub body: Cow<'t, [u8]>,
    /// Matches by detector.
    pub counts: Counts,
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = matches!(self.body, Cow::Owned(_));
        f.debug_struct("Redacted").field("changed", &changed).field("counts", &self.counts).finish()
    }
}

/// Redacts a JSON text of at most [`MAX_DEPTH`] levels, except fields without content.
pub fn redact_json<'t>(
    body: &'t [u8],
    detectors: &Detectors,
    set: Set,
    fields: Fields,
    replace: &mut dyn Replace,
) -> Result<Redacted<'t>, JsonError> {
    let search = Search { detectors, set, strict: Set::EMPTY, fields, except: &[], is_cut: false };
    search.redact(body, replace)
}

/// A search of JSON texts.
#[derive(Clone, Copy, Debug)]
pub struct Search<'s> {
    /// The detectors.
    pub detectors: &'s Detectors,
    /// Those that run.
    pub set: Set,
    /// Those of them that also run on ids and names of models, where a replacement would break the request: the
    /// ones that block it.
    pub strict: Set,
    /// The fields without content.
    pub fields: Fields,
    /// Sorted offsets of strings to skip, because the caller searches them differently.
    pub except: &'s [usize],
    /// Whether strings that end with an ellipsis may have been cut. The end of such a string is dropped where a
    /// match may begin.
    pub is_cut: bool,
}

impl Search<'_> {
    /// The detectors that run on a string at this place. In a field without content an API has a label or an id; a
    /// caller can write anything there all the same, and what is none is searched.
    fn set_for(&self, place: Place, key: &str, raw: &str) -> Set {
        match place.has_no_content() {
            false => self.set,
            true if is_label(raw) => Set::EMPTY,
            true if names_one(key) && (words::is_id(raw) || words::is_model(raw)) => self.strict,
            true => self.set,
        }
    }

    /// Redacts a text of at most [`MAX_DEPTH`] levels.
    pub fn redact<'t>(&self, body: &'t [u8], replace: &mut dyn Replace) -> Result<Redacted<'t>, JsonError> {
        now(self.redact_in_slices(body, replace))
    }

    /// The same, with pauses.
    pub(crate) async fn redact_in_slices<'t>(
        &self,
        body: &'t [u8],
        replace: &mut dyn Replace,
    ) -> Result<Redacted<'t>, JsonError> {
        if self.set.is_empty() {
            return Ok(Redacted { body: Cow::Borrowed(body), counts: Counts::default() });
        }
        let text = std::str::from_utf8(body).map_err(|error| JsonError::Utf8(error.valid_up_to()))?;
        let (edits, counts) = self.find_edits(text, replace).await?;
        if edits.is_empty() {
            return Ok(Redacted { body: Cow::Borrowed(body), counts });
        }
        let mut out = Vec::with_capacity(body.len());
        let mut at = 0;
        for Edit { range, text } in edits {
            out.extend_from_slice(body.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
            at = range.end;
            step(EACH);
            rest().await;
        }
        out.extend_from_slice(body.get(at..).unwrap_or_default());
        Ok(Redacted { body: Cow::Owned(out), counts })
    }

    /// Returns the changes to a text, in order, and the matches by detector.
    pub(crate) fn edits(
        &self,
        text: &str,
        replace: &mut dyn Replace,
    ) -> Result<(Vec<Edit>, Counts), JsonError> {
        now(self.find_edits(text, replace))
    }

    async fn find_edits(
        &self,
        text: &str,
        replace: &mut dyn Replace,
    ) -> Result<(Vec<Edit>, Counts), JsonError> {
        let mut walker = Walker { search: *self, replace, counts: Counts::default() };
        let edits = walker.walk(text, self.fields.root(), 0).await?;
        Ok((edits, walker.counts))
    }

    /// Passes the values of one member to `replace` before the whole body, and discards the result:
    /// placeholders numbered by first appearance get their numbers in the order of these calls.
    pub async fn show(&self, key: &str, value: &str, replace: &mut dyn Replace) {
        let mut walker = Walker { search: *self, replace, counts: Counts::default() };
        let _ = walker.walk(value, self.fields.root().member(key), 0).await;
    }
}

/// The replacement of a range.
#[derive(Debug)]
pub(crate) struct Edit {
    pub range: Range<usize>,
    pub text: String,
}

/// An open bracket.
struct Level<'t> {
    is_object: bool,
    place: Place,
    /// The key whose value is being read; within an array, the array's key.
    key: &'t str,
    /// How many keys of this object were replaced by each name.
    keys: HashMap<String, usize>,
}

struct Walker<'w> {
    search: Search<'w>,
    replace: &'w mut dyn Replace,
    counts: Counts,
}

impl Walker<'_> {
    /// Returns the changes to one JSON text that is nested in this many strings.
    async fn walk(&mut self, text: &str, root: Place, nested: u32) -> Result<Vec<Edit>, JsonError> {
        let mut scanner = Scanner::new(text);
        let mut edits = Vec::new();
        let mut levels: Vec<Level<'_>> = Vec::new();
        let mut place = root;
        let mut key = "";
        let mut before = 0;
        loop {
            step(scanner.at() - before);
            roughly(TOKEN);
            before = scanner.at();
            rest().await;
            scanner.skip_space();
            let start = scanner.at();
            let mut opened = false;
            match scanner.peek() {
                Some(bracket @ (b'"' | b'{' | b'[')) if place.repeats_content() => {
                    let value = scanner.value()?;
                    let nothing = if bracket == b'[' { "[]" } else { "null" };
                    if value.raw != nothing {
                        edits.push(Edit { range: value.range(), text: nothing.to_owned() });
                    }
                }
                Some(b'"') => {
                    before = read_string(&mut scanner, "a value").await?;
                    let inner = start + 1..scanner.at().saturating_sub(1);
                    let is_excepted = nested == 0 && self.search.except.binary_search(&start).is_ok();
                    if !is_excepted {
                        let raw = text.get(inner.clone()).unwrap_or_default();
                        let set = self.search.set_for(place, key, raw);
                        self.string(text, inner, key, (set, nested), &mut edits).await;
                    }
                }
                Some(b'-' | b'0'..=b'9') => {
                    scanner.number()?;
                    if scanner.at() - start >= LONG_NUMBER && !place.has_no_content() {
                        self.number(text, start..scanner.at(), key, &mut edits).await;
                    }
                }
                Some(b't') => scanner.word("true")?,
                Some(b'f') => scanner.word("false")?,
                Some(b'n') => scanner.word("null")?,
                Some(bracket @ (b'{' | b'[')) => {
                    if levels.len() >= MAX_DEPTH as usize {
                        return Err(JsonError::TooDeep(start));
                    }
                    scanner.expect(bracket, "a value")?;
                    let is_object = bracket == b'{';
                    levels.push(Level { is_object, place, key, keys: HashMap::new() });
                    opened = true;
                }
                _ => return Err(scanner.error("a value")),
            }
            // Either the innermost bracket closes, or another value follows.
            loop {
                scanner.skip_space();
                let Some(level) = levels.last_mut() else {
                    return match scanner.peek() {
                        None => Ok(edits),
                        Some(_) => Err(scanner.error("the end of the text")),
                    };
                };
                let close = if level.is_object { b'}' } else { b']' };
                if scanner.take(close).is_some() {
                    levels.pop();
                    opened = false;
                    continue;
                }
                if !opened {
                    scanner.expect(b',', "',' or a closing bracket")?;
                    scanner.skip_space();
                }
                if level.is_object {
                    let start = scanner.at();
                    before = read_string(&mut scanner, "a key in double quotes").await?;
                    let name = scanner.colon(start)?;
                    let inner = name.start + 1..name.start + name.raw.len() - 1;
                    level.key = text.get(inner.clone()).unwrap_or_default();
                    place = level.place.member(&fold(level.key, Reading::EscapesOnly).text);
                    self.key(text, inner, nested, level, &mut edits).await;
                } else {
                    place = level.place;
                }
                key = level.key;
                break;
            }
        }
    }

    /// Redacts a string that is nested in so many others by the detectors of `set`.
    async fn string(
        &mut self,
        text: &str,
        inner: Range<usize>,
        key: &str,
        (set, nested): (Set, u32),
        edits: &mut Vec<Edit>,
    ) {
        let raw = text.get(inner.clone()).unwrap_or_default();
        if raw.is_empty() || set.is_empty() {
            return;
        }
        if let Some(known) = self.cut(raw, nested) {
            let Hits { hits, settled } = self.settled(set, known, key, nested).await;
            self.in_text(known, hits, inner.start, edits).await;
            edits.push(Edit { range: inner.start + settled..inner.start + known.len(), text: String::new() });
            return;
        }
        let decoded = match raw.bytes().next() {
            Some(b'{' | b'[' | b' ' | b'\\') if nested < NESTED_MAX => {
                fold_in_slices(raw, Reading::EscapesOnly).await.text
            }
            _ => Cow::Borrowed(""),
        };
        if decoded.trim_start().starts_with(['{', '[']) {
            let before = self.counts.clone();
            if let Ok(inside) = Box::pin(self.walk(&decoded, Fields::NONE.root(), nested + 1)).await {
                let mut back = Back::new(raw, Reading::EscapesOnly);
                for edit in inside {
                    let range = back.range(edit.range).await;
                    let mut text = String::new();
                    escape(&edit.text, 1, &mut text);
                    edits.push(Edit { range: inner.start + range.start..inner.start + range.end, text });
                    step(EACH);
                    rest().await;
                }
                return;
            }
            // Matches counted before the JSON turned out to be invalid are found again as text.
            self.counts = before;
        }
        let hits = self.hits(set, raw, key, nested, true).await.hits;
        self.in_text(raw, hits, inner.start, edits).await;
    }

    /// Adds the changes to a string that starts at `start`.
    async fn in_text(&mut self, raw: &str, hits: Vec<Hit>, start: usize, edits: &mut Vec<Edit>) {
        edits.reserve(hits.len());
        for hit in hits {
            let value = raw.get(hit.range.clone()).unwrap_or_default();
            let value = fold_in_slices(value, Reading::EscapesOnly).await.text;
            let (mut replaced, mut text) = (String::new(), String::new());
            self.replace_with(&hit, &value, &mut replaced);
            escape(&replaced, 1, &mut text);
            edits.push(Edit { range: start + hit.range.start..start + hit.range.end, text });
            step(EACH);
            rest().await;
        }
    }

    /// Returns the part before the ellipsis of a string that may have been cut.
    fn cut<'t>(&self, raw: &'t str, nested: u32) -> Option<&'t str> {
        raw.strip_suffix(ELLIPSIS).filter(|_| self.search.is_cut && nested == 0)
    }

    /// Finds the matches at the beginning of a string that do not depend on what follows it, at any depth of
    /// escaping.
    async fn settled(&self, set: Set, raw: &str, key: &str, nested: u32) -> Hits {
        let Hits { mut hits, settled } = self.hits(set, raw, key, nested, false).await;
        let mut settled = raw.floor_char_boundary(settled);
        // A match at another depth may reach past what is open at this one.
        while let Some(last) = hits.pop_if(|last| last.range.end > settled) {
            settled = settled.min(last.range.start);
        }
        Hits { hits, settled }
    }

    async fn number(&mut self, text: &str, range: Range<usize>, key: &str, edits: &mut Vec<Edit>) {
        let raw = text.get(range.clone()).unwrap_or_default();
        let unsigned = raw.trim_start_matches('-');
        let digits: String = match unsigned.split_once(['e', 'E']) {
            // `4.111111111111111e15` is a card number too.
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                mantissa.chars().filter(char::is_ascii_digit).collect()
            }
            Some(_) => return,
            None => unsigned.split('.').next().unwrap_or_default().to_owned(),
        };
        if digits.len() < LONG_NUMBER {
            return;
        }
        if let Some(hit) = self.hits(self.search.set, &digits, key, NESTED_MAX, true).await.hits.first() {
            let mut replaced = String::from("\"");
            self.replace_with(hit, &digits, &mut replaced);
            replaced.push('"');
            edits.push(Edit { range, text: replaced });
        }
    }

    /// Redacts an object's key. Keys that become equal get a number.
    async fn key(
        &mut self,
        text: &str,
        inner: Range<usize>,
        nested: u32,
        level: &mut Level<'_>,
        edits: &mut Vec<Edit>,
    ) {
        let raw = text.get(inner.clone()).unwrap_or_default();
        // Built-in detectors match nothing without a digit, an `@` or a capital.
        let is_plain = raw.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let set = self.search.set;
        let set = if level.place.defines(raw) { set.only_builtin() } else { set };
        if is_plain && !self.search.detectors.has_custom(set) {
            return;
        }
        let (raw, hits, mark) = match self.cut(raw, nested) {
            Some(known) => {
                let Hits { hits, settled } = self.settled(set, known, "", 0).await;
                (known.get(..settled).unwrap_or_default(), hits, ELLIPSIS)
            }
            None => (raw, self.hits(set, raw, "", 0, true).await.hits, ""),
        };
        if hits.is_empty() && mark.is_empty() {
            return;
        }
        let mut replaced = String::new();
        let mut at = 0;
        for hit in hits {
            replaced.push_str(raw.get(at..hit.range.start).unwrap_or_default());
            at = hit.range.end;
            let value = raw.get(hit.range.clone()).unwrap_or_default();
            let value = fold_in_slices(value, Reading::EscapesOnly).await.text;
            let mut label = String::new();
            self.replace_with(&hit, &value, &mut label);
            escape(&label, 1, &mut replaced);
            step(EACH);
            rest().await;
        }
        replaced.push_str(raw.get(at..).unwrap_or_default());
        replaced.push_str(mark);
        let count = level.keys.entry(replaced.clone()).or_default();
        *count += 1;
        if *count > 1 {
            replaced.push_str(&format!("#{count}"));
        }
        edits.push(Edit { range: inner, text: replaced });
    }

    fn replace_with(&mut self, hit: &Hit, value: &str, out: &mut String) {
        self.counts.add(hit.detector);
        self.replace.replace(hit.detector, self.search.detectors.label(hit.detector), value, out);
    }

    /// Finds the matches in a raw string, with its key as context. `whole` says whether this is the end of the
    /// string.
    ///
    /// A text that is escaped once more, such as JSON or code quoted in a text, is also searched as it reads when
    /// nothing in it is escaped any more. It is not searched at each depth in between, which would cost as much
    /// again: whatever is escaped less deeply reads the same there.
    async fn hits(&self, set: Set, raw: &str, key: &str, nested: u32, whole: bool) -> Hits {
        let detectors = self.search.detectors;
        let key = fold(key, Reading::EscapesOnly).text;
        // A word must stand near the value.
        let key = key.get(key.ceil_char_boundary(key.len().saturating_sub(KEY_MAX))..).unwrap_or_default();
        let part = Part { last: whole, ..Part::whole(raw, Reading::Escaped, self.replace.form()) };
        let Hits { mut hits, mut settled } = if detectors.announces(set, key) {
            let mut with_key = format!("{key}\":\"{raw}");
            if whole {
                with_key.push('"');
            }
            let from = key.len() + 3;
            let part = Part { text: &with_key, from, barrier: from, ..part };
            let Hits { mut hits, settled } = detectors.search(set, &part).await;
            for Hit { range, .. } in &mut hits {
                *range = range.start - from..range.end.min(from + raw.len()) - from;
            }
            hits.retain(|hit| !hit.range.is_empty());
            Hits { hits, settled: settled.saturating_sub(from).min(raw.len()) }
        } else {
            detectors.search(set, &part).await
        };
        let depths = depths(raw, NESTED_MAX.saturating_sub(nested), whole).await;
        if let Some(innermost) = depths.last() {
            let part = Part { text: innermost, ..part };
            let mut deeper = detectors.search(set, &part).await;
            let outer = depths.iter().rev().skip(1).map(String::as_str).chain([raw]);
            for text in outer {
                let mut back = Back::new(text, Reading::EscapesOnly);
                for hit in &mut deeper.hits {
                    hit.range = back.range(hit.range.clone()).await;
                }
                deeper.settled = Back::new(text, Reading::EscapesOnly).start(deeper.settled).await;
            }
            hits = join(raw, hits, deeper.hits).await;
            settled = settled.min(deeper.settled);
        }
        Hits { hits, settled }
    }
}

/// Reads a string with its quotes; returns its end.
async fn read_string(scanner: &mut Scanner<'_>, expected: &'static str) -> Result<usize, JsonError> {
    scanner.expect(b'"', expected)?;
    let mut before = scanner.at();
    while !scanner.in_string(STRIDE)? {
        step(scanner.at() - before);
        before = scanner.at();
        rest().await;
    }
    step(scanner.at() - before);
    Ok(scanner.at())
}
