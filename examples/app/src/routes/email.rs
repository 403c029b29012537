//! A new e-mail address, confirmed with a code that expires by itself and works once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Key, Permitted, minutes};
use cloakroom_cache::CurrentUser;
use maud::html;
use serde::{Deserialize, Serialize};

use super::account::Themselves;
use crate::app::{App, User};
use crate::csrf_form::CsrfForm;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};
use crate::random;

/// The address that waits for its code.
const PENDING: Key<Pending> = Key::new("pending_email");

#[derive(Clone, Serialize, Deserialize)]
struct Pending {
    to: String,
    code: String,
}

#[derive(Deserialize)]
pub(crate) struct NewEmail {
    email: String,
}

/// The longest address, in bytes.
const MAX_ADDRESS: usize = 200;

/// Whether a text can be an address, and one only: what separates addresses and headers of a mail is not allowed. That
/// somebody reads it is what the code proves.
fn is_address(text: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !",;<>\"".contains(c);
    let parts = text.split_once('@');
    text.len() <= MAX_ADDRESS
        && text.chars().all(is_plain)
        && parts.is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
}

pub(crate) async fn show(page: Page, _: Permitted<Themselves>) -> Result<Response, AppError> {
    let body = html! {
        h1 { "New e-mail address" }
        form.card #email-form method="post" {
            (page.csrf())
            (field("New address", "email", "email", "email"))
            button #submit { "Send a code" }
        }
    };
    page.show("New e-mail address", body).await
}

/// A user can have a few codes sent in an hour, and an address gets a few, also if different users enter it.
pub(crate) async fn send_code(
    themselves: Permitted<Themselves>,
    CurrentUser(user): CurrentUser<User>,
    State(app): State<App>,
    CsrfForm(form): CsrfForm<NewEmail>,
) -> Result<Response, AppError> {
    let to = form.email.trim().to_owned();
    if !is_address(&to) {
        let text = "This is not an e-mail address.";
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, text).into_response());
    }
    let of_user = format!("user {}", user.id);
    let to_address = format!("address {}", to.to_lowercase());
    for key in [of_user, to_address] {
        let decision = app.email_codes.check(key, 1).await;
        if !decision.is_allowed() {
            return Err(AppError::too_many_codes(decision.retry_after()));
        }
    }
    let code = random::code();
    app.outbox.send(&to, &code);
    let session = themselves.session;
    let pending = Pending {
        to: to.clone(),
        code,
    };
    session.insert_for(PENDING, pending, minutes(10))?;
    session.flash(NOTICES, Notice::CodeSent { to })?;
    Ok(Redirect::to("/account").into_response())
}

#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// However many requests come at once, one gets the code to compare: so a code can be guessed once.
pub(crate) async fn confirm(
    themselves: Permitted<Themselves>,
    CurrentUser(user): CurrentUser<User>,
    State(app): State<App>,
    CsrfForm(form): CsrfForm<Code>,
) -> Result<Redirect, AppError> {
    let session = themselves.session;
    let pending = session.take_once(PENDING).await?;
    let notice = match pending.filter(|pending| pending.code == form.code.trim()) {
        Some(pending) => {
            app.database.set_email(user.id, &pending.to).await?;
            app.users.forget(&user.id).await?;
            Notice::EmailConfirmed { to: pending.to }
        }
        None => Notice::WrongCode,
    };
    session.flash(NOTICES, notice)?;
    Ok(Redirect::to("/account"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_address() {
        for right in ["ada@example.com", "ada+hats@localhost", "zoë@exämple.com"] {
            assert!(is_address(right), "{right}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_ADDRESS));
        for wrong in [
            "",
            "ada",
            "@",
            "@example.com",
            "ada@",
            "ada@example.com@example.org",
            "ada@example.com,eve@example.com",
            "ada@example.com;eve",
            "ada eve@example.com",
            "ada\u{a0}eve@example.com",
            "ada@example.com\nbcc:eve",
            "ada\u{0}@example.com",
            "Ada<ada@example.com>",
            &long,
        ] {
            assert!(!is_address(wrong), "{wrong:?}");
        }
    }
}
