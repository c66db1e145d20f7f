//! Secrets announced by what precedes them: `api_key=…`, `password: …`, `Bearer …`, and user and password in a
//! URL.
//!
//! Only the beginning of a value is measured ([`Composition`]), so that the decision does not change as the value
//! grows.

use crate::redact::detectors::composition::{Composition, Counts};
use crate::redact::detectors::label::Word;
use crate::redact::detectors::lexicon::Lexicon;
use crate::redact::text::cost::look;
use crate::redact::text::view::{ALNUM, ALPHA, BASE64, BLANK, DIGIT, PADDING, TOKEN, VALUE, View, is};

/// Longest quoted value with blanks in it.
const QUOTED_MAX: usize = 128;
/// Longest clause between a word and its verb.
const CLAUSE_MAX: usize = 40;
/// Longest user and password in a URL.
const USERINFO_MAX: usize = 512;
/// Shortest key or token, and shortest password.
const KEY_MIN: usize = 8;
const PASSWORD_MIN: usize = 4;
/// Values that are not secrets: types, null values and placeholders for input.
#[rustfmt::skip]
static NO_SECRETS: Lexicon<46> = Lexicon::new([
    "null", "none", "nil", "true", "false", "string", "undefined", "required", "optional", "password",
    "passwd", "secret", "token", "redacted", "hidden", "example", "placeholder", "value", "text", "input",
    "reset", "protected", "unknown", "empty", "changed", "invalid", "expired", "missing", "default", "number",
    "integer", "boolean", "object", "array", "bearer", "basic", "digest", "hash", "field", "disabled",
    "enabled", "auto", "type", "!secret", "!vault", "!env",
]);

/// Prefixes of values that stand for others.
static INVITATIONS: Lexicon<15> = Lexicon::new([
    "your",
    "my_",
    "my-",
    "the_",
    "insert",
    "enter",
    "replace",
    "xxx",
    "process.env",
    "os.environ",
    "env.",
    "secrets.",
    "config.",
    "self.",
    "this.",
]);

/// The position of a value after its word.
pub(crate) struct Place {
    pub at: usize,
    /// The quote before it.
    quote: Option<u8>,
    /// Whether it is assigned (`=`) without blanks, or quoted: then letters alone may be a password.
    assigned: bool,
}

/// Verbs between a word and its value; ASCII ones need a blank after them.
static VERBS: Lexicon<8> = Lexicon::new(["is", "ist", "es", "est", "lautet", "是", "は", "为"]);

/// Finds the value of the word `start..end`: skips quotes, then a separator, then blanks.
pub(crate) fn place(view: &View<'_>, word: Word, start: usize, end: usize) -> Option<Place> {
    let mut at = end;
    let mut sign = false;
    if word != Word::Scheme {
        let mut quoted = skip(view, end, b"\"'\\*", 3);
        // `environ["API_KEY"] = …`
        if quoted > end {
            quoted = skip(view, quoted, b"]", 1);
        }
        at = skip(view, quoted, b" \t", 4);
        at = crate::redact::detectors::label::remark(view, at).unwrap_or(at);
        sign = at == quoted && view.at(at) == Some(b'=');
        at = match view.at(at)? {
            b'=' | b':' => at + 1 + usize::from(matches!(view.at(at + 1), Some(b'=' | b'>'))),
            b'>' => at + 1,
            _ if at > quoted && view.ends_with_any_case(start, b"--") => at,
            b'"' | b'\'' if at > quoted && word == Word::Password => at,
            _ => verb(view, clause(view, at))?,
        };
    }
    if view.starts_with(at, b"** ") {
        at += 2;
    }
    let separated = at;
    at = skip(view, at, b" \t\\\r\n", 6);
    sign &= at == separated;
    for scheme in [b"bearer ".as_slice(), b"basic ", b"token "] {
        if view.starts_with_any_case(at, scheme) {
            at += scheme.len();
        }
    }
    let quote = view.at(at).filter(|byte| b"\"'`".contains(byte));
    at += usize::from(quote.is_some());
    Some(Place { at, quote, assigned: sign || quote.is_some() })
}

