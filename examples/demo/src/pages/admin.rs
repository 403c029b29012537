//! The manager's view: who is in the house, and the right to show anybody the door.

use axum::Form;
use axum::extract::RawQuery;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{EndedBy, Session, SessionError, SessionId, SessionInfo, Sessions, UserId};
use maud::{Markup, html};
use serde::Deserialize;

use super::{devices, errors, layout};
use crate::flash::{self, Tone};
use crate::users::{GUESTS, MANAGER};

/// What the button beside a session sends.
#[derive(Deserialize)]
pub(crate) struct One {
    id: String,
}

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
    let Some(manager) = manager(&session)? else {
        return Ok(errors::not_for_you());
    };
    let flash = flash::take_for_page(&session, query.as_deref())?;
    let mut sections = Vec::new();
    for (name, _) in GUESTS {
        sections.push(section(name, &sessions.of(name).await?, &session));
    }
    let body = html! {
        (layout::message(flash.as_ref()))
        h1 { "The house tonight" }
        p.lede { "Who is signed in, and where. Whom you show the door is signed out at once." }
        div.house #devices data-live="sessions" {
            @for section in sections { (section) }
        }
    };
    let page = layout::page("The house tonight", Some(&manager), body);
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
                        button.quiet type="submit" { "End all" }
                    }
                }
            }
            @if found.is_empty() {
                p.empty { "Not in the house." }
            } @else {
                ul.devices {
                    @for info in found { (devices::line(info, info.is(session), "/admin/end")) }
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
    if manager(&session)?.is_none() {
        return Ok(errors::not_for_you());
    }
    let ended = match form.id.parse::<SessionId>() {
        Ok(id) => sessions.end(id).await?,
        Err(_) => false,
    };
    let text = match ended {
        true => "That session is ended.",
        false => "That one had ended already.",
    };
    flash::say(&session, Tone::Good, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// Ends all sessions of a guest.
pub(crate) async fn end_all(
    session: Session,
    sessions: Sessions,
    Form(form): Form<Guest>,
) -> Result<Response, SessionError> {
    if manager(&session)?.is_none() {
        return Ok(errors::not_for_you());
    }
    let count = sessions.end_all(&form.guest, EndedBy::Admin).await?;
    let sessions = if count == 1 { "session" } else { "sessions" };
    let text = format!("{count} {sessions} of {} ended.", form.guest);
    flash::say(&session, Tone::Good, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// The manager, if it is who is signed in.
fn manager(session: &Session) -> Result<Option<UserId>, SessionError> {
    let user = session.require_user()?;
    Ok((user == UserId::from(MANAGER)).then_some(user))
}
