//! Rows in which a session ends, or the request itself does.

use std::panic::AssertUnwindSafe;

use cloakroom::{Destroyed, EndedMeanwhile, ErrorPolicy, Session, SessionError, Store};
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::Stage;
use tests::browser::Effect;
use tests::faults::Verb::{Create, End, Load, Update};

crate::rows! {
    destroys,
    destroys_without_a_session,
    destroys_what_ended_meanwhile,
    edits_and_meanwhile_the_session_was_ended_elsewhere,
    renews_and_meanwhile_the_session_was_ended_elsewhere,
    ends_in_a_5xx,
    ends_in_a_5xx_with_edits_kept,
    panics,
    is_cancelled,
    is_cancelled_in_the_middle_of_a_renewal,
}

async fn destroy(session: Session) -> Result<(), SessionError> {
    assert_eq!(session.destroy().await?, Destroyed::Ended);
    Ok(())
}

/// Edits, renews and saves all that, edits again.
async fn a_lot(session: &Session) -> Result<(), SessionError> {
    session.insert("n", 2)?;
    session.save().await?;
    session.insert("n", 3)?;
    session.renew()
}

async fn destroys<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut stale = browser.clone();
    let answer = browser.act(destroy).await;
    stage.expect(&answer, 200, &[Load, End], Effect::Removed);
    assert_eq!(browser.cookie(), None);
    assert_eq!(stale.read().await, None);
}

async fn destroys_without_a_session<S: Store + Clone>(stage: Stage<S>) {
    let answer = stage
        .browser()
        .act(|session| async move {
            session.insert("n", 1)?;
            assert_eq!(session.destroy().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[], Effect::Nothing);
}

async fn destroys_what_ended_meanwhile<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut elsewhere = browser.clone();
    let answer = browser
        .act(|session| async move {
            elsewhere.act(destroy).await;
            assert_eq!(session.destroy().await?, Destroyed::AlreadyOver);
            Ok(())
        })
        .await;
    stage.expect(&answer, 200, &[Load, Load, End, End], Effect::Nothing);
}

async fn edits_and_meanwhile_the_session_was_ended_elsewhere<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut elsewhere = browser.clone();
    let answer = browser
        .act(|session| async move {
            session.insert("n", 2)?;
            elsewhere.act(destroy).await;
            Ok("the handler's answer")
        })
        .await;
    stage.expect(&answer, 200, &[Load, Load, End, Update], Effect::Nothing);
    assert_eq!(answer.text(), "the handler's answer");
    assert!(answer.extension::<EndedMeanwhile>().is_some());
    assert_eq!(browser.read().await, None);
}

async fn renews_and_meanwhile_the_session_was_ended_elsewhere<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let mut elsewhere = browser.clone();
    let gate = stage.store.hold(End);
    // The request's own ending goes first, and the renewal's meets it.
    let renewal = tokio::spawn(async move {
        let act = |session: Session| async move {
            session.insert("user", 7)?;
            session.renew()
        };
        let answer = browser.act(act).await;
        (browser, answer)
    });
    gate.reached().await;
    elsewhere.act(destroy).await;
    stage.forget();
    gate.open();
    let (mut browser, answer) = renewal.await.unwrap();
    stage.expect(&answer, 200, &[Update], Effect::Set);
    browser
        .act(|session| async move {
            assert_eq!(
                session.keys(),
                ["user"],
                "nothing of the ended one lives on"
            );
            Ok(())
        })
        .await;
}

async fn ends_in_a_5xx<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let answer = browser
        .act(|session| async move {
            a_lot(&session).await?;
            Ok(StatusCode::BAD_GATEWAY)
        })
        .await;
    stage.expect(&answer, 502, &[Load, Update], Effect::Nothing);
    assert_eq!(browser.read().await, Some(2), "what was awaited stands");
    stage.forget();

    let answer = browser
        .act(|session| async move {
            destroy(session.clone()).await?;
            session.insert("farewell", true)?;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    stage.expect(&answer, 500, &[Load, End], Effect::Removed);
}

async fn ends_in_a_5xx_with_edits_kept<S: Store + Clone>(stage: Stage<S>) {
    let layer = stage
        .builder()
        .with_error_policy(ErrorPolicy::Commit)
        .build()
        .expect("it is valid");
    let mut browser = stage.with_session(stage.browser_of(layer)).await;
    let answer = browser
        .act(|session| async move {
            a_lot(&session).await?;
            Ok(StatusCode::BAD_GATEWAY)
        })
        .await;
    stage.expect(&answer, 502, &[Load, Update, Create, End], Effect::Set);
    assert_eq!(browser.read().await, Some(3));
}

async fn panics<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let act = |session: Session| async move {
        a_lot(&session).await?;
        let result: Result<(), SessionError> = Ok(());
        assert!(result.is_err(), "on purpose");
        result
    };
    let request = AssertUnwindSafe(browser.act(act));
    assert!(request.catch_unwind().await.is_err());
    assert_eq!(stage.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(2));
}

async fn is_cancelled<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let gate = tests::faults::Gate::new();
    let at_gate = gate.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut slow = browser.clone();
    let request = slow.act(|session| async move {
        a_lot(&session).await?;
        drop(sender.send(session));
        at_gate.pass().await;
        Ok(())
    });
    tokio::select! {
        _ = request => unreachable!("the gate stays closed"),
        () = gate.reached() => {}
    }
    assert_eq!(stage.store.take_verbs(), [Load, Update]);
    // The handle that somebody kept is closed: nothing can be edited, and nothing be saved.
    let session = receiver.await.unwrap();
    let closed = cloakroom::SessionErrorKind::Closed;
    assert_eq!(session.insert("n", 4).unwrap_err().kind(), closed);
    assert_eq!(session.save().await.unwrap_err().kind(), closed);
    assert_eq!(stage.store.take_verbs(), []);
    assert_eq!(browser.read().await, Some(2));
}

async fn is_cancelled_in_the_middle_of_a_renewal<S: Store + Clone>(stage: Stage<S>) {
    let mut browser = stage.signed_in().await;
    let (before, after) = (stage.store.hold(End), stage.store.hold(End));
    let mut slow = browser.clone();
    let renewal = slow.act(|session| async move { session.renew() });
    tokio::select! {
        _ = renewal => unreachable!("the gate stays closed"),
        () = before.reached() => {}
    }
    // Another save, so that the renewal has more than one step to go.
    browser
        .act(|session| async move { session.insert("cart", 5) })
        .await;
    stage.forget();
    before.open();
    after.reached().await;
    after.open();
    let over = async {
        while browser.read().await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, over).await.unwrap();
}
