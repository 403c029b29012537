//! A new e-mail address, confirmed with a code that expires by itself and works once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Key, Permitted, minutes};
use cloakroom_cache::CurrentUser;
use serde::{Deserialize, Serialize};

use super::account::Themselves;
use crate::app::{App, User};
use crate::csrf_form::CsrfForm;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
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

pub(crate) async fn send_code(
    themselves: Permitted<Themselves>,
    State(app): State<App>,
    CsrfForm(form): CsrfForm<NewEmail>,
) -> Result<Response, AppError> {
    let to = form.email.trim().to_owned();
    if to.len() > 200 || !to.contains('@') || to.contains(char::is_control) {
        let text = "This is not an e-mail address.";
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, text).into_response());
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
