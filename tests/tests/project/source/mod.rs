//! A crate's sources, parsed: its modules, and where the things that paths name are defined.
//!
//! This follows `mod` and `use` as the compiler does, as far as the checks need it. It knows nothing of types, and of
//! macros only that `pin_project!` wraps an item.

mod cfg;
mod resolve;
mod scope;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

pub(crate) use self::cfg::Features;
pub(crate) use self::resolve::Target;
pub(crate) use self::scope::{Leaf, defined, leaves};

use self::scope::Name;

/// The source files of a crate: paths relative to its `src`, and texts.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// A module, which is a file or a part of one.
pub(crate) struct Module {
    /// Its path in the crate: empty for the root.
    pub(crate) path: Vec<String>,
    /// The file that it is in, relative to the crate's `src`.
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
    parent: Option<usize>,
    names: BTreeMap<String, Vec<Name>>,
    globs: Vec<Vec<String>>,
}

/// All modules of a crate. The first is its root.
pub(crate) struct Source {
    pub(crate) modules: Vec<Module>,
}

impl Source {
    /// Parses a crate, beginning with `lib.rs`.
    ///
    /// # Panics
    ///
    /// Panics if a file cannot be parsed, or a module's file is missing.
    pub(crate) fn parse(files: &Files, features: Features) -> Self {
        let mut loader = Loader {
            files,
            features,
            modules: Vec::new(),
        };
        let root = Path::new("lib.rs");
        let items = loader.parse_file(root);
        loader.add(None, Vec::new(), root, Path::new(""), items);
        Self {
            modules: loader.modules,
        }
    }

    /// Reads and parses the sources in a folder.
    pub(crate) fn read(folder: &Path, features: Features) -> Self {
        let relative = |(path, text): (PathBuf, String)| {
            let path = path.strip_prefix(folder).expect("it is in the folder");
            (path.to_owned(), text)
        };
        let files = crate::tree::files(folder, &["rs"]);
        Self::parse(&files.into_iter().map(relative).collect(), features)
    }
}

struct Loader<'a> {
    files: &'a Files,
    features: Features,
    modules: Vec<Module>,
}

impl Loader<'_> {
    fn parse_file(&self, file: &Path) -> Vec<Item> {
        let text = self.files.get(file);
        let text =
            text.unwrap_or_else(|| panic!("the module's file {} is missing", file.display()));
        let parsed = syn::parse_file(text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        cfg::prune(parsed.items, self.features)
    }

    /// Adds a module and all modules in it. `folder` is where the files of its child modules are.
    fn add(
        &mut self,
        parent: Option<usize>,
        path: Vec<String>,
        file: &Path,
        folder: &Path,
        items: Vec<Item>,
    ) -> usize {
        let index = self.modules.len();
        let (names, globs) = scope::names(&items);
        self.modules.push(Module {
            path: path.clone(),
            file: file.to_owned(),
            items: Vec::new(),
            parent,
            names,
            globs,
        });
        for item in &items {
            if let Item::Mod(declared) = item {
                let name = declared.ident.to_string();
                let mut path = path.clone();
                path.push(name.clone());
                let child = self.add_child(index, path, file, folder, declared);
                let names = &mut self.modules[index].names;
                names.entry(name).or_default().push(Name::Module(child));
            }
        }
        self.modules[index].items = items;
        index
    }

    fn add_child(
        &mut self,
        parent: usize,
        path: Vec<String>,
        file: &Path,
        folder: &Path,
        declared: &ItemMod,
    ) -> usize {
        let name = declared.ident.to_string();
        if let Some((_, items)) = &declared.content {
            let folder = folder.join(name);
            return self.add(Some(parent), path, file, &folder, items.clone());
        }
        let (child, folder) = match path_attribute(&declared.attrs) {
            Some(given) => {
                let beside = file.parent().unwrap_or(Path::new(""));
                let child = beside.join(given);
                let folder = child.parent().unwrap_or(Path::new("")).to_owned();
                (child, folder)
            }
            None => {
                let single = folder.join(format!("{name}.rs"));
                let file = if self.files.contains_key(&single) {
                    single
                } else {
                    folder.join(&name).join("mod.rs")
                };
                (file, folder.join(name))
            }
        };
        let items = self.parse_file(&child);
        self.add(Some(parent), path, &child, &folder, items)
    }
}

/// Returns the file that `#[path = "..."]` names.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let found = attributes.iter().find(|one| one.path().is_ident("path"))?;
    let Meta::NameValue(pair) = &found.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}
