//! The devices of the user, and signing out the others.

use axum::response::{Redirect, Response};
use cloakroom::{Permitted, SessionError, SessionId, SessionInfo, Sessions};
use maud::{Markup, html};
use serde::Deserialize;

use super::account::Themselves;
use crate::csrf_form::{CsrfForm, NoFields};
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::Page;

/// Lists at most a page of them; somebody who acts as the user sees the user's.
pub(crate) async fn show(page: Page, sessions: Sessions) -> Result<Response, AppError> {
    let listed = sessions
        .list_page(page.session.require_user()?, None)
        .await?;
    let body = html! {
        h1 { "Your devices" }
        ul.list #devices {
            @for info in &listed.sessions { (device(&page, info)) }
        }
        h2 { "All at once" }
        form method="post" action="/devices/sign-out-others" {
            (page.csrf())
            button #sign-out-others { "Sign out all other devices" }
        }
    };
    page.show("Your devices", body).await
}

fn device(page: &Page, info: &SessionInfo) -> Markup {
    let device = info.device();
    let name = device.map_or_else(|| "Unknown device".to_owned(), ToString::to_string);
    let address = device.and_then(cloakroom::Device::address);
    html! {
        li data-id=(info.id()) {
            span {
                (name)
                @if let Some(address) = address { " " small { (address) } }
                @if info.impersonating().is_some() { " " small { "(acting as somebody else)" } }
            }
            @if info.is_current(&page.session) {
                span.current { "This device" }
            } @else {
                form method="post" action="/devices/sign-out" {
                    (page.csrf())
                    button name="id" value=(info.id()) { "Sign out" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Revoked {
    id: SessionId,
}

/// The id is one of the user's own sessions, or nothing happens. Somebody who acts as the user ends none of them.
pub(crate) async fn revoke(
    themselves: Permitted<Themselves>,
    sessions: Sessions,
    CsrfForm(form): CsrfForm<Revoked>,
) -> Result<Redirect, SessionError> {
    let session = themselves.session;
    sessions.revoke(session.require_user()?, form.id).await?;
    session.flash(NOTICES, Notice::DeviceSignedOut)?;
    Ok(Redirect::to("/devices"))
}

pub(crate) async fn revoke_others(
    themselves: Permitted<Themselves>,
    sessions: Sessions,
    _: CsrfForm<NoFields>,
) -> Result<Redirect, SessionError> {
    let session = themselves.session;
    let count = sessions.revoke_others(&session).await?;
    session.flash(NOTICES, Notice::OthersSignedOut { count })?;
    Ok(Redirect::to("/devices"))
}
