//! The pages.

use std::net::SocketAddr;

use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use cloakroom::{Session, SessionError};
use cloakroom_cache::CurrentUser;
use serde::Deserialize;

use crate::{App, User};

/// What a user enters to sign in.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// The name that a user wants to be shown.
#[derive(Deserialize)]
pub(crate) struct NewName {
    name: String,
}

/// Shows who is signed in, or the form to do so.
pub(crate) async fn home(user: Option<CurrentUser<User>>) -> impl IntoResponse {
    let body = match user {
        Some(CurrentUser(user)) => format!(
            "<p>Hello, {}.</p>\
             <form method=post action=/name><input name=name required maxlength=50><button>Change name</button></form>\
             <form method=post action=/sign-out><button>Sign out</button></form>",
            escaped(&user.name)
        ),
        None => "<form method=post action=/sign-in><input name=name required><input name=password type=password \
                 required><button>Sign in</button></form>"
            .to_owned(),
    };
    let page = format!("<!doctype html><html lang=en><title>App</title>{body}");
    ([(CACHE_CONTROL, "no-store")], Html(page))
}

/// Signs in, if the guard lets the password be checked, and it is right.
pub(crate) async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Result<Response, AppError> {
    // Counted before the password is checked, and given back on success.
    let attempt = app.guard.attempt(&form.name, &headers, Some(peer.ip()));
    let attempt = match attempt.await {
        Ok(attempt) => attempt,
        Err(refused) => return Ok(refused.into_response()),
    };
    let found = app.database.credentials(&form.name).await?;
    let (id, hash) = found.unzip();
    let is_right = app.passwords.verify(form.password, hash).await;
    let Some(id) = id.filter(|_| is_right) else {
        let text = "The name or the password is wrong.";
        return Ok((StatusCode::UNAUTHORIZED, text).into_response());
    };
    session.sign_in(id).await?;
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = attempt.succeeded().await.into_set_cookie() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Signs out.
pub(crate) async fn sign_out(session: Session) -> Result<Redirect, SessionError> {
    session.destroy().await?;
    Ok(Redirect::to("/"))
}

/// Changes the name that is shown: first in the database, then everywhere.
pub(crate) async fn rename(
    State(app): State<App>,
    CurrentUser(user): CurrentUser<User>,
    Form(form): Form<NewName>,
) -> Result<Response, AppError> {
    let name = form.name.trim();
    if name.is_empty() || name.chars().count() > 50 {
        let text = "A name has 1 to 50 characters.";
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, text).into_response());
    }
    app.database.rename(user.id, name).await?;
    app.users.forget(&user.id).await?;
    Ok(Redirect::to("/").into_response())
}

/// Shows how many queries the cache has saved on this server.
pub(crate) async fn numbers(State(app): State<App>) -> String {
    let stats = app.users.stats();
    format!(
        "records from memory: {}\nrecords from the shared cache: {}\nqueries: {}\n",
        stats.copies,
        stats.shared,
        app.database.queries()
    )
}

/// An error of a handler.
pub(crate) enum AppError {
    Session(SessionError),
    Unavailable,
}

impl From<SessionError> for AppError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<sqlx::Error> for AppError {
    fn from(_: sqlx::Error) -> Self {
        Self::Unavailable
    }
}

impl From<cloakroom_cache::CacheError> for AppError {
    fn from(_: cloakroom_cache::CacheError) -> Self {
        Self::Unavailable
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
