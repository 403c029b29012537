//! A second factor. `docs/recipes.md` quotes it.

use axum::Router;
use axum::extract::{Form, FromRequestParts};
use axum::response::Redirect;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cloakroom::{Key, Session, SessionError, SessionRejection};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};

/// How the user has authenticated. Absent counts as `Password`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Assurance {
    Password,
    SecondFactor,
}

const ASSURANCE: Key<Assurance> = Key::new("assurance");

#[derive(Debug, Deserialize)]
struct Password {
    user: String,
}

/// The first factor signs the user in. The level is stored with the sign-in, so that a user who signs in again starts
/// without the second factor.
async fn password(session: Session, Form(form): Form<Password>) -> Result<Redirect, SessionError> {
    // … after the password was checked:
    let sign_in = session.sign_in(form.user);
    sign_in.insert(ASSURANCE, Assurance::Password)?.await?;
    Ok(Redirect::to("/code"))
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

/// The second factor raises the level, and renews the session: a cookie from before gains nothing.
async fn code(session: Session, Form(form): Form<Code>) -> Result<Response, SessionError> {
    session.require_user()?;
    // … a TOTP library checks the code, and the app counts the attempts.
    if form.code != "123456" {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    session.insert(ASSURANCE, Assurance::SecondFactor)?;
    session.renew()?;
    Ok(Redirect::to("/account").into_response())
}

/// The extractor of handlers that need both factors.
struct BothFactors(Session);

impl<S: Sync> FromRequestParts<S> for BothFactors {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await;
        let session = session.map_err(SessionRejection::into_response)?;
        session
            .require_user()
            .map_err(SessionError::into_response)?;
        let level = session
            .get(ASSURANCE)
            .map_err(SessionError::into_response)?;
        match level {
            Some(Assurance::SecondFactor) => Ok(Self(session)),
            Some(Assurance::Password) | None => Err(Redirect::to("/code").into_response()),
        }
    }
}

async fn account(BothFactors(session): BothFactors) -> Result<String, SessionError> {
    Ok(format!("The account of {}", session.require_user()?))
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/password", post(password))
        .route("/code", post(code))
        .route("/account", get(account))
}
