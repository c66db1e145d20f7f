//! Resolves paths to the files that define what they name. A re-export is followed to its origin, so
//! an import through a folder's `mod.rs` counts as an import of the file behind it.

use std::collections::{BTreeMap, HashSet};

use crate::crates::{Crate, Name};

/// How many imports a path may lead through; a chain of re-exports is shorter.
const MAX_DEPTH: usize = 12;

/// Where a path leads.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item that this file defines.
    Item(usize),
}

/// File to file, each with the line and the path of the first import.
pub(crate) type Edges = BTreeMap<String, BTreeMap<String, (usize, String)>>;

/// Every import of one file of `package` by another. A re-export is none as long as its file does not
/// use the name itself.
pub(crate) fn edges(package: &Crate) -> Edges {
    let mut edges = Edges::new();
    let name = |file: usize| package.files.get(file).cloned().unwrap_or_default();
    let used: HashSet<(&str, usize)> =
        package.identifiers.iter().map(|(name, file, _)| (name.as_str(), *file)).collect();
    for import in &package.imports {
        let uses = |name: &String| {
            package.file_of(import.module).is_some_and(|file| used.contains(&(name.as_str(), file)))
        };
        if import.exported.as_ref().is_some_and(|name| !uses(name)) {
            continue;
        }
        let (Some(from), Some(target)) =
            (package.file_of(import.module), package.resolve(import.module, &import.path, 0))
        else {
            continue;
        };
        let to = match target {
            Target::Item(file) => file,
            // A module by its name alone gives nothing; the paths through it are imports.
            Target::Module(_) if !import.glob => continue,
            Target::Module(module) => package.file_of(module).unwrap_or(from),
        };
        if to != from {
            let path = import.path.join("::") + if import.glob { "::*" } else { "" };
            edges.entry(name(from)).or_default().entry(name(to)).or_insert((import.line, path));
        }
    }
    edges
}

impl Crate {
    fn resolve(&self, module: usize, path: &[String], depth: usize) -> Option<Target> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Target::Module(self.root(module)),
            "self" => Target::Module(module),
            "super" => Target::Module(self.modules.get(module)?.parent?),
            name => match self.lookup(module, name, !rest.is_empty(), depth) {
                Some(found) => found,
                None if *first == self.name => Target::Module(0),
                None => return None,
            },
        };
        while let (Target::Module(module), Some((name, after))) = (at, rest.split_first()) {
            at = if name == "super" {
                Target::Module(self.modules.get(module)?.parent?)
            } else {
                // What a macro made is in no list of names, but in that module's file.
                self.lookup(module, name, !after.is_empty(), depth)
                    .or(self.file_of(module).map(Target::Item))?
            };
            rest = after;
        }
        Some(at)
    }

    /// What `name` stands for in `module`; `more` when the path goes on, so that a module is meant.
    fn lookup(&self, module: usize, name: &str, more: bool, depth: usize) -> Option<Target> {
        let module_of = self.modules.get(module)?;
        let names = module_of.names.get(name).map_or(&[][..], Vec::as_slice);
        let own = |wanted: fn(&Name) -> Option<Target>| names.iter().find_map(wanted);
        let child = own(|name| if let Name::Module(id) = name { Some(Target::Module(*id)) } else { None });
        let item = own(|name| if let Name::Item(file) = name { Some(Target::Item(*file)) } else { None });
        let declared = if more { child.or(item) } else { item.or(child) };
        declared
            .or_else(|| {
                names.iter().find_map(|name| match name {
                    Name::Use(path) => self.resolve(module, path, depth + 1),
                    _ => None,
                })
            })
            .or_else(|| {
                module_of.globs.iter().find_map(|path| match self.resolve(module, path, depth + 1)? {
                    Target::Module(from) if from != module && depth < MAX_DEPTH => {
                        self.lookup(from, name, more, depth + 1)
                    }
                    _ => None,
                })
            })
    }

    fn root(&self, module: usize) -> usize {
        let mut at = module;
        while let Some(parent) = self.modules.get(at).and_then(|module| module.parent) {
            at = parent;
        }
        at
    }
}
