//! Keys and tokens with a provider's prefix, and JSON web tokens.
//!
//! Prefixes and lengths are from each provider's documentation; those of vendors without a detector of their
//! own are in [`vendors`](crate::redact::detectors::vendors). Where the length varies, a minimum is required and
//! everything that follows belongs to the key.

use crate::redact::detectors::form::{self, Class, EXAMINED_MAX, Form, at_least, exactly, is_mixed};
use crate::redact::detectors::login;
use crate::redact::detectors::names::Builtin;
use crate::redact::detectors::vendors::{HEADED, ROWS};
use crate::redact::text::view::{ALNUM, BASE64, DIGIT, PADDING, TOKEN, View, is};

/// Length of a run of token characters, in bytes, that counts as a web token even without visible dots, as in
/// the middle of a long one.
const LONG: usize = 1500;

/// What follows a prefix.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Form(Form),
    /// At least this many token bytes, including a digit.
    Numbered(usize),
    /// At least this many token bytes, in parts separated by single dots.
    Dotted(usize),
    /// Team, application and secret of a Slack webhook.
    SlackHook,
    /// User and password before an `@`: `scott/tiger@`.
    OracleLogin,
    /// As in OpenAI's older keys, whose prefix is used by others too.
    OpenAi,
}

/// A literal in keys, whose they are, and what stands around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub prefix: &'static str,
    pub detector: Builtin,
    /// The run before the literal, where it is no prefix.
    head: Option<(Class, u16)>,
    /// Whether the match begins after the literal, since a stream does not hold back all of its bytes.
    is_behind: bool,
    rest: Rest,
}

const fn key(prefix: &'static str, detector: Builtin, rest: Rest) -> Key {
    Key { prefix, detector, head: None, is_behind: !is_held(prefix.as_bytes()), rest }
}

/// Whether a stream holds back all beginnings of a literal.
const fn is_held(literal: &[u8]) -> bool {
    let mut rest = literal;
    while let Some((first, others)) = rest.split_first() {
        if !others.is_empty() && matches!(*first, b'/' | b'$' | b' ' | b'=' | b'?' | b'&') {
            return false;
        }
        rest = others;
    }
    true
}

const fn headed(class: Class, length: u16, literal: &'static str, form: Form) -> Key {
    let rest = Rest::Form(form);
    Key { head: Some((class, length)), ..key(literal, Builtin::Azure, rest) }
}

