//! Requests in which the session ends, or the request fails or is cancelled.

use std::panic::AssertUnwindSafe;

use cloakroom::{Destroyed, EndedConcurrently, ErrorPolicy, Session, SessionError, Store};
use futures_util::FutureExt;
use http::StatusCode;
use tests::app::Fixture;
use tests::browser::CookieChange;
use tests::faulty_store::Verb::{Create, End, Load, Update};

super::rows! {
    destroys,
    destroys_without_a_session,
    destroys_a_concurrently_ended_session,
    edit_during_a_concurrent_end,
    renewal_during_a_concurrent_end,
    sign_in_during_a_concurrent_end,
    responds_5xx,
    responds_5xx_with_edits_kept,
    panics,
    is_cancelled,
    is_cancelled_during_a_renewal,
}

async fn destroy(session: Session) -> Result<(), SessionError> {
    assert_eq!(session.destroy().await?, Destroyed::Ended);
    Ok(())
}

/// Saves an edit, then edits and renews without saving.
async fn a_lot(session: &Session) -> Result<(), SessionError> {
    session.insert("n", 2)?;
    session.save().await?;
    session.insert("n", 3)?;
    session.renew()
}

async fn destroys<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut stale = browser.clone();
    let response = browser.request(destroy).await;
    fixture.assert_response(&response, 200, &[Load, End], CookieChange::Removed);
    assert_eq!(browser.cookie(), None);
    assert_eq!(stale.read().await, None);
}

async fn destroys_without_a_session<S: Store + Clone>(fixture: Fixture<S>) {
    let response = fixture
        .browser()
        .request(|session| async move {
            session.insert("n", 1)?;
            assert_eq!(session.destroy().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
}

async fn destroys_a_concurrently_ended_session<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            elsewhere.request(destroy).await;
            assert_eq!(session.destroy().await?, Destroyed::AlreadyEnded);
            Ok(())
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Load, End, End],
        CookieChange::Nothing,
    );
}

async fn edit_during_a_concurrent_end<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let response = browser
        .request(|session| async move {
            session.insert("n", 2)?;
            elsewhere.request(destroy).await;
            Ok("the handler's answer")
        })
        .await;
    fixture.assert_response(
        &response,
        200,
        &[Load, Load, End, Update],
        CookieChange::Nothing,
    );
    assert_eq!(response.text(), "the handler's answer");
    assert!(response.extension::<EndedConcurrently>().is_some());
    assert_eq!(browser.read().await, None);
}

async fn renewal_during_a_concurrent_end<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let gate = fixture.store.hold(End);
    // The concurrent end is executed first, and the end of the renewal finds a tombstone.
    let renewal = tokio::spawn(async move {
        let handler = |session: Session| async move {
            session.insert("user", 7)?;
            session.renew()
        };
        let response = browser.request(handler).await;
        (browser, response)
    });
    gate.reached().await;
    elsewhere.request(destroy).await;
    fixture.clear_verbs();
    gate.open();
    let (mut browser, response) = renewal.await.unwrap();
    // The new session is rolled back.
    fixture.assert_response(&response, 200, &[End], CookieChange::Nothing);
    assert!(response.extension::<EndedConcurrently>().is_some());
    assert_eq!(browser.read().await, None);
}

async fn sign_in_during_a_concurrent_end<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let mut elsewhere = browser.clone();
    let gate = fixture.store.hold(End);
    let sign_in = tokio::spawn(async move {
        let handler = |session: Session| async move {
            session.insert("user", 7)?;
            session.sign_in("ada").await
        };
        let response = browser.request(handler).await;
        (browser, response)
    });
    gate.reached().await;
    elsewhere.request(destroy).await;
    fixture.clear_verbs();
    gate.open();
    let (mut browser, response) = sign_in.await.unwrap();
    fixture.assert_response(&response, 200, &[Update], CookieChange::Set);
    browser
        .request(|session| async move {
            assert!(session.user().is_some());
            assert_eq!(
                session.keys(),
                ["user"],
                "nothing of the ended session is kept"
            );
            Ok(())
        })
        .await;
}

async fn responds_5xx<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let response = browser
        .request(|session| async move {
            a_lot(&session).await?;
            Ok(StatusCode::BAD_GATEWAY)
        })
        .await;
    fixture.assert_response(&response, 502, &[Load, Update], CookieChange::Nothing);
    assert_eq!(browser.read().await, Some(2), "the awaited save stands");
    fixture.clear_verbs();

    let response = browser
        .request(|session| async move {
            destroy(session.clone()).await?;
            session.insert("farewell", true)?;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    fixture.assert_response(&response, 500, &[Load, End], CookieChange::Removed);
}

async fn responds_5xx_with_edits_kept<S: Store + Clone>(fixture: Fixture<S>) {
    let layer = fixture
        .builder()
        .with_error_policy(ErrorPolicy::Commit)
        .build()
        .expect("it is valid");
    let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
    let response = browser
        .request(|session| async move {
            a_lot(&session).await?;
            Ok(StatusCode::BAD_GATEWAY)
        })
        .await;
    fixture.assert_response(
        &response,
        502,
        &[Load, Update, Create, End],
        CookieChange::Set,
    );
    assert_eq!(browser.read().await, Some(3));
}

async fn panics<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let handler = |session: Session| async move {
        a_lot(&session).await?;
        let result: Result<(), SessionError> = Ok(());
        assert!(result.is_err(), "on purpose");
        result
    };
    let request = AssertUnwindSafe(browser.request(handler));
    assert!(request.catch_unwind().await.is_err());
    assert_eq!(fixture.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(2));
}

async fn is_cancelled<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let gate = tests::faulty_store::Gate::new();
    let at_gate = gate.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut slow = browser.clone();
    let request = slow.request(|session| async move {
        a_lot(&session).await?;
        drop(sender.send(session));
        at_gate.pass().await;
        Ok(())
    });
    tokio::select! {
        _ = request => unreachable!("the gate stays closed"),
        () = gate.reached() => {}
    }
    assert_eq!(fixture.store.take_verbs(), [Load, Update]);
    // A handle that outlives its request can neither edit nor save.
    let session = receiver.await.unwrap();
    let closed = cloakroom::SessionErrorKind::ResponseSent;
    assert_eq!(session.insert("n", 4).unwrap_err().kind(), closed);
    assert_eq!(session.save().await.unwrap_err().kind(), closed);
    assert_eq!(fixture.store.take_verbs(), []);
    assert_eq!(browser.read().await, Some(2));
}

async fn is_cancelled_during_a_renewal<S: Store + Clone>(fixture: Fixture<S>) {
    let mut browser = fixture.browser_with_session().await;
    let (before, after) = (fixture.store.hold(End), fixture.store.hold(End));
    let mut slow = browser.clone();
    let renewal = slow.request(|session| async move { session.renew() });
    tokio::select! {
        _ = renewal => unreachable!("the gate stays closed"),
        () = before.reached() => {}
    }
    // Another save, so that the renewal needs more than one further step.
    browser
        .request(|session| async move { session.insert("cart", 5) })
        .await;
    fixture.clear_verbs();
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
