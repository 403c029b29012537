//! Requests during which the store fails.

use std::time::Duration;

use cloakroom::{SessionError, SessionErrorKind, Store};
use cloakroom_core::StoreErrorKind;
use cloakroom_core::StoreErrorKind::{OutOfMemory, Unavailable, Unreadable};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::faulty_store::Fault::{After, Hang, LoseCommand, LoseReply, Refuse};
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{Create, End, Load, Touch, Update};

super::rows! {
    the_session_cannot_be_loaded,
    the_store_refuses_an_edit,
    the_store_time_limit_is_exceeded,
    an_unknown_outcome_is_resolved_by_a_load,
    an_unknown_outcome_stays_unknown,
    the_outcome_of_a_creation_is_unknown,
    a_renewal_cannot_be_completed,
    ending_the_session_fails,
    a_touch_fails,
    a_custom_error_response_when_the_store_fails,
}

/// The kind and the status of what a store refuses with this error. Only what passes by itself is called
/// unavailable.
const REFUSALS: [(StoreErrorKind, SessionErrorKind, u16); 7] = [
    (
        StoreErrorKind::Unavailable,
        SessionErrorKind::Unavailable,
        503,
    ),
    (
        StoreErrorKind::NewerFormat,
        SessionErrorKind::Unavailable,
        503,
    ),
    (
        StoreErrorKind::NotReplicated,
        SessionErrorKind::NotReplicated,
        503,
    ),
    (
        StoreErrorKind::OutOfMemory,
        SessionErrorKind::StoreFull,
        507,
    ),
    (StoreErrorKind::Refused, SessionErrorKind::StoreRefused, 500),
    (
        StoreErrorKind::Unreadable,
        SessionErrorKind::Unreadable,
        500,
    ),
    (
        StoreErrorKind::Unsupported,
        SessionErrorKind::Unsupported,
        500,
    ),
];

fn refused(response: &TestResponse, kind: SessionErrorKind, status: u16) {
    assert_eq!(response.status.as_u16(), status, "{kind:?}");
    let passes = status == 503;
    assert_eq!(
        response.headers.contains_key(RETRY_AFTER),
        passes,
        "{kind:?}"
    );
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    let error = response.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), kind);
    // The text that asks to wait is for what passes.
    assert!(passes || !error.to_string().contains("reached"), "{error}");
}

fn unavailable(response: &TestResponse, kind: SessionErrorKind) {
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers[RETRY_AFTER], "1");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(response.vary(), "cookie");
    let error = response.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), kind);
}

async fn write(browser: &mut Browser) -> TestResponse {
    browser
        .request(|session| async move {
            session.insert("n", 2)?;
            Ok("done")
        })
        .await
}

async fn the_session_cannot_be_loaded<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    // A session that cannot be read counts as missing.
    for (error, kind, status) in REFUSALS.into_iter().filter(|row| row.0 != Unreadable) {
        fixture.store.next(Load, Refuse(error));
        let response = write(&mut browser).await;
        refused(&response, kind, status);
        assert_eq!(fixture.store.take_verbs(), [Load]);
    }
    assert_eq!(browser.read().await, Some(1), "the cookie is still valid");
}

async fn the_store_refuses_an_edit<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    for (error, kind, status) in REFUSALS {
        fixture.store.next(Update, Refuse(error));
        let response = write(&mut browser).await;
        refused(&response, kind, status);
        assert_eq!(fixture.store.take_verbs(), [Load, Update]);
        assert!(!response.text().contains("done"));
    }
    fixture.store.next(Create, Refuse(OutOfMemory));
    let mut new = fixture.browser();
    refused(&write(&mut new).await, SessionErrorKind::StoreFull, 507);
    assert_eq!(fixture.store.take_verbs(), [Create]);
    assert_eq!(new.cookie(), None);
    assert_eq!(browser.read().await, Some(1));
}

