//! "Your devices": where a guest is signed in, and a button to end each of these sessions.

use axum::Form;
use axum::extract::RawQuery;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect};
use cloakroom::{RevokedBy, Session, SessionError, SessionId, SessionInfo, Sessions};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout;
use super::time::{ago, ahead};
use crate::flash::{self, Tone};

/// What the button beside a session sends.
#[derive(Deserialize)]
pub(crate) struct One {
    pub(super) id: String,
}

/// Shows the list.
pub(crate) async fn show(
    session: Session,
    sessions: Sessions,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, SessionError> {
    let user = session.require_user()?;
    let flash = flash::take_for_page(&session, query.as_deref())?;
    let found = sessions.list(&user).await?;
    let body = html! {
        (layout::message(flash.as_ref()))
        h1 { "Your devices" }
        p.lede {
            "Everywhere you are signed in. What you end is signed out at once, also on pages that are \
             open there."
        }
        div data-live="sessions" {
            section.card.list #devices aria-label="Devices" {
                ul.devices {
                    @for info in &found { (line(info, info.is_current(&session), "/devices/end")) }
                }
            }
            div.actions {
                @if found.len() > 1 {
                    form method="post" action="/devices/end-others" {
                        button #end-others type="submit" { "End all others" }
                    }
                }
                form method="post" action="/devices/end-all" {
                    button.quiet #end-all type="submit" { "Sign out everywhere" }
                }
            }
        }
    };
    let page = layout::page("Your devices", &session, body);
    Ok(([(CACHE_CONTROL, "no-store")], page))
}

/// One session in a list, with a button that ends it. One's own has none: that is what "Sign out" is
/// for.
pub(super) fn line(info: &SessionInfo, is_own: bool, action: &str) -> Markup {
    let device = info.device().map(ToString::to_string);
    let device = device.as_deref().unwrap_or("Unknown device");
    let address = info.device().and_then(cloakroom::Device::address);
    html! {
        li data-id=(info.id()) {
            div {
                p.device {
                    (device)
                    @if is_own { span.own { "This device" } }
                }
                p.details {
                    @if let Some(address) = address { (address) " \u{b7} " }
                    @if let Some(at) = info.signed_in_at() { "signed in " (ago(at)) " \u{b7} " }
                    "seen " (ago(info.last_seen()))
                    " \u{b7} ends " (ahead(info.expires_at())) " if unused"
                }
            }
            @if !is_own {
                form method="post" action=(action) {
                    input type="hidden" name="id" value=(info.id());
                    button.quiet type="submit" aria-label={ "End the session of " (device) } { "End" }
                }
            }
        }
    }
}

/// Ends one of the guest's own sessions.
pub(crate) async fn end(
    session: Session,
    sessions: Sessions,
    Form(form): Form<One>,
) -> Result<Redirect, SessionError> {
    let user = session.require_user()?;
    let ended = match form.id.parse::<SessionId>() {
        Ok(id) => sessions.revoke(&user, id).await?,
        Err(_) => false,
    };
    let (tone, text) = match ended {
        true => (Tone::Good, "That device is signed out."),
        false => (Tone::Bad, "That one was signed out already."),
    };
    flash::say(&session, tone, text)?;
    Ok(Redirect::to("/devices"))
}

/// Ends all of the guest's sessions but this one.
pub(crate) async fn revoke_others(
    session: Session,
    sessions: Sessions,
) -> Result<Redirect, SessionError> {
    let text = match sessions.revoke_others(&session).await? {
        0 => "There was no other.".to_owned(),
        1 => "One other device is signed out.".to_owned(),
        count => format!("{count} other devices are signed out."),
    };
    flash::say(&session, Tone::Good, text)?;
    Ok(Redirect::to("/devices"))
}

/// Ends all of the guest's sessions, this one included.
pub(crate) async fn revoke_all(
    session: Session,
    sessions: Sessions,
) -> Result<Redirect, SessionError> {
    let user = session.require_user()?;
    // The others first: if that fails, one can try again from here.
    sessions.revoke_others(&session).await?;
    // Then this one, so that this browser forgets its ticket; and what was renewed meanwhile.
    session.sign_out().await?;
    sessions.revoke_all(&user, RevokedBy::User).await?;
    flash::say(&session, Tone::Good, "You are signed out everywhere.")?;
    Ok(Redirect::to("/"))
}
