//! "Remember me". `docs/recipes.md` quotes it.

use axum::Router;
use axum::extract::Form;
use axum::response::Redirect;
use axum::routing::post;
use cloakroom::{Expiry, Session, SessionError, days};
use serde::Deserialize;

/// The sign-in form.
#[derive(Debug, Deserialize)]
struct SignIn {
    user: String,
    /// Browsers send a box only if it is checked.
    remember: Option<String>,
}

async fn sign_in(session: Session, Form(form): Form<SignIn>) -> Result<Redirect, SessionError> {
    // … after the password was checked:
    let mut sign_in = session.sign_in(form.user);
    if form.remember.is_some() {
        // This session only. Its cookie is persistent: it is kept when the browser closes.
        sign_in = sign_in.with_expiry(Expiry::idle(days(14)).absolute(days(90)));
    }
    sign_in.await?;
    Ok(Redirect::to("/"))
}

/// The routes.
pub fn routes() -> Router {
    Router::new().route("/sign-in", post(sign_in))
}
