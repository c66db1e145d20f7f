//! The names that a model's name may stand in the table under.
//!
//! A provider answers with a dated name (`gpt-4o-2024-08-06`, `claude-sonnet-4-5-20250929`), a gateway or a
//! cloud puts a prefix before it (`openai/…`, `models/…`, `global.anthropic.…`) or a version behind
//! (`…-v1:0`). Each step takes one of these away; the first name that the table has is the one. Others write
//! Anthropic's versions with a point (`claude-sonnet-4.5`), or before the name (`claude-4.5-sonnet`).

use std::borrow::Cow;

/// The longest name that is looked up; the rest of a longer one is no model.
const MAX_NAME: usize = 256;

/// How many segments before a name are looked past (`publishers/google/models/…`).
const MAX_PREFIXES: usize = 8;

/// What Amazon Bedrock puts before a model's name for inference wherever there is room, at the list price.
/// The names of single regions (`us.`, `eu.`) cost more with some models and are not looked past.
const EVERYWHERE: &str = "global.";

/// What Anthropic's names begin with.
const CLAUDE: &str = "claude-";

/// Vendors by Amazon Bedrock's names.
const VENDORS: [&str; 4] = ["anthropic.", "mistral.", "cohere.", "deepseek."];

/// Names in the order they are looked up.
pub(super) fn candidates(name: &str) -> Vec<Cow<'_, str>> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Vec::new();
    }
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    // Without one segment after the other, so that a name with a slash of its own is found too.
    let mut bare = name;
    add_with_undated(&mut names, bare);
    for _ in 0..MAX_PREFIXES {
        let Some((_, rest)) = bare.split_once('/') else { break };
        bare = rest;
        add_with_undated(&mut names, bare);
    }
    let placeless = bare.strip_prefix(EVERYWHERE).unwrap_or(bare);
    add_with_undated(&mut names, placeless);
    if let Some(vendors) = VENDORS.iter().find_map(|vendor| placeless.strip_prefix(vendor)) {
        let versionless = vendors.rsplit_once("-v").filter(|(_, version)| is_version(version));
        add_with_undated(&mut names, versionless.map_or(vendors, |(model, _)| model));
    }
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let lower: Vec<_> = names.iter().map(|name| Cow::Owned(name.to_ascii_lowercase())).collect();
        names.extend(lower);
    }
    let claude: Vec<_> = names.iter().filter_map(|name| claude(name)).map(Cow::Owned).collect();
    names.extend(claude);
    names
}

/// A name of Anthropic's as Anthropic writes it: the version behind the family, without a point.
fn claude(name: &str) -> Option<String> {
    let rest = name.strip_prefix(CLAUDE)?;
    let (first, family) = rest.split_once('-')?;
    let version = first.replace('.', "-");
    match first.split_once('.') {
        // Before the fourth the version does stand before the family.
        Some((major, _)) if major != "3" => Some(format!("{CLAUDE}{family}-{version}")),
        Some(_) => Some(format!("{CLAUDE}{version}-{family}")),
        None => rest.contains('.').then(|| name.replace('.', "-")),
    }
}

fn add_with_undated<'n>(names: &mut Vec<Cow<'n, str>>, name: &'n str) {
    if names.iter().any(|known| known == name) {
        return;
    }
    names.push(Cow::Borrowed(name));
    if let Some(undated) = undated(name) {
        names.push(Cow::Borrowed(undated));
    }
}

/// A name without its date, its `-latest` or its revision (`-001`).
pub(super) fn undated(name: &str) -> Option<&str> {
    if let Some((model, date)) = name.rsplit_once('@') {
        return (date == "latest" || is_digits(date, 8)).then_some(model);
    }
    let (model, last) = name.rsplit_once('-')?;
    if last == "latest" || is_digits(last, 8) || (is_digits(last, 3) && last.starts_with("00")) {
        return Some(model);
    }
    // -2024-08-06
    let (model, month) = is_digits(last, 2).then_some(model)?.rsplit_once('-')?;
    let (model, year) = is_digits(month, 2).then_some(model)?.rsplit_once('-')?;
    (is_digits(year, 4) && year.starts_with("20")).then_some(model)
}

/// `1:0`, `2`.
fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
}
