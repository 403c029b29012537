//! The safe: for what is valuable, the password is asked for again, unless it was just given.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Session, SessionError};
use maud::{Markup, html};
use serde::Deserialize;

use super::sign_in::{KEPT, REMEMBERED};
use super::{errors, layout};
use crate::app::App;
use crate::flash::{self, Tone};

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Key {
    password: String,
}

/// Shows what is in it; or the lock.
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
) -> Result<Response, SessionError> {
    session.require_user()?;
    let flash = flash::take(&session)?;
    let (status, inside) = match session.require_recent_sign_in(app.fresh) {
        Ok(_) => (StatusCode::OK, contents()),
        Err(error) => (error.status(), lock()),
    };
    let body = html! {
        (layout::message(flash.as_ref()))
        h1 { "Your safe" }
        (inside)
    };
    let page = layout::page("Your safe", &session, body);
    Ok(errors::helped((status, page).into_response()))
}

/// Signs the same guest in again, if the password is right: a new ticket, and all that was in the
/// pockets stays.
pub(crate) async fn unlock(
    State(app): State<App>,
    session: Session,
    Form(form): Form<Key>,
) -> Result<Redirect, SessionError> {
    let user = session.require_user()?;
    let name = user.as_str().unwrap_or_default();
    if app.users.check(name, form.password).await.is_none() {
        flash::say(&session, Tone::Bad, "The key does not turn.")?;
        return Ok(Redirect::to("/safe"));
    }
    let again = session.sign_in(user.clone());
    match session.get(KEPT)? {
        Some(true) => again.with_expiry(REMEMBERED).await?,
        _ => again.await?,
    }
    Ok(Redirect::to("/safe"))
}

fn contents() -> Markup {
    html! {
        section.card #contents {
            h2 { "It is open" }
            p {
                "A string of pearls, a letter with a blue ribbon, and the second ticket to tonight\u{2019}s \
                 performance. In a while it locks itself, though you stay signed in."
            }
        }
    }
}

fn lock() -> Markup {
    html! {
        p.lede {
            "It has been a while since you gave your password. Somebody else could be sitting here by now: \
             please give it once more."
        }
        section.card {
            form #lock method="post" action="/safe" {
                div.field {
                    label for="password" { "Password" }
                    input #password name="password" type="password"
                        autocomplete="current-password" required;
                }
                div.submit { button type="submit" { "Open the safe" } }
            }
        }
    }
}
