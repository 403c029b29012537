//! The account: the name, the address, and what else can be changed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Permission, Permitted, Session, SessionError};
use cloakroom_cache::CurrentUser;
use maud::{Markup, html};
use serde::Deserialize;

use super::register::check_name;
use crate::app::{App, User};
use crate::csrf_form::CsrfForm;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};

/// The permission of users themselves: somebody who acts as them may look, and change nothing.
#[derive(Clone, Default)]
pub(crate) struct Themselves;

impl Permission for Themselves {
    async fn is_granted(&self, session: &Session) -> Result<bool, SessionError> {
        Ok(session.impersonator().is_none())
    }
}

pub(crate) async fn show(page: Page) -> Result<Response, AppError> {
    let body = content(&page);
    page.show("Your account", body).await
}

fn content(page: &Page) -> Markup {
    let user = page.user.as_deref();
    let email = user.and_then(|user| user.email.as_deref());
    html! {
        h1 { "Your account" }
        form.card #name-form method="post" action="/account/name" {
            (page.csrf())
            (field("Name", "name", "text", "nickname"))
            button { "Change name" }
        }
        h2 { "E-mail address" }
        p #email { (email.unwrap_or("None yet.")) }
        form.card #code-form method="post" action="/account/email/confirm" {
            (page.csrf())
            (field("Code from the mail", "code", "text", "one-time-code"))
            button { "Confirm the address" }
        }
        h2 { "Security" }
        ul.list {
            li { a href="/account/email" { "Change the e-mail address" } }
            @if user.is_some_and(|user| user.has_password) {
                li { a href="/account/password" { "Change the password" } }
            }
            li {
                a href="/account/second-factor" { "Set up a second factor" }
                @if user.is_some_and(|user| user.has_second_factor) { span { "enabled" } }
            }
            li { a href="/devices" { "Devices that are signed in" } }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NewName {
    name: String,
}

/// Changes the name that is shown: first in the database, then everywhere.
pub(crate) async fn rename(
    themselves: Permitted<Themselves>,
    CurrentUser(user): CurrentUser<User>,
    State(app): State<App>,
    CsrfForm(form): CsrfForm<NewName>,
) -> Result<Response, AppError> {
    let name = form.name.trim();
    if let Err(problem) = check_name(name) {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, problem).into_response());
    }
    app.database.rename(user.id, name).await?;
    app.users.forget(&user.id).await?;
    let name = name.to_owned();
    themselves
        .session
        .flash(NOTICES, Notice::Renamed { name })?;
    Ok(Redirect::to("/account").into_response())
}
