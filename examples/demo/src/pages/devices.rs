//! "Devices": where the user is signed in, with a button to end each of these sessions.

use axum::Form;
use axum::extract::RawQuery;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect};
use cloakroom::{RevokedBy, Session, SessionError, SessionId, SessionInfo, Sessions};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Confirmed};
use super::time::{ago, ahead};
use crate::flash::{self, Kind};

/// The form that ends one session.
#[derive(Deserialize)]
pub(crate) struct SelectedSession {
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
        div.narrow {
            (layout::message(flash.as_ref()))
            h1 { "Your devices" }
            p.lede {
                "Where you are signed in. If you sign out a device, its open pages show it at once."
            }
            div data-live="sessions" {
                section.card.list #devices aria-label="Devices" {
                    ul.devices {
                        @for info in &found { (device(info, info.is_current(&session))) }
                    }
                }
                (actions(found.len() > 1))
            }
        }
    };
    let page = layout::page("Your devices", "/devices", &session, body);
    Ok(([(CACHE_CONTROL, "no-store")], page))
}

/// The name of the device, such as "Firefox on Windows 10".
pub(super) fn device_name(info: &SessionInfo) -> String {
    let name = info.device().map(ToString::to_string);
    name.unwrap_or_else(|| "Unknown device".to_owned())
}

/// One session of the list. The current one has no button: the header has "Sign out".
fn device(info: &SessionInfo, is_current: bool) -> Markup {
    let name = device_name(info);
    let address = info.device().and_then(cloakroom::Device::address);
    html! {
        li data-id=(info.id()) {
            div {
                p.device {
                    (name)
                    @if is_current { span.current { "Current device" } }
                }
                p.details {
                    @if let Some(address) = address { (address) " \u{b7} " }
                    @if let Some(at) = info.signed_in_at() { "signed in " (ago(at)) " \u{b7} " }
                    "last seen " (ago(info.last_seen()))
                    " \u{b7} expires " (ahead(info.expires_at()))
                }
            }
            @if !is_current {
                (Confirmed {
                    label: "Sign out this device",
                    detail: &format!(": {name}"),
                    action: "/devices/sign-out",
                    field: Some(("id", info.id().to_string())),
                }.render())
            }
        }
    }
}

fn actions(has_others: bool) -> Markup {
    html! {
        div.actions {
            @if has_others {
                div #sign-out-others {
                    (Confirmed {
                        label: "Sign out all other devices",
                        detail: "",
                        action: "/devices/sign-out-others",
                        field: None,
                    }.render())
                }
            }
            div #sign-out-everywhere {
                (Confirmed {
                    label: "Sign out everywhere",
                    detail: "",
                    action: "/devices/sign-out-all",
                    field: None,
                }.render())
            }
        }
    }
}

/// Ends one of the user's own sessions.
pub(crate) async fn revoke(
    session: Session,
    sessions: Sessions,
    Form(form): Form<SelectedSession>,
) -> Result<Redirect, SessionError> {
    let user = session.require_user()?;
    let revoked = match form.id.parse::<SessionId>() {
        Ok(id) => sessions.revoke(&user, id).await?,
        Err(_) => false,
    };
    let (kind, text) = match revoked {
        true => (Kind::Success, "The device is signed out."),
        false => (Kind::Error, "The device was signed out already."),
    };
    flash::set(&session, kind, text)?;
    Ok(Redirect::to("/devices"))
}

/// Ends all of the user's sessions except this one.
pub(crate) async fn revoke_others(
    session: Session,
    sessions: Sessions,
) -> Result<Redirect, SessionError> {
    let text = match sessions.revoke_others(&session).await? {
        0 => "No other device was signed in.".to_owned(),
        1 => "One other device is signed out.".to_owned(),
        count => format!("{count} other devices are signed out."),
    };
    flash::set(&session, Kind::Success, text)?;
    Ok(Redirect::to("/devices"))
}

/// Ends all of the user's sessions, including this one.
pub(crate) async fn revoke_all(
    session: Session,
    sessions: Sessions,
) -> Result<Redirect, SessionError> {
    let user = session.require_user()?;
    // The others first: if that fails, the user is still signed in and can try again.
    sessions.revoke_others(&session).await?;
    // Signing out also removes the cookie. Sessions created in the meantime end with the last call.
    session.sign_out().await?;
    sessions.revoke_all(&user, RevokedBy::User).await?;
    flash::set(&session, Kind::Success, "You are signed out everywhere.")?;
    Ok(Redirect::to("/"))
}
