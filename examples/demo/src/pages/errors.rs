//! Error pages.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use cloakroom::{EndReason, LazySession, RequestHead, Session, SessionError, SessionErrorKind};
use maud::{Markup, html};
use tower_http::csrf::ProtectionError;

use super::layout;
use super::sign_in::{SignInForm, local_path};
use super::time::in_seconds;

/// After how many seconds a browser should retry what will pass by itself.
const RETRY_SECONDS: &str = "2";

/// There is no page at this address.
pub(crate) async fn not_found(lazy: LazySession, uri: Uri) -> Response {
    let text = format!("There is no page {} here.", uri.path());
    page_for(&lazy, StatusCode::NOT_FOUND, "Page not found", &text).await
}

/// The address does not support the method: for example, the address of a form was opened as a page.
pub(crate) async fn method_not_allowed(lazy: LazySession) -> Response {
    let text = "This address only receives forms.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    page_for(&lazy, status, "Method not allowed", text).await
}

/// A form was sent by a page of another site.
pub(crate) fn cross_site(_: ProtectionError) -> Response {
    let text = "The form was sent by a page of another site, so it was rejected.";
    let body = content(
        StatusCode::FORBIDDEN,
        "Request rejected",
        text,
        start_link(),
    );
    let page = layout::page_without_session("Request rejected", html! {}, body);
    with_headers((StatusCode::FORBIDDEN, page).into_response())
}

