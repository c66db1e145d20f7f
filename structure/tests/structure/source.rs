//! The workspace's sources as text, by path from its root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;

/// All files under every `*/src` of a workspace, and the packages' manifests; those that are no text are there with no text.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads every file under `ROOT/*/src`.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let entries = std::fs::read_dir(root).with_context(|| format!("reading {}", root.display()))?;
        for entry in entries {
            let folder = entry?.path();
            let manifest = folder.join("Cargo.toml");
            if manifest.is_file() && folder.join("src").is_dir() {
                tree.add_file(root, &manifest)?;
                tree.add(root, &folder.join("src"))?;
            }
        }
        Ok(tree)
    }

    /// A tree made of `(path, text)` pairs.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    fn add(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                self.add(root, &path)?;
            } else {
                self.add_file(root, &path)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, root: &Path, path: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        self.files.insert(name, String::from_utf8(bytes).unwrap_or_default());
        Ok(())
    }

    /// The name of `package` in paths, as `weir_filter`.
    pub(crate) fn crate_name(&self, package: &str) -> Option<String> {
        let manifest = self.text(&format!("{package}/Cargo.toml"))?;
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
        Some(name.replace('-', "_"))
    }

    /// The directories that hold a package, in alphabetical order.
    pub(crate) fn packages(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|path| path.split_once("/src/")).map(|(package, _)| package).collect()
    }

    /// Every file, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether some file lies below `folder`.
    pub(crate) fn has_folder(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        self.files.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    }
}

/// The path without its last part; "" at the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether `path` is a file of test code by its name: `tests.rs`, `tests_*.rs`, `*_tests.rs`, or below
/// `tests/` within a `src` folder.
pub(crate) fn is_test(path: &str) -> bool {
    let within = path.split_once("/src/").map_or(path, |(_, within)| within);
    within.split('/').any(|part| {
        part == "tests" || part == "tests.rs" || part.starts_with("tests_") || part.ends_with("_tests.rs")
    })
}

/// Whether `path` is written by a program.
pub(crate) fn is_generated(path: &str) -> bool {
    path.contains("/generated/")
}
