//! Requests that are cut off: time-outs and panics, further in and further out.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use cloakroom::{Session, SessionError, SessionErrorKind};
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::{Stage, app, bare_app};
use tests::browser::{Browser, Effect};
use tests::faults::Gate;
use tests::faults::Verb::{self, Create, End, Load, Update};
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

/// Sends a request whose handler never ends; what was awaited stands, edits are dropped.
async fn cuts_off(stage: &Stage, app: Router, used: bool) {
    let mut browser = stage.signed_in().await.on(app);
    let answer = browser
        .act(|session| async move {
            edit(&session).await?;
            pending::<()>().await;
            Ok(())
        })
        .await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(answer.vary(), if used { "cookie" } else { "" });
    assert_eq!(stage.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_around_the_layer() {
    let stage = Stage::memory();
    cuts_off(&stage, app(stage.layer()).layer(time_out()), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_inside_the_layer() {
    let stage = Stage::memory();
    let app = bare_app().layer(time_out()).layer(stage.layer());
    cuts_off(&stage, app, true).await;
}

/// A time-out inside the layer drops the edits while a renewal that the handler had begun to save
/// is under way; it runs to its end all the same.
#[tokio::test(start_paused = true)]
async fn a_time_out_inside_the_layer_in_the_middle_of_a_renewal() {
    let stage = Stage::memory();
    let patient = stage
        .builder()
        .with_store_timeout(cloakroom::minutes(1))
        .build()
        .expect("it is valid");
    let app = bare_app().layer(time_out()).layer(patient);
    let mut browser = stage.signed_in().await.on(app);
    let gate = stage.store.hold(End);
    let (sender, kept) = tokio::sync::oneshot::channel();
    let answer = browser
        .act(|session| async move {
            drop(sender.send(session.clone()));
            session.insert("n", 2)?;
            session.renew()?;
            session.save().await.map(|_| ())
        })
        .await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.effect(), Effect::Nothing);
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
    assert_eq!(stage.store.take_verbs(), [Load, Create, End]);
    assert_eq!(
        browser.read().await,
        None,
        "the token of the new one is with nobody"
    );
}

#[tokio::test]
async fn a_save_that_a_task_of_its_own_waits_for_survives_a_failed_answer() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let gate = stage.store.hold(Update);
    let at_gate = gate.clone();
    let (sender, task) = tokio::sync::oneshot::channel();
    let answer = browser
        .act(|session| async move {
            session.insert("n", 2)?;
            let save = tokio::spawn(async move { session.save().await });
            drop(sender.send(save));
            at_gate.reached().await;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    gate.open();
    let saved = task.await.unwrap().await.expect("no panic");
    assert_eq!(saved.unwrap(), cloakroom::Saved::Stored);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn panics_are_caught_inside_and_around() {
    let stage = Stage::memory();
    let inside = bare_app()
        .layer(CatchPanicLayer::new())
        .layer(stage.layer());
    let around = app(stage.layer()).layer(CatchPanicLayer::new());
    for app in [inside, around] {
        let mut browser = stage.signed_in().await.on(app);
        let answer = browser
            .act(|session| async move {
                edit(&session).await?;
                assert_eq!(session.id(), None, "on purpose");
                Ok(())
            })
            .await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.effect(), Effect::Nothing);
        assert_eq!(stage.store.take_verbs(), [Load, Update]);
        assert_eq!(browser.read().await, Some(2));
    }
}

/// Drops a request while its command of this verb is held up, before and after it was carried out.
async fn drops_at(verb: Verb, kept: [Option<u32>; 2]) {
    let faults: [fn(Gate) -> tests::faults::Fault; 2] =
        [tests::faults::Fault::Before, tests::faults::Fault::After];
    for (fault, kept) in faults.into_iter().zip(kept) {
        let stage = Stage::memory();
        let mut browser = stage.signed_in().await;
        let gate = Gate::new();
        stage.store.next(verb, fault(gate.clone()));
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
        assert_eq!(error.kind(), SessionErrorKind::Closed, "{verb:?}");
    }
}

#[tokio::test]
async fn a_request_dropped_at_an_await_is_saved_whole_or_not_at_all() {
    drops_at(Load, [Some(1), Some(1)]).await;
    drops_at(Update, [Some(1), Some(2)]).await;
}

#[tokio::test]
async fn an_ending_that_was_awaited_stands_when_the_handler_panics() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let act = |session: Session| async move {
        session.destroy().await?;
        let over: Option<cloakroom::SessionId> = session.id();
        assert!(over.is_some(), "on purpose");
        Ok(())
    };
    let request = AssertUnwindSafe(browser.act(act)).catch_unwind().await;
    assert!(request.is_err());
    assert!(browser.cookie().is_some(), "no answer, no removal");
    let mut browser = Browser::clone(&browser);
    assert_eq!(browser.read().await, None);
}
