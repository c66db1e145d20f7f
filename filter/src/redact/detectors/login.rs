//! Users and passwords that are joined: in a URL, before an Oracle database, after an option of a command.

use crate::redact::detectors::composition::{KEY_MIN, PASSWORD_MIN, has, is_random, is_template};
use crate::redact::detectors::label::skip;
use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, View, is};

/// Longest user and password in a URL.
const USERINFO_MAX: usize = 512;
/// Longest user, and longest password, of an option.
const USER_MAX: usize = 64;

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
    let end = last?;
    // A token alone: `https://3f9a…@host`.
    let alone = colon.is_none_or(|colon| colon > end);
    if alone && !(is_random(view.slice(at..end)) && next - at < USERINFO_MAX && view.is(end + 1, ALNUM)) {
        return None;
    }
    if alone {
        return Some(end);
    }
    let colon = colon?;
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

/// Returns the end of user and password before the `@` of an Oracle connection (Oracle Database JDBC
/// Developer's Guide, "Thin-style Service Name Syntax").
pub(crate) fn oracle(view: &View<'_>, at: usize) -> Option<usize> {
    const NAME_MAX: usize = 64;
    let part = |from: usize| {
        let mut end = from;
        while end - from < NAME_MAX
            && view.at(end).is_some_and(|byte| byte > b' ' && !b"/@\"'<>{}()$".contains(&byte))
        {
            end += 1;
        }
        Some(end).filter(|end| *end > from)
    };
    let slash = part(at).filter(|slash| view.at(*slash) == Some(b'/'))?;
    part(slash + 1).filter(|end| view.at(*end) == Some(b'@'))
}

/// Returns the end of `user:password` after an option of a command.
pub(crate) fn option(view: &View<'_>, at: usize) -> Option<usize> {
    let part = |from: usize| {
        let mut end = from;
        while end - from < USER_MAX
            && view.at(end).is_some_and(|byte| byte > b' ' && !b":\"'`$<>{}()[]|&;/\\".contains(&byte))
        {
            end += 1;
        }
        end
    };
    let colon = part(at);
    if view.at(colon) != Some(b':') {
        return None;
    }
    let first = skip(view, colon + 1, b"\"'", 1);
    let mut end = first;
    while end - first < USER_MAX
        && view.at(end).is_some_and(|byte| byte > b' ' && !b"\"'`<>{}()[]".contains(&byte))
    {
        end += 1;
    }
    let (user, password) = (view.slice(at..colon), view.slice(first..end));
    let chosen = |value: &[u8]| {
        let (digits, letters) = (has(value, DIGIT), has(value, ALPHA));
        value.len() >= PASSWORD_MIN
            && letters
            && (digits || value.iter().any(|byte| b"!#%^&*~+@".contains(byte)))
    };
    let secret = if password.is_empty() { user.len() >= KEY_MIN && chosen(user) } else { chosen(password) };
    (secret && !is_template(password)).then_some(end)
}
