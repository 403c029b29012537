//! Which items are compiled: `#[cfg(...)]`, evaluated for a library build.

use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, ImplItem, Item, Macro, Meta, MetaList, Token, TraitItem};

/// Which features are taken to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Features {
    /// All of them: what is left is one build.
    All,
    /// Any set of them: what is left is compiled in some build.
    Any,
}

/// Removes what is not compiled: tests, and what the features exclude. What `pin_project!` wraps is unwrapped.
pub(super) fn prune(items: Vec<Item>, features: Features) -> Vec<Item> {
    let items = items.into_iter().flat_map(unwrapped);
    let kept = items.filter(|item| is_compiled(attributes(item), features));
    kept.map(|item| prune_inside(item, features)).collect()
}

fn prune_inside(mut item: Item, features: Features) -> Item {
    match &mut item {
        Item::Mod(module) => {
            if let Some((_, items)) = &mut module.content {
                *items = prune(std::mem::take(items), features);
            }
        }
        Item::Impl(one) => one
            .items
            .retain(|item| is_compiled(impl_attributes(item), features)),
        Item::Trait(one) => one
            .items
            .retain(|item| is_compiled(trait_attributes(item), features)),
        Item::Struct(one) => prune_fields(&mut one.fields, features),
        Item::Enum(one) => {
            let variants = std::mem::take(&mut one.variants).into_iter();
            let kept = variants.filter(|variant| is_compiled(&variant.attrs, features));
            one.variants = kept.collect();
        }
        _ => {}
    }
    item
}

fn prune_fields(fields: &mut Fields, features: Features) {
    let list = match fields {
        Fields::Named(fields) => &mut fields.named,
        Fields::Unnamed(fields) => &mut fields.unnamed,
        Fields::Unit => return,
    };
    let all = std::mem::take(list).into_iter();
    *list = all
        .filter(|field| is_compiled(&field.attrs, features))
        .collect();
}

/// The items that a macro of `pin-project-lite` wraps, or the item itself.
fn unwrapped(item: Item) -> Vec<Item> {
    let Item::Macro(invoked) = &item else {
        return vec![item];
    };
    if !is_pin_project(&invoked.mac) {
        return vec![item];
    }
    let parsed: syn::Result<syn::File> = syn::parse2(invoked.mac.tokens.clone());
    parsed.map_or_else(|_| vec![item], |file| file.items)
}

fn is_pin_project(invoked: &Macro) -> bool {
    let last = invoked.path.segments.last();
    last.is_some_and(|last| last.ident == "pin_project")
}

/// Tells whether an item with these attributes is compiled.
fn is_compiled(attributes: &[Attribute], features: Features) -> bool {
    let conditions = attributes.iter().filter(|one| one.path().is_ident("cfg"));
    for condition in conditions {
        let meta: Meta = condition
            .parse_args()
            .unwrap_or_else(|error| panic!("a cfg that cannot be read: {error}"));
        if evaluate(&meta, features) == Some(false) {
            return false;
        }
    }
    true
}

/// Evaluates a condition: `None` if it depends on which features are on.
fn evaluate(meta: &Meta, features: Features) -> Option<bool> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident("feature") => {
            (features == Features::All).then_some(true)
        }
        Meta::Path(path) if path.is_ident("test") || path.is_ident("doctest") => Some(false),
        Meta::List(list) if list.path.is_ident("not") => {
            let inner = parts(list).into_iter().next()?;
            evaluate(&inner, features).map(|holds| !holds)
        }
        Meta::List(list) if list.path.is_ident("all") => {
            let parts = parts(list);
            let results = parts.iter().map(|part| evaluate(part, features));
            combine(results, false)
        }
        Meta::List(list) if list.path.is_ident("any") => {
            let parts = parts(list);
            let results = parts.iter().map(|part| evaluate(part, features));
            combine(results, true)
        }
        // Platforms and the like.
        _ => None,
    }
}

/// The result of `any` (decided by a part that holds) or `all` (decided by one that does not).
fn combine(results: impl Iterator<Item = Option<bool>>, deciding: bool) -> Option<bool> {
    let mut known = true;
    for result in results {
        if result == Some(deciding) {
            return Some(deciding);
        }
        known &= result.is_some();
    }
    known.then_some(!deciding)
}

fn parts(list: &MetaList) -> Vec<Meta> {
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    parts.map_or_else(|_| Vec::new(), |parts| parts.into_iter().collect())
}

/// Returns the attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn impl_attributes(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        _ => &[],
    }
}

fn trait_attributes(item: &TraitItem) -> &[Attribute] {
    match item {
        TraitItem::Const(item) => &item.attrs,
        TraitItem::Fn(item) => &item.attrs,
        TraitItem::Type(item) => &item.attrs,
        TraitItem::Macro(item) => &item.attrs,
        _ => &[],
    }
}
