//! Parses a package and finds the names that a module declares and the paths that it uses: `use` trees, paths in code,
//! and paths within macro calls and attributes, whose tokens are searched as they stand.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::crates::{Crate, Import, Name};
use crate::source::{Tree, is_test, parent};
use crate::violation::Violation;

/// Parses the package in directory `package`: its library, its binaries and their modules.
pub(crate) fn parse(tree: &Tree, package: &str) -> Crate {
    let mut parsed = Crate { name: tree.crate_name(package).unwrap_or_default(), ..Crate::default() };
    let src = format!("{package}/src");
    let bins = format!("{src}/bin");
    let mut roots = vec![format!("{src}/lib.rs"), format!("{src}/main.rs")];
    roots.extend(tree.files().map(|(path, _)| path.to_owned()).filter(|path| parent(path) == bins));
    for root in roots {
        if tree.text(&root).is_some() {
            let folder = parent(&root).to_owned();
            read_file(&mut parsed, tree, &root, folder, None);
        }
    }
    parsed
}

/// The lines of a source, each with its number, except those of modules of tests.
pub(crate) fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let items = syn::parse_file(text).map_or_else(|_| Vec::new(), |file| file.items);
    let lines_of = |item: &syn::Item| match item {
        syn::Item::Mod(module) if is_test_code(&module.attrs) => {
            let (brace, _) = module.content.as_ref()?;
            Some(line(&module.ident)..=brace.span.close().end().line)
        }
        _ => None,
    };
    let tests: Vec<_> = items.iter().filter_map(lines_of).collect();
    let lines = text.lines().enumerate().map(|(before, line)| (before + 1, line));
    lines.filter(|(at, _)| !tests.iter().any(|test| test.contains(at))).collect()
}

fn read_file(into: &mut Crate, tree: &Tree, path: &str, folder: String, above: Option<usize>) -> usize {
    let text = syn::parse_file(tree.text(path).unwrap_or_default());
    let module = into.add_file(path.to_owned(), folder, above);
    match text {
        Ok(parsed) => read_items(into, tree, module, &parsed.items),
        Err(error) => into.errors.push(Violation {
            rule: "syntax",
            message: format!("{path}:{}: {error}", error.span().start().line),
        }),
    }
    module
}

/// Reads the module `name`, declared in `module` by `mod name;`, if its file is there.
fn read_child(into: &mut Crate, tree: &Tree, module: usize, name: &str, at: Option<String>) {
    let Some(folder) = into.modules.get(module).map(|module| module.folder.clone()) else { return };
    let own = format!("{folder}/{name}");
    let candidates = match at {
        Some(path) => vec![(format!("{folder}/{path}"), folder)],
        None => vec![(format!("{own}.rs"), own.clone()), (format!("{own}/mod.rs"), own)],
    };
    let found = candidates.into_iter().find(|(path, _)| tree.text(path).is_some() && !is_test(path));
    if let Some((path, folder)) = found {
        let child = read_file(into, tree, &path, folder, Some(module));
        into.declare(module, name, Name::Module(child));
    }
}

fn read_items(into: &mut Crate, tree: &Tree, module: usize, items: &[syn::Item]) {
    let mut reader = Reader { into, tree, module, nested: false };
    for item in items {
        reader.visit_item(item);
    }
}

struct Reader<'a> {
    into: &'a mut Crate,
    tree: &'a Tree,
    module: usize,
    /// Within a function, where items are no names of the module.
    nested: bool,
}

