//! Rows in which the store fails.

use std::time::Duration;

use cloakroom::{SessionError, SessionErrorKind, Store};
use cloakroom_core::StoreErrorKind::{OutOfMemory, Refused, Unavailable};
use http::StatusCode;
use http::header::RETRY_AFTER;
use tests::app::Stage;
use tests::browser::{Answer, Browser, Effect};
use tests::faults::Fault::{After, Hang, LoseAnswer, LoseCommand, Refuse};
use tests::faults::Gate;
use tests::faults::Verb::{Create, End, Load, Touch, Update};

crate::rows! {
    the_session_cannot_be_loaded,
    the_store_refuses_an_edit,
    the_budget_is_spent,
    the_outcome_is_unknown_and_a_load_settles_it,
    the_outcome_is_unknown_and_stays_so,
    the_outcome_of_a_creation_is_unknown,
    a_renewal_cannot_be_completed,
    an_ending_fails,
    a_touch_fails,
    an_answer_of_ones_own_when_the_store_fails,
}

fn unavailable(answer: &Answer, kind: SessionErrorKind) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[RETRY_AFTER], "1");
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(answer.vary(), "cookie");
    let error = answer.extension::<SessionError>().unwrap();
    assert_eq!(error.kind(), kind);
}

async fn write(browser: &mut Browser) -> Answer {
    browser
        .act(|session| async move {
            session.insert("n", 2)?;
            Ok("done")
        })
        .await
}

async fn the_session_cannot_be_loaded<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    for kind in [Unavailable, OutOfMemory, Refused] {
        stage.store.next(Load, Refuse(kind));
        let answer = write(&mut browser).await;
        unavailable(&answer, SessionErrorKind::Unavailable);
        assert_eq!(stage.store.take_verbs(), [Load]);
    }
    assert_eq!(browser.read().await, Some(1), "the cookie is still good");
}

async fn the_store_refuses_an_edit<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    for kind in [Unavailable, OutOfMemory, Refused] {
        stage.store.next(Update, Refuse(kind));
        let answer = write(&mut browser).await;
        unavailable(&answer, SessionErrorKind::Unavailable);
        assert_eq!(stage.store.take_verbs(), [Load, Update]);
        assert!(!answer.text().contains("done"));
    }
    stage.store.next(Create, Refuse(OutOfMemory));
    let mut new = stage.browser();
    unavailable(&write(&mut new).await, SessionErrorKind::Unavailable);
    assert_eq!(stage.store.take_verbs(), [Create]);
    assert_eq!(new.cookie(), None);
    assert_eq!(browser.read().await, Some(1));
}

async fn the_budget_is_spent<S: Store + Clone>(stage: Stage<S>) {
    let layer = stage
        .builder()
        .with_store_timeout(Duration::from_millis(250))
        .build()
        .expect("it is valid");
    let mut browser = stage.browser_of(layer);
    browser = stage.with_session(browser).await;
    stage.store.next(Load, Hang);
    unavailable(&write(&mut browser).await, SessionErrorKind::Unavailable);
    assert_eq!(stage.store.take_verbs(), [Load]);
    // A command that changes something may have been carried out.
    stage.store.next(Update, Hang);
    let answer = write(&mut browser).await;
    unavailable(&answer, SessionErrorKind::OutcomeUnknown);
    assert_eq!(
        stage.store.take_verbs(),
        [Load, Update],
        "it is not sent again"
    );
    assert_eq!(browser.read().await, Some(1));
}

async fn the_outcome_is_unknown_and_a_load_settles_it<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.store.next(Update, LoseAnswer);
    let answer = write(&mut browser).await;
    stage.expect(&answer, 200, &[Load, Update, Load], Effect::Nothing);
    assert_eq!(browser.read().await, Some(2));
}

async fn the_outcome_is_unknown_and_stays_so<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.store.next(Update, LoseCommand);
    let answer = write(&mut browser).await;
    unavailable(&answer, SessionErrorKind::OutcomeUnknown);
    assert_eq!(stage.store.take_verbs(), [Load, Update, Load]);

    // Also when the handler looks away.
    stage.store.next(Update, LoseCommand);
    let answer = browser
        .act(|session| async move {
            session.insert("n", 3)?;
            assert!(session.save().await.is_err());
            Ok("done")
        })
        .await;
    unavailable(&answer, SessionErrorKind::OutcomeUnknown);
    assert_eq!(stage.store.take_verbs(), [Load, Update, Load]);

    // And when it does not wait for the answer of its save.
    let gate = Gate::new();
    stage.store.next(Update, After(gate.clone()));
    let answer = browser
        .act(|session| async move {
            session.insert("n", 4)?;
            tokio::select! {
                _ = session.save() => unreachable!("the gate stays closed"),
                () = gate.reached() => {}
            }
            Ok("done")
        })
        .await;
    unavailable(&answer, SessionErrorKind::OutcomeUnknown);
    assert_eq!(stage.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(4));
}

async fn the_outcome_of_a_creation_is_unknown<S: Store + Clone>(stage: Stage<S>) {
    for fault in [LoseAnswer, LoseCommand] {
        let mut browser = stage.browser();
        stage.store.next(Create, fault.clone());
        let answer = write(&mut browser).await;
        stage.expect(&answer, 200, &[Create, Create], Effect::Set);
        assert_eq!(browser.read().await, Some(2));
        stage.forget();
        for _ in 0..3 {
            stage.store.next(Create, fault.clone());
        }
        let mut browser = stage.browser();
        let answer = write(&mut browser).await;
        unavailable(&answer, SessionErrorKind::OutcomeUnknown);
        assert_eq!(stage.store.take_verbs(), [Create, Create, Create]);
    }
}

async fn a_renewal_cannot_be_completed<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.store.next(End, Refuse(Unavailable));
    let gate = stage.store.hold(End);
    let answer = browser.act(|session| async move { session.renew() }).await;
    unavailable(&answer, SessionErrorKind::Unavailable);
    // The new session, whose token nobody holds, is taken back beside the answer.
    gate.reached().await;
    assert_eq!(stage.store.take_verbs(), [Load, Create, End, End]);
    gate.open();
    assert_eq!(browser.read().await, Some(1), "the old one is as it was");
}

async fn an_ending_fails<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.store.next(End, Refuse(Unavailable));
    let answer = browser
        .act(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    unavailable(&answer, SessionErrorKind::Unavailable);
    assert_eq!(stage.store.take_verbs(), [Load, End]);
    assert_eq!(browser.read().await, Some(1));
}

async fn a_touch_fails<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    stage.clock.advance(cloakroom::hours(3));
    stage.store.next(Touch, Refuse(OutOfMemory));
    let answer = browser.act(|_| async { Ok(()) }).await;
    stage.expect(&answer, 200, &[Load, Touch], Effect::Nothing);
}

async fn an_answer_of_ones_own_when_the_store_fails<S: Store + Clone>(stage: Stage<S>) {
    use axum::response::IntoResponse;
    let page = |error: &SessionError| (error.status(), "please wait").into_response();
    let layer = stage
        .builder()
        .with_error_response(page)
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    for verb in [Load, Update] {
        stage.store.next(verb, Refuse(Unavailable));
        let answer = write(&mut browser).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.text(), "please wait");
    }
}
