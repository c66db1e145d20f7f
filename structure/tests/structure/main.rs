//! The rules of the workspace's structure, checked on its sources: imports and folders depend downward, folders
//! and files stay small, an API family's name stays in its folder, and replaced words stay replaced.
//!
//! [`Tree::read`] takes the sources from disk; everything behind it works on that text alone. Test code is
//! left out throughout: `tests.rs` files and all that is `#[cfg(test)]`.

mod circles;
mod crates;
mod folders;
mod imports;
mod limits;
mod links;
mod resolve;
mod rules;
mod source;
mod violation;
mod words;

use std::path::{Path, PathBuf};

use source::Tree;
use violation::Violation;

/// Every violation in `tree`, circles first and the shortest of them first. A file that does not
/// parse is a violation of its own.
fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in tree.packages() {
        let parsed = imports::parse(tree, package);
        found.extend(parsed.errors.iter().cloned());
        let imports = resolve::edges(&parsed);
        found.extend(circles::of_files(&imports));
        found.extend(folders::circles(package, tree, &imports));
        found.extend(words::check(&parsed));
    }
    found.extend(limits::check(tree));
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn assert_none(found: &[Violation]) {
    let report: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), report.join("\n"));
}

#[test]
fn imports_depend_downward_and_folders_files_and_words_keep_their_limits() {
    assert_none(&check(&Tree::read(&root()).expect("the workspace's sources")));
}

#[test]
fn every_link_and_path_in_the_documentation_leads_somewhere() {
    assert_none(&links::check(&root()).expect("the documentation"));
}
