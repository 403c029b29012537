//! Entries with a lifetime of their own.

use std::time::Duration;

use cloakroom::{ConflictPolicy, Session, SessionError, SessionErrorKind, Store, days, minutes};
use cloakroom_core::store::Loaded;
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::{Browser, TestResponse};
use tests::on_every_store;

use super::sign_in;

on_every_store!(
    it_is_gone_after_its_time_and_a_renewal_or_a_sign_in_keep_it,
    edits_keep_the_time_and_an_insert_ends_it,
    a_value_that_is_taken_once_is_not_taken_after_its_time,
);

async fn set(browser: &mut Browser, lifetime: Duration) -> TestResponse {
    browser
        .request(move |session| async move { session.insert_for("n", 1, lifetime) })
        .await
}

async fn run<F>(browser: &mut Browser, handler: impl FnOnce(Session) -> F + Send + 'static)
where
    F: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let response = browser.request(handler).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

async fn it_is_gone_after_its_time_and_a_renewal_or_a_sign_in_keep_it(backend: Backend) {
    let mut browser = backend.browser().await;
    set(&mut browser, minutes(10)).await;
    assert_eq!(browser.read().await, Some(1));
    run(&mut browser, |session| async move { session.renew() }).await;
    assert_eq!(browser.read().await, Some(1));
    sign_in(&mut browser, "ada").await;
    backend.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(1));
    backend.clock.advance(minutes(1));
    assert_eq!(browser.read().await, None);
    run(&mut browser, |session| async move {
        assert!(!session.contains("n"));
        assert_eq!(session.keys(), Vec::<String>::new());
        assert_eq!(session.take::<u32>("n")?, None);
        let seen = session.update("n", |n: Option<u32>| n.unwrap_or(70) + 1)?;
        assert_eq!(seen, 71, "an update starts without it");
        Ok(())
    })
    .await;
    backend.clock.advance(minutes(60));
    assert_eq!(browser.read().await, Some(71));
}

async fn edits_keep_the_time_and_an_insert_ends_it(backend: Backend) {
    let mut browser = backend.browser().await;
    set(&mut browser, minutes(10)).await;
    run(&mut browser, |session| async move {
        session.increment("n", 1).map(|_: u32| ())
    })
    .await;
    backend.clock.advance(minutes(9));
    assert_eq!(browser.read().await, Some(2));
    backend.clock.advance(minutes(1));
    assert_eq!(browser.read().await, None);

    set(&mut browser, minutes(10)).await;
    run(
        &mut browser,
        |session| async move { session.insert("n", 1) },
    )
    .await;
    backend.clock.advance(minutes(11));
    assert_eq!(
        browser.read().await,
        Some(1),
        "the same value, for as long as the session"
    );

    set(&mut browser, minutes(10)).await;
    run(&mut browser, |session| async move {
        session.remove("n")?;
        session.increment("n", 5).map(|_: u32| ())
    })
    .await;
    set(&mut browser, minutes(10)).await;
    run(&mut browser, |session| async move {
        session.clear()?;
        session.increment("n", 5).map(|_: u32| ())
    })
    .await;
    backend.clock.advance(minutes(11));
    assert_eq!(browser.read().await, Some(5));
}

async fn a_value_that_is_taken_once_is_not_taken_after_its_time(backend: Backend) {
    let mut browser = backend.browser().await;
    let take = async |browser: &mut Browser| {
        let take = |session: Session| async move {
            let taken: Option<u32> = session.take_once("n").await?;
            Ok(format!("{taken:?}"))
        };
        browser.request(take).await.text().to_owned()
    };
    set(&mut browser, minutes(10)).await;
    assert_eq!(take(&mut browser).await, "Some(1)");
    assert_eq!(take(&mut browser).await, "None");
    set(&mut browser, minutes(10)).await;
    backend.clock.advance(minutes(10));
    assert_eq!(take(&mut browser).await, "None");
    set(&mut browser, Duration::ZERO).await;
    assert_eq!(take(&mut browser).await, "None");
}

#[tokio::test]
async fn a_concurrent_request_neither_loses_nor_extends_it() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut other = browser.clone();
    let clock = fixture.clock.clone();
    run(&mut browser, move |session| async move {
        // Loaded before the other request sets the lifetime, and saved after it.
        session.insert("own", 1)?;
        set(&mut other, minutes(10)).await;
        session.increment("n", 1).map(|_: u32| ())
    })
    .await;
    assert_eq!(browser.read().await, Some(2));
    clock.advance(minutes(10));
    assert_eq!(browser.read().await, None);

    // A later insert replaces the entry, and its time with it.
    let mut other = browser.clone();
    run(&mut browser, move |session| async move {
        set(&mut other, minutes(10)).await;
        session.insert("n", 7)
    })
    .await;
    clock.advance(minutes(10));
    assert_eq!(browser.read().await, Some(7));
}

