//! Registration: the guest's cart goes on.

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};

/// The lengths of passwords, in characters.
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 8..=128;

#[derive(Deserialize)]
pub(crate) struct Registration {
    name: String,
    password: String,
}

pub(crate) async fn show(page: Page) -> Result<Response, AppError> {
    page.show("Register", form(None)).await
}

/// Stores the user, and signs in. A sign-in keeps the entries of the session when nobody was signed in before.
pub(crate) async fn register(
    page: Page,
    State(app): State<App>,
    Form(form_data): Form<Registration>,
) -> Result<Response, AppError> {
    let name = form_data.name.trim();
    if let Err(problem) = check_name(name).and(check_password(&form_data.password)) {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page
            .with_status(status, "Register", form(Some(problem)))
            .await;
    }
    let added = app.add_user(name, &form_data.password, false).await;
    let added = added.map_err(|_| {
        let text = "The account could not be stored.";
        AppError::page(StatusCode::SERVICE_UNAVAILABLE, "Not available", text)
    })?;
    let Some(id) = added else {
        let problem = "This name is taken.";
        return page
            .with_status(StatusCode::CONFLICT, "Register", form(Some(problem)))
            .await;
    };
    page.session.sign_in(id).await?;
    let name = name.to_owned();
    page.session.flash(NOTICES, Notice::Registered { name })?;
    Ok(Redirect::to("/").into_response())
}

/// Checks a name that is shown to others.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    match name.chars().count() {
        1..=50 => Ok(()),
        _ => Err("A name has 1 to 50 characters."),
    }
}

/// Checks a new password. A real app also refuses those that were leaked.
pub(crate) fn check_password(password: &str) -> Result<(), &'static str> {
    if PASSWORD_LEN.contains(&password.chars().count()) {
        Ok(())
    } else {
        Err("A password has 8 to 128 characters.")
    }
}

fn form(problem: Option<&str>) -> Markup {
    html! {
        h1 { "Register" }
        form.card method="post" {
            @if let Some(problem) = problem { p.notice.problem role="alert" { (problem) } }
            (field("Name", "name", "text", "username"))
            (field("Password", "password", "password", "new-password"))
            button #submit { "Register" }
        }
    }
}