/// The client has sent too many requests.
pub(crate) fn too_many_requests(wait: Duration) -> axum::http::Response<Bytes> {
    let text = format!(
        "You have opened many pages in a short time. Try again {}.",
        in_seconds(wait)
    );
    let body = content(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many requests",
        &text,
        start_link(),
    );
    let page = layout::page_without_session("Too many requests", html! {}, body);
    let mut response = axum::http::Response::new(Bytes::from(page.into_string()));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

/// The user is not an administrator.
pub(super) fn admins_only(session: &Session) -> Response {
    let text = "Only an administrator can see the sessions of all users.";
    page(Some(session), StatusCode::FORBIDDEN, "Admins only", text)
}

/// The session could not be loaded or saved, or nobody is signed in.
pub(crate) fn session_failed(error: &SessionError, request: &RequestHead) -> Response {
    // A form cannot be sent again by opening its address.
    let path = match request.uri().path_and_query() {
        Some(path) if request.method() == Method::GET => Some(path.as_str()),
        _ => None,
    };
    match error.kind() {
        SessionErrorKind::NotSignedIn => please_sign_in(error.status(), path, error.ended_reason()),
        kind => page_of(kind, error.status(), path),
    }
}

/// The page of an error. `path` is the address to open again, if that repeats the request.
fn page_of(kind: SessionErrorKind, status: StatusCode, path: Option<&str>) -> Response {
    let path = path.map(|path| local_path(Some(path)));
    match (kind, path) {
        (SessionErrorKind::Unavailable | SessionErrorKind::OutcomeUnknown, Some(path)) => {
            let text = "The session store does not respond.";
            retried_page(status, "Temporarily unavailable", text, path)
        }
        (SessionErrorKind::TooManyWriters, Some(path)) => {
            let text = "Too many requests are changing your session at this moment.";
            retried_page(status, "Too many requests at once", text, path)
        }
        _ => {
            let (title, text) = description(kind);
            page(None, status, title, text)
        }
    }
}

fn description(kind: SessionErrorKind) -> (&'static str, &'static str) {
    match kind {
        SessionErrorKind::Unavailable => (
            "Temporarily unavailable",
            "The session store does not respond. Nothing was changed. Please try again.",
        ),
        SessionErrorKind::OutcomeUnknown => (
            "Please check the result",
            "The session store stopped responding before it confirmed the change. Please check whether it \
             was made before you try again.",
        ),
        SessionErrorKind::StoreRefused => (
            "The session store is not set up",
            "It refuses what this app needs, and will until someone changes its configuration: the log and \
             /healthz say what. Nothing was changed.",
        ),
        SessionErrorKind::StoreFull => (
            "The session store is full",
            "It has no memory left. Nothing was changed. Signing out still works.",
        ),
        SessionErrorKind::TooManyWriters => (
            "Too many requests at once",
            "Too many requests are changing your session at this moment. Nothing was changed. Please try \
             again.",
        ),
        SessionErrorKind::Expired => (
            "The session expired",
            "It expired before this request was finished, so nothing was changed. Please start again.",
        ),
        SessionErrorKind::TooLarge => (
            "The session is full",
            "Two tabs filled the session at the same time. Remove a note and try again.",
        ),
        SessionErrorKind::Ended => (
            "The session was ended",
            "All of your sessions were ended while you signed in. If that was you, sign in again.",
        ),
        _ => (
            "Something went wrong",
            "The error was logged. Nothing was changed.",
        ),
    }
}

/// The sign-in form, which leads back to the page, and says why the session has ended.
fn please_sign_in(status: StatusCode, path: Option<&str>, reason: Option<EndReason>) -> Response {
    let path = local_path(path);
    let title = "Please sign in";
    let form = SignInForm {
        next: path,
        ..SignInForm::default()
    };
    let intro =
        html! { p.lede { "This page is for signed-in users. After signing in you return to it." } };
    let (own_path, _) = path.split_once('?').unwrap_or((path, ""));
    let page = layout::anonymous_page(title, own_path, reason, form.page_body(title, intro));
    with_headers((status, page).into_response())
}

/// A page that loads the requested one again after some seconds, also without scripts.
fn retried_page(status: StatusCode, title: &str, text: &str, path: &str) -> Response {
    let text = format!("{text} This page tries again every few seconds.");
    let retry = html! { meta http-equiv="refresh" content={ (RETRY_SECONDS) "; url=" (path) }; };
    let link = html! { a.button href=(path) { "Try again now" } };
    let page = layout::page_without_session(title, retry, content(status, title, &text, link));
    let mut response = with_headers((status, page).into_response());
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    response
}

/// Renders an error page with the user in the header, if the session can be loaded.
async fn page_for(lazy: &LazySession, status: StatusCode, title: &str, text: &str) -> Response {
    let session = lazy.load().await.ok();
    page(session.as_ref(), status, title, text)
}

fn page(session: Option<&Session>, status: StatusCode, title: &str, text: &str) -> Response {
    let body = content(status, title, text, start_link());
    let page = match session {
        Some(session) => layout::page(title, "", session, body),
        None => layout::page_without_session(title, html! {}, body),
    };
    with_headers((status, page).into_response())
}

fn start_link() -> Markup {
    html! { a.button href="/" { "Go to the start page" } }
}

fn content(status: StatusCode, title: &str, text: &str, link: Markup) -> Markup {
    html! {
        section.problem.narrow {
            p.status { "Error " (status.as_str()) }
            h1 { (title) }
            p.lede { (text) }
            p { (link) }
        }
    }
}

/// Adds the headers of an error: it is not cached, and a 503 or 401 says what helps.
pub(super) fn with_headers(mut response: Response) -> Response {
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_page_with_too_many_writers_tries_again() {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let kind = SessionErrorKind::TooManyWriters;
        let response = page_of(kind, status, Some("/devices?list"));
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[RETRY_AFTER], RETRY_SECONDS);
        let page = text(response).await;
        assert!(
            page.contains(r#"http-equiv="refresh" content="2; url=/devices?list""#),
            "{page}"
        );
        assert!(page.contains("Too many requests at once"));

        let page = text(page_of(kind, status, None)).await;
        assert!(!page.contains("refresh"), "a form is not repeated: {page}");
        assert!(page.contains("Nothing was changed. Please try again."));
    }

    #[tokio::test]
    async fn no_error_page_leads_to_another_site() {
        let path = Some("//evil.example");
        for (kind, status) in [
            (
                SessionErrorKind::Unavailable,
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            (
                SessionErrorKind::TooManyWriters,
                StatusCode::TOO_MANY_REQUESTS,
            ),
        ] {
            let page = text(page_of(kind, status, path)).await;
            assert!(!page.contains("evil"), "{page}");
        }
        let reason = Some(EndReason::RevokedByAdmin);
        let page = text(please_sign_in(StatusCode::UNAUTHORIZED, path, reason)).await;
        assert!(!page.contains("evil"), "{page}");
        assert!(page.contains("An administrator ended this session."));
    }
}
