//! A handler that ignores that the session could not be ended does not get away with a success.

use std::sync::Arc;

use axum::response::IntoResponse;
use cloakroom::{CookieConfig, Session, SessionError, SessionErrorKind, StoreErrorKind};
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Fault::{Hang, LoseCommand, Refuse};
use tests::faulty_store::Verb::{End, Load};
use tests::log::Log;
use tokio::sync::Mutex;

const IGNORED: &str = "handler ignored that the session could not be ended";

/// Signs out, and writes; whether that has worked does not matter to it.
async fn sign_out_carelessly(session: Session) -> Result<&'static str, SessionError> {
    drop(session.sign_out().await);
    session.insert("n", 2)?;
    Ok("you have signed out")
}

#[tokio::test]
async fn an_ignored_failure_is_an_error_response() {
    for (fault, kind) in [
        (
            Refuse(StoreErrorKind::Unavailable),
            SessionErrorKind::Unavailable,
        ),
        (LoseCommand, SessionErrorKind::OutcomeUnknown),
    ] {
        let log = Log::capture();
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        fixture.store.next(End, fault);
        let response = browser.request(sign_out_carelessly).await;
        assert_eq!(response.status, 503);
        let error = response
            .extension::<SessionError>()
            .expect("it is replaced");
        assert_eq!(error.kind(), kind);
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        assert_eq!(log.count(IGNORED), 1, "{}", log.text());
        fixture.clear_verbs();
        assert_eq!(
            browser.read().await,
            Some(1),
            "it is alive, and nothing is saved"
        );
    }
}

#[tokio::test]
async fn a_response_that_says_so_is_the_handlers() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(End, Refuse(StoreErrorKind::Unavailable));
    let response = browser
        .request(|session| async move {
            assert!(session.destroy().await.is_err());
            Ok((StatusCode::BAD_GATEWAY, "not signed out").into_response())
        })
        .await;
    assert_eq!(
        (response.status.as_u16(), response.text()),
        (502, "not signed out")
    );
    assert_eq!(log.count(IGNORED), 0);
}

#[tokio::test]
async fn a_second_attempt_that_succeeds_is_a_success() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(End, Refuse(StoreErrorKind::Unavailable));
    let response = browser
        .request(|session| async move {
            assert!(session.destroy().await.is_err());
            session.destroy().await.map(drop)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, End, End], CookieChange::Removed);
}

#[tokio::test]
async fn an_end_that_was_dropped_before_it_has_completed_is_an_error_response() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(End, Hang);
    let response = browser
        .request(|session| async move {
            // As in a `select!` with a timeout.
            assert!(session.destroy().now_or_never().is_none());
            Ok("you have signed out")
        })
        .await;
    assert_eq!(response.status, 503);
    let error = response
        .extension::<SessionError>()
        .expect("it is replaced");
    assert_eq!(error.kind(), SessionErrorKind::OutcomeUnknown);
}

/// The session has ended. That it is on too few replicas is logged, and the cookie is removed.
#[tokio::test]
async fn a_session_that_has_ended_on_too_few_replicas_is_not_alive() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture
        .store
        .next(End, Refuse(StoreErrorKind::NotReplicated));
    let response = browser
        .request(|session| async move {
            drop(session.destroy().await);
            Ok(())
        })
        .await;
    let verbs = [Load, End, Load];
    fixture.assert_response(&response, 200, &verbs, CookieChange::Removed);
}

/// The first sign-out was confirmed by no replica either, and another tab still sends the cookie.
#[tokio::test]
async fn a_session_that_had_ended_before_on_too_few_replicas_leaves_no_cookie() {
    let fixture = Fixture::memory();
    let mut tab = fixture.browser_with_session().await;
    let destroy = |session: Session| async move { session.destroy().await.map(drop) };
    assert_eq!(tab.clone().request(destroy).await.status, 200);
    fixture.clear_verbs();
    for _ in 0..2 {
        let not_replicated = Refuse(StoreErrorKind::NotReplicated);
        fixture.store.next(End, not_replicated);
    }
    let response = tab
        .request(|session| async move {
            for _ in 0..2 {
                let error = session.destroy().await.expect_err("no replica has it");
                assert_eq!(error.kind(), SessionErrorKind::NotReplicated);
            }
            Ok(())
        })
        .await;
    let verbs = [Load, Load, End, Load, End];
    fixture.assert_response(&response, 200, &verbs, CookieChange::Removed);
}

