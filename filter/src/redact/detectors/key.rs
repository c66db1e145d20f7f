//! Keys and tokens with a provider's prefix, and JSON web tokens.
//!
//! Prefixes and lengths are from each provider's documentation. Where the length varies, a minimum is required
//! and everything that follows belongs to the key.

use crate::redact::detectors::names::Builtin;
use crate::redact::text::view::{ALNUM, ALPHA, BASE64, DIGIT, PADDING, TOKEN, View, is};

/// Length of a run of token characters, in bytes, that counts as a web token even without visible dots, as in
/// the middle of a long one.
const LONG: usize = 1500;

/// What follows a prefix.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// Exactly this many capitals and digits.
    Capitals(usize),
    /// Exactly this many bytes of a class.
    Exactly(u16, usize),
    /// At least this many bytes of a class, including a digit and a letter.
    Mixed(u16, usize),
    /// At least this many, including a digit.
    Numbered(usize),
    /// At least this many token bytes, in parts separated by single dots.
    Dotted(usize),
    /// As in OpenAI's older keys, whose prefix is used by others too.
    OpenAi,
}

/// A prefix, its provider, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub prefix: &'static str,
    pub detector: Builtin,
    rest: Rest,
}

const fn key(prefix: &'static str, detector: Builtin, rest: Rest) -> Key {
    Key { prefix, detector, rest }
}

/// All prefixes.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    key("sk-ant-", Builtin::Anthropic, Rest::Mixed(TOKEN, 20)),
    key("sk-", Builtin::OpenAi, Rest::OpenAi),
    key("sess-", Builtin::OpenAi, Rest::Exactly(ALNUM, 40)),
    key("AKIA", Builtin::Aws, Rest::Capitals(16)),
    key("ASIA", Builtin::Aws, Rest::Capitals(16)),
    key("ABIA", Builtin::Aws, Rest::Capitals(16)),
    key("ACCA", Builtin::Aws, Rest::Capitals(16)),
    key("ABSK", Builtin::Aws, Rest::Mixed(BASE64, 80)),
    key("AIza", Builtin::Gcp, Rest::Exactly(TOKEN, 35)),
    key("GOCSPX-", Builtin::Gcp, Rest::Mixed(TOKEN, 24)),
    key("ya29.", Builtin::Gcp, Rest::Dotted(20)),
    key("ghp_", Builtin::GitHub, Rest::Mixed(ALNUM, 36)),
    key("gho_", Builtin::GitHub, Rest::Mixed(ALNUM, 36)),
    key("ghu_", Builtin::GitHub, Rest::Mixed(ALNUM, 36)),
    key("ghs_", Builtin::GitHub, Rest::Mixed(ALNUM, 36)),
    key("ghr_", Builtin::GitHub, Rest::Mixed(ALNUM, 36)),
    key("github_pat_", Builtin::GitHub, Rest::Mixed(TOKEN, 50)),
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
    key("GR1348941", Builtin::GitLab, Rest::Mixed(TOKEN, 20)),
    key("xoxb-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxp-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxa-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxr-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxs-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxo-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxc-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxd-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxe-", Builtin::Slack, Rest::Numbered(20)),
    key("xoxe.xox", Builtin::Slack, Rest::Numbered(20)),
    key("xapp-", Builtin::Slack, Rest::Numbered(20)),
    key("sk_live_", Builtin::Stripe, Rest::Mixed(ALNUM, 16)),
    key("sk_test_", Builtin::Stripe, Rest::Mixed(ALNUM, 16)),
    key("rk_live_", Builtin::Stripe, Rest::Mixed(ALNUM, 16)),
    key("rk_test_", Builtin::Stripe, Rest::Mixed(ALNUM, 16)),
    key("whsec_", Builtin::Stripe, Rest::Mixed(BASE64, 24)),
    // Tokens of providers without a detector of their own.
    key("sk-or-v1-", Builtin::GenericSecret, Rest::Mixed(ALNUM, 32)),
    key("hf_", Builtin::GenericSecret, Rest::Exactly(ALNUM, 34)),
    key("npm_", Builtin::GenericSecret, Rest::Exactly(ALNUM, 36)),
    key("gsk_", Builtin::GenericSecret, Rest::Mixed(ALNUM, 40)),
    key("xai-", Builtin::GenericSecret, Rest::Mixed(ALNUM, 60)),
    key("pplx-", Builtin::GenericSecret, Rest::Mixed(ALNUM, 40)),
    key("dop_v1_", Builtin::GenericSecret, Rest::Mixed(ALNUM, 60)),
    key("shpat_", Builtin::GenericSecret, Rest::Exactly(ALNUM, 32)),
];

