//! The manager's view: who is in the house, and the right to show anybody the door.

use axum::Form;
use axum::extract::RawQuery;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{RevokedBy, Session, SessionError, SessionId, SessionInfo, Sessions, UserId};
use maud::{Markup, html};
use serde::Deserialize;

use super::devices::{self, One};
use super::{errors, layout};
use crate::flash::{self, Tone};
use crate::users::{GUESTS, MANAGER};

/// What the button beside a guest sends.
#[derive(Deserialize)]
pub(crate) struct Guest {
    guest: String,
}

/// Shows all guests, and where they are signed in.
pub(crate) async fn show(
    session: Session,
    sessions: Sessions,
    RawQuery(query): RawQuery,
) -> Result<Response, SessionError> {
    if !is_manager(&session)? {
        return Ok(errors::not_for_you());
    }
    let flash = flash::take_for_page(&session, query.as_deref())?;
    let mut sections = Vec::new();
    for (name, _) in GUESTS {
        sections.push(section(name, &sessions.list(name).await?, &session));
    }
    let body = html! {
        (layout::message(flash.as_ref()))
        h1 { "The house tonight" }
        p.lede { "Who is signed in, and where. Whom you show the door is signed out at once." }
        div.house #devices data-live="sessions" {
            @for section in sections { (section) }
        }
    };
    let page = layout::page("The house tonight", &session, body);
    Ok(([(CACHE_CONTROL, "no-store")], page).into_response())
}

fn section(name: &str, found: &[SessionInfo], session: &Session) -> Markup {
    html! {
        section.card.list aria-label=(name) data-guest=(name) {
            header.row {
                h2 { (name) }
                @if !found.is_empty() && name != MANAGER {
                    form method="post" action="/admin/end-all" {
                        input type="hidden" name="guest" value=(name);
                        button.quiet type="submit" aria-label={ "End all sessions of " (name) } { "End all" }
                    }
                }
            }
            @if found.is_empty() {
                p.empty { "Not in the house." }
            } @else {
                ul.devices {
                    @for info in found { (devices::line(info, info.is_current(session), "/admin/end")) }
                }
            }
        }
    }
}

/// Ends one session, whosever it is.
pub(crate) async fn end(
    session: Session,
    sessions: Sessions,
    Form(form): Form<One>,
) -> Result<Response, SessionError> {
    if !is_manager(&session)? {
        return Ok(errors::not_for_you());
    }
    let ended = match form.id.parse::<SessionId>() {
        Ok(id) => sessions.revoke_any(id).await?,
        Err(_) => false,
    };
    let (tone, text) = match ended {
        true => (Tone::Good, "That session is ended."),
        false => (Tone::Bad, "That one had ended already."),
    };
    flash::say(&session, tone, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// Ends all sessions of a guest.
pub(crate) async fn revoke_all(
    session: Session,
    sessions: Sessions,
    Form(form): Form<Guest>,
) -> Result<Response, SessionError> {
    if !is_manager(&session)? {
        return Ok(errors::not_for_you());
    }
    let guest = GUESTS.iter().find(|(name, _)| *name == form.guest);
    let Some((name, _)) = guest else {
        flash::say(&session, Tone::Bad, "There is no such guest.")?;
        return Ok(Redirect::to("/admin").into_response());
    };
    let text = match sessions.revoke_all(*name, RevokedBy::Admin).await? {
        1 => format!("One session of {name} is ended."),
        count => format!("{count} sessions of {name} are ended."),
    };
    flash::say(&session, Tone::Good, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// Whether the manager is signed in, or a guest. Nobody is an error, whose page asks to sign in.
fn is_manager(session: &Session) -> Result<bool, SessionError> {
    Ok(session.require_user()? == UserId::from(MANAGER))
}