impl Reader<'_> {
    fn import(&mut self, path: Vec<String>, line: usize) {
        self.into.imports.push(Import { module: self.module, line, path, glob: false, exported: None });
    }

    fn declare(&mut self, name: &syn::Ident) {
        if let Some(file) = self.into.file_of(self.module).filter(|_| !self.nested) {
            self.into.declare(self.module, &plain(name), Name::Item(file));
        }
    }

    fn declare_item(&mut self, item: &syn::Item) {
        match item {
            syn::Item::Const(item) => self.declare(&item.ident),
            syn::Item::Enum(item) => self.declare(&item.ident),
            syn::Item::Fn(item) => self.declare(&item.sig.ident),
            syn::Item::Static(item) => self.declare(&item.ident),
            syn::Item::Struct(item) => self.declare(&item.ident),
            syn::Item::Trait(item) => self.declare(&item.ident),
            syn::Item::Type(item) => self.declare(&item.ident),
            syn::Item::Union(item) => self.declare(&item.ident),
            syn::Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.declare(name);
                }
            }
            _ => {}
        }
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String], public: bool) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            // `a::{self}` is `a`; `self::a` keeps its self.
            if name != "self" || before.is_empty() {
                path.push(plain(name));
            }
            path
        };
        match tree {
            syn::UseTree::Path(part) => self.use_tree(&part.tree, &with(&part.ident), public),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before, public);
                }
            }
            syn::UseTree::Name(name) => {
                let path = with(&name.ident);
                let alias = path.last().cloned().unwrap_or_default();
                self.use_path(path, Some(alias), line(&name.ident), public);
            }
            syn::UseTree::Rename(name) => {
                let alias = Some(plain(&name.rename)).filter(|alias| alias != "_");
                self.use_path(with(&name.ident), alias, line(&name.ident), public);
            }
            syn::UseTree::Glob(glob) => {
                let at = glob.star_token.spans.first().map_or(0, |span| span.start().line);
                if let Some(module) = self.into.modules.get_mut(self.module) {
                    module.globs.push(before.to_vec());
                }
                let exported = public.then(|| "*".to_owned());
                let (module, path) = (self.module, before.to_vec());
                self.into.imports.push(Import { module, line: at, path, glob: true, exported });
            }
        }
    }

    fn use_path(&mut self, path: Vec<String>, alias: Option<String>, line: usize, public: bool) {
        if let Some(alias) = &alias {
            self.into.declare(self.module, alias, Name::Use(path.clone()));
        }
        let exported = alias.filter(|_| public);
        self.into.imports.push(Import { module: self.module, line, path, glob: false, exported });
    }

    /// Imports every `a::b` among tokens, and every text that is one.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut at, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) if path.is_empty() || colons == 2 => {
                    at = if path.is_empty() { line(&name) } else { at };
                    path.push(plain(&name));
                    self.identifier(&name);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                }
                other => {
                    self.end(&mut path, at);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        TokenTree::Ident(name) => {
                            at = line(&name);
                            path.push(plain(&name));
                            self.identifier(&name);
                        }
                        TokenTree::Literal(literal) => self.text(&literal),
                        TokenTree::Punct(_) => {}
                    }
                }
            }
        }
        self.end(&mut path, at);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.import(std::mem::take(path), line);
        }
        path.clear();
    }

    /// A path in a text, as in `#[serde(with = "crate::a::b")]`.
    fn text(&mut self, literal: &proc_macro2::Literal) {
        let at = literal.span().start().line;
        let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) else { return };
        if text.value().contains("::")
            && let Ok(path) = syn::parse_str::<syn::Path>(&text.value())
        {
            self.import(path.segments.iter().map(|segment| plain(&segment.ident)).collect(), at);
        }
    }

    fn identifier(&mut self, name: &proc_macro2::Ident) {
        if let Some(file) = self.into.file_of(self.module) {
            self.into.identifiers.push((plain(name), file, line(name)));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_code(attributes(item)) {
            self.declare_item(item);
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = plain(&item.ident);
        self.identifier(&item.ident);
        match &item.content {
            None => read_child(self.into, self.tree, self.module, &name, path_attribute(&item.attrs)),
            Some((_, items)) => {
                if let Some(child) = self.into.add_inline(self.module, &name) {
                    read_items(self.into, self.tree, child, items);
                }
            }
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_code(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let nested = std::mem::replace(&mut self.nested, true);
        visit::visit_block(self, block);
        self.nested = nested;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let parts = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            let at = path.segments.first().map_or(0, |segment| line(&segment.ident));
            self.import(parts, at);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in crate::a)` takes nothing from `a`.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_ident(&mut self, name: &'ast proc_macro2::Ident) {
        self.identifier(name);
    }
}

/// The identifier without `r#`.
fn plain(name: &syn::Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn line(name: &syn::Ident) -> usize {
    name.span().start().line
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    Some(text.value())
}

/// Whether an item is compiled for tests only: `#[cfg(test)]`, or `all(test, …)`, or `#[test]`.
fn is_test_code(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| {
                    let condition = list.tokens.to_string().replace(' ', "");
                    condition == "test" || condition.starts_with("all(test,")
                }))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::TraitAlias(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
