//! The lines that describe an item, and what belongs to it but for its implementations.

use syn::{
    Attribute, Field, Fields, FnArg, Generics, Item, ItemEnum, ItemStruct, ItemTrait, Meta, Pat,
    PatWild, ReceiverKind, Signature, Token, TraitItem, Visibility, punctuated::Punctuated,
};

use super::text::text;

/// A line, and the path that it is sorted by.
pub(super) type Entry = (String, String);

/// Describes an item that is reached by a path.
pub(super) fn describe(item: &Item, path: &str, entries: &mut Vec<Entry>) {
    let mut entry = |line: String| entries.push((path.to_owned(), line));
    match item {
        Item::Fn(one) => {
            let signature = signature(&one.sig, path);
            entry(format!("{}pub {signature}", marks(&one.attrs)));
        }
        Item::Const(one) => {
            let ty = text(&one.ty);
            entry(format!("{}pub const {path}: {ty}", marks(&one.attrs)));
        }
        Item::Static(one) => {
            let ty = text(&one.ty);
            entry(format!("{}pub static {path}: {ty}", marks(&one.attrs)));
        }
        Item::Type(one) => {
            let (generics, ty) = (generics(&one.generics), text(&one.ty));
            let bounds = bounds(&one.generics);
            entry(format!(
                "{}pub type {path}{generics} = {ty}{bounds}",
                marks(&one.attrs)
            ));
        }
        Item::Macro(one) => entry(format!("{}pub macro {path}!", marks(&one.attrs))),
        Item::Struct(one) => describe_struct(one, path, entries),
        Item::Enum(one) => describe_enum(one, path, entries),
        Item::Trait(one) => describe_trait(one, path, entries),
        _ => entry(format!("pub {path}: {}", text(item))),
    }
}

fn describe_struct(one: &ItemStruct, path: &str, entries: &mut Vec<Entry>) {
    let head = format!(
        "{}pub struct {path}{}",
        marks(&one.attrs),
        generics(&one.generics)
    );
    let bounds = bounds(&one.generics);
    let is_open = one.fields.iter().all(is_public);
    let line = match &one.fields {
        Fields::Unit => format!("{head}{bounds}"),
        Fields::Unnamed(_) => format!("{head}({}){bounds}", tuple(&one.fields)),
        Fields::Named(_) if is_open => format!("{head}{bounds} {{}}"),
        Fields::Named(_) => format!("{head}{bounds} {{ .. }}"),
    };
    entries.push((path.to_owned(), line));
    derives(&one.attrs, &one.generics, path, entries);
    for field in one.fields.iter().filter(|field| is_public(field)) {
        if let Some(name) = &field.ident {
            let place = format!("{path}.{name}");
            let line = format!("{}pub {place}: {}", marks(&field.attrs), text(&field.ty));
            entries.push((place, line));
        }
    }
}

fn is_public(field: &Field) -> bool {
    matches!(field.vis, Visibility::Public(_))
}

/// The fields of a tuple struct. Private ones are left open.
fn tuple(fields: &Fields) -> String {
    let one = |field: &Field| {
        if is_public(field) {
            format!("pub {}", text(&field.ty))
        } else {
            "_".to_owned()
        }
    };
    let all: Vec<String> = fields.iter().map(one).collect();
    all.join(", ")
}

fn describe_enum(one: &ItemEnum, path: &str, entries: &mut Vec<Entry>) {
    let (generics, bounds) = (generics(&one.generics), bounds(&one.generics));
    let line = format!("{}pub enum {path}{generics}{bounds}", marks(&one.attrs));
    entries.push((path.to_owned(), line));
    derives(&one.attrs, &one.generics, path, entries);
    for variant in &one.variants {
        let place = format!("{path}::{}", variant.ident);
        let fields = variant.fields.iter().map(|field| match &field.ident {
            Some(name) => format!("{name}: {}", text(&field.ty)),
            None => text(&field.ty),
        });
        let fields: Vec<String> = fields.collect();
        let fields = match &variant.fields {
            Fields::Unit => String::new(),
            Fields::Unnamed(_) => format!("({})", fields.join(", ")),
            Fields::Named(_) => format!(" {{ {} }}", fields.join(", ")),
        };
        let value = variant.discriminant.as_ref();
        let value = value.map(|(_, value)| format!(" = {}", text(value)));
        let value = value.unwrap_or_default();
        let line = format!("{}pub {place}{fields}{value}", marks(&variant.attrs));
        entries.push((place, line));
    }
}