/// Whether a key may begin at an offset: not in the middle of a word.
pub(crate) fn begins(view: &View<'_>, at: usize) -> bool {
    !view.before_is(at, ALNUM) && view.before(at) != Some(b'_')
}

/// Returns the end of the key whose prefix is `start..at`.
pub(crate) fn end(view: &View<'_>, key: &Key, start: usize, at: usize) -> Option<usize> {
    // Nor may a key begin within the rest of another.
    let class = match key.rest {
        Rest::Capitals(_) => ALNUM,
        Rest::Exactly(class, _) | Rest::Mixed(class, _) => class,
        Rest::Numbered(_) | Rest::Dotted(_) | Rest::OpenAi => TOKEN,
    };
    if !begins(view, start) || view.before_is(start, class) || !view.starts_with(start, key.prefix.as_bytes())
    {
        return None;
    }
    match key.rest {
        Rest::Capitals(length) => {
            let end = exactly(view, at, ALNUM, length)?;
            let value = view.slice(at..end);
            let capitals = value.iter().all(|byte| byte.is_ascii_uppercase() || is(*byte, DIGIT));
            (capitals && value.iter().any(|byte| is(*byte, ALPHA))).then_some(end)
        }
        Rest::Exactly(class, length) => {
            let end = exactly(view, at, class, length)?;
            mixed(view.slice(at..end)).then_some(end)
        }
        Rest::Mixed(class, min) => {
            let end = at_least(view, at, class, min)?;
            mixed(view.slice(at..at + min))
                .then(|| if class == BASE64 { view.run(end, PADDING, 2) } else { end })
        }
        Rest::Numbered(min) => {
            let end = at_least(view, at, TOKEN, min)?;
            view.slice(at..at + min).iter().any(|byte| is(*byte, DIGIT)).then_some(end)
        }
        Rest::Dotted(min) => {
            let end = dotted(view, at).0;
            (end - at >= min && mixed(view.slice(at..at + min))).then_some(end)
        }
        Rest::OpenAi => openai(view, at),
    }
}

fn exactly(view: &View<'_>, at: usize, class: u16, length: usize) -> Option<usize> {
    let end = view.run(at, class, length + 1);
    (end - at == length && !view.is(end, TOKEN)).then_some(end)
}

fn at_least(view: &View<'_>, at: usize, class: u16, min: usize) -> Option<usize> {
    let end = view.run(at, class, min);
    (end - at == min).then(|| view.run(end, class, usize::MAX))
}

fn mixed(value: &[u8]) -> bool {
    value.iter().any(|byte| is(*byte, DIGIT)) && value.iter().any(|byte| is(*byte, ALPHA))
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
    (fits && mixed(value)).then(|| view.run(end, TOKEN, usize::MAX))
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
    Some((start, (33..=36).contains(&(end - at)).then_some(end)))
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
    (end - at >= 40 && mixed(view.slice(at..end))).then_some(end)
}

/// Returns the end of a Slack webhook's path that begins at `at`: team, application, secret.
pub(crate) fn slack_hook(view: &View<'_>, at: usize) -> Option<usize> {
    let (mut end, mut parts) = (at, 0);
    while parts < 3 {
        let next = view.run(end, ALNUM, 64);
        if next - end < 8 {
            return None;
        }
        parts += 1;
        end = next;
        if parts < 3 {
            if view.at(end) != Some(b'/') {
                return None;
            }
            end += 1;
        }
    }
    (matches!(view.at(at), Some(b'T')) && mixed(view.slice(at..end))).then_some(end)
}