/// An edit that replaces what has expired in the meantime overwrites nothing.
#[tokio::test]
async fn an_expired_entry_is_no_conflict_and_leaves_the_record_at_the_next_write() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_conflict_policy(ConflictPolicy::Reject);
    let mut browser = fixture.browser_of(layer.build().expect("it is valid"));
    set(&mut browser, minutes(10)).await;
    let id =
        browser.request(|session| async move { Ok(session.id().expect("stored").to_string()) });
    let id = id.await.text().parse().expect("an id");
    let is_stored = async || match fixture.store.load(id).await {
        Ok(Loaded::Record(record)) => {
            let entries = record.entries();
            assert_eq!(entries.contains("n"), entries.contains("$expires"));
            entries.contains("n")
        }
        other => panic!("{other:?}"),
    };
    fixture.clock.advance(minutes(10));
    assert_eq!(browser.read().await, None);
    assert!(is_stored().await, "nothing was written since");
    let mut other = browser.clone();
    run(&mut browser, move |session| async move {
        run(
            &mut other,
            |session| async move { session.insert("other", 1) },
        )
        .await;
        session.insert("own", 1)
    })
    .await;
    assert!(!is_stored().await);
    let mut other = browser.clone();
    let clock = fixture.clock.clone();
    set(&mut browser, minutes(10)).await;
    run(&mut browser, move |session| async move {
        run(
            &mut other,
            |session| async move { session.insert("more", 1) },
        )
        .await;
        clock.advance(minutes(10));
        session.insert("n", 2)
    })
    .await;
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn the_number_and_the_size_are_limited_and_a_refusal_changes_nothing() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    run(&mut browser, |session| async move {
        for n in 0..64 {
            session.insert_for(format!("k{n}"), n, days(1))?;
        }
        session.insert_for("k0", 7, days(1))?;
        let refused = session
            .insert_for("one more", 1, days(1))
            .expect_err("too many");
        assert_eq!(refused.kind(), SessionErrorKind::TooLarge);
        assert!(!session.contains("one more"));
        session.remove("k1")?;
        session.insert_for("one more", 1, days(1))?;
        let refused = session
            .insert("k2", "x".repeat(70_000))
            .expect_err("too large");
        assert_eq!(refused.kind(), SessionErrorKind::TooLarge);
        let reserved = session
            .insert_for("$k", 1, days(1))
            .expect_err("it is reserved");
        assert_eq!(reserved.kind(), SessionErrorKind::ReservedKey);
        Ok(())
    })
    .await;
    fixture.clock.advance(days(1) - Duration::from_millis(1));
    run(&mut browser, |session| async move {
        assert_eq!(session.get::<u32>("k2")?, Some(2));
        Ok(())
    })
    .await;
    fixture.clock.advance(Duration::from_millis(1));
    run(&mut browser, |session| async move {
        assert_eq!(
            session.get::<u32>("k2")?,
            None,
            "the refused insert has not ended it"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_has_expired_takes_no_room() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let long = || "x".repeat(40_000);
    let clock = fixture.clock.clone();
    run(&mut browser, move |session| async move {
        session.insert_for("code", long(), minutes(10))?;
        let refused = session.insert("own", long()).expect_err("too large");
        assert_eq!(refused.kind(), SessionErrorKind::TooLarge);
        session.save().await?;
        clock.advance(minutes(10));
        session.insert("own", long())
    })
    .await;
    run(&mut browser, move |session| async move {
        assert_eq!(session.get("own")?, Some(long()));
        Ok(())
    })
    .await;
}

/// A detached session lives longer than its entries.
#[tokio::test]
async fn it_is_gone_for_a_session_that_outlives_its_request() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    detached
        .insert_for("code", 1, minutes(10))
        .expect("it fits");
    detached.save().await.expect("the store responds");
    assert_eq!(detached.get::<u32>("code").expect("a number"), Some(1));
    fixture.clock.advance(minutes(10));
    assert_eq!(detached.get::<u32>("code").expect("a number"), None);
    assert_eq!(browser.read().await, Some(1));
}
