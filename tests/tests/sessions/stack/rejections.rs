//! Sessions that cannot be loaded, and the error responses.

use axum::response::IntoResponse;
use cloakroom::{Session, SessionError, SessionErrorKind, SessionRejection};
use cloakroom_core::StoreErrorKind;
use http::StatusCode;
use http::header::RETRY_AFTER;
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
