//! Secrets announced by what precedes them: `api_key=…`, `password: …`, `Bearer …`.
//!
//! Only the beginning of a value is measured ([`Composition`]), so that the decision does not change as the value
//! grows.

use crate::redact::detectors::composition::{
    Composition, Counts, KEY_MIN, PASSWORD_MIN, has, is_random, is_template, switches,
};
use crate::redact::detectors::label::{Word, remark, skip};
use crate::redact::detectors::lexicon::Lexicon;
use crate::redact::detectors::login;
use crate::redact::text::cost::look;
use crate::redact::text::view::{ALNUM, ALPHA, BASE64, BLANK, DIGIT, PADDING, TOKEN, VALUE, View, is};

/// Longest quoted value with blanks in it.
const QUOTED_MAX: usize = 128;
/// Longest clause between a word and its verb.
const CLAUSE_MAX: usize = 40;
/// Shortest key in hexadecimal after `0x`: 32 bytes.
const HEX_KEY_MIN: usize = 66;
/// Shortest password in a connection string.
const MEMBER_MIN: usize = 3;
/// Longest value of brackets that do not pair.
const ODD_MAX: usize = 128;
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
    /// Whether the value must look random: the word is only the beginning of a name, or the sign between them
    /// often joins others.
    strict: bool,
    /// Whether it is a member of a connection string or a query (`;Password=…`), where anything may be one.
    member: bool,
}

/// Verbs between a word and its value; ASCII ones need a blank after them.
static VERBS: Lexicon<8> = Lexicon::new(["is", "ist", "es", "est", "lautet", "是", "は", "为"]);

/// Parts of names in code that begin with a word for a secret, and are not secrets.
#[rustfmt::skip]
static OTHERS: Lexicon<38> = Lexicon::new([
    "type", "name", "url", "uri", "id", "count", "hash", "expir", "length", "len", "policy", "prompt", "field",
    "file", "path", "hint", "error", "reset", "ttl", "endpoint", "usage", "limit", "version", "header", "regex",
    "format", "manager", "store", "input", "label", "status", "at", "info", "source", "provider", "index",
    "pattern", "budget",
]);
/// Longest rest of a name after a word.
const REST_MAX: usize = 24;

/// Returns the end of the name in code that the word `..end` begins, as in `password_of_admin` and `token1`;
/// `None` if it names something else.
fn name(view: &View<'_>, end: usize) -> Option<usize> {
    let begins = match view.at(end) {
        Some(b'_' | b'-') => view.is(end + 1, ALNUM),
        Some(byte) if byte.is_ascii_uppercase() => {
            view.before(end).is_some_and(|before| before.is_ascii_lowercase())
        }
        Some(byte) => is(byte, DIGIT),
        None => false,
    };
    if !begins {
        return Some(end);
    }
    let mut at = end;
    while at - end < REST_MAX && view.at(at).is_some_and(|byte| is(byte, TOKEN)) {
        let part = !view.before_is(at, ALNUM) || view.at(at).is_some_and(|byte| byte.is_ascii_uppercase());
        if part && OTHERS.longest(view, at).is_some() {
            return None;
        }
        at += 1;
    }
    (!view.is(at, TOKEN)).then_some(at)
}

/// Finds the value of the word `start..end`: skips the rest of a name, quotes, then a separator, then blanks.
pub(crate) fn place(view: &View<'_>, word: Word, start: usize, end: usize) -> Option<Place> {
    if word == Word::Login {
        let at = skip(view, end, b" \"'", 2);
        return Some(Place { at, quote: None, assigned: false, strict: false, member: false });
    }
    let mut at = end;
    let (mut sign, mut strict, mut member) = (false, false, false);
    if word != Word::Scheme {
        let named = name(view, end)?;
        strict = named > end;
        let mut quoted = skip(view, named, b"\"'\\*", 3);
        // `environ["API_KEY"] = …`
        if quoted > named {
            quoted = skip(view, quoted, b"]", 1);
        }
        at = skip(view, quoted, b" \t", 4);
        at = remark(view, at).unwrap_or(at);
        sign = at == quoted && view.at(at) == Some(b'=');
        member = sign && matches!(view.before(start), Some(b';' | b'&' | b'?'));
        if let Some(after) = operator(view, at, quoted > named) {
            // Comparisons, defaults and arguments join much else.
            strict |= !matches!(view.at(at), Some(b'=' | b':' | b'>'));
            at = after;
        } else {
            let follows = at > quoted
                && (is_option(view, word, start)
                    || word == Word::Password && matches!(view.at(at), Some(b'"' | b'\'')));
            at = if follows { at } else { verb(view, clause(view, at))? };
        }
    }
    if view.starts_with(at, b"** ") {
        at += 2;
    }
    let separated = at;
    at = skip(view, at, b" \t\\\r\n", 6);
    sign &= at == separated;
    // Most values begin with another letter.
    let may_be = view.at(at).is_some_and(|byte| b"bBtTaAsS".contains(&byte));
    for scheme in [b"bearer ".as_slice(), b"basic ", b"token ", b"apikey ", b"ssws "] {
        if may_be && view.starts_with_any_case(at, scheme) {
            at += scheme.len();
        }
    }
    // `@"…"` in some languages.
    if view.at(at) == Some(b'@') && view.at(at + 1) == Some(b'"') {
        at += 1;
    }
    let quote = view.at(at).filter(|byte| b"\"'`".contains(byte));
    at += usize::from(quote.is_some());
    Some(Place { at, quote, assigned: sign || quote.is_some(), strict, member })
}

