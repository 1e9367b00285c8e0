//! Our source files as Rust sees them: which module each is, and which other modules it names.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Attribute, Item, UseTree};

use super::tree::{File, files};

/// The path of a module within its crate; the root is empty.
pub(crate) type Module = Vec<String>;

/// One source file, without its tests.
pub(crate) struct Source {
    pub(crate) path: String,
    /// The crate it is part of: the name of its folder.
    pub(crate) package: String,
    pub(crate) module: Module,
    pub(crate) code: syn::File,
}

impl Source {
    pub(crate) fn new(file: &File) -> Self {
        let mut code = syn::parse_file(&file.text).unwrap_or_else(|error| {
            panic!("{} is no Rust: {error}", file.path);
        });
        without_tests(&mut code.items);
        let mut parts = file.path.split('/').skip(1);
        let package = parts.next().unwrap_or_default().to_owned();
        let module = parts.skip(1).map(|part| part.trim_end_matches(".rs"));
        let module = module.filter(|part| !matches!(*part, "mod" | "lib" | "main"));
        Self { module: module.map(str::to_owned).collect(), path: file.path.clone(), package, code }
    }
}

/// The sources of all crates, or of those whose name begins so; no tests, benches and examples.
pub(crate) fn sources(package: &str) -> Vec<Source> {
    let is_test = |path: &str| {
        path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "build.rs"))
            || path.ends_with("tests.rs")
    };
    let folder = format!("crates/{package}");
    let all = files("crates", &[".rs"]).into_iter();
    let product = all.filter(|file| file.path.starts_with(&folder) && !is_test(&file.path));
    product.map(|file| Source::new(&file)).collect()
}

/// Takes off what is built for tests only.
fn without_tests(items: &mut Vec<Item>) {
    items.retain(|item| !attributes(item).iter().any(is_for_tests));
    for item in items {
        if let Item::Mod(module) = item
            && let Some((_, items)) = &mut module.content
        {
            without_tests(items);
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let Ok(list) = attribute.meta.require_list() else { return false };
    attribute.path().is_ident("cfg")
        && list.tokens.clone().into_iter().any(|token| token.to_string().contains("test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// All paths that a file names, from the root of its crate: `crate::`, `super::` and `self::` resolved.
pub(crate) fn paths(source: &Source) -> BTreeSet<Module> {
    let mut named = Named { module: source.module.clone(), paths: BTreeSet::new() };
    named.visit_file(&source.code);
    named.paths
}

struct Named {
    module: Module,
    paths: BTreeSet<Module>,
}

impl Named {
    fn add(&mut self, parts: &[String]) {
        let mut at = self.module.clone();
        let mut rest = parts;
        match rest.first().map(String::as_str) {
            Some("crate") => at.clear(),
            Some("super") => {
                at.pop();
            }
            Some("self") => {}
            _ => return,
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|part| part == "super") {
            at.pop();
            rest = &rest[1..];
        }
        at.extend(rest.iter().cloned());
        self.paths.insert(at);
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |part: &syn::Ident| [before, &[part.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.add(before),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add(&parts);
        syn::visit::visit_path(self, path);
    }
}

/// Whether a file names a crate.
pub(crate) fn names_crate(source: &Source, name: &str) -> bool {
    struct Idents<'a>(&'a str, bool);

    impl Visit<'_> for Idents<'_> {
        fn visit_ident(&mut self, ident: &syn::Ident) {
            self.1 |= ident == self.0;
        }
    }

    let mut idents = Idents(name, false);
    idents.visit_file(&source.code);
    idents.1
}

/// Which module each file names, by the module's own: a name that a module passes on leads to where it is from.
pub(crate) fn uses(sources: &[Source]) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules: BTreeSet<_> = sources.iter().map(|source| source.module.clone()).collect();
    let passed_on = passed_on(sources);
    let mut uses = BTreeMap::new();
    for source in sources {
        let used = paths(source).into_iter().map(|path| place(path, &modules, &passed_on));
        let used = used.filter(|module| *module != source.module).collect();
        uses.insert(source.module.clone(), used);
    }
    uses
}

/// The module that a path leads to.
fn place(
    mut path: Module,
    modules: &BTreeSet<Module>,
    passed_on: &BTreeMap<Module, Module>,
) -> Module {
    let mut steps = 0;
    while let Some(from) = passed_on.get(&path).filter(|_| steps < 8) {
        path.clone_from(from);
        steps += 1;
    }
    while !modules.contains(&path) && path.pop().is_some() {}
    path
}

/// What modules re-export: from the name that others use to where it is from.
fn passed_on(sources: &[Source]) -> BTreeMap<Module, Module> {
    let mut all = BTreeMap::new();
    for source in sources {
        for item in &source.code.items {
            let Item::Use(item) = item else { continue };
            if matches!(item.vis, syn::Visibility::Inherited) {
                continue;
            }
            let mut named = Named { module: source.module.clone(), paths: BTreeSet::new() };
            named.visit_item_use(item);
            for from in named.paths {
                let name = from.last().cloned().unwrap_or_default();
                let as_named = [&source.module[..], &[name]].concat();
                if as_named != from {
                    all.insert(as_named, from);
                }
            }
        }
    }
    all
}