fn describe_trait(one: &ItemTrait, path: &str, entries: &mut Vec<Entry>) {
    let mut line = format!("{}pub ", marks(&one.attrs));
    if one.unsafety.is_some() {
        line.push_str("unsafe ");
    }
    line.push_str(&format!("trait {path}{}", generics(&one.generics)));
    if !one.supertraits.is_empty() {
        line.push_str(&format!(": {}", text(&one.supertraits)));
    }
    line.push_str(&bounds(&one.generics));
    entries.push((path.to_owned(), line));
    for item in &one.items {
        let (name, line) = match item {
            TraitItem::Fn(one) => {
                let place = format!("{path}::{}", one.sig.ident);
                let end = if one.default.is_some() {
                    " { .. }"
                } else {
                    ";"
                };
                let line = format!("{}{}{end}", marks(&one.attrs), signature(&one.sig, &place));
                (place, line)
            }
            TraitItem::Type(one) => {
                let place = format!("{path}::{}", one.ident);
                let colon = if one.bounds.is_empty() { "" } else { ": " };
                let (generics, limits) = (generics(&one.generics), text(&one.bounds));
                let line = format!(
                    "type {place}{generics}{colon}{limits}{}",
                    bounds(&one.generics)
                );
                (place, line)
            }
            TraitItem::Const(one) => {
                let place = format!("{path}::{}", one.ident);
                let end = if one.default.is_some() { " = .." } else { "" };
                let line = format!("const {place}: {}{end}", text(&one.ty));
                (place, line)
            }
            other => (path.to_owned(), format!("{path}: {}", text(other))),
        };
        entries.push((name, line));
    }
}

/// The implementations that `#[derive(..)]` asks for.
fn derives(attributes: &[Attribute], generic: &Generics, path: &str, entries: &mut Vec<Entry>) {
    for attribute in attributes
        .iter()
        .filter(|one| one.path().is_ident("derive"))
    {
        let list = attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
        for name in list.expect("derive has paths") {
            let name = &name.segments.last().expect("a path has a name").ident;
            // With parameters, deriving puts bounds on them.
            let line = if generic.params.is_empty() {
                format!("impl {name} for {path}")
            } else {
                format!("#[derive({name})] {path}{}", generics(generic))
            };
            entries.push((path.to_owned(), line));
        }
    }
}

/// Prints a function's signature, with its path in place of its name.
pub(super) fn signature(sig: &Signature, path: &str) -> String {
    let mut sig = sig.clone();
    for input in &mut sig.inputs {
        match input {
            // Patterns are nobody's concern but the function's.
            FnArg::Typed(argument) => {
                argument.attrs.clear();
                match &mut *argument.pat {
                    Pat::Ident(name) => {
                        name.mutability = None;
                        name.by_ref = None;
                    }
                    other => *other = wild(),
                }
            }
            FnArg::Receiver(receiver) => {
                receiver.attrs.clear();
                if matches!(receiver.kind, ReceiverKind::Value | ReceiverKind::Typed(..)) {
                    receiver.mutability = None;
                }
            }
        }
    }
    let name = format!("fn {}", sig.ident);
    text(&sig).replacen(&name, &format!("fn {path}"), 1)
}

/// The pattern `_`.
fn wild() -> Pat {
    Pat::Wild(PatWild {
        attrs: Vec::new(),
        underscore_token: Default::default(),
    })
}

pub(super) fn generics(generics: &Generics) -> String {
    text(generics)
}

/// Prints the `where` clause, with a space before it.
pub(super) fn bounds(generics: &Generics) -> String {
    match &generics.where_clause {
        Some(clause) if !clause.predicates.is_empty() => format!(" {}", text(clause)),
        _ => String::new(),
    }
}

/// The attributes that users of an item notice, each followed by a space.
pub(super) fn marks(attributes: &[Attribute]) -> String {
    let mut marks = String::new();
    for attribute in attributes {
        for name in ["must_use", "non_exhaustive", "deprecated"] {
            if attribute.path().is_ident(name) {
                marks.push_str(&format!("#[{name}] "));
            }
        }
        if let Meta::List(list) = &attribute.meta
            && list.path.is_ident("doc")
            && list.tokens.to_string() == "hidden"
        {
            marks.push_str("#[doc(hidden)] ");
        }
    }
    marks
}