async fn the_store_time_limit_is_exceeded<S: Store + Clone>(fixture: Fixture<S>) {
    let layer = fixture
        .builder()
        .with_store_timeout(Duration::from_millis(250))
        .build()
        .expect("it is valid");
    let mut browser = fixture.browser_of(layer);
    browser = fixture.with_session(browser).await;
    fixture.store.next(Load, Hang);
    unavailable(&write(&mut browser).await, SessionErrorKind::Unavailable);
    assert_eq!(fixture.store.take_verbs(), [Load]);
    // A write that timed out may have been executed.
    fixture.store.next(Update, Hang);
    let response = write(&mut browser).await;
    unavailable(&response, SessionErrorKind::OutcomeUnknown);
    assert_eq!(
        fixture.store.take_verbs(),
        [Load, Update],
        "it is not sent again"
    );
    assert_eq!(browser.read().await, Some(1));
}

async fn an_unknown_outcome_is_resolved_by_a_load<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(Update, LoseReply);
    let response = write(&mut browser).await;
    fixture.assert_response(&response, 200, &[Load, Update, Load], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(2));
}

async fn an_unknown_outcome_stays_unknown<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(Update, LoseCommand);
    let response = write(&mut browser).await;
    unavailable(&response, SessionErrorKind::OutcomeUnknown);
    assert_eq!(fixture.store.take_verbs(), [Load, Update, Load]);

    // Also if the handler ignores the error.
    fixture.store.next(Update, LoseCommand);
    let response = browser
        .request(|session| async move {
            session.insert("n", 3)?;
            assert!(session.save().await.is_err());
            Ok("done")
        })
        .await;
    unavailable(&response, SessionErrorKind::OutcomeUnknown);
    assert_eq!(fixture.store.take_verbs(), [Load, Update, Load]);

    // And if it drops its save.
    let gate = Gate::new();
    fixture.store.next(Update, After(gate.clone()));
    let response = browser
        .request(|session| async move {
            session.insert("n", 4)?;
            tokio::select! {
                _ = session.save() => unreachable!("the gate stays closed"),
                () = gate.reached() => {}
            }
            Ok("done")
        })
        .await;
    unavailable(&response, SessionErrorKind::OutcomeUnknown);
    assert_eq!(fixture.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(4));
}

async fn the_outcome_of_a_creation_is_unknown<S: Store + Clone>(fixture: Fixture<S>) {
    for fault in [LoseReply, LoseCommand] {
        let mut browser = fixture.browser();
        fixture.store.next(Create, fault.clone());
        let response = write(&mut browser).await;
        fixture.assert_response(&response, 200, &[Create, Create], CookieChange::Set);
        assert_eq!(browser.read().await, Some(2));
        fixture.clear_verbs();
        for _ in 0..3 {
            fixture.store.next(Create, fault.clone());
        }
        let mut browser = fixture.browser();
        let response = write(&mut browser).await;
        unavailable(&response, SessionErrorKind::OutcomeUnknown);
        assert_eq!(fixture.store.take_verbs(), [Create, Create, Create]);
    }
}

async fn a_renewal_cannot_be_completed<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(End, Refuse(Unavailable));
    let gate = fixture.store.hold(End);
    let response = browser
        .request(|session| async move { session.renew() })
        .await;
    unavailable(&response, SessionErrorKind::Unavailable);
    // The new session, whose token no client has, is rolled back in the background.
    gate.reached().await;
    assert_eq!(fixture.store.take_verbs(), [Load, Create, End, End]);
    gate.open();
    assert_eq!(browser.read().await, Some(1), "the old one is as it was");
}

async fn ending_the_session_fails<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(End, Refuse(Unavailable));
    let response = browser
        .request(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    unavailable(&response, SessionErrorKind::Unavailable);
    assert_eq!(fixture.store.take_verbs(), [Load, End]);
    assert_eq!(browser.read().await, Some(1));
}

async fn a_touch_fails<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    fixture.clock.advance(cloakroom::hours(3));
    fixture.store.next(Touch, Refuse(OutOfMemory));
    let response = browser.request(|_| async { Ok(()) }).await;
    fixture.assert_response(&response, 200, &[Load, Touch], CookieChange::Nothing);
}

async fn a_custom_error_response_when_the_store_fails<S: Store + Clone>(fixture: Fixture<S>) {
    use axum::response::IntoResponse;
    let page = |error: &SessionError| (error.status(), "please wait").into_response();
    let layer = fixture
        .builder()
        .with_error_response(page)
        .build()
        .expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    for verb in [Load, Update] {
        fixture.store.next(verb, Refuse(Unavailable));
        let response = write(&mut browser).await;
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.text(), "please wait");
    }
}
