//! Asks for the password again. It ends like a sign-in: the session keeps its entries.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Next, Permitted};
use maud::{Markup, html};
use serde::Deserialize;

use super::account::Themselves;
use super::sign_in::{
    Checked, REMEMBER, REMEMBERED, check, password_changed, sign_in_unless_changed,
    with_device_cookie,
};
use crate::app::App;
use crate::errors::AppError;
use crate::page::{Page, field};

#[derive(Deserialize)]
pub(crate) struct Confirmation {
    password: String,
}

pub(crate) async fn show(
    page: Page,
    next: Next,
    State(app): State<App>,
) -> Result<Response, AppError> {
    let body = match page.session.impersonator() {
        // The password of the user whom somebody acts as is not asked for.
        Some(_) => html! {
            h1 { "Not while you act as somebody else" }
            p #not-while-acting { "Only the user can do this, after entering the password." }
        },
        None => {
            let account = app
                .database
                .account(page.session.require_user_id()?)
                .await?;
            form(None, account.is_some(), &next)
        }
    };
    page.show("Confirm your password", body).await
}

/// Nobody gets a recent sign-in by acting as somebody else, whatever the password.
pub(crate) async fn confirm(
    page: Page,
    _: Permitted<Themselves>,
    next: Next,
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form_data): Form<Confirmation>,
) -> Result<Response, AppError> {
    let user: i64 = page.session.require_user_id()?;
    let account = app.database.account(user).await?.unwrap_or_default();
    let checked = check(&app, &headers, peer.ip(), &account, form_data.password).await?;
    let (status, problem) = match checked {
        Checked::Right(credentials, guard) => {
            let again = page.session.sign_in(user);
            let again = match page.session.get(REMEMBER)? {
                Some(true) => again.with_expiry(REMEMBERED),
                _ => again,
            };
            if !sign_in_unless_changed(&app, &page.session, again, &credentials).await? {
                return Err(password_changed());
            }
            let redirect = Redirect::to(next.or("/account")).into_response();
            return Ok(with_device_cookie(redirect, guard));
        }
        Checked::Wrong => (StatusCode::UNAUTHORIZED, "The password is wrong."),
        Checked::Refused(refused) => (
            refused.status(),
            "There were too many attempts. Please wait.",
        ),
    };
    let form = form(Some(problem), true, &next);
    page.with_status(status, "Confirm your password", form)
        .await
}

fn form(problem: Option<&str>, has_password: bool, next: &Next) -> Markup {
    html! {
        h1 { "Confirm that it is you" }
        @if has_password {
            form.card #confirm method="post" {
                @if let Some(problem) = problem { p.notice.problem #problem role="alert" { (problem) } }
                (field("Password", "password", "password", "current-password"))
                button #submit { "Continue" }
            }
        } @else {
            form.card method="post" action="/oauth/begin" {
                input type="hidden" name="next" value=(next.or("/account"));
                button #provider { "Sign in with Example ID again" }
            }
        }
    }
}
