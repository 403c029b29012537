//! The names that a module defines or imports.

use std::collections::BTreeMap;

use syn::visit::Visit;
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

/// What a name in a module stands for. One name may have several meanings: a module and a function, for instance.
#[derive(Debug)]
pub(super) enum Name {
    /// An item that is defined here.
    Item,
    /// A child module, by its index.
    Module(usize),
    /// Something that a `use` brings in, by the path it is written with.
    Import(Vec<String>),
}

/// One of the things that a `use` declaration imports.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The whole path as it is written. For a glob, the module's.
    pub(crate) path: Vec<String>,
    /// The name that it has here; `None` for a glob, and for `as _`.
    pub(crate) name: Option<String>,
    pub(crate) is_glob: bool,
    pub(crate) is_public: bool,
    pub(crate) is_reexport: bool,
    /// The line that it is in.
    pub(crate) line: usize,
}

/// Returns all that a `use` declaration imports.
pub(crate) fn leaves(declaration: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    let start = if declaration.leading_colon.is_some() {
        vec![String::new()]
    } else {
        Vec::new()
    };
    collect(&declaration.tree, &start, declaration, &mut found);
    found
}

fn collect(tree: &UseTree, path: &[String], declaration: &ItemUse, found: &mut Vec<Leaf>) {
    let with = |ident: &proc_macro2::Ident| {
        let mut path = path.to_vec();
        if ident != "self" || path.is_empty() {
            path.push(ident.to_string());
        }
        path
    };
    let leaf = |path: Vec<String>, name: Option<String>, line| Leaf {
        is_glob: false,
        is_public: matches!(declaration.vis, Visibility::Public(_)),
        is_reexport: !matches!(declaration.vis, Visibility::Inherited),
        path,
        name,
        line,
    };
    match tree {
        UseTree::Path(one) => collect(&one.tree, &with(&one.ident), declaration, found),
        UseTree::Name(one) => {
            let path = with(&one.ident);
            let name = path.last().cloned();
            found.push(leaf(path, name, one.ident.span().start().line));
        }
        UseTree::Rename(one) => {
            let name = Some(one.rename.to_string()).filter(|name| name != "_");
            found.push(leaf(with(&one.ident), name, one.ident.span().start().line));
        }
        UseTree::Glob(one) => {
            let line = one.star_token.spans[0].start().line;
            found.push(Leaf {
                is_glob: true,
                ..leaf(path.to_vec(), None, line)
            });
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, path, declaration, found);
            }
        }
    }
}

/// Returns the names that a module's items define, but for child modules, and the paths of its glob imports.
pub(super) fn names(items: &[Item]) -> (BTreeMap<String, Vec<Name>>, Vec<Vec<String>>) {
    let mut scope = Scope::default();
    for item in items {
        if let Some(name) = defined(item) {
            scope.names.entry(name).or_default().push(Name::Item);
        }
        scope.visit_item(item);
    }
    (scope.names, scope.globs)
}

/// Collects the imports, also those inside of functions.
#[derive(Default)]
struct Scope {
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Scope {
    fn visit_item_use(&mut self, declaration: &'ast ItemUse) {
        for leaf in leaves(declaration) {
            if leaf.is_glob {
                self.globs.push(leaf.path);
            } else if let Some(name) = leaf.name {
                let meanings = self.names.entry(name).or_default();
                meanings.push(Name::Import(leaf.path));
            }
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {
        // An inline module is a module of its own.
    }
}

/// Returns the name of an item.
pub(crate) fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
