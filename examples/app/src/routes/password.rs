//! A new password: it ends all other sessions of the user.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::Permitted;
use cloakroom_cache::CurrentUser;
use maud::{Markup, html};
use serde::Deserialize;

use super::account::Themselves;
use super::register::check_password;
use crate::app::{App, User};
use crate::csrf_form::CsrfForm;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};

/// A user of the identity provider has no account name to sign in with.
const NO_PASSWORD: &str = "You sign in with Example ID, so change your password there.";

#[derive(Deserialize)]
pub(crate) struct NewPassword {
    password: String,
}

pub(crate) async fn show(page: Page, _: Permitted<Themselves>) -> Result<Response, AppError> {
    let has_password = page.user.as_ref().is_some_and(|user| user.has_password);
    let body = if has_password {
        form(&page, None)
    } else {
        html! { h1 { "New password" } p #no-password { (NO_PASSWORD) } }
    };
    page.show("New password", body).await
}

/// The password is stored first. A sign-in with the old one, which was checked before, is either among the sessions that end
/// then, or finds that the password has changed (`sign_in_unless_changed`).
pub(crate) async fn change(
    page: Page,
    CurrentUser(user): CurrentUser<User>,
    State(app): State<App>,
    _: Permitted<Themselves>,
    CsrfForm(form_data): CsrfForm<NewPassword>,
) -> Result<Response, AppError> {
    if !user.has_password {
        return Err(AppError::page(
            StatusCode::CONFLICT,
            "New password",
            NO_PASSWORD,
        ));
    }
    if let Err(problem) = check_password(&form_data.password) {
        let form = form(&page, Some(problem));
        return page
            .with_status(StatusCode::UNPROCESSABLE_ENTITY, "New password", form)
            .await;
    }
    let hash = app.passwords.hash(form_data.password).await;
    let hash = hash.map_err(|_| {
        let text = "The password could not be stored.";
        AppError::page(StatusCode::SERVICE_UNAVAILABLE, "Not available", text)
    })?;
    app.database.set_password(user.id, &hash).await?;
    let others = page.session.password_changed().await?;
    page.session
        .flash(NOTICES, Notice::PasswordChanged { others })?;
    Ok(Redirect::to("/account").into_response())
}

fn form(page: &Page, problem: Option<&str>) -> Markup {
    html! {
        h1 { "New password" }
        form.card method="post" {
            (page.csrf())
            @if let Some(problem) = problem { p.notice.problem role="alert" { (problem) } }
            (field("New password", "password", "password", "new-password"))
            button #submit { "Change password" }
        }
    }
}
