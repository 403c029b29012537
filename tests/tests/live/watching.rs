//! Watching a session that ends elsewhere.

use std::time::Duration;

use cloakroom::{EndReason, Expiry, Session, SessionErrorKind, SessionWatch, hours, minutes};
use tests::app::{Stage, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;
use tokio::time::{Instant, timeout};

use super::{PATIENCE, sign_in, sign_out, take_out};

on_every_store!(
    it_resolves_when_the_session_ends_on_another_server,
    it_resolves_at_once_when_the_session_has_ended_already,
    a_renewal_ends_it_too,
    many_watch_many,
);

async fn reason(watch: SessionWatch) -> EndReason {
    timeout(PATIENCE, watch).await.expect("it resolves")
}

async fn it_resolves_when_the_session_ends_on_another_server(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    let mut watching = tokio::spawn(reason(watch));
    let early = timeout(Duration::from_millis(300), &mut watching).await;
    assert!(early.is_err(), "nothing has happened: {early:?}");
    let mut elsewhere = browser.on(app(backend.layer().await));
    let began = Instant::now();
    elsewhere.act(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

async fn it_resolves_at_once_when_the_session_has_ended_already(backend: Backend) {
    let mut browser = backend.browser().await;
    let id = sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    backend.sessions().await.end(id).await.expect("it ends");
    assert_eq!(reason(watch).await, EndReason::ByAdmin);
}

async fn a_renewal_ends_it_too(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    let watching = tokio::spawn(reason(watch));
    browser.act(|session| async move { session.renew() }).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::Renewed);
}

async fn many_watch_many(backend: Backend) {
    let layer = backend.layer().await;
    let mut watching = Vec::new();
    let mut browsers = Vec::new();
    for user in 0..20_u32 {
        let mut browser = Browser::new(app(layer.clone()));
        sign_in(&mut browser, user).await;
        for _ in 0..5 {
            let watch = take_out(&mut browser, Session::watch).await;
            watching.push((user, tokio::spawn(reason(watch))));
        }
        browsers.push(browser);
    }
    // Every second one signs out; the others are still watched.
    for browser in browsers.iter_mut().step_by(2) {
        browser.act(sign_out).await;
    }
    for (user, mut watching) in watching {
        if user % 2 == 0 {
            assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
        } else {
            assert!(
                timeout(Duration::from_millis(1), &mut watching)
                    .await
                    .is_err()
            );
            watching.abort();
        }
    }
}

#[tokio::test]
async fn there_is_nothing_to_watch_without_a_session() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let refused = take_out(&mut browser, |session| {
        Ok(session.watch().map_err(|error| error.kind()).err())
    });
    assert_eq!(refused.await, Some(SessionErrorKind::NotStored));
}

/// The event is lost: nobody publishes any.
#[tokio::test(start_paused = true)]
async fn a_lost_event_is_made_up_for_within_thirty_seconds() {
    let stage = Stage::memory();
    let mut browser = Browser::new(app(stage
        .builder()
        .without_events()
        .build()
        .expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let began = Instant::now();
    browser.act(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
    assert!(began.elapsed() <= Duration::from_secs(30));
}

/// Time passes for the test's clock as it does for the timers.
fn tick(stage: &Stage) -> tokio::task::JoinHandle<()> {
    let clock = stage.clock.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    })
}

#[tokio::test(start_paused = true)]
async fn it_resolves_when_the_time_is_over() {
    let stage = Stage::memory();
    let expiry = Expiry::idle(minutes(5)).absolute(minutes(20));
    let layer = stage
        .builder()
        .with_expiry(expiry)
        .build()
        .expect("it is valid");
    let _ticking = tick(&stage);

    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    let began = Instant::now();
    let idle = take_out(&mut browser, Session::watch).await;
    assert_eq!(idle.await, EndReason::Expired);
    let took = began.elapsed();
    assert!(
        took >= minutes(5) && took < minutes(5) + Duration::from_secs(7),
        "{took:?}"
    );

    // A connection that keeps its session alive does so to the absolute deadline, and no longer.
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    let began = Instant::now();
    let kept = take_out(&mut browser, |session| Ok(session.watch()?.keeping_alive())).await;
    assert_eq!(kept.await, EndReason::Expired);
    let took = began.elapsed();
    assert!(
        took >= minutes(20) && took < minutes(20) + Duration::from_secs(2),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_used_elsewhere_goes_on() {
    let stage = Stage::memory();
    let expiry = Expiry::idle(minutes(5)).absolute(hours(1));
    let layer = stage
        .builder()
        .with_expiry(expiry)
        .build()
        .expect("it is valid");
    let _ticking = tick(&stage);
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    let mut watching = tokio::spawn(watch);
    for _ in 0..8 {
        let early = timeout(minutes(2), &mut watching).await;
        assert!(early.is_err(), "{early:?}");
        browser.read().await;
    }
    browser.act(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
}

/// The store cannot be asked for a while: that ends nothing.
#[tokio::test(start_paused = true)]
async fn an_outage_ends_nothing() {
    use cloakroom_core::StoreErrorKind::Unavailable;
    use tests::faults::Fault;
    let stage = Stage::memory();
    let mut browser = stage.browser();
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    stage.store.always(Some(Fault::Refuse(Unavailable)));
    let mut watching = tokio::spawn(watch);
    let early = timeout(minutes(10), &mut watching).await;
    assert!(early.is_err(), "{early:?}");
    stage.store.always(None);
    browser.act(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
}
