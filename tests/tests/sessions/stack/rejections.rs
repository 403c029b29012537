//! Sessions that cannot be loaded, and the error responses.

use axum::Router;
use axum::body::Body;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use cloakroom::{RequestHead, Session, SessionError, SessionErrorKind, SessionRejection};
use cloakroom_core::StoreErrorKind;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use tests::app::{Fixture, Handler, bare_app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Fault::Refuse;
use tests::faulty_store::Verb::{Load, Update};

#[tokio::test]
async fn without_a_layer_the_error_names_the_fix() {
    let mut browser = Browser::new(bare_app());
    let session = Handler::session(|_| async { Ok(()) });
    let lazy = Handler::lazy(|_| async { Ok(()) });
    for handler in [session, lazy] {
        let response = browser.request_with(handler).await;
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.text().contains("SessionLayer::new(store)"));
        assert!(!response.headers.contains_key(RETRY_AFTER));
    }
}

#[tokio::test]
async fn a_handler_can_run_without_its_session() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture
        .store
        .always(Some(Refuse(StoreErrorKind::Unavailable)));
    let handler = |session: Result<Session, SessionRejection>| async move {
        let error = session.expect_err("the store is down").error().clone();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        Ok("welcome anyway")
    };
    let response = browser.request_with(Handler::with(handler)).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.text(), "welcome anyway");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(fixture.store.take_verbs(), [Load]);
}

#[tokio::test]
async fn a_failed_load_adds_vary_too() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture
        .store
        .next(Load, Refuse(StoreErrorKind::Unavailable));
    let handler = |_: Result<Session, SessionRejection>| async { Ok("welcome anyway") };
    let response = browser.request_with(Handler::with(handler)).await;
    assert_eq!(
        response.vary(),
        "cookie",
        "a cache must not serve it to others"
    );
}

#[tokio::test]
async fn a_custom_error_response_applies_to_loading_and_saving() {
    let fixture = Fixture::memory();
    let shape = |error: &SessionError| (StatusCode::IM_A_TEAPOT, error.to_string()).into_response();
    let layer = fixture
        .builder()
        .with_error_response(shape)
        .build()
        .expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    for verb in [Load, Update] {
        fixture
            .store
            .next(verb, Refuse(StoreErrorKind::OutOfMemory));
        let response = browser
            .request(|session| async move { session.insert("n", 2) })
            .await;
        assert_eq!(response.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(response.text(), "the session store is out of memory");
        assert!(response.extension::<SessionError>().is_some());
    }
}

#[tokio::test]
async fn a_handler_error_drops_edits_whatever_its_status() {
    let fixture = Fixture::memory();
    let shape = |_: &SessionError| StatusCode::SEE_OTHER.into_response();
    let layer = fixture
        .builder()
        .with_error_response(shape)
        .build()
        .expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            session.insert("$reserved", 1)
        })
        .await;
    fixture.assert_response(&response, 303, &[Load], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

/// One layer for pages and for an API: it sees what the client accepts, and where to come back to.
fn by_client(error: &SessionError, request: &RequestHead) -> Response {
    let accept = request.headers().get(ACCEPT);
    let is_page = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if !is_page {
        let json = [(CONTENT_TYPE, "application/json")];
        return (error.status(), json, format!("{:?}", error.to_string())).into_response();
    }
    if error.status() == StatusCode::UNAUTHORIZED && request.method() == Method::GET {
        let next = request.uri().path();
        return Redirect::to(&format!("/sign-in?next={next}")).into_response();
    }
    (error.status(), Html("<p>Please try again.")).into_response()
}

#[tokio::test]
async fn an_error_response_sees_the_request() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_error_response_for_request(by_client);
    let mut browser = fixture.browser_of(layer.build().unwrap());
    let request = |method: Method, accept: &'static str| {
        let request = Request::builder().method(method).uri("/account?a=b");
        let mut request = request.header(ACCEPT, accept).body(Body::empty()).unwrap();
        let act = |session: Session| async move {
            session.insert("n", 1)?;
            session.require_user().map(|_| ())
        };
        request.extensions_mut().insert(Handler::session(act));
        request
    };
    let answer = browser.send(request(Method::GET, "text/html")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers["location"], "/sign-in?next=/account");
    let answer = browser.send(request(Method::POST, "text/html")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (401, "<p>Please try again.")
    );
    assert_eq!(answer.headers["www-authenticate"], "Session");
    let answer = browser.send(request(Method::GET, "application/json")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (401, "\"no user is signed in\"")
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    // Also where the session cannot be loaded or saved.
    for verb in [Load, Update] {
        fixture
            .store
            .next(verb, Refuse(StoreErrorKind::Unavailable));
        let mut request = request(Method::GET, "application/json");
        let act = Handler::session(|session| async move { session.insert("n", 2) });
        request.extensions_mut().insert(act);
        let answer = browser.send(request).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{verb:?}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers[RETRY_AFTER], "1");
    }
}

/// An app's own error type. It hands a session's error on, so that all have the layer's shape.
enum AppError {
    Session(SessionError),
    NotFound,
}

impl From<SessionError> for AppError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// One that shapes a session's error by itself.
struct OwnShape(SessionError);

impl IntoResponse for OwnShape {
    fn into_response(self) -> Response {
        let mut response = (self.0.status(), "the app's own").into_response();
        self.0.insert_headers(response.headers_mut());
        response
    }
}

async fn wrapped(session: Result<Session, SessionRejection>) -> Result<(), AppError> {
    let session = session.map_err(SessionError::from)?;
    session.require_user()?;
    Err(AppError::NotFound)
}

async fn own_shape(session: Result<Session, SessionRejection>) -> Result<(), OwnShape> {
    let session = session.map_err(|rejection| OwnShape(rejection.into()))?;
    session.require_user().map(|_| ()).map_err(OwnShape)
}

#[tokio::test]
async fn an_error_type_of_the_app_keeps_status_headers_and_shape() {
    let fixture = Fixture::memory();
    let shape = |error: &SessionError| (error.status(), "the layer's").into_response();
    let layer = fixture
        .builder()
        .with_error_response(shape)
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/wrapped", get(wrapped))
        .route("/own", get(own_shape));
    let mut browser = fixture.browser_with_session().await.on(routes.layer(layer));
    for (path, text) in [("/wrapped", "the layer's"), ("/own", "the app's own")] {
        let request = || Request::get(path).body(Body::empty()).unwrap();
        let answer = browser.send(request()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (401, text));
        assert_eq!(answer.headers["www-authenticate"], "Session", "{path}");
        fixture
            .store
            .next(Load, Refuse(StoreErrorKind::Unavailable));
        let answer = browser.send(request()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (503, text));
        assert_eq!(answer.headers[RETRY_AFTER], "1", "{path}");
    }
}

#[tokio::test]
async fn a_failed_load_can_be_retried() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture
        .store
        .next(Load, Refuse(StoreErrorKind::Unavailable));
    let response = browser
        .lazy(|lazy| async move {
            assert!(lazy.load().await.is_err());
            assert!(!lazy.is_loaded());
            let session = lazy.load().await?;
            assert!(lazy.is_loaded());
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Load], CookieChange::Nothing);
}

#[tokio::test]
async fn an_unreadable_record_is_no_session_and_a_newer_format_is_unavailable() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(Load, Refuse(StoreErrorKind::Unreadable));
    assert_eq!(browser.read().await, None);
    fixture
        .store
        .next(Load, Refuse(StoreErrorKind::NewerFormat));
    let response = browser.request(|_| async { Ok(()) }).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
}
