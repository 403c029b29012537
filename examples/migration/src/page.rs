//! The one page of both versions.

use std::net::SocketAddr;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

/// What a session holds.
pub(crate) struct Guest {
    pub(crate) name: Option<String>,
    pub(crate) pieces: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct LogIn {
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct Piece {
    pub(crate) piece: String,
}

/// The other version.
#[derive(Clone)]
pub(crate) struct Neighbour {
    version: &'static str,
    url: String,
}

impl Neighbour {
    /// Browsers tell hosts apart and not ports, so both versions get each other's cookies.
    pub(crate) fn new(version: &'static str, address: SocketAddr) -> Self {
        let url = format!("http://{address}/");
        Self { version, url }
    }
}

pub(crate) fn page(library: &str, guest: &Guest, other: Option<&Neighbour>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Moving in: " (library) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                p.library { "Sessions by " strong #library { (library) } }
                (counter(guest))
                @if let Some(other) = other {
                    p.other { a #other href=(other.url) { "To the " (other.version) " version" } }
                }
            }
        }
    }
}

fn counter(guest: &Guest) -> Markup {
    html! {
        @match &guest.name {
            Some(name) => {
                h1 { "Hello, " span #guest { (name) } }
                form #sign-out method="post" action="/sign-out" { button { "Log out" } }
            }
            None => {
                h1 { "Who are you?" }
                form #sign-in method="post" action="/sign-in" {
                    label for="name" { "Name" }
                    input #name name="name" required autocomplete="username";
                    button { "Log in" }
                }
            }
        }
        h2 { "On your hook" }
        @if guest.pieces.is_empty() {
            p { "Nothing yet." }
        }
        ul #pieces { @for piece in &guest.pieces { li { (piece) } } }
        form #hang method="post" action="/hang" {
            label for="piece" { "A piece" }
            input #piece name="piece" required autocomplete="off";
            button { "Hang up" }
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