/// Keys of vendors with a detector of their own.
#[rustfmt::skip]
const OWN: [Key; 72] = [
    key("sk-ant-", Builtin::Anthropic, Rest::Form(&[at_least(Class::Token, 20)])),
    key("sk-", Builtin::OpenAi, Rest::OpenAi),
    key("sess-", Builtin::OpenAi, Rest::Form(&[exactly(Class::Alnum, 40)])),
    key("AKIA", Builtin::Aws, Rest::Form(&[exactly(Class::Capitals, 16)])),
    key("ASIA", Builtin::Aws, Rest::Form(&[exactly(Class::Capitals, 16)])),
    key("ABIA", Builtin::Aws, Rest::Form(&[exactly(Class::Capitals, 16)])),
    key("ACCA", Builtin::Aws, Rest::Form(&[exactly(Class::Capitals, 16)])),
    key("A3T", Builtin::Aws, Rest::Form(&[exactly(Class::Capitals, 17)])),
    key("ABSK", Builtin::Aws, Rest::Form(&[at_least(Class::Base64, 80)])),
    key("bedrock-api-key-", Builtin::Aws, Rest::Form(&[at_least(Class::Base64, 28)])),
    key("AIza", Builtin::Gcp, Rest::Form(&[exactly(Class::Token, 35)])),
    key("GOCSPX-", Builtin::Gcp, Rest::Form(&[at_least(Class::Token, 24)])),
    key("ya29.", Builtin::Gcp, Rest::Dotted(20)),
    key("1//0", Builtin::Gcp, Rest::Form(&[at_least(Class::Token, 40)])),
    // Entra refresh tokens, and keys that Azure's services mark as theirs.
    key("0.A", Builtin::Azure, Rest::Dotted(150)),
    key("1.A", Builtin::Azure, Rest::Dotted(150)),
    headed(Class::Alnum, 52, "JQQJ99", &[exactly(Class::Alnum, 26)]),
    headed(Class::Token, 44, "AzFu", &[exactly(Class::Token, 6).then("==")]),
    headed(Class::Alnum, 42, "AzSe", &[exactly(Class::Alnum, 6)]),
    headed(Class::Alnum, 33, "AzCa", &[exactly(Class::Alnum, 6).then("=")]),
    key("ghp_", Builtin::GitHub, Rest::Form(&[at_least(Class::Alnum, 36)])),
    key("gho_", Builtin::GitHub, Rest::Form(&[at_least(Class::Alnum, 36)])),
    key("ghu_", Builtin::GitHub, Rest::Form(&[at_least(Class::Alnum, 36)])),
    key("ghs_", Builtin::GitHub, Rest::Form(&[at_least(Class::Alnum, 36)])),
    key("ghr_", Builtin::GitHub, Rest::Form(&[at_least(Class::Alnum, 36)])),
    key("github_pat_", Builtin::GitHub, Rest::Form(&[at_least(Class::Name, 36)])),
    key("glpat-", Builtin::GitLab, Rest::Dotted(20)),
    key("gldt-", Builtin::GitLab, Rest::Dotted(20)),
    key("glrt-", Builtin::GitLab, Rest::Dotted(20)),
    key("glrtr-", Builtin::GitLab, Rest::Dotted(20)),
    key("glcbt-", Builtin::GitLab, Rest::Dotted(20)),
    key("glptt-", Builtin::GitLab, Rest::Dotted(20)),
    key("glft-", Builtin::GitLab, Rest::Dotted(20)),
    key("glsoat-", Builtin::GitLab, Rest::Dotted(20)),
    key("glimt-", Builtin::GitLab, Rest::Dotted(20)),
    key("glagent-", Builtin::GitLab, Rest::Dotted(20)),
    key("gloas-", Builtin::GitLab, Rest::Dotted(20)),
    key("glffct-", Builtin::GitLab, Rest::Dotted(20)),
    key("glwt-", Builtin::GitLab, Rest::Dotted(20)),
    key("GR1348941", Builtin::GitLab, Rest::Form(&[at_least(Class::Token, 20)])),
    key("_gitlab_session=", Builtin::GitLab, Rest::Form(&[exactly(Class::Alnum, 32)])),
    key("xoxb-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxp-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxa-", Builtin::Slack, Rest::Numbered(8)),
    key("xoxr-", Builtin::Slack, Rest::Numbered(8)),
    key("xoxs-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxo-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxc-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxd-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxe-", Builtin::Slack, Rest::Numbered(10)),
    key("xoxe.xox", Builtin::Slack, Rest::Numbered(20)),
    key("xapp-", Builtin::Slack, Rest::Numbered(10)),
    key("xwfp-", Builtin::Slack, Rest::Numbered(10)),
    key("hooks.slack.com/services/", Builtin::Slack, Rest::SlackHook),
    key("hooks.slack.com/workflows/", Builtin::Slack, Rest::SlackHook),
    key("hooks.slack.com/triggers/", Builtin::Slack, Rest::SlackHook),
    key("hooks.slack-gov.com/services/", Builtin::Slack, Rest::SlackHook),
    key("sk_live_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("sk_test_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("sk_prod_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("rk_live_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("rk_test_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("rk_prod_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 10)])),
    key("sk_org_live_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 16)])),
    key("sk_org_test_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 16)])),
    key("ek_live_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 16)])),
    key("ek_test_", Builtin::Stripe, Rest::Form(&[at_least(Class::Alnum, 16)])),
    key("whsec_", Builtin::Stripe, Rest::Form(&[at_least(Class::Base64, 24)])),
    key("oracle:thin:", Builtin::UrlCredentials, Rest::OracleLogin),
    key("oracle:oci:", Builtin::UrlCredentials, Rest::OracleLogin),
    key("oracle:oci8:", Builtin::UrlCredentials, Rest::OracleLogin),
    key("sqlplus ", Builtin::UrlCredentials, Rest::OracleLogin),
];

/// All keys: those with a detector of their own, then the others, which `generic_secret` finds.
pub(crate) static KEYS: [Key; OWN.len() + ROWS.len() + HEADED.len()] = all();

#[allow(clippy::indexing_slicing)] // evaluated when compiled
const fn all() -> [Key; OWN.len() + ROWS.len() + HEADED.len()] {
    let mut keys = [OWN[0]; OWN.len() + ROWS.len() + HEADED.len()];
    let mut at = 0;
    while at < OWN.len() {
        keys[at] = OWN[at];
        at += 1;
    }
    while at < OWN.len() + ROWS.len() {
        let (prefix, form) = ROWS[at - OWN.len()];
        keys[at] = key(prefix, Builtin::GenericSecret, Rest::Form(form));
        at += 1;
    }
    while at < keys.len() {
        let (class, length, literal, form) = HEADED[at - OWN.len() - ROWS.len()];
        keys[at] = Key { detector: Builtin::GenericSecret, ..headed(class, length, literal, form) };
        at += 1;
    }
    keys
}

/// Whether a key may begin at an offset: not in the middle of a word, nor of another key.
pub(crate) fn begins(view: &View<'_>, at: usize) -> bool {
    match view.before(at) {
        Some(b'-') => !view.before_is(at - 1, ALNUM),
        Some(byte) => !is(byte, ALNUM) && byte != b'_',
        None => true,
    }
}

/// Returns the start of a key whose literal is `start..end`, and that of its match.
pub(crate) fn start(view: &View<'_>, key: &Key, start: usize, end: usize) -> Option<(usize, usize)> {
    match key.head {
        None => Some((start, if key.is_behind { end } else { start })),
        Some((class, length)) => form::head(view, class, length, start).map(|head| (head, head)),
    }
}

/// Returns the end of the key that begins at `start` and whose literal ends at `at`.
pub(crate) fn end(view: &View<'_>, key: &Key, start: usize, at: usize) -> Option<usize> {
    let literal = at - key.prefix.len();
    if !begins(view, start) || !view.starts_with(literal, key.prefix.as_bytes()) {
        return None;
    }
    match key.rest {
        Rest::Form(form) if view.before(start).is_some_and(|byte| form::continues(form, byte)) => None,
        Rest::Form(form) => form::end(view, form, if key.head.is_some() { start } else { at }, at),
        Rest::Numbered(min) => {
            let end = at_least_of(view, at, TOKEN, min)?;
            let value = view.slice(at..end.min(at + EXAMINED_MAX));
            value.iter().any(|byte| is(*byte, DIGIT)).then_some(end)
        }
        Rest::Dotted(min) => {
            let end = dotted(view, at).0;
            (end - at >= min && is_mixed(view.slice(at..end.min(at + EXAMINED_MAX)))).then_some(end)
        }
        Rest::SlackHook => slack_hook(view, at),
        Rest::OracleLogin => login::oracle(view, at),
        Rest::OpenAi => openai(view, at),
    }
}

fn at_least_of(view: &View<'_>, at: usize, class: u16, min: usize) -> Option<usize> {
    let end = view.run(at, class, min);
    (end - at == min).then(|| view.run(end, class, usize::MAX))
}

/// `sk-proj-…`, `sk-svcacct-…`, `sk-` and 48 characters, and other providers' keys of that form.
fn openai(view: &View<'_>, at: usize) -> Option<usize> {
    const MEASURED_MAX: usize = 40;
    if view.starts_with(at, b"ant-") || view.starts_with(at, b"or-") {
        return None;
    }
    let end = view.run(at, TOKEN, MEASURED_MAX);
    let value = view.slice(at..end);
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let whole = !value.iter().any(|byte| b"-_".contains(byte));
    let named =
        ["proj-", "svcacct-", "admin-", "None-"].iter().any(|kind| value.starts_with(kind.as_bytes()));
    let fits = (upper || named) && value.len() >= 20 || whole && value.len() >= 32;
    (fits && is_mixed(value)).then(|| view.run(end, TOKEN, usize::MAX))
}

/// Returns the end of a run of token characters and single dots, and the number of dots: at most those of an
/// encrypted token.
fn dotted(view: &View<'_>, at: usize) -> (usize, usize) {
    let (mut end, mut dots) = (view.run(at, TOKEN, usize::MAX), 0);
    while dots < 4 && view.at(end) == Some(b'.') {
        let next = view.run(end + 1, TOKEN, usize::MAX);
        // A part may be empty, as the key of a directly encrypted token is.
        if next == end + 1 && !(view.at(next) == Some(b'.') && view.is(next + 1, TOKEN)) {
            break;
        }
        dots += 1;
        end = next;
    }
    (end, dots)
}

/// Returns the end of the JSON web token whose `eyJ` is at `at`: two parts and a signature, which may be empty
/// (RFC 7515, section 7.1), or five parts (RFC 7516).
pub(crate) fn jwt(view: &View<'_>, at: usize) -> Option<usize> {
    if !begins(view, at) || view.before(at) == Some(b'-') || !view.starts_with(at, b"eyJ") {
        return None;
    }
    let header = view.run(at, TOKEN, LONG);
    if header - at >= LONG {
        return Some(dotted(view, at).0);
    }
    if header - at < 12 || view.at(header) != Some(b'.') {
        return None;
    }
    let (end, dots) = dotted(view, at);
    let payload = view.run(header + 1, TOKEN, LONG) - header;
    let unsigned =
        dots == 1 && end - at < LONG && payload > 8 && view.at(end) == Some(b'.') && !view.is(end + 1, ALNUM);
    if unsigned && view.at(header + 1) == Some(b'e') {
        return Some(end + 1);
    }
    // Without a signature, and without the dot that should remain of it.
    if dots == 1 && payload > 16 && view.starts_with(header + 1, b"eyJ") {
        return Some(end);
    }
    ((2..=4).contains(&dots) && (payload > 8 || dots == 4) || end - at >= LONG).then_some(end)
}

/// Returns the start and end of the Azure client secret around `Q~`: three characters and a digit before it, 31
/// to 34 characters after it.
pub(crate) fn azure_secret(view: &View<'_>, at: usize) -> Option<(usize, Option<usize>)> {
    let start = at.checked_sub(4)?;
    let is_part = |byte: u8| is(byte, TOKEN) || byte == b'.' || byte == b'~';
    let head = view.slice(start..at);
    if !head.iter().all(|byte| is_part(*byte)) || !view.before_is(at, DIGIT) || view.before_is(start, TOKEN) {
        return None;
    }
    if !view.starts_with(at, b"Q~") {
        return None;
    }
    let mut end = at + 2;
    while end - at < 40 && view.at(end).is_some_and(is_part) {
        end += 1;
    }
    while end > at && view.before(end) == Some(b'.') {
        end -= 1;
    }
    let fits = (33..=36).contains(&(end - at)) && is_mixed(view.slice(start..end));
    Some((start, fits.then_some(end)))
}

/// Returns the end of a shared access signature whose `sig=` ends at `at` (Azure Storage, "Create a service
/// SAS"): percent-encoded base64.
pub(crate) fn azure_signature(view: &View<'_>, start: usize, at: usize) -> Option<usize> {
    let is_part = |byte: u8| is(byte, BASE64 | TOKEN | PADDING) || byte == b'%';
    if !matches!(view.before(start), Some(b'?' | b'&' | b';')) || !view.starts_with_any_case(start, b"sig=") {
        return None;
    }
    let mut end = at;
    while end - at < 160 && view.at(end).is_some_and(is_part) {
        end += 1;
    }
    (end - at >= 40 && is_mixed(view.slice(at..end))).then_some(end)
}

/// Returns the end of a Slack webhook's path that begins at `at`: team, application, secret, and a number in
/// between for those that start a workflow.
fn slack_hook(view: &View<'_>, at: usize) -> Option<usize> {
    const PATH_MIN: usize = 24;
    const PATH_MAX: usize = 160;
    let mut end = at;
    while end - at < PATH_MAX && view.at(end).is_some_and(|byte| is(byte, TOKEN | BASE64)) {
        end += 1;
    }
    while end > at && view.before(end) == Some(b'/') {
        end -= 1;
    }
    (end - at >= PATH_MIN && is_mixed(view.slice(at..end))).then_some(end)
}
