//! How large folders and files may be, and in how many places an API family may be named.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports;
use crate::source::{Tree, is_generated, is_test, parent};
use crate::violation::Violation;

/// Files and folders within one folder.
const MAX_ENTRIES: usize = 20;
/// Lines of one source file.
const MAX_LINES: usize = 500;
/// Kinds of files that are written by hand, line by line.
const SOURCES: [&str; 4] = [".rs", ".js", ".css", ".html"];
/// An API family's name, which stands for all of them, and how many files outside its folders may use it.
const FAMILY: &str = "cohere";
const MAX_FAMILY_FILES: usize = 8;
/// The package whose every file is a test.
const FAMILY_FREE: &str = "tests/";

/// Every folder, file and name beyond its limit.
pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = entries(tree);
    for (path, text) in tree.files().filter(|(path, _)| !is_test(path) && !is_generated(path)) {
        let lines = text.lines().count();
        if lines > MAX_LINES && SOURCES.iter().any(|kind| path.ends_with(kind)) {
            found.push(Violation {
                rule: "lines",
                message: format!("{path}:{lines}: above {MAX_LINES} lines"),
            });
        }
    }
    found.extend(family(tree));
    found
}

fn entries(tree: &Tree) -> Vec<Violation> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, _) in tree.files() {
        let mut at = path;
        while at.contains("/src/") {
            folders.entry(parent(at)).or_default().insert(at);
            at = parent(at);
        }
    }
    folders
        .into_iter()
        .filter(|(_, entries)| entries.len() > MAX_ENTRIES)
        .map(|(folder, entries)| Violation {
            rule: "entries",
            message: format!("{folder}: {} entries, above {MAX_ENTRIES}", entries.len()),
        })
        .collect()
}

fn family(tree: &Tree) -> Option<Violation> {
    let named: Vec<String> = tree
        .files()
        .filter(|(path, _)| path.ends_with(".rs") && !path.contains(FAMILY))
        .filter(|(path, _)| !is_test(path) && !is_generated(path) && !path.starts_with(FAMILY_FREE))
        .filter(|(_, text)| names_family(text))
        .filter_map(|(path, text)| {
            let lines = imports::without_tests(text);
            let (at, _) = lines.into_iter().find(|(_, line)| names_family(line))?;
            Some(format!("\n    {path}:{at}"))
        })
        .collect();
    (named.len() > MAX_FAMILY_FILES).then(|| Violation {
        rule: "family",
        message: format!(
            "{} files outside folders named {FAMILY} name it, above {MAX_FAMILY_FILES}{}",
            named.len(),
            named.concat()
        ),
    })
}

fn names_family(text: &str) -> bool {
    text.to_ascii_lowercase().contains(FAMILY)
}
