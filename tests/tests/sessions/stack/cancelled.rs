//! Requests that are cancelled: timeouts and panics, inside and outside the session layer.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use cloakroom::{Session, SessionError, SessionErrorKind};
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::{Fixture, app, bare_app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{self, Create, End, Load, Update};
use tokio::time::{sleep, timeout};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

fn time_out() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(5))
}

/// Saves 2, then edits and renews without saving.
async fn edit(session: &Session) -> Result<(), SessionError> {
    session.insert("n", 2)?;
    session.save().await?;
    session.insert("n", 3)?;
    session.renew()
}

/// Sends a request whose handler never completes: the awaited save stands, later edits are dropped.
async fn cuts_off(fixture: &Fixture, app: Router, used: bool) {
    let mut browser = fixture.browser_with_session().await.on(app);
    let response = browser
        .request(|session| async move {
            edit(&session).await?;
            pending::<()>().await;
            Ok(())
        })
        .await;
    assert_eq!(response.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(response.vary(), if used { "cookie" } else { "" });
    assert_eq!(fixture.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_outside_the_session_layer_drops_edits() {
    let fixture = Fixture::memory();
    cuts_off(&fixture, app(fixture.layer()).layer(time_out()), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_inside_the_session_layer_drops_edits() {
    let fixture = Fixture::memory();
    let app = bare_app().layer(time_out()).layer(fixture.layer());
    cuts_off(&fixture, app, true).await;
}

/// A timeout inside the layer drops the handler while a renewal is being saved; the renewal still
/// completes.
#[tokio::test(start_paused = true)]
async fn a_timeout_during_a_renewal_lets_the_renewal_finish() {
    let fixture = Fixture::memory();
    let patient = fixture
        .builder()
        .with_store_timeout(cloakroom::minutes(1))
        .build()
        .expect("it is valid");
    let app = bare_app().layer(time_out()).layer(patient);
    let mut browser = fixture.browser_with_session().await.on(app);
    let gate = fixture.store.hold(End);
    let (sender, kept) = tokio::sync::oneshot::channel();
    let response = browser
        .request(|session| async move {
            drop(sender.send(session.clone()));
            session.insert("n", 2)?;
            session.renew()?;
            session.save().await.map(|_| ())
        })
        .await;
    assert_eq!(response.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    let session = kept.await.unwrap();
    let old = session.id();
    gate.reached().await;
    gate.open();
    let steps = async {
        while session.id() == old {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(30), steps)
        .await
        .expect("the renewal goes on");
    assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
    assert_eq!(fixture.store.take_verbs(), [Load, Create, End]);
    assert_eq!(browser.read().await, None, "no client has the new token");
}

#[tokio::test]
async fn a_save_awaited_by_a_spawned_task_survives_an_error_response() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let gate = fixture.store.hold(Update);
    let at_gate = gate.clone();
    let (sender, task) = tokio::sync::oneshot::channel();
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            let save = tokio::spawn(async move { session.save().await });
            drop(sender.send(save));
            at_gate.reached().await;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    gate.open();
    let saved = task.await.unwrap().await.expect("no panic");
    assert_eq!(saved.unwrap(), cloakroom::Saved::Stored);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn panics_caught_inside_or_outside_the_layer_drop_edits() {
    let fixture = Fixture::memory();
    let inside = bare_app()
        .layer(CatchPanicLayer::new())
        .layer(fixture.layer());
    let around = app(fixture.layer()).layer(CatchPanicLayer::new());
    for app in [inside, around] {
        let mut browser = fixture.browser_with_session().await.on(app);
        let response = browser
            .request(|session| async move {
                edit(&session).await?;
                assert_eq!(session.id(), None, "on purpose");
                Ok(())
            })
            .await;
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        assert_eq!(fixture.store.take_verbs(), [Load, Update]);
        assert_eq!(browser.read().await, Some(2));
    }
}

/// Drops a request while its command of this verb is held, before and after its execution.
async fn drops_at(verb: Verb, kept: [Option<u32>; 2]) {
    let faults: [fn(Gate) -> tests::faulty_store::Fault; 2] = [
        tests::faulty_store::Fault::Before,
        tests::faulty_store::Fault::After,
    ];
    for (fault, kept) in faults.into_iter().zip(kept) {
        let fixture = Fixture::memory();
        let mut browser = fixture.browser_with_session().await;
        let gate = Gate::new();
        fixture.store.next(verb, fault(gate.clone()));
        let (sender, session) = tokio::sync::oneshot::channel();
        let mut slow = browser.clone();
        let request = slow.lazy(|lazy| async move {
            drop(sender.send(lazy.clone()));
            lazy.load().await?.insert("n", 2)
        });
        tokio::select! {
            _ = request => unreachable!("the gate stays closed"),
            () = gate.reached() => {}
        }
        assert_eq!(browser.read().await, kept, "{verb:?}");
        let session = session.await.unwrap().load().await.unwrap();
        let error = session.insert("n", 3).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::ResponseSent, "{verb:?}");
    }
}

#[tokio::test]
async fn a_cancelled_request_is_saved_completely_or_not_at_all() {
    drops_at(Load, [Some(1), Some(1)]).await;
    drops_at(Update, [Some(1), Some(2)]).await;
}

#[tokio::test]
async fn an_awaited_destroy_stands_when_the_handler_panics() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let handler = |session: Session| async move {
        session.destroy().await?;
        let over: Option<cloakroom::SessionId> = session.id();
        assert!(over.is_some(), "on purpose");
        Ok(())
    };
    let request = AssertUnwindSafe(browser.request(handler))
        .catch_unwind()
        .await;
    assert!(request.is_err());
    assert!(browser.cookie().is_some(), "no response, no removal");
    let mut browser = Browser::clone(&browser);
    assert_eq!(browser.read().await, None);
}
