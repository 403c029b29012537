//! "Admin": the sessions of all users, which an administrator can end.

use axum::Form;
use axum::extract::RawQuery;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{RevokedBy, Session, SessionError, SessionId, SessionInfo, Sessions, UserId};
use maud::{Markup, html};
use serde::Deserialize;

use super::devices::{SelectedSession, device_name};
use super::errors;
use super::layout::{self, Confirmed};
use super::time::{ago, ahead};
use crate::flash::{self, Kind};
use crate::users::{ACCOUNTS, ADMIN};

/// The form that ends all sessions of a user.
#[derive(Deserialize)]
pub(crate) struct SelectedUser {
    user: String,
}

/// Shows all users and their sessions.
pub(crate) async fn show(
    session: Session,
    sessions: Sessions,
    RawQuery(query): RawQuery,
) -> Result<Response, SessionError> {
    if !is_admin(&session)? {
        return Ok(errors::admins_only(&session));
    }
    let flash = flash::take_for_page(&session, query.as_deref())?;
    let mut users = Vec::new();
    for (name, _) in ACCOUNTS {
        users.push(user(name, &sessions.list(name).await?, &session));
    }
    let body = html! {
        (layout::message(flash.as_ref()))
        h1 { "Sessions of all users" }
        p.lede { "If you end a session, its open pages show it at once." }
        div.card.list data-live="sessions" {
            table.sessions {
                thead {
                    tr {
                        @for heading in ["Device", "Address", "Signed in", "Last seen", "Expires"] {
                            th scope="col" { (heading) }
                        }
                        th scope="col" { span.hidden-text { "Action" } }
                    }
                }
                @for user in users { (user) }
            }
        }
    };
    let page = layout::page("Sessions of all users", "/admin", &session, body);
    Ok(([(CACHE_CONTROL, "no-store")], page).into_response())
}

/// The rows of a user.
fn user(name: &str, found: &[SessionInfo], session: &Session) -> Markup {
    html! {
        tbody data-user=(name) {
            tr.user {
                th scope="rowgroup" colspan="5" {
                    (name)
                    @if found.is_empty() { " " span.empty { "not signed in" } }
                }
                td.action {
                    @if !found.is_empty() && name != ADMIN {
                        (Confirmed {
                            label: "End all sessions",
                            detail: &format!(" of {name}"),
                            action: "/admin/sign-out-all",
                            field: Some(("user", name.to_owned())),
                        }.render())
                    }
                }
            }
            @for info in found { (row(name, info, info.is_current(session))) }
        }
    }
}

fn row(user: &str, info: &SessionInfo, is_current: bool) -> Markup {
    let name = device_name(info);
    let address = info.device().and_then(cloakroom::Device::address);
    html! {
        tr data-id=(info.id()) {
            td.device {
                (name)
                @if is_current { span.current { "Current device" } }
            }
            td data-label="Address" {
                @if let Some(address) = address { (address) } @else { "\u{2013}" }
            }
            td data-label="Signed in" {
                @if let Some(at) = info.signed_in_at() { (ago(at)) } @else { "\u{2013}" }
            }
            td data-label="Last seen" { (ago(info.last_seen())) }
            td data-label="Expires" { (ahead(info.expires_at())) }
            td.action {
                @if !is_current {
                    (Confirmed {
                        label: "End session",
                        detail: &format!(" of {user} on {name}"),
                        action: "/admin/sign-out",
                        field: Some(("id", info.id().to_string())),
                    }.render())
                }
            }
        }
    }
}

/// Ends one session of any user.
pub(crate) async fn revoke(
    session: Session,
    sessions: Sessions,
    Form(form): Form<SelectedSession>,
) -> Result<Response, SessionError> {
    if !is_admin(&session)? {
        return Ok(errors::admins_only(&session));
    }
    let revoked = match form.id.parse::<SessionId>() {
        Ok(id) => sessions.revoke_any(id).await?,
        Err(_) => false,
    };
    let (kind, text) = match revoked {
        true => (Kind::Success, "The session is ended."),
        false => (Kind::Error, "The session had ended already."),
    };
    flash::set(&session, kind, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// Ends all sessions of a user.
pub(crate) async fn revoke_all(
    session: Session,
    sessions: Sessions,
    Form(form): Form<SelectedUser>,
) -> Result<Response, SessionError> {
    if !is_admin(&session)? {
        return Ok(errors::admins_only(&session));
    }
    let account = ACCOUNTS.iter().find(|(name, _)| *name == form.user);
    let Some((name, _)) = account else {
        flash::set(&session, Kind::Error, "There is no such user.")?;
        return Ok(Redirect::to("/admin").into_response());
    };
    let text = match sessions.revoke_all(*name, RevokedBy::Admin).await? {
        1 => format!("One session of {name} is ended."),
        count => format!("{count} sessions of {name} are ended."),
    };
    flash::set(&session, Kind::Success, text)?;
    Ok(Redirect::to("/admin").into_response())
}

/// Returns whether the user is an administrator.
///
/// # Errors
///
/// When nobody is signed in.
fn is_admin(session: &Session) -> Result<bool, SessionError> {
    Ok(session.require_user()? == UserId::from(ADMIN))
}
