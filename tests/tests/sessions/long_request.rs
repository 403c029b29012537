//! Requests that take longer than a session may be unused.

use std::time::Duration;

use axum::Router;
use cloakroom::{
    EndedConcurrently, Expiry, MemoryStore, Rotation, SessionErrorKind, SessionLayer,
    StoreErrorKind, days, minutes,
};
use cloakroom_core::ManualClock;
use http::StatusCode;
use tests::app::{Fixture, app};
use tests::browser::{Browser, CookieChange};
use tests::clocks::TokioClock;
use tests::faulty_store::{CountingStore, Fault, Verb};
use tests::log::Log;
use tokio::time::sleep;

const IDLE: Duration = minutes(10);

fn on_tokio_clock() -> Router {
    let clock = TokioClock::start();
    let layer = SessionLayer::builder(MemoryStore::with_clock(clock.clone()))
        .with_clock(clock)
        .with_expiry(Expiry::idle(IDLE).absolute(days(1)));
    app(layer.build().expect("the configuration is valid"))
}

async fn signed_in(app: &Router) -> Browser {
    let mut browser = Browser::new(app.clone());
    let response = browser
        .request(|session| async move { session.sign_in("ada").await })
        .await;
    assert_eq!(response.status, 200);
    browser
}

async fn user(browser: &mut Browser) -> String {
    let response = browser
        .request(|session| async move { Ok(format!("{:?}", session.user())) })
        .await;
    response.text().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_upload_longer_than_the_idle_timeout_is_saved() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let response = browser
        .request(|session| async move {
            sleep(IDLE * 7 / 2).await;
            session.insert("n", 1)
        })
        .await;
    assert_eq!(response.status, 200);
    assert!(user(&mut browser).await.contains("ada"), "still signed in");
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_longer_than_the_idle_timeout_keeps_the_session() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let response = browser
        .request(|_session| async move {
            sleep(IDLE * 3).await;
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200);
    assert!(user(&mut browser).await.contains("ada"), "still signed in");
}

/// Use ends with the request: what nobody uses expires.
#[tokio::test(start_paused = true)]
async fn after_a_cancelled_request_the_session_expires() {
    let mut browser = signed_in(&on_tokio_clock()).await;
    let mut tab = browser.clone();
    let request = tab.request(|_session| async move {
        sleep(days(1)).await;
        Ok(())
    });
    assert!(tokio::time::timeout(IDLE * 2, request).await.is_err());
    sleep(IDLE * 2).await;
    assert_eq!(user(&mut browser).await, "None");
}

/// The record is gone without a tombstone, as after an eviction: nobody ended the session.
#[tokio::test]
async fn an_edit_of_a_vanished_session_is_not_a_success() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let response = browser
        .request(|session| async move {
            clock.advance(days(2));
            session.insert("n", 2)
        })
        .await;
    let status = response.status;
    assert!(
        status.is_client_error(),
        "{status}, and the edit was dropped"
    );
}

/// A layer on a store that counts its commands, and a browser with a session.
async fn counted() -> (CountingStore, Router, Browser) {
    let clock = TokioClock::start();
    let store = CountingStore::new(MemoryStore::with_clock(clock.clone()));
    let layer = SessionLayer::builder(store.clone())
        .with_clock(clock)
        .with_expiry(Expiry::idle(IDLE).absolute(days(1)));
    let app = app(layer.build().expect("the configuration is valid"));
    let browser = signed_in(&app).await;
    drop(store.take_verbs());
    (store, app, browser)
}

async fn wait(browser: &mut Browser, time: Duration) -> StatusCode {
    let response = browser
        .request(move |_session| async move {
            sleep(time).await;
            Ok(())
        })
        .await;
    response.status
}

fn touches(store: &CountingStore) -> usize {
    let verbs = store.take_verbs();
    verbs.iter().filter(|&&verb| verb == Verb::Touch).count()
}

