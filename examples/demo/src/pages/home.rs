//! The start page.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use cloakroom::{Key, LazySession, Session, SessionError, UserId};
use maud::{Markup, html};

use super::session_panel::SessionPanel;
use super::sign_in::{self, REMEMBER};
use super::{layout, notes};
use crate::app::App;
use crate::flash;

/// How often the page was visited.
const VISITS: Key<u64> = Key::new("visits");

/// Counts the visit, and shows the page.
pub(crate) async fn show(
    State(app): State<App>,
    lazy: LazySession,
    session: Session,
) -> Result<impl IntoResponse, SessionError> {
    session.update(VISITS, |visits| visits.unwrap_or(0) + 1)?;
    let flash = flash::take(&session)?;
    // The layer saves after the handler. Saving here lets the page show the session as it is stored.
    session.save().await?;

    let visits = session.get(VISITS)?.unwrap_or_default();
    let user = session.user();
    let panel = SessionPanel {
        session: &session,
        store: app.storage.name(),
        cookie: lazy.cookie_name(),
        cookie_is_secure: app.cookie_is_secure,
        remembered: session.get(REMEMBER)?.unwrap_or_default(),
    };
    let notes = notes::section(&session)?;
    // On a narrow screen these are one column: the session comes second.
    let body = html! {
        (layout::message(flash.as_ref()))
        (welcome(visits, user.as_ref()))
        div.columns {
            div.first {
                @if user.is_none() { (sign_in::card()) } @else { (notes) }
            }
            (panel.render()?)
            div.rest {
                @if user.is_none() { (notes) }
                (things_to_try())
            }
        }
    };
    let page = layout::page("Home", "/", &session, body);
    // `no-store` also keeps the back button from showing the page after signing out.
    Ok(([(CACHE_CONTROL, "no-store")], page))
}

fn welcome(visits: u64, user: Option<&UserId>) -> Markup {
    html! {
        section.welcome {
            p.eyebrow {
                "Hello"
                @if let Some(user) = user { ", " (user) }
            }
            h1 #visits data-count=(visits) {
                "You have visited this page "
                @match visits {
                    1 => { "for the " span.count { "first" } " time." }
                    _ => { span.count { (visits) } " times." }
                }
            }
            p.lede {
                "The server counts your visits in a session. Your browser has a cookie that identifies it."
            }
        }
    }
}

fn things_to_try() -> Markup {
    html! {
        section.card aria-labelledby="ideas-title" {
            h2 #ideas-title { "Things to try" }
            ul.ideas {
                li { "Open a second tab and add notes in both: none is lost." }
                li { "Sign in: the session gets a new id, and your notes are kept." }
                li { "Sign out in one tab: the other one shows it without a reload, and the old cookie is invalid." }
                li { "Sign in from two browsers, and sign one of them out under \u{201c}Devices\u{201d} in the other." }
                li { "Sign in as Mona, the administrator, and sign out another user under \u{201c}Admin\u{201d}." }
                li { "Open \u{201c}Security\u{201d} five minutes after signing in: it asks for the password again." }
                li { "Close the browser: you are signed out, unless you chose \u{201c}Remember me\u{201d}." }
            }
        }
    }
}