/// Returns the end of a clause that says what a password is for: `for the server `.
fn clause(view: &View<'_>, at: usize) -> usize {
    if !view.starts_with_any_case(at, b"for ") {
        return at;
    }
    let mut end = at;
    while end - at < CLAUSE_MAX && view.is(end, ALPHA | BLANK) && !view.starts_with_any_case(end, b" is ") {
        end += 1;
    }
    end + usize::from(view.is(end, BLANK))
}

/// Returns the end of the verb at an offset, including a colon after it.
fn verb(view: &View<'_>, at: usize) -> Option<usize> {
    let end = at + VERBS.longest(view, at)?;
    let colon = view.at(end) == Some(b':');
    let is_ascii = view.at(at).is_some_and(|byte| byte.is_ascii());
    (colon || !is_ascii || view.is(end, BLANK)).then(|| end + usize::from(colon))
}

fn skip(view: &View<'_>, from: usize, bytes: &[u8], max: usize) -> usize {
    let mut at = from;
    while at - from < max && view.at(at).is_some_and(|byte| bytes.contains(&byte)) {
        at += 1;
    }
    at
}

/// Returns the end of the secret at a place.
pub(crate) fn value(
    view: &View<'_>,
    composition: &mut Composition,
    word: Word,
    place: &Place,
) -> Option<usize> {
    match word {
        Word::AwsSecret => exactly(view, place.at, 40),
        Word::AwsSession => run_of(view, place.at, BASE64 | PADDING, 80),
        Word::Azure => run_of(view, place.at, BASE64 | TOKEN | PADDING, 32),
        _ => free(view, composition, word, place),
    }
}

fn exactly(view: &View<'_>, at: usize, length: usize) -> Option<usize> {
    let end = view.run(at, BASE64 | PADDING, length + 1);
    let mixed = has(view.slice(at..end), DIGIT) || has(view.slice(at..end), ALPHA);
    (end - at == length && mixed).then_some(end)
}

fn run_of(view: &View<'_>, at: usize, class: u16, min: usize) -> Option<usize> {
    let end = view.run(at, class, min);
    let value = view.slice(at..end);
    let mixed = has(value, DIGIT) && has(value, ALPHA);
    (value.len() == min && mixed).then(|| view.run(at, class, usize::MAX))
}

fn has(bytes: &[u8], class: u16) -> bool {
    bytes.iter().any(|byte| is(*byte, class))
}

/// Returns the end of a value without a known form.
fn free(view: &View<'_>, composition: &mut Composition, word: Word, place: &Place) -> Option<usize> {
    if let Some(quote) = place.quote.filter(|_| word == Word::Password)
        && let Some(end) = closing_quote(view, place.at, quote)
        && view.slice(place.at..end).iter().any(|byte| is(*byte, BLANK))
    {
        let words = view.slice(place.at..end);
        if words.len() > 8 && !has_template(words) {
            return Some(end);
        }
    }
    composition.measure(view, place.at);
    let after = view.at(composition.end());
    // A call or an index in code; an earlier replacement looks like one.
    let code = matches!(after, Some(b'(' | b'[')) && !view.is(composition.end() + 1, DIGIT);
    // A single word in quotes must be all that is quoted.
    let whole = place.quote.is_none_or(|quote| after == Some(quote));
    let value = view.tail(place.at, composition.len());
    if code || !is_secret(value, &composition.counts(), word, place.assigned && whole) {
        return None;
    }
    let end = view.run_of_letters(composition.end(), VALUE, usize::MAX);
    // Only its end is looked at.
    Some(place.at + trimmed(view.tail(place.at, end - place.at)).len())
}

fn closing_quote(view: &View<'_>, from: usize, quote: u8) -> Option<usize> {
    (from..from + QUOTED_MAX).find_map(|at| match view.at(at) {
        None | Some(b'\n' | b'\\') => Some(None),
        Some(byte) => (byte == quote).then_some(Some(at)),
    })?
}