/// Whether a word is an option of a command: `--password x`, and `-storagekey x` where the value has a form.
fn is_option(view: &View<'_>, word: Word, start: usize) -> bool {
    let formed = matches!(word, Word::Azure | Word::AwsSecret | Word::AwsSession);
    view.ends_with_any_case(start, b"--") || formed && view.before(start) == Some(b'-')
}

/// Returns the end of the sign between a name and its value: `=`, `:`, `:=`, `=>`, `?=`, `||`, `!==`; `,` after
/// a quoted name; and before a quote, `(` and ` - ` too.
fn operator(view: &View<'_>, at: usize, is_quoted: bool) -> Option<usize> {
    let before_quote = |from: usize| {
        let quote = skip(view, from, b" \t", 2);
        matches!(view.at(quote), Some(b'"' | b'\'' | b'`'))
    };
    let length = match (view.at(at)?, view.at(at + 1)) {
        (b'=', Some(b'=' | b'>')) => 2 + usize::from(view.at(at + 2) == Some(b'=')),
        (b':', Some(b'=' | b'>')) => 2,
        (b':', Some(b':')) => skip(view, at, b":=", 4) - at,
        (b'=' | b':' | b'>', _) => 1,
        (b'!', Some(b'=')) => 2 + usize::from(view.at(at + 2) == Some(b'=')),
        (b'?' | b'.' | b'+', Some(b'=')) | (b'|', Some(b'|')) | (b'?', Some(b'?')) | (b'-', Some(b'>')) => 2,
        (b',', _) if is_quoted && before_quote(at + 1) => 1,
        (b'(' | b'-', _) if before_quote(at + 1) => 1,
        _ => return None,
    };
    Some(at + length)
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
        // Not the identifier (RFC 9562) of what has a primary key.
        Word::Azure if view.at(place.at + 8) == Some(b'-') => None,
        Word::Azure => run_of(view, place.at, BASE64 | TOKEN | PADDING, 32),
        Word::Login => login::option(view, place.at),
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

/// Returns the end of a value without a known form.
fn free(view: &View<'_>, composition: &mut Composition, word: Word, place: &Place) -> Option<usize> {
    if word == Word::Password
        && !place.strict
        && let Some(end) = phrase(view, place)
    {
        return Some(end);
    }
    composition.measure(view, place.at);
    let after = view.at(composition.end());
    if after.is_some_and(|byte| b"()[]{}<>".contains(&byte))
        && composition.end() - place.at < ODD_MAX
        && let Some(end) = odd(view, place)
    {
        return Some(end);
    }
    // A call or an index in code; an earlier replacement looks like one.
    let code = matches!(after, Some(b'(' | b'[')) && !view.is(composition.end() + 1, DIGIT);
    // A single word in quotes must be all that is quoted.
    let whole = place.quote.is_none_or(|quote| after == Some(quote));
    let value = view.tail(place.at, composition.len());
    let secret = if place.member && word == Word::Password {
        value.len() >= MEMBER_MIN && !is_template(value) && !NO_SECRETS.has(value)
    } else {
        is_secret(value, &composition.counts(), word, place.assigned && whole)
            && (!place.strict || is_random(value))
    };
    if code || !secret {
        return None;
    }
    let end = view.run_of_letters(composition.end(), VALUE, usize::MAX);
    // Only its end is looked at.
    Some(place.at + trimmed(view.tail(place.at, end - place.at)).len())
}

/// Returns the end of a value whose brackets do not pair, as those of code and of templates do.
fn odd(view: &View<'_>, place: &Place) -> Option<usize> {
    const DEPTH: usize = 8;
    let (mut open, mut depth, mut crossed, mut letters) = ([0u8; DEPTH], 0, false, 0);
    let mut at = place.at;
    while at - place.at < ODD_MAX {
        let byte = view.at(at).filter(|byte| *byte > b' ' && *byte != b'\\');
        let Some(byte) = byte.filter(|byte| Some(*byte) != place.quote) else { break };
        let closes = match byte {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            // No bracket so far: most values have none.
            _ if depth == 0 && !is(byte, VALUE) => break,
            _ => 0,
        };
        if closes != 0 {
            *open.get_mut(depth)? = closes;
            depth += 1;
        } else if matches!(byte, b')' | b']' | b'}') {
            depth = depth.checked_sub(1)?;
            crossed |= open.get(depth) != Some(&byte);
        }
        letters += usize::from(is(byte, ALPHA));
        at += 1;
    }
    while place.quote.is_none() && at > place.at && view.before(at).is_some_and(|b| b",;`'\"".contains(&b)) {
        at -= 1;
    }
    let ends = place.quote.is_none_or(|quote| view.at(at) == Some(quote));
    (crossed && ends && letters >= KEY_MIN && view.at(place.at) != Some(b'/')).then_some(at)
}

/// Returns the end of a password with blanks or other signs that no unquoted value has: in quotes, in braces
/// (ODBC), or before the `;` of a connection string.
fn phrase(view: &View<'_>, place: &Place) -> Option<usize> {
    const PHRASE_MIN: usize = 8;
    const SIGNS_MIN: usize = 6;
    let is_braced = place.member && place.quote.is_none() && view.at(place.at) == Some(b'{');
    let close = if is_braced { Some(b'}') } else { place.quote.or(place.member.then_some(b';')) };
    let from = place.at + usize::from(is_braced);
    let end = closing(view, from, close?)?;
    let value = view.slice(from..end);
    let blank = value.iter().any(|byte| is(*byte, BLANK));
    let signs = has(value, DIGIT) && has(value, ALPHA) && !value.iter().all(|byte| is(*byte, VALUE));
    // A sentence may follow where nothing is quoted.
    let fits = if place.quote.is_none() && !is_braced {
        blank && value.len() > 2 && !value.starts_with(b" ")
    } else {
        blank && value.len() > PHRASE_MIN || signs && value.len() >= SIGNS_MIN || is_braced && value.len() > 2
    };
    (fits && !has_template(value)).then_some(end)
}

/// Returns the offset of a closing quote or sign in the same line.
fn closing(view: &View<'_>, from: usize, quote: u8) -> Option<usize> {
    (from..from + QUOTED_MAX).find_map(|at| match view.at(at) {
        None | Some(b'\n' | b'\\') => Some(None),
        Some(b'"' | b'\'' | b'<' | b'>') if quote == b';' => Some(None),
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
        || is_template(value)
        || NO_SECRETS.has(value)
        || is_code(value, counts, assigned)
        || INVITATIONS.begins(value)
    {
        return false;
    }
    if word == Word::Password {
        // `<password>@host` in documents: a host, unless it has digits.
        let chosen = digits > 0 && value.len() >= PASSWORD_MIN
            || marks > 0 && letters > 0 && value.len() >= 6 && first != b'@';
        // Names in code are not passwords: `password=user.password`, `password=new_password`.
        let plain = assigned && value.len() >= 6 && digits == 0 && letters == value.len();
        return chosen || plain;
    }
    let path = word != Word::Scheme && first == b'/';
    let min = if word == Word::Scheme { 16 } else { KEY_MIN };
    // A reference in code, or an address.
    let other = first == b'&' || value.windows(3).any(|part| part == b"://");
    value.len() >= min && letters > 0 && digits > 0 && !path && !other && !is_date_or_version(value)
}

/// Names and paths in code, `node.dot2_token` and `__u32`, and constants such as `0x80041064`.
fn is_code(value: &[u8], counts: &Counts, assigned: bool) -> bool {
    let Counts { digits, underscores, odd, parts, numbers, .. } = *counts;
    let path = parts > 1 && numbers == 0;
    let name = !assigned && digits <= 3 && underscores > 0;
    let number = value.starts_with(b"0x") && value.len() < HEX_KEY_MIN;
    number || odd == 0 && (path || name) && !is_random(value)
}

/// `2024-01-02T10:00:00Z`, `1.2.3-beta`: numbers with a few letters after them. What is random changes between
/// letters and digits too often for one.
fn is_date_or_version(value: &[u8]) -> bool {
    const SWITCHES_MAX: usize = 3;
    let head = value.iter().take_while(|byte| is(**byte, DIGIT) || b".-:".contains(byte)).count();
    let digits = |from: usize| value.iter().skip(from).take_while(|byte| is(**byte, DIGIT)).count();
    let first = digits(0);
    let joined = |sign: u8, length: usize| value.get(first) == Some(&sign) && digits(first + 1) >= length;
    let shaped = first == 4 && joined(b'-', 2) || (1..=4).contains(&first) && joined(b'.', 1);
    shaped && switches(value.get(head..).unwrap_or_default()) <= SWITCHES_MAX
}
