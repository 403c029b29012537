//! The responses to errors.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use cloakroom::{EndReason, RequestHead, SessionError, SessionErrorKind, SessionRejection};
use cloakroom_cache::{CacheError, CurrentUserRejection};
use maud::html;
use serde_json::json;

use crate::ended;
use crate::page;

/// An error of a handler, as a response. That of a `SessionError` becomes [`session_failed`], by the session layer.
pub(crate) struct AppError(Response);

impl AppError {
    /// A page with a message.
    pub(crate) fn page(status: StatusCode, title: &str, text: &str) -> Self {
        let body = html! { h1 { (title) } p { (text) } };
        Self((status, page::without_session(title, &body)).into_response())
    }

    /// Too many codes were sent by mail.
    pub(crate) fn too_many_codes(wait: Duration) -> Self {
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many codes");
        let mut error = Self::page(status, title, "Please try again later.");
        let seconds = wait.as_secs().saturating_add(1);
        error.0.headers_mut().insert(RETRY_AFTER, seconds.into());
        error
    }

    fn unavailable() -> Self {
        let text = "The database does not respond. Please try again.";
        Self::page(StatusCode::SERVICE_UNAVAILABLE, "Not available", text)
    }
}

impl From<SessionError> for AppError {
    fn from(error: SessionError) -> Self {
        Self(error.into_response())
    }
}

impl From<SessionRejection> for AppError {
    fn from(rejection: SessionRejection) -> Self {
        Self(rejection.into_response())
    }
}

impl From<CurrentUserRejection> for AppError {
    fn from(rejection: CurrentUserRejection) -> Self {
        Self(rejection.into_response())
    }
}

impl From<sqlx::Error> for AppError {
    fn from(_: sqlx::Error) -> Self {
        Self::unavailable()
    }
}

impl From<CacheError> for AppError {
    fn from(_: CacheError) -> Self {
        Self::unavailable()
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        self.0
    }
}

/// The session could not be loaded or saved, or lacks what the request needs. Requests that load a page without a user are
/// redirected to the sign-in page instead.
pub(crate) fn session_failed(error: &SessionError, request: &RequestHead) -> Response {
    let why = error.ended_reason().and_then(ended::text);
    if request.uri().path().starts_with("/api/") {
        let reason = error.ended_reason().map(EndReason::as_str);
        let what = match error.kind() {
            SessionErrorKind::NotSignedIn => "not_signed_in",
            _ => "failed",
        };
        let body = Json(json!({ "error": what, "reason": reason }));
        return (error.status(), body).into_response();
    }
    let (title, text) = match error.kind() {
        SessionErrorKind::NotSignedIn => ("Please sign in", "This needs a signed-in user."),
        SessionErrorKind::ReauthenticationRequired => (
            "Please confirm your password",
            "This needs a recent sign-in.",
        ),
        SessionErrorKind::Forbidden => ("Not allowed", "You may not do this."),
        SessionErrorKind::CsrfToken => (
            "The page is out of date",
            "You have signed in since it was loaded. Nothing was changed: please load it again.",
        ),
        SessionErrorKind::OAuthCallback => (
            "The sign-in is over",
            "It was completed, has expired, or began in another browser. Please begin again.",
        ),
        SessionErrorKind::Unavailable => ("Not available", "Please try again in a moment."),
        _ => ("Something went wrong", "Please try again."),
    };
    let body = html! {
        h1 { (title) }
        @if let Some(why) = why { p #ended-reason { (why) } }
        p { (text) }
        p { a.button href="/sign-in" { "Sign in" } " " a href="/" { "Start page" } }
    };
    (error.status(), page::without_session(title, &body)).into_response()
}