/// Trims trailing punctuation of the surrounding sentence.
fn trimmed(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !b".:?".contains(byte)).map_or(0, |last| last + 1);
    value.get(..end).unwrap_or_default()
}

fn has_template(value: &[u8]) -> bool {
    value.iter().any(|byte| b"{}<>$*[".contains(byte))
}

/// Whether the beginning of a value, of this composition, is that of a secret.
fn is_secret(value: &[u8], counts: &Counts, word: Word, assigned: bool) -> bool {
    let Counts { digits, letters, marks, .. } = *counts;
    let first = value.first().copied().unwrap_or(b' ');
    let other = value.iter().position(|byte| *byte != first && *byte != b'-');
    look(other.unwrap_or(value.len()));
    if other.is_none()
        || b"$%<{".contains(&first)
        || NO_SECRETS.has(value)
        || is_code(value, counts, assigned)
        || INVITATIONS.begins(value)
    {
        return false;
    }
    if word == Word::Password {
        let chosen =
            digits > 0 && value.len() >= PASSWORD_MIN || marks > 0 && letters > 0 && value.len() >= 6;
        // Names in code are not passwords: `password=user.password`, `password=new_password`.
        let plain = assigned && value.len() >= 6 && digits == 0 && letters == value.len();
        return chosen || plain;
    }
    let path = word != Word::Scheme && first == b'/';
    let min = if word == Word::Scheme { 16 } else { KEY_MIN };
    value.len() >= min && letters > 0 && digits > 0 && !path && !is_date_or_version(value)
}

/// Names and paths in code, `node.dot2_token` and `__u32`, and constants such as `0x80041064`.
fn is_code(value: &[u8], counts: &Counts, assigned: bool) -> bool {
    let Counts { digits, underscores, odd, parts, numbers, .. } = *counts;
    let path = parts > 1 && numbers == 0;
    let name = !assigned && digits <= 3 && underscores > 0;
    value.starts_with(b"0x") || odd == 0 && (path || name)
}

/// `2024-01-02T10:00:00Z`, `1.2.3-beta`: digits with a few letters.
fn is_date_or_version(value: &[u8]) -> bool {
    let starts = value.iter().take(5).take_while(|byte| is(**byte, DIGIT)).count();
    matches!((starts, value.get(starts)), (4, Some(b'-')) | (1..=3, Some(b'.')))
}

/// Returns the end of user and password in a URL, before the `@`; `at` is after the `://`.
pub(crate) fn userinfo(view: &View<'_>, at: usize) -> Option<usize> {
    let (mut colon, mut last) = (None, None);
    let mut next = at;
    while next - at < USERINFO_MAX {
        match view.at(next) {
            Some(b'@') => last = Some(next),
            Some(b':') => colon = colon.or(Some(next)),
            Some(byte) if byte <= b' ' || b"\"'<>`/?#\\{}|^,;".contains(&byte) => break,
            Some(_) => {}
            None => break,
        }
        next += 1;
    }
    let (colon, end) = (colon?, last?);
    let password = view.slice(colon + 1..end);
    let same = password.iter().all(|byte| Some(byte) == password.first());
    // `image:tag@sha256:…` is a container image.
    let digest = view.starts_with_any_case(end + 1, b"sha256:");
    let host =
        !digest && view.at(end + 1).is_some_and(|byte| is(byte, ALNUM) || byte == b'[' || byte >= 0x80);
    let template = view.slice(at..end).iter().any(|byte| b"$%*[".contains(byte) && *byte != b'%')
        || password.first() == Some(&b'%') && password.get(1) == Some(&b'(');
    let template = template && !password.iter().any(|byte| is(*byte, DIGIT));
    let fits = next - at < USERINFO_MAX;
    (colon < end && !password.is_empty() && !(same && password.len() > 2) && host && !template && fits)
        .then_some(end)
}
