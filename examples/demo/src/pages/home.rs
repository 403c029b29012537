//! The front page.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use cloakroom::{Key, LazySession, Session, SessionError, UserId};
use maud::{Markup, html};

use super::sign_in::{self, KEPT};
use super::ticket::Ticket;
use super::{layout, notes};
use crate::app::App;
use crate::flash;

/// How often this page was seen.
const VISITS: Key<u64> = Key::new("visits");

/// Counts the visit, and shows everything.
pub(crate) async fn show(
    State(app): State<App>,
    lazy: LazySession,
    session: Session,
) -> Result<impl IntoResponse, SessionError> {
    session.update(VISITS, |visits| visits.unwrap_or(0) + 1)?;
    let flash = flash::take(&session)?;
    // It would be saved after the handler anyway. Saved now, the page shows it as the store has it.
    session.save().await?;

    let visits = session.get(VISITS)?.unwrap_or_default();
    let user = session.user();
    let ticket = Ticket {
        session: &session,
        store: app.storage.name(),
        cookie: lazy.cookie_name(),
        cookie_is_secure: app.cookie_is_secure,
        remembered: session.get(KEPT)?.unwrap_or_default(),
    };
    let body = html! {
        (layout::message(flash.as_ref()))
        (welcome(visits, user.as_ref()))
        div.columns {
            div.doing {
                @if user.is_none() { (sign_in::form()) }
                (notes::section(&session)?)
                (ideas())
            }
            (ticket.render()?)
        }
    };
    let page = layout::page("Your visit", &session, body);
    // What is personal is kept by no cache, and not shown again by the back button after signing out.
    Ok(([(CACHE_CONTROL, "no-store")], page))
}

fn welcome(visits: u64, user: Option<&UserId>) -> Markup {
    html! {
        section.welcome {
            p.eyebrow {
                "Good evening"
                @if let Some(user) = user { ", " (user) }
            }
            h1 #visits data-count=(visits) {
                "You have been here "
                @match visits {
                    1 => { "for the " span.count { "first" } " time." }
                    _ => { span.count { (visits) } " times." }
                }
            }
            p.lede {
                "You handed in a coat and were given a ticket. The ticket is a cookie, the coat is your \
                 session: whenever you show the one, you get the other."
            }
        }
    }
}

fn ideas() -> Markup {
    html! {
        section.card aria-labelledby="ideas-title" {
            h2 #ideas-title { "Things to try" }
            ul.ideas {
                li { "Open a second tab, and add notes in both: none is lost." }
                li { "Sign in: the ticket has a new number, and your notes came along." }
                li { "Sign out in one tab, and look at the other: it has turned by itself, and the old session stays gone." }
                li { "Sign in from two browsers, and end one of them under \u{201c}Devices\u{201d} in the other." }
                li { "Sign in as Mona, the manager, and show somebody the door." }
                li { "Come back to the safe after a while: it asks for the password again." }
                li { "Close the browser: the ticket is gone, unless you asked to be remembered." }
            }
        }
    }
}
