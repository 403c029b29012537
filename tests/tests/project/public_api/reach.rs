//! Which modules and items other crates can reach, and by which path.

use std::collections::BTreeMap;

use syn::{Item, Visibility};

use crate::source::{Leaf, Source, Target, defined, leaves};

/// What can be reached. Each module and item has one path here; its other paths are re-exports.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The paths of modules, by their indexes.
    pub(super) modules: BTreeMap<usize, String>,
    /// The paths of items, by their modules and names.
    pub(super) items: BTreeMap<(usize, String), String>,
    /// Paths, and what they re-export.
    pub(super) reexports: BTreeMap<String, String>,
}

impl Reach {
    /// Finds what can be reached of a crate. The path where something is defined goes before paths of re-exports.
    pub(super) fn of(source: &Source, crate_name: &str) -> Self {
        let mut reach = Self::default();
        reach.module(source, 0, crate_name.to_owned());
        // A re-export may make a module reachable that has re-exports itself.
        let mut done = 0;
        while done < reach.modules.len() {
            done = reach.modules.len();
            for (index, path) in reach.modules.clone() {
                reach.reexports_of(source, index, &path);
            }
        }
        reach
    }

    /// Adds a module and what is public in it, down to the last module.
    fn module(&mut self, source: &Source, index: usize, path: String) {
        if self.modules.contains_key(&index) {
            return;
        }
        self.modules.insert(index, path.clone());
        for item in &source.modules[index].items {
            if !is_public(item) {
                continue;
            }
            if let Item::Mod(declared) = item {
                let name = declared.ident.to_string();
                let child = source.resolve(index, &["self".to_owned(), name.clone()]);
                if let Target::Module(child) = child {
                    self.module(source, child, format!("{path}::{name}"));
                }
            } else if let Some(name) = defined(item) {
                let place = format!("{path}::{name}");
                self.items.insert((index, name), place);
            }
        }
    }

    fn reexports_of(&mut self, source: &Source, index: usize, path: &str) {
        for item in &source.modules[index].items {
            let Item::Use(declaration) = item else {
                continue;
            };
            for leaf in leaves(declaration).iter().filter(|leaf| leaf.is_public) {
                if leaf.is_glob {
                    self.glob(source, index, path, leaf);
                } else {
                    let target = source.resolve(index, &leaf.path);
                    let name = leaf.name.as_deref().unwrap_or("_");
                    self.reexport(source, format!("{path}::{name}"), target);
                }
            }
        }
    }

    fn reexport(&mut self, source: &Source, place: String, target: Target) {
        match target {
            Target::External(path) => {
                self.reexports.insert(place, path.join("::"));
            }
            Target::Module(module) => match self.modules.get(&module) {
                Some(known) if *known != place => {
                    self.reexports.insert(place, known.clone());
                }
                Some(_) => {}
                None => self.module(source, module, place),
            },
            Target::Item { module, name } => {
                let known = self.items.entry((module, name));
                let known = known.or_insert_with(|| place.clone()).clone();
                if known != place {
                    self.reexports.insert(place, known);
                }
            }
        }
    }

    fn glob(&mut self, source: &Source, index: usize, path: &str, leaf: &Leaf) {
        let Target::Module(other) = source.resolve(index, &leaf.path) else {
            let place = format!("{path}::*");
            self.reexports
                .insert(place, format!("{}::*", leaf.path.join("::")));
            return;
        };
        for item in &source.modules[other].items {
            if let (true, Some(name)) = (is_public(item), defined(item)) {
                let target = Target::Item {
                    module: other,
                    name: name.clone(),
                };
                self.reexport(source, format!("{path}::{name}"), target);
            }
        }
        self.reexports_of(source, other, path);
    }
}

/// Tells whether an item is `pub`, or an exported macro.
pub(super) fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Macro(item) => {
            return item
                .attrs
                .iter()
                .any(|one| one.path().is_ident("macro_export"));
        }
        Item::Mod(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Union(item) => &item.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_))
}
