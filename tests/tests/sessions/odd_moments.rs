//! Moments that are rare, and must not break a promise all the same.

use std::time::Duration;

use cloakroom::{
    CookieConfig, MemoryStore, Reloaded, Saved, Session, SessionErrorKind, SessionLayer, minutes,
};
use cloakroom_core::StoreErrorKind::Unavailable;
use http::StatusCode;
use tests::app::{Act, Stage, bare_app};
use tests::browser::{Browser, Effect};
use tests::faults::Fault::{LoseAnswer, Refuse};
use tests::faults::Verb::{Load, Touch, Update};

fn count(n: Option<u32>) -> u32 {
    n.unwrap_or(0) + 1
}

#[tokio::test]
async fn an_update_that_does_not_fit_the_fresher_record_overwrites_nothing() {
    let stage = Stage::memory();
    let (mut browser, mut detached) = stage.detached().await;
    detached.update("n", count).expect("it is a number");
    browser
        .act(|session| async move {
            session.insert("n", "a text by now")?;
            session.insert("cart", 5)
        })
        .await;
    let error = detached.reload().await.expect_err("the types differ");
    assert_eq!(error.kind(), SessionErrorKind::Entry);
    assert_eq!(detached.save().await.expect("it answers"), Saved::Unchanged);
    let answer = browser
        .act(|session| async move {
            assert_eq!(session.get::<u32>("cart")?, Some(5));
            assert_eq!(
                session.get::<String>("n")?.as_deref(),
                Some("a text by now")
            );
            Ok(())
        })
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closure_that_uses_the_session_hangs_nobody_when_the_session_has_ended() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let mut other = browser.clone();
    let gate = stage.store.hold(Update);
    let slow = browser.act(|session| async move {
        let same = session.clone();
        let by_another = move |n: Option<u32>| {
            // Were it run again on an ended session, there would be nothing to find.
            let found: Option<u32> = same.get("n").expect("it is a number");
            n.expect("there is one") + found.expect("there is one")
        };
        session.update("n", by_another).map(|_| ())
    });
    let bye = async {
        gate.reached().await;
        other
            .act(|session| async move { Ok(format!("{:?}", session.destroy().await?)) })
            .await;
        gate.open();
    };
    let both = async { tokio::join!(slow, bye) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .expect("nothing hangs");
    assert_eq!(
        (answer.status, answer.effect()),
        (StatusCode::OK, Effect::Nothing)
    );
}

#[tokio::test]
async fn a_detached_session_goes_on_after_a_lost_answer() {
    let stage = Stage::memory();
    let (mut browser, mut detached) = stage.detached().await;
    detached.update("n", count).expect("it is a number");
    stage.store.next(Update, LoseAnswer);
    stage.store.next(Load, Refuse(Unavailable));
    let error = detached.save().await.expect_err("nobody knows");
    assert_eq!(error.kind(), SessionErrorKind::OutcomeUnknown);
    let error = detached.save().await.expect_err("nor now");
    assert_eq!(error.kind(), SessionErrorKind::OutcomeUnknown);

    assert_eq!(detached.reload().await.expect("it answers"), Reloaded::Live);
    assert_eq!(
        detached.get("n").expect("it is a number"),
        Some(2),
        "it was stored once"
    );
    detached.update("n", count).expect("it is a number");
    assert_eq!(detached.save().await.expect("it answers"), Saved::Stored);
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn a_detached_session_keeps_alive_what_others_have_written_and_sees_its_end() {
    let stage = Stage::memory();
    let (mut browser, mut detached) = stage.detached().await;
    browser
        .act(|session| async move { session.insert("n", 2) })
        .await;
    stage.clock.advance(minutes(60 * 23));
    drop(stage.store.take_verbs());
    assert_eq!(detached.save().await.expect("it answers"), Saved::Unchanged);
    assert_eq!(stage.store.take_verbs(), [Touch, Load, Touch]);
    stage.clock.advance(minutes(60 * 23));
    assert_eq!(browser.read().await, Some(2), "it was kept alive");

    browser
        .act(|session| async move { Ok(format!("{:?}", session.destroy().await?)) })
        .await;
    stage.clock.advance(minutes(60 * 3));
    assert_eq!(detached.save().await.expect("it answers"), Saved::Ended);
}

#[tokio::test]
async fn a_value_that_could_not_be_taken_is_still_there() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    stage.store.next(Update, Refuse(Unavailable));
    let answer = browser
        .act(|session| async move {
            let error = session.take_once::<u32>("n").await.expect_err("refused");
            assert_eq!(error.kind(), SessionErrorKind::Unavailable);
            assert_eq!(session.take_once::<u32>("n").await?, Some(1));
            Ok(())
        })
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn waiting_for_a_commit_of_the_same_request_counts_against_the_budget() {
    let stage = Stage::memory();
    let mut browser = stage.signed_in().await;
    let _never_opened = stage.store.hold(Update);
    let answer = browser
        .act(|session: Session| async move {
            session.insert("n", 2)?;
            let save = session.save();
            tokio::pin!(save);
            let mut first_poll = true;
            std::future::poll_fn(|cx| {
                if first_poll {
                    first_poll = false;
                    assert!(save.as_mut().poll(cx).is_pending());
                }
                std::task::Poll::Ready(())
            })
            .await;
            session.destroy().await.map(|_| ())
        })
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_outer_failure_hands_on_the_cookie_of_an_inner_layer() {
    let outer = Stage::memory();
    let inner = SessionLayer::builder(MemoryStore::new())
        .with_cookie(CookieConfig::new("inner"))
        .build()
        .expect("a name");
    let mut browser = Browser::new(bare_app().layer(inner).layer(outer.layer()));
    outer
        .store
        .next(tests::faults::Verb::Create, Refuse(Unavailable));
    let answer = browser
        .perform(Act::lazy(|lazy| async move {
            let outer = lazy.named(CookieConfig::DEFAULT_NAME).expect("it is there");
            outer.load().await?.insert("n", 1)?;
            lazy.load().await?.insert("n", 1)
        }))
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.set_cookie().name, "inner");
    assert_eq!(answer.cache_control(), "no-store");
}
