//! What one sees when something is not as it should be.

use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cloakroom::{SessionError, SessionErrorKind};
use maud::html;
use tower_http::csrf::ProtectionError;

use super::layout;

/// How soon a browser or a crawler may come back after a 503, in seconds.
const SOON: &str = "2";

/// There is no such page.
pub(crate) async fn not_found() -> Response {
    let text = "There is no hook with that number. Perhaps the link was cut off.";
    page(StatusCode::NOT_FOUND, "Nothing hangs here", text)
}

/// There is something, but not by this method: a form's address was opened as a page, say.
pub(crate) async fn method_not_allowed() -> Response {
    let text = "This address takes forms from the front page, and is none to visit.";
    page(
        StatusCode::METHOD_NOT_ALLOWED,
        "Please use the front door",
        text,
    )
}

/// A form was sent by another site's page.
pub(crate) fn from_another_site(_: ProtectionError) -> Response {
    let text = "That form was sent from another site, in your name. Nothing was done.";
    page(StatusCode::FORBIDDEN, "Not your handwriting", text)
}

/// The session could not be loaded or saved.
pub(crate) fn session_failed(error: &SessionError) -> Response {
    let (title, text) = match error.kind() {
        SessionErrorKind::Unavailable => (
            "Back in a moment",
            "The attendant has stepped away, and will be back. Nothing of yours was changed: keep \
             your ticket, and try again.",
        ),
        SessionErrorKind::OutcomeUnknown => (
            "Please look again",
            "The attendant was called away just then. Perhaps it was done, perhaps not: have a \
             look before you do it again.",
        ),
        SessionErrorKind::TooLarge => (
            "The pockets are full",
            "Two tabs filled your pockets at the same time. Take a note out and try again.",
        ),
        SessionErrorKind::NotSignedIn => (
            "Please sign in first",
            "This is for guests who have signed in: the counter is on the front page.",
        ),
        SessionErrorKind::Ended => (
            "That was undone",
            "While you signed in, all of your sessions were ended. Sign in again if that was you.",
        ),
        _ => (
            "Something went wrong",
            "It was written down on our side. Nothing of yours was changed.",
        ),
    };
    page(error.status(), title, text)
}

/// Somebody is signed in, and this is not for them.
pub(super) fn not_for_you() -> Response {
    let text = "Only the manager sees whose coats hang where.";
    page(StatusCode::FORBIDDEN, "Staff only", text)
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let (address, back) = match status {
        StatusCode::SERVICE_UNAVAILABLE => ("/", "Try again"),
        StatusCode::UNAUTHORIZED => ("/sign-in", "Sign in"),
        _ => ("/", "To the front page"),
    };
    let body = html! {
        section.trouble {
            p.number { (status.as_str()) }
            h1 { (title) }
            p.lede { (text) }
            p { a.button href=(address) { (back) } }
        }
    };
    let page = layout::page_for_anybody(title, body);
    helped((status, page).into_response())
}

/// No cache keeps it; and it tells in a header, too, what helps: to wait, or to sign in.
pub(super) fn helped(mut response: Response) -> Response {
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(SOON));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
        }
        _ => {}
    }
    response
}
