//! What all pages have in common.

use cloakroom::{Session, SessionId, UserId};
use maud::{DOCTYPE, Markup, html};

use crate::flash::{Flash, Tone};
use crate::users::MANAGER;

/// A whole page, as whoever is signed in sees it. `body` goes into the middle.
pub(super) fn page(title: &str, session: &Session, body: Markup) -> Markup {
    let user = session.user();
    let ticket = session.id().filter(|_| user.is_some());
    whole_page(title, account(user.as_ref()), ticket, body)
}

/// A page for whoever it may be: the session is not known.
pub(super) fn page_for_anybody(title: &str, body: Markup) -> Markup {
    whole_page(title, html! {}, None, body)
}

/// A message that is shown once.
pub(super) fn message(flash: Option<&Flash>) -> Markup {
    html! {
        @if let Some(flash) = flash {
            @let (class, role) = match flash.tone {
                Tone::Good => ("flash good", "status"),
                Tone::Bad => ("flash bad", "alert"),
            };
            p #flash class=(class) role=(role) { (flash.text) }
        }
    }
}

/// Who is signed in, and where that leads to.
fn account(user: Option<&UserId>) -> Markup {
    html! {
        @match user.map(ToString::to_string) {
            Some(name) => {
                p { span.who { "Signed in as " } strong #guest { (name) } }
                nav aria-label="Yours" {
                    a href="/devices" { "Devices" }
                    a href="/safe" { "Safe" }
                    @if name == MANAGER { a href="/admin" { "House" } }
                }
                form method="post" action="/sign-out" {
                    button.quiet #sign-out type="submit" { "Sign out" }
                }
            }
            None => p { "Not signed in" },
        }
    }
}

/// On pages of somebody who is signed in, a script listens to what becomes of their ticket.
fn whole_page(title: &str, account: Markup, ticket: Option<SessionId>, body: Markup) -> Markup {
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
                @if let Some(ticket) = ticket {
                    script src="/news.js" defer {}
                    script src="/live.js" data-ticket=(ticket) defer {}
                }
            }
            body {
                a.skip href="#main" { "To the content" }
                header.top {
                    a.brand href="/" { (hanger()) "Cloakroom" }
                    div.account { (account) }
                }
                @if ticket.is_some() { (over()) }
                main #main tabindex="-1" { (body) }
                footer.bottom {
                    p { "A demo of sessions for axum. It works without scripts; they let the clocks tick, and tell at once when you are signed out." }
                }
            }
        }
    }
}

/// What takes the place of the page when the session has ended. The script fills it in.
fn over() -> Markup {
    html! {
        section.over #over role="alert" hidden {
            p.eyebrow { "The coat is gone" }
            h1 tabindex="-1" { "You were signed out" }
            p.lede #over-reason {}
            p { a.button href="/sign-in" { "Sign in again" } }
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
