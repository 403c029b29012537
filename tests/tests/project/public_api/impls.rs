//! The lines that describe implementations: public methods, and the headers of trait implementations.

use std::collections::BTreeSet;

use syn::{GenericArgument, ImplItem, Item, ItemImpl, Path, PathArguments, Type, Visibility};

use super::items::{Entry, bounds, generics, marks, signature};
use super::reach::Reach;
use super::text::text;
use crate::source::{Source, Target};

/// Describes all implementations in a crate that its users can see.
pub(super) fn describe(source: &Source, reach: &Reach, entries: &mut Vec<Entry>) {
    for (index, module) in source.modules.iter().enumerate() {
        let place = Place {
            source,
            reach,
            module: index,
        };
        for item in &module.items {
            match item {
                Item::Impl(one) => place.implementation(one, entries),
                // What a macro of the crate's own makes cannot be seen, but that and with what it is invoked can.
                Item::Macro(one) if is_own(source, &one.mac.path) => {
                    let root = [reach.modules[&0].clone()];
                    let path = [&root[..], &module.path].concat().join("::");
                    let (name, tokens) = (text(&one.mac.path), text(&one.mac.tokens));
                    entries.push((path.clone(), format!("{path}: {name}!({tokens})")));
                }
                _ => {}
            }
        }
    }
}

/// Tells whether a macro that is invoked is defined in this crate.
fn is_own(source: &Source, path: &Path) -> bool {
    let items = source.modules.iter().flat_map(|module| &module.items);
    items.into_iter().any(|item| match item {
        Item::Macro(one) => one.ident.as_ref().is_some_and(|name| path.is_ident(name)),
        _ => false,
    })
}

/// A module, in which paths mean something.
struct Place<'a> {
    source: &'a Source,
    reach: &'a Reach,
    module: usize,
}

/// What a type or a trait is to the users of the crate.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// By its path in this crate.
    Reachable(String),
    Private,
    /// Of another crate, or a parameter.
    Foreign,
}

impl Place<'_> {
    fn implementation(&self, one: &ItemImpl, entries: &mut Vec<Entry>) {
        let (name, this) = match self.principal(&one.self_ty) {
            Seen::Private => return,
            Seen::Reachable(path) => (self_type(&one.self_ty, &path), Some(path)),
            Seen::Foreign => (text(&one.self_ty), None),
        };
        match (&one.trait_, this) {
            (Some((path, _)), this) => {
                self.trait_implementation(one, path, &name, this, entries);
            }
            (None, Some(this)) => inherent(one, &name, &this, entries),
            (None, None) => {}
        }
    }

    fn trait_implementation(
        &self,
        one: &ItemImpl,
        path: &Path,
        name: &str,
        this: Option<String>,
        entries: &mut Vec<Entry>,
    ) {
        let seen = self.path(path);
        let arguments: Vec<Seen> = arguments(path)
            .into_iter()
            .map(|ty| self.principal(ty))
            .collect();
        if seen == Seen::Private || arguments.contains(&Seen::Private) {
            return;
        }
        let last = path.segments.last().expect("a path has a name");
        let mut line = format!(
            "impl{} {} for {name}{}",
            generics(&one.generics),
            text(last),
            bounds(&one.generics)
        );
        let defined: Vec<String> = one.items.iter().filter_map(associated).collect();
        if !defined.is_empty() {
            line.push_str(&format!(" {{ {} }}", defined.join("; ")));
        }
        // With the crate's own part of it: the type, or the trait, or what the trait is given.
        let others = [seen].into_iter().chain(arguments);
        let mut own = others.filter_map(|seen| match seen {
            Seen::Reachable(path) => Some(path),
            _ => None,
        });
        let place = this.or_else(|| own.next());
        entries.push((place.unwrap_or_else(|| name.to_owned()), line));
    }

    /// What a type is, below references: `&'a Session` is as visible as `Session`.
    fn principal(&self, ty: &Type) -> Seen {
        match ty {
            Type::Path(path) if path.qself.is_none() => self.path(&path.path),
            Type::Reference(reference) => self.principal(&reference.elem),
            Type::Paren(inner) => self.principal(&inner.elem),
            _ => Seen::Foreign,
        }
    }

    fn path(&self, path: &Path) -> Seen {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|one| one.ident.to_string())
            .collect();
        if path.leading_colon.is_some() {
            return Seen::Foreign;
        }
        match self.source.resolve(self.module, &words) {
            Target::Item { module, name } => match self.reach.items.get(&(module, name)) {
                Some(path) => Seen::Reachable(path.clone()),
                None => Seen::Private,
            },
            Target::Module(_) | Target::External(_) => Seen::Foreign,
        }
    }
}

/// Describes what an implementation of a trait chooses: a type or a constant.
fn associated(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Type(item) => Some(format!("type {} = {}", item.ident, text(&item.ty))),
        ImplItem::Const(item) => Some(format!("const {}: {}", item.ident, text(&item.ty))),
        _ => None,
    }
}

/// The types that a trait is given: `User` in `From<User>`.
fn arguments(path: &Path) -> Vec<&Type> {
    let mut types = Vec::new();
    for segment in &path.segments {
        if let PathArguments::AngleBracketed(given) = &segment.arguments {
            let given = given.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.extend(given);
        }
    }
    types
}

/// Prints a type of this crate with its whole path, and the arguments that it is written with.
fn self_type(ty: &Type, path: &str) -> String {
    match ty {
        Type::Path(written) => {
            let last = written.path.segments.last().expect("a path has a name");
            format!("{path}{}", text(&last.arguments))
        }
        other => text(other),
    }
}

fn inherent(one: &ItemImpl, name: &str, path: &str, entries: &mut Vec<Entry>) {
    let (parameters, limits) = (generics(&one.generics), bounds(&one.generics));
    let head = if parameters.is_empty() {
        String::new()
    } else {
        format!("impl{parameters}{limits} ")
    };
    let is_public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
    for item in &one.items {
        match item {
            ImplItem::Fn(item) if is_public(&item.vis) => {
                let place = format!("{path}::{}", item.sig.ident);
                let signature = signature(&item.sig, &format!("{name}::{}", item.sig.ident));
                entries.push((
                    place,
                    format!("{head}{}pub {signature}", marks(&item.attrs)),
                ));
            }
            ImplItem::Const(item) if is_public(&item.vis) => {
                let place = format!("{path}::{}", item.ident);
                let ty = text(&item.ty);
                let line = format!(
                    "{head}{}pub const {name}::{}: {ty}",
                    marks(&item.attrs),
                    item.ident
                );
                entries.push((place, line));
            }
            _ => {}
        }
    }
}

/// Describes all that can be reached.
pub(super) fn lines(source: &Source, reach: &Reach) -> Vec<String> {
    let mut entries: Vec<Entry> = Vec::new();
    for path in reach.modules.values() {
        entries.push((path.clone(), format!("pub mod {path}")));
    }
    for (path, origin) in &reach.reexports {
        entries.push((path.clone(), format!("pub use {path} = {origin}")));
    }
    for ((module, name), path) in &reach.items {
        let items = &source.modules[*module].items;
        let named = items.iter().filter(|item| super::reach::is_public(item));
        for item in named.filter(|item| crate::source::defined(item).as_ref() == Some(name)) {
            super::items::describe(item, path, &mut entries);
        }
    }
    describe(source, reach, &mut entries);
    let entries: BTreeSet<Entry> = entries.into_iter().collect();
    entries.into_iter().map(|(_, line)| line).collect()
}
