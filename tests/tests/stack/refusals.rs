//! Sessions that cannot be had, and how that looks.

use axum::response::IntoResponse;
use cloakroom::{Session, SessionError, SessionErrorKind, SessionRejection};
use cloakroom_core::StoreErrorKind;
use http::StatusCode;
use http::header::RETRY_AFTER;
use tests::app::{Act, Stage, bare_app};
use tests::browser::{Browser, Effect};
use tests::faults::Fault::Refuse;
use tests::faults::Verb::{Load, Update};

#[tokio::test]
async fn without_a_layer_the_answer_names_the_fix() {
    let mut browser = Browser::new(bare_app());
    let session = Act::session(|_| async { Ok(()) });
    let lazy = Act::lazy(|_| async { Ok(()) });
    for act in [session, lazy] {
        let answer = browser.perform(act).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.text().contains("SessionLayer::new(store)"));
        assert!(!answer.headers.contains_key(RETRY_AFTER));
    }
}

#[tokio::test]
async fn a_handler_can_do_without_its_session() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    stage
        .store
        .always(Some(Refuse(StoreErrorKind::Unavailable)));
    let act = |session: Result<Session, SessionRejection>| async move {
        let error = session.expect_err("the store is down").error().clone();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        Ok("welcome all the same")
    };
    let answer = browser.perform(Act::with(act)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), "welcome all the same");
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(stage.store.take_verbs(), [Load]);
}

#[tokio::test]
async fn an_answer_without_the_session_it_asked_for_varies_too() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    stage.store.next(Load, Refuse(StoreErrorKind::Unavailable));
    let act = |_: Result<Session, SessionRejection>| async { Ok("welcome all the same") };
    let answer = browser.perform(Act::with(act)).await;
    assert_eq!(
        answer.vary(),
        "cookie",
        "a cache must not hand it to others"
    );
}

#[tokio::test]
async fn the_apps_own_shape_is_for_loading_and_saving() {
    let stage = Stage::memory();
    let shape = |error: &SessionError| (StatusCode::IM_A_TEAPOT, error.to_string()).into_response();
    let layer = stage
        .builder()
        .with_error_response(shape)
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    for verb in [Load, Update] {
        stage.store.next(verb, Refuse(StoreErrorKind::OutOfMemory));
        let answer = browser
            .act(|session| async move { session.insert("n", 2) })
            .await;
        assert_eq!(answer.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(answer.text(), "the session store is out of memory");
        assert!(answer.extension::<SessionError>().is_some());
    }
}

#[tokio::test]
async fn a_handlers_own_failure_drops_its_edits_however_the_app_shapes_it() {
    let stage = Stage::memory();
    let shape = |_: &SessionError| StatusCode::SEE_OTHER.into_response();
    let layer = stage
        .builder()
        .with_error_response(shape)
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    let answer = browser
        .act(|session| async move {
            session.insert("n", 2)?;
            session.insert("$reserved", 1)
        })
        .await;
    stage.expect(&answer, 303, &[Load], Effect::Nothing);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn a_load_that_failed_can_be_tried_again() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    stage.store.next(Load, Refuse(StoreErrorKind::Unavailable));
    let answer = browser
        .lazy(|lazy| async move {
            assert!(lazy.load().await.is_err());
            assert!(!lazy.is_loaded());
            let session = lazy.load().await?;
            assert!(lazy.is_loaded());
            assert_eq!(session.get::<u32>("n")?, Some(1));
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load, Load], Effect::Nothing);
}

#[tokio::test]
async fn an_unreadable_record_is_no_session_and_a_newer_one_is_unavailable() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    stage.store.next(Load, Refuse(StoreErrorKind::Unreadable));
    assert_eq!(browser.read().await, None);
    stage.store.next(Load, Refuse(StoreErrorKind::NewerFormat));
    let answer = browser.act(|_| async { Ok(()) }).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.effect(), Effect::Nothing);
}
