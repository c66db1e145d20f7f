//! gitleaks, trufflehog and detect-secrets: examples of secrets in their rules and tests.

use std::path::Path;

use crate::generate::{Generator, bare_key};
use crate::go::Go;
use crate::{Engine, Table, files, python};

/// Random keys of each pattern.
const KEYS: usize = 20;
/// Detectors of one vendor, by how rules and folders of it begin.
const VENDORS: [(&str, &str); 34] = [
    ("aws", "aws"),
    ("azure", "azure"),
    ("gcp", "gcp"),
    ("google", "gcp"),
    ("gemini", "gcp"),
    ("youtube", "gcp"),
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("slack", "slack"),
    ("stripe", "stripe"),
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("jwt", "jwt"),
    ("private", "private_key"),
    ("uri", "url_credentials"),
    ("jdbc", "url_credentials"),
    ("mongodb", "url_credentials"),
    ("postgres", "url_credentials"),
    ("redis", "url_credentials"),
    ("rabbitmq", "url_credentials"),
    ("sqlserver", "url_credentials"),
    ("ftp", "url_credentials"),
    ("ldap", "url_credentials"),
    ("planetscaledb", "url_credentials"),
    ("couchbase", "url_credentials"),
    ("snowflake", "url_credentials"),
    ("generic", "generic_secret"),
    ("keyword", "generic_secret"),
    ("high_entropy", "generic_secret"),
    ("curl", "generic_secret"),
    ("kubernetes", "generic_secret"),
    ("nuget", "generic_secret"),
    ("openshift", "generic_secret"),
    ("basic_auth", "url_credentials"),
];
const BARE: &str = "keys of other vendors, bare";
const NAMED: &str = "keys of other vendors, beside their names";

/// The row of a rule or a folder: the longest name that it begins with.
fn row_of(name: &str) -> Option<&'static str> {
    let fits = VENDORS.iter().filter(|(start, _)| name.starts_with(start));
    fits.max_by_key(|(start, _)| start.len()).map(|(_, row)| *row)
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

pub(crate) fn gitleaks(engine: &Engine, folder: &Path, table: &mut Table) {
    let mut generator = Generator::new(7);
    for path in files(&folder.join("cmd/generate/config/rules"), |path| path.ends_with(".go")) {
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let row = row_of(stem(&path)).unwrap_or(NAMED);
        for text in Go::new(&source, &mut generator).lists("tps") {
            let found = !engine.redact(&text).1.is_empty();
            table.count(row, found, || format!("gitleaks {}: {text:?}", stem(&path)));
        }
    }
    // Random keys of the patterns that begin with a prefix, without a word beside them.
    let rules = std::fs::read_to_string(folder.join("config/gitleaks.toml")).unwrap_or_default();
    let mut id = "";
    for line in rules.lines() {
        if let Some(name) = line.strip_prefix("id = ") {
            id = name.trim_matches('"');
        }
        let pattern = line.strip_prefix("regex = '''").and_then(|rest| rest.strip_suffix("'''"));
        // Patterns ignore case for the sake of what surrounds a key; issuers do not.
        let pattern = pattern.map(|pattern| pattern.replace("(?i)", ""));
        let Some(key) = pattern.as_deref().and_then(bare_key) else { continue };
        for _ in 0..KEYS {
            let mut text = String::new();
            generator.write(&key, &mut text);
            let left = engine.redact(&text).0;
            table.count(row_of(id).unwrap_or(BARE), !left.contains(&text), || {
                format!("gitleaks.toml {id}: {text:?}")
            });
        }
    }
}

pub(crate) fn trufflehog(engine: &Engine, folder: &Path, table: &mut Table) {
    let mut generator = Generator::new(11);
    let tests = |path: &str| path.ends_with("_test.go") && !path.ends_with("_integration_test.go");
    let root = folder.join("pkg/detectors");
    for path in files(&root, tests) {
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let vendor = path.strip_prefix(&root).ok().and_then(|path| path.iter().next());
        let vendor = vendor.and_then(|vendor| vendor.to_str()).unwrap_or_default();
        for example in Go::new(&source, &mut generator).examples() {
            for wanted in &example.wanted {
                // What a verifier wants to know may be composed of several parts.
                if !example.text.contains(wanted.as_str()) {
                    continue;
                }
                let row = row_of(vendor).unwrap_or(NAMED);
                // Addresses of databases are wanted even where nobody logs in.
                let login = |part: &&str| wanted.replace(":@", "").contains(*part);
                if row == "url_credentials" && !["@", "pass", "pwd"].iter().any(login) {
                    continue;
                }
                // Of examples that repeat a value, one place counts.
                let (left, matches) = engine.redact(&example.text);
                let found = !left.contains(wanted.as_str())
                    || matches.iter().any(|(_, value, _)| value.contains(wanted.as_str()));
                table.count(row, found, || format!("trufflehog {vendor}: {wanted:?} in {:?}", example.text));
            }
        }
    }
}

pub(crate) fn detect_secrets(engine: &Engine, folder: &Path, table: &mut Table) {
    for path in files(&folder.join("tests/plugins"), |path| path.ends_with("_test.py")) {
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let name = stem(&path);
        // Public addresses are measured elsewhere, and base64 alone is no secret.
        if name.starts_with("ip_public") || name.starts_with("high_entropy") {
            continue;
        }
        for line in python::lines(&source).into_iter().filter(|line| line.is_secret) {
            let found = !engine.redact(&line.text).1.is_empty();
            table.count(row_of(name).unwrap_or(NAMED), found, || {
                format!("detect-secrets {name}: {:?}", line.text)
            });
        }
    }
}

/// Returns the size of the programs that are no tests, in bytes, and what matches in them.
pub(crate) fn code(engine: &Engine, folder: &Path) -> (usize, Vec<String>) {
    let is_code = |path: &str| {
        (path.ends_with(".go") || path.ends_with(".py") || path.ends_with(".md"))
            && !path.contains("test")
            && !path.contains("config/rules")
    };
    let (mut bytes, mut matches) = (0, Vec::new());
    for path in files(folder, is_code) {
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        bytes += source.len();
        for (detector, value, _) in engine.redact(&source).1 {
            matches.push(format!("code {}: {detector} {value:?}", path.display()));
        }
    }
    (bytes, matches)
}
