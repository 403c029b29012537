//! Rare situations.

use std::time::Duration;

use cloakroom::{
    CookieConfig, MemoryStore, Reloaded, Saved, Session, SessionError, SessionErrorKind,
    SessionLayer, minutes,
};
use cloakroom_core::StoreErrorKind::Unavailable;
use http::StatusCode;
use tests::app::{Fixture, Handler, bare_app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Fault::{LoseReply, Refuse, RefuseAt};
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{Load, Touch, Update};

fn count(n: Option<u32>) -> u32 {
    n.unwrap_or(0) + 1
}

#[tokio::test]
async fn an_update_that_cannot_be_replayed_overwrites_nothing() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    detached.update("n", count).expect("it is a number");
    browser
        .request(|session| async move {
            session.insert("n", "a text by now")?;
            session.insert("cart", 5)
        })
        .await;
    let error = detached.reload().await.expect_err("the types differ");
    assert_eq!(error.kind(), SessionErrorKind::Entry);
    assert_eq!(
        detached.save().await.expect("the command succeeds"),
        Saved::Unchanged
    );
    let response = browser
        .request(|session| async move {
            assert_eq!(session.get::<u32>("cart")?, Some(5));
            assert_eq!(
                session.get::<String>("n")?.as_deref(),
                Some("a text by now")
            );
            Ok(())
        })
        .await;
    assert_eq!(response.status, StatusCode::OK);
}

#[tokio::test]
async fn an_update_closure_may_use_a_session_that_has_ended() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    let gate = fixture.store.hold(Update);
    let slow = browser.request(|session| async move {
        let same = session.clone();
        let add = move |n: Option<u32>| {
            // If it ran again on the ended session, the entry would be missing.
            let found: Option<u32> = same.get("n").expect("it is a number");
            n.expect("there is one") + found.expect("there is one")
        };
        session.update("n", add).map(|_| ())
    });
    let end_concurrently = async {
        gate.reached().await;
        other
            .request(|session| async move { Ok(format!("{:?}", session.destroy().await?)) })
            .await;
        gate.open();
    };
    let both = async { tokio::join!(slow, end_concurrently) };
    let (response, ()) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .expect("nothing hangs");
    assert_eq!(
        (response.status, response.cookie_change()),
        (StatusCode::OK, CookieChange::Nothing)
    );
}

#[tokio::test]
async fn a_detached_session_recovers_from_a_lost_reply() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    detached.update("n", count).expect("it is a number");
    fixture.store.next(Update, LoseReply);
    fixture.store.next(Load, Refuse(Unavailable));
    let error = detached.save().await.expect_err("the outcome is unknown");
    assert_eq!(error.kind(), SessionErrorKind::OutcomeUnknown);
    let error = detached.save().await.expect_err("it still is");
    assert_eq!(error.kind(), SessionErrorKind::OutcomeUnknown);

    assert_eq!(
        detached.reload().await.expect("the command succeeds"),
        Reloaded::Live
    );
    assert_eq!(
        detached.get("n").expect("it is a number"),
        Some(2),
        "it was stored once"
    );
    detached.update("n", count).expect("it is a number");
    assert_eq!(
        detached.save().await.expect("the command succeeds"),
        Saved::Stored
    );
    assert_eq!(browser.read().await, Some(3));
}

#[tokio::test]
async fn a_detached_save_keeps_the_session_alive_and_reports_its_end() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.clock.advance(minutes(60 * 23));
    drop(fixture.store.take_verbs());
    assert_eq!(
        detached.save().await.expect("the command succeeds"),
        Saved::Unchanged
    );
    assert_eq!(fixture.store.take_verbs(), [Touch, Load, Touch]);
    fixture.clock.advance(minutes(60 * 23));
    assert_eq!(browser.read().await, Some(2), "it was kept alive");

    browser
        .request(|session| async move { Ok(format!("{:?}", session.destroy().await?)) })
        .await;
    fixture.clock.advance(minutes(60 * 3));
    assert_eq!(
        detached.save().await.expect("the command succeeds"),
        Saved::Ended
    );
}

#[tokio::test]
async fn take_once_leaves_the_value_when_the_store_refuses() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    fixture.store.next(Update, Refuse(Unavailable));
    let response = browser
        .request(|session| async move {
            let error = session.take_once::<u32>("n").await.expect_err("refused");
            assert_eq!(error.kind(), SessionErrorKind::Unavailable);
            assert_eq!(session.take_once::<u32>("n").await?, Some(1));
            Ok(())
        })
        .await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(browser.read().await, None);
}

/// What another future of the handler edits while the removal is being saved does not keep the removal.
#[tokio::test]
async fn a_failed_take_once_restores_the_value_and_keeps_concurrent_edits() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let gate = Gate::new();
    fixture
        .store
        .next(Update, RefuseAt(gate.clone(), Unavailable));
    let response = browser
        .request(move |session: Session| async move {
            let take = session.take_once::<u32>("n");
            let edit = async {
                gate.reached().await;
                session.insert("m", 2)?;
                session.increment("count", 1)?;
                assert!(!session.contains("n"), "the removal is under way");
                gate.open();
                Ok::<_, SessionError>(())
            };
            let (taken, edited) = tokio::join!(take, edit);
            edited?;
            assert_eq!(
                taken.expect_err("refused").kind(),
                SessionErrorKind::Unavailable
            );
            assert_eq!(session.get("n")?, Some(1));
            assert_eq!(session.get("m")?, Some(2));
            Ok(())
        })
        .await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.text());
    let response = browser
        .request(|session| async move {
            let entries: [Option<u32>; 3] =
                [session.get("n")?, session.get("m")?, session.get("count")?];
            Ok(format!("{entries:?}"))
        })
        .await;
    assert_eq!(response.text(), "[Some(1), Some(2), Some(1)]");
}

#[tokio::test]
async fn waiting_for_a_concurrent_commit_counts_against_the_time_limit() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let _never_opened = fixture.store.hold(Update);
    let response = browser
        .request(|session: Session| async move {
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
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_outer_failure_keeps_the_cookie_of_an_inner_layer() {
    let outer = Fixture::memory();
    let inner = SessionLayer::builder(MemoryStore::new())
        .with_cookie(CookieConfig::new("inner"))
        .build()
        .expect("a name");
    let mut browser = Browser::new(bare_app().layer(inner).layer(outer.layer()));
    outer
        .store
        .next(tests::faulty_store::Verb::Create, Refuse(Unavailable));
    let response = browser
        .request_with(Handler::lazy(|lazy| async move {
            let outer = lazy.named(CookieConfig::DEFAULT_NAME).expect("it is there");
            outer.load().await?.insert("n", 1)?;
            lazy.load().await?.insert("n", 1)
        }))
        .await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.set_cookie().name, "inner");
    assert_eq!(response.cache_control(), "no-store");
}
