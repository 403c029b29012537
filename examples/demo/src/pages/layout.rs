//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

/// A whole page. `account` goes to the top, `body` into the middle.
pub(super) fn page(title: &str, account: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " \u{2013} Cloakroom" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/clock.js" defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                header.top {
                    a.brand href="/" { (hanger()) "Cloakroom" }
                    div.account { (account) }
                }
                main #main tabindex="-1" { (body) }
                footer.bottom {
                    p { "A demo of sessions for axum. It works without scripts; one lets the clocks tick." }
                }
            }
        }
    }
}

fn hanger() -> Markup {
    html! {
        svg viewBox="0 0 32 24" width="32" height="24" aria-hidden="true" {
            path d="M13 6.5a3 3 0 1 1 4.6 2.5c-1 .6-1.6 1.3-1.6 2.5l13.3 8.2a1.2 1.2 0 0 1-.7 2.2H3.4a1.2 1.2 0 0 1-.7-2.2L16 11.5" {}
        }
    }
}
