//! From a path to the module that defines what it names.

use super::Source;
use super::scope::Name;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module of this crate, by its index.
    Module(usize),
    /// An item of this crate, by the module that defines it; also for what belongs to the item, such as a variant.
    Item { module: usize, name: String },
    /// Something of another crate, by its path there, or something that is local to a function.
    External(Vec<String>),
}

/// What was looked up on the way: a module and a name in it. Cyclic re-exports end there.
type Seen = Vec<(usize, String)>;

impl Source {
    /// Resolves a path as it is written in a module, through all imports and re-exports.
    pub(crate) fn resolve(&self, from: usize, path: &[String]) -> Target {
        self.resolve_seen(from, path, &mut Seen::new())
    }

    fn resolve_seen(&self, from: usize, path: &[String], seen: &mut Seen) -> Target {
        let Some((first, rest)) = path.split_first() else {
            return Target::Module(from);
        };
        match first.as_str() {
            "crate" => self.descend(0, rest, seen),
            "self" => self.descend(from, rest, seen),
            "super" => self.ascend(from, rest, seen),
            // Other words name what is in scope here, or another crate.
            name if self.is_in_scope(from, name, seen) => self.descend(from, path, seen),
            _ => Target::External(path.to_vec()),
        }
    }

    fn ascend(&self, from: usize, rest: &[String], seen: &mut Seen) -> Target {
        let parent = self.modules[from].parent.unwrap_or(0);
        match rest.split_first() {
            Some((next, rest)) if next == "super" => self.ascend(parent, rest, seen),
            _ => self.descend(parent, rest, seen),
        }
    }

    /// Tells whether a module defines or imports a name, if only by a glob.
    fn is_in_scope(&self, module: usize, name: &str, seen: &Seen) -> bool {
        let names = &self.modules[module].names;
        names.contains_key(name) || self.globbed(module, name, &mut seen.clone()).is_some()
    }

    /// Returns the module that a glob import of this one brings a name from.
    fn globbed(&self, module: usize, name: &str, seen: &mut Seen) -> Option<usize> {
        let mark = (module, format!("{name}::*"));
        if seen.contains(&mark) {
            return None;
        }
        seen.push(mark);
        for glob in &self.modules[module].globs {
            if let Target::Module(other) = self.resolve_seen(module, glob, seen) {
                let has_it = self.modules[other].names.contains_key(name);
                if other != module && (has_it || self.globbed(other, name, seen).is_some()) {
                    return Some(other);
                }
            }
        }
        None
    }

    fn descend(&self, module: usize, path: &[String], seen: &mut Seen) -> Target {
        let Some((name, rest)) = path.split_first() else {
            return Target::Module(module);
        };
        let mark = (module, format!("{name}::{}", rest.join("::")));
        if seen.contains(&mark) {
            return Target::External(path.to_vec());
        }
        seen.push(mark);
        let here = Target::Item {
            module,
            name: name.clone(),
        };
        let Some(meanings) = self.modules[module].names.get(name) else {
            // What is not found is made by a macro here, if no glob brings it.
            return match self.globbed(module, name, seen) {
                Some(other) => self.descend(other, path, seen),
                None => here,
            };
        };
        let child = meanings.iter().find_map(|meaning| match meaning {
            Name::Module(child) => Some(*child),
            _ => None,
        });
        if let (Some(child), false) = (child, rest.is_empty()) {
            return self.descend(child, rest, seen);
        }
        if meanings.iter().any(|meaning| matches!(meaning, Name::Item)) {
            return here;
        }
        let imported = meanings.iter().find_map(|meaning| match meaning {
            Name::Import(path) => Some(path),
            _ => None,
        });
        match (imported, child) {
            (Some(imported), _) => match self.resolve_seen(module, imported, seen) {
                Target::Module(other) => self.descend(other, rest, seen),
                Target::External(path) => Target::External([&path, rest].concat()),
                found @ Target::Item { .. } => found,
            },
            (None, Some(child)) => Target::Module(child),
            (None, None) => here,
        }
    }
}
