//! The page of both versions.

use std::net::SocketAddr;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

/// What a session holds.
pub(crate) struct Visitor {
    pub(crate) name: Option<String>,
    pub(crate) items: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct NewItem {
    pub(crate) item: String,
}

/// The other version.
#[derive(Clone)]
pub(crate) struct OtherVersion {
    version: &'static str,
    url: String,
}

impl OtherVersion {
    /// Cookies do not depend on the port, so both versions receive each other's cookies.
    pub(crate) fn new(version: &'static str, address: SocketAddr) -> Self {
        let url = format!("http://{address}/");
        Self { version, url }
    }
}

pub(crate) fn page(library: &str, visitor: &Visitor, other: Option<&OtherVersion>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Migration: " (library) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                p.library { "Sessions by " strong #library { (library) } }
                (content(visitor))
                @if let Some(other) = other {
                    p.other { a #other href=(other.url) { "To the " (other.version) " version" } }
                }
            }
        }
    }
}

fn content(visitor: &Visitor) -> Markup {
    html! {
        @match &visitor.name {
            Some(name) => {
                h1 { "Hello, " span #visitor { (name) } }
                form #sign-out method="post" action="/sign-out" { button { "Sign out" } }
            }
            None => {
                h1 { "Who are you?" }
                form #sign-in method="post" action="/sign-in" {
                    label for="name" { "Name" }
                    input #name name="name" required autocomplete="username";
                    button { "Sign in" }
                }
            }
        }
        h2 { "Your items" }
        @if visitor.items.is_empty() {
            p { "Nothing yet." }
        }
        ul #items { @for item in &visitor.items { li { (item) } } }
        form #add method="post" action="/items" {
            label for="item" { "Item" }
            input #item name="item" required autocomplete="off";
            button { "Add" }
        }
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 1.05rem/1.6 system-ui, sans-serif; }
body { max-width: 30rem; margin: 12vh auto; padding: 0 1.25rem; }
h1 { font-weight: 500; margin: .5rem 0 1rem; }
h2 { font-size: 1rem; margin: 2.5rem 0 .25rem; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
input, button { font: inherit; padding: .35rem .7rem; }
.library, .other { opacity: .75; }
.other { margin-top: 3rem; }
";
