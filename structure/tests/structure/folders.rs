//! Circles between folders. At every level the folders below it, each with all that it holds, depend
//! on one another and on that level's own files in one direction only.
//!
//! A folder's own files count as one, its `mod.rs` and a file of the folder's name beside it included;
//! directly under `src` each file stands for itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::circles;
use crate::resolve::Edges;
use crate::source::{Tree, parent};
use crate::violation::Violation;

/// Every circle of folders in `package`, the outermost level first.
pub(crate) fn circles(package: &str, tree: &Tree, edges: &Edges) -> Vec<Violation> {
    let src = format!("{package}/src");
    let mut levels = BTreeSet::from([src.clone()]);
    for file in edges.iter().flat_map(|(from, to)| std::iter::once(from).chain(to.keys())) {
        let mut folder = folder_of(file, tree);
        while folder.len() > src.len() {
            levels.insert(folder.clone());
            folder = parent(&folder).to_owned();
        }
    }
    levels.iter().flat_map(|level| circles_at(level, *level == src, tree, edges)).collect()
}

fn circles_at(level: &str, root: bool, tree: &Tree, edges: &Edges) -> Vec<Violation> {
    let mut graph: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let mut files_alone = true;
    for (from, targets) in edges {
        for (to, (line, path)) in targets {
            let (Some(a), Some(b)) = (room(level, root, from, tree), room(level, root, to, tree)) else {
                continue;
            };
            if a != b {
                files_alone &= a == *from && b == *to;
                let import = format!("{from}:{line} imports {to} ({path})");
                graph.entry(a).or_default().entry(b).or_default().push(import);
            }
        }
    }
    // Circles of single files are reported as such.
    if files_alone {
        return Vec::new();
    }
    circles::report("folder circle", &graph, |from, to, imports| {
        let first = imports.first().map_or("", String::as_str);
        let more = match imports.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{from} -> {to}: {first}{more}")
    })
}

/// The part of `level` that `file` belongs to, or nothing when it lies elsewhere.
fn room(level: &str, root: bool, file: &str, tree: &Tree) -> Option<String> {
    let folder = folder_of(file, tree);
    if folder == level {
        return Some(if root { file.to_owned() } else { format!("{level}/*.rs") });
    }
    let below = folder.strip_prefix(level)?.strip_prefix('/')?;
    Some(format!("{level}/{}", below.split('/').next().unwrap_or(below)))
}

/// The folder that `file` belongs to; `a.rs` beside `a/` belongs to `a`.
fn folder_of(file: &str, tree: &Tree) -> String {
    let own = file.strip_suffix(".rs").unwrap_or(file);
    if tree.has_folder(own) { own.to_owned() } else { parent(file).to_owned() }
}
