//! A package's modules, the names that each declares, and the paths that it uses.

use std::collections::HashMap;

use crate::violation::Violation;

/// One module: a file, or a `mod x { … }` within one.
pub(crate) struct Module {
    pub(crate) file: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) names: HashMap<String, Vec<Name>>,
    pub(crate) globs: Vec<Vec<String>>,
    /// Where the files of its child modules lie.
    pub(crate) folder: String,
}

/// What a name in a module stands for. Rust has several namespaces, so it may be more than one.
pub(crate) enum Name {
    Module(usize),
    /// An item that the file defines.
    Item(usize),
    /// An import of this path.
    Use(Vec<String>),
}

/// A path that a module uses, before it is resolved.
pub(crate) struct Import {
    pub(crate) module: usize,
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// Whether it ends in `::*`.
    pub(crate) glob: bool,
    /// The name under which a `pub use` hands it on, "*" for all.
    pub(crate) exported: Option<String>,
}

/// A package, parsed.
#[derive(Default)]
pub(crate) struct Crate {
    /// Its name in paths, as `weir_filter`.
    pub(crate) name: String,
    pub(crate) files: Vec<String>,
    pub(crate) modules: Vec<Module>,
    pub(crate) imports: Vec<Import>,
    /// Identifiers with their file and line.
    pub(crate) identifiers: Vec<(String, usize, usize)>,
    pub(crate) errors: Vec<Violation>,
}

impl Crate {
    /// Adds the module `name` that stands within `module`'s own file.
    pub(crate) fn add_inline(&mut self, module: usize, name: &str) -> Option<usize> {
        let (file, folder) = self.modules.get(module).map(|m| (m.file, format!("{}/{name}", m.folder)))?;
        let child = self.push_module(file, folder, Some(module));
        self.declare(module, name, Name::Module(child));
        Some(child)
    }

    pub(crate) fn declare(&mut self, module: usize, name: &str, what: Name) {
        if let Some(module) = self.modules.get_mut(module) {
            module.names.entry(name.to_owned()).or_default().push(what);
        }
    }

    pub(crate) fn file_of(&self, module: usize) -> Option<usize> {
        self.modules.get(module).map(|module| module.file)
    }

    /// Adds the module of the file `path`, whose child modules' files lie in `folder`.
    pub(crate) fn add_file(&mut self, path: String, folder: String, parent: Option<usize>) -> usize {
        self.files.push(path);
        self.push_module(self.files.len() - 1, folder, parent)
    }

    fn push_module(&mut self, file: usize, folder: String, parent: Option<usize>) -> usize {
        self.modules.push(Module { file, parent, names: HashMap::new(), globs: Vec::new(), folder });
        self.modules.len() - 1
    }
}