#[tokio::test(start_paused = true)]
async fn a_request_touches_its_session_once_in_half_of_the_idle_timeout() {
    let (store, _, mut browser) = counted().await;
    wait(&mut browser, IDLE / 20).await;
    assert_eq!(
        store.take_verbs(),
        [Verb::Load],
        "a quick one costs nothing"
    );
    wait(&mut browser, IDLE * 3).await;
    let touches = touches(&store);
    assert!((5..=7).contains(&touches), "{touches}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_almost_expired_is_touched_in_time() {
    let (_, _, mut browser) = counted().await;
    sleep(IDLE * 9 / 10).await;
    assert_eq!(wait(&mut browser, IDLE).await, 200);
    assert!(user(&mut browser).await.contains("ada"));
}

#[tokio::test(start_paused = true)]
async fn an_edit_by_another_request_does_not_end_the_touching() {
    let (_, _, mut browser) = counted().await;
    let mut tab = browser.clone();
    let other = async {
        sleep(IDLE / 4).await;
        let edit = tab.request(|session| async move { session.insert("n", 1) });
        assert_eq!(edit.await.status, 200);
    };
    let long = browser.request(|session| async move {
        sleep(IDLE * 3).await;
        assert_eq!(session.get::<u32>("n")?, None, "as it was loaded");
        session.insert("m", 2)
    });
    let (long, ()) = tokio::join!(long, other);
    assert_eq!(long.status, 200);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_request_begins_or_renews_is_kept_too() {
    let (_, app, _) = counted().await;
    for renewals in [0, 1, 3] {
        let mut browser = Browser::new(app.clone());
        let response = browser.request(move |session| async move {
            sleep(IDLE / 3).await;
            session.sign_in("ada").await?;
            for _ in 0..renewals {
                sleep(IDLE * 2).await;
                session.renew()?;
                session.save().await?;
            }
            sleep(IDLE * 3).await;
            session.insert("n", 1)
        });
        assert_eq!(response.await.status, 200, "{renewals}");
        assert_eq!(browser.read().await, Some(1), "{renewals}");
    }
}

#[tokio::test(start_paused = true)]
async fn touching_revives_nothing() {
    let (store, _, mut browser) = counted().await;
    let mut tab = browser.clone();
    let other = async {
        sleep(IDLE / 4).await;
        tab.request(|session| async move { session.sign_out().await.map(|_| ()) })
            .await;
    };
    let long = browser.request(|session| async move {
        sleep(IDLE * 3).await;
        session.insert("n", 1)
    });
    let (long, ()) = tokio::join!(long, other);
    // The tombstone is gone by now.
    assert_eq!(long.status, 409);
    assert!(touches(&store) <= 2, "what has ended is not touched again");
    assert_eq!(user(&mut browser).await, "None");
}

/// The deadline is not moved, and the request does not depend on the touches.
#[tokio::test(start_paused = true)]
async fn touching_moves_no_deadline_and_fails_no_request() {
    let (store, _, mut browser) = counted().await;
    for _ in 0..3 {
        store.next(Verb::Touch, Fault::Refuse(StoreErrorKind::Unavailable));
        store.next(Verb::Touch, Fault::Hang);
    }
    assert_eq!(wait(&mut browser, IDLE * 3).await, 200);
    assert!(user(&mut browser).await.contains("ada"), "tried again");
    assert_eq!(wait(&mut browser, days(1)).await, 200);
    assert_eq!(user(&mut browser).await, "None");
}

#[tokio::test]
async fn an_explicit_save_of_an_expired_session_is_an_error() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let log = Log::capture();
    let response = browser
        .request(|session| async move {
            clock.advance(days(2));
            session.insert("n", 2)?;
            let error = session.save().await.expect_err("nothing was saved");
            assert_eq!(error.kind(), SessionErrorKind::Expired);
            // What the session held is not carried over into another one.
            assert_eq!(session.keys(), ["n"]);
            Err::<(), _>(error)
        })
        .await;
    fixture.assert_response(
        &response,
        409,
        &[Verb::Load, Verb::Update],
        CookieChange::Nothing,
    );
    assert_eq!(log.count("session expired during a request"), 1);
    assert_eq!(log.count("ERROR"), 0, "{}", log.text());
}

/// The store keeps the record until its own clock shows the deadline.
#[tokio::test]
async fn a_session_whose_deadline_has_passed_here_has_expired_although_it_is_stored() {
    let fixture = Fixture::on(MemoryStore::new(), ManualClock::default());
    let mut browser = fixture.browser_with_session().await;
    let clock = fixture.clock.clone();
    let response = browser
        .request(|session| async move {
            clock.advance(days(31));
            session.insert("n", 2)?;
            let error = session.save().await.expect_err("nothing was saved");
            assert_eq!(error.kind(), SessionErrorKind::Expired);
            Err::<(), _>(error)
        })
        .await;
    assert_eq!(response.status, 409);
    let verbs = fixture.store.take_verbs();
    assert_eq!(verbs, [Verb::Load, Verb::Load], "it is not tried again");
}

/// A session that someone has ended is no error, as before: the user knows.
#[tokio::test]
async fn an_edit_of_a_session_that_was_signed_out_is_discarded() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let mut tab = browser.clone();
    let response = browser
        .request(|session| async move {
            tab.request(|session| async move { session.destroy().await.map(|_| ()) })
                .await;
            session.insert("n", 2)
        })
        .await;
    assert_eq!(response.status, 200);
    assert!(response.extension::<EndedConcurrently>().is_some());
}

/// The library's own write of a session that is gone fails no request, and is no failure.
#[tokio::test]
async fn a_request_without_edits_does_not_depend_on_the_session() {
    let fixture = Fixture::memory();
    let rotation = Rotation::every(minutes(15));
    for builder in [fixture.builder(), fixture.builder().with_rotation(rotation)] {
        let layer = builder.build().expect("the configuration is valid");
        let mut browser = fixture.with_session(fixture.browser_of(layer)).await;
        let log = Log::capture();
        let clock = fixture.clock.clone();
        let response = browser
            .request(|_session| async move {
                clock.advance(days(2));
                Ok(())
            })
            .await;
        assert_eq!(response.status, 200);
        assert_eq!(log.count("WARN"), 0, "{}", log.text());
    }
}
