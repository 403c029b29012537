//! "Security": a page that needs a recent sign-in, and asks for the password otherwise.

use std::net::SocketAddr;

use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Session, SessionError};
use maud::{Markup, html};
use serde::Deserialize;

use super::sign_in::{
    REMEMBER, REMEMBERED, too_many_failures, with_device_cookie, with_retry_after,
};
use super::{errors, layout};
use crate::app::App;
use crate::flash;

/// The codes on the page: made up, and the same for everybody.
const CODES: [&str; 4] = ["7F3K-92QD", "M4TX-6B1H", "Q8ZR-0WNC", "2VJE-5LGP"];

/// The form.
#[derive(Deserialize)]
pub(crate) struct Confirmation {
    password: String,
}

/// Shows the codes, or asks for the password.
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
) -> Result<Response, SessionError> {
    session.require_user()?;
    match session.require_recent_sign_in(app.recent_sign_in) {
        Ok(_) => render(StatusCode::OK, &session, codes()),
        Err(error) => render(error.status(), &session, password_form(None)),
    }
}

/// Signs the same user in again, if the password is right: the session gets a new id and keeps its data. The
/// guard counts these attempts as well: a stolen session must not help to guess the password.
pub(crate) async fn confirm(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<Confirmation>,
) -> Result<Response, SessionError> {
    let user = session.require_user()?;
    let name = user.as_str().unwrap_or_default();
    let attempt = match app.guard.attempt(name, &headers, Some(peer.ip())).await {
        Ok(attempt) => attempt,
        Err(refused) => {
            let problem = too_many_failures(&refused);
            let response = render(refused.status(), &session, password_form(Some(&problem)))?;
            return Ok(with_retry_after(response, &refused));
        }
    };
    if app.users.check(name, form.password).await.is_none() {
        let form = password_form(Some("The password is wrong."));
        return render(StatusCode::UNAUTHORIZED, &session, form);
    }
    let again = session.sign_in(user.clone());
    match session.get(REMEMBER)? {
        Some(true) => again.with_expiry(REMEMBERED).await?,
        _ => again.await?,
    }
    let response = Redirect::to("/security").into_response();
    Ok(with_device_cookie(response, attempt.succeeded().await))
}

fn render(
    status: StatusCode,
    session: &Session,
    content: Markup,
) -> Result<Response, SessionError> {
    let flash = flash::take(session)?;
    let body = html! {
        div.narrow {
            (layout::message(flash.as_ref()))
            h1 { "Recovery codes" }
            (content)
        }
    };
    let page = layout::page("Recovery codes", "/security", session, body);
    Ok(errors::with_headers((status, page).into_response()))
}

fn codes() -> Markup {
    html! {
        p.lede {
            "An example of a page that needs a recent sign-in. Some minutes from now it asks for your password \
             again, although you stay signed in."
        }
        section.card #codes aria-label="Codes" {
            ul.codes {
                @for code in CODES { li { code { (code) } } }
            }
        }
    }
}

fn password_form(problem: Option<&str>) -> Markup {
    let error = problem.map(|_| "password-error");
    let invalid = problem.map(|_| "true");
    html! {
        p.lede { "You signed in a while ago. Please confirm your password to see this page." }
        section.card {
            form #confirm method="post" action="/security" {
                @if let Some(problem) = problem {
                    p.form-error id=[error] role="alert" { (problem) }
                }
                div.field {
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="current-password"
                        required autofocus aria-invalid=[invalid] aria-describedby=[error];
                }
                div.submit { button type="submit" { "Confirm" } }
            }
        }
    }
}