/// The session of an older cookie has ended on too few replicas, and the live one in another tab.
#[tokio::test]
async fn sessions_that_had_ended_before_on_too_few_replicas_leave_no_cookie() {
    for (fault, status, change) in [
        (None, 200, CookieChange::Nothing),
        (
            Some(StoreErrorKind::NotReplicated),
            503,
            CookieChange::Removed,
        ),
    ] {
        let fixture = Fixture::memory();
        let destroy = |session: Session| async move { session.destroy().await.map(drop) };
        let mut older = fixture.browser_with_session().await;
        let cookie = older.cookie().expect("it has a session").to_owned();
        assert_eq!(older.request(destroy).await.status, 200);
        let mut browser = fixture.browser_with_session().await;
        let (store, mut tab) = (fixture.store.clone(), browser.clone());
        browser.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
        let response = browser.request(move |session| async move {
            tab.request(destroy).await;
            if let Some(kind) = fault {
                store.next(End, Refuse(kind));
            }
            session.destroy().await.map(drop)
        });
        let response = response.await;
        assert_eq!(response.status, status, "{fault:?}");
        assert_eq!(response.cookie_change(), change, "{fault:?}");
    }
}

/// The session of an older cookie has ended on too few replicas. That does not hide that the live one could not be ended.
#[tokio::test]
async fn a_session_that_may_be_live_counts_more_than_one_on_too_few_replicas() {
    let fixture = Fixture::memory();
    let mut older = fixture.browser_with_session().await;
    let cookie = older.cookie().expect("it has a session").to_owned();
    let renew = |session: Session| async move { session.renew() };
    assert_eq!(older.request(renew).await.status, 200);
    let destroy = |session: Session| async move { session.destroy().await.map(drop) };
    assert_eq!(older.request(destroy).await.status, 200);

    let mut browser = fixture.browser_with_session().await;
    let alone = browser.clone();
    browser.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
    for kind in [StoreErrorKind::NotReplicated, StoreErrorKind::Unavailable] {
        fixture.store.next(End, Refuse(kind));
    }
    let response = browser.request(sign_out_carelessly).await;
    assert_eq!(response.status, 503);
    let error = response.extension::<SessionError>();
    let kind = error.map(SessionError::kind);
    assert_eq!(kind, Some(SessionErrorKind::Unavailable));
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(fixture.store.take_verbs().last(), Some(&End));
    assert_eq!(alone.clone().read().await, Some(1), "it is live");
}

/// Another tab has renewed the session while this request signs out, and no replica confirms that it finds a tombstone.
#[tokio::test]
async fn a_session_that_was_renewed_before_ends_also_if_no_replica_confirms_that() {
    let fixture = Fixture::memory();
    let mut tab = fixture.browser_with_session().await;
    let other = Arc::new(Mutex::new(tab.clone()));
    let (store, renewing) = (fixture.store.clone(), Arc::clone(&other));
    let renew = |session: Session| async move { session.renew() };
    let response = tab.request(move |session| async move {
        let renewed = renewing.lock().await.request(renew).await;
        assert_eq!(renewed.cookie_change(), CookieChange::Set);
        store.next(End, Refuse(StoreErrorKind::NotReplicated));
        let error = session.destroy().await.expect_err("no replica has it");
        assert_eq!(error.kind(), SessionErrorKind::NotReplicated);
        Ok(())
    });
    let response = response.await;
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    assert_eq!(other.lock().await.read().await, None);
}
