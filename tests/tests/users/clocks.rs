//! Servers whose clocks differ: nobody is signed out for that, and nobody is kept from signing in.

use std::time::Duration;

use cloakroom::{Expiry, MemoryStore, Rotation, SessionLayer, Store, days, hours, minutes};
use cloakroom_core::{Clock, ManualClock, SystemClock};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::Browser;
use tests::clocks::{AheadClock, TokioClock};
use tests::redis::RedisServer;
use tokio::time::sleep;

use super::{sign_in, try_sign_in, whoami};

fn layer(store: impl Store, clock: impl Clock) -> SessionLayer {
    SessionLayer::builder(store)
        .with_clock(clock)
        .build()
        .expect("the configuration is valid")
}

fn layer_with_expiry(store: impl Store, clock: impl Clock, expiry: Expiry) -> SessionLayer {
    SessionLayer::builder(store)
        .with_clock(clock)
        .with_expiry(expiry)
        .build()
        .expect("the configuration is valid")
}

/// Whether it is refused or done, revoking everything from a server whose clock is an hour ahead does not
/// lock anybody out of the others.
async fn signing_in_works_after(ahead: &SessionLayer, right: &SessionLayer) {
    let mut browser = Browser::new(app(right.clone()));
    sign_in(&mut browser, "ada").await;
    let revoked = ahead.sessions().revoke_everyone().await;
    for user in ["bob", "ada"] {
        let mut browser = Browser::new(app(right.clone()));
        let response = try_sign_in(&mut browser, user).await;
        assert_eq!(response.status, 200, "after {revoked:?}");
        assert_eq!(whoami(&mut browser).await, user, "after {revoked:?}");
    }
    // And calling it on a server whose clock is right ends everything.
    right.sessions().revoke_everyone().await.expect("it ends");
    assert_eq!(whoami(&mut browser).await, "");
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[tokio::test(start_paused = true)]
async fn revoking_everything_with_a_clock_ahead_locks_nobody_out() {
    let clock = TokioClock::start();
    let store = MemoryStore::with_clock(clock.clone());
    let ahead = layer(store.clone(), clock.ahead_by(hours(1)));
    signing_in_works_after(&ahead, &layer(store, clock)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_everything_with_a_clock_ahead_locks_nobody_out_on_redis() {
    let redis = RedisServer::start();
    let store = async || {
        RedisStore::connect(redis.url(), "cloakroom")
            .await
            .expect("it runs")
    };
    let ahead = layer(store().await, AheadClock(hours(1)));
    signing_in_works_after(&ahead, &layer(store().await, SystemClock)).await;
}

#[tokio::test]
async fn a_session_from_a_clock_ahead_lives_while_it_is_used() {
    let right = ManualClock::default();
    let store = MemoryStore::with_clock(right.clone());
    let ahead = ManualClock::default();
    ahead.advance(hours(1));
    let expiry = Expiry::idle(minutes(30)).absolute(days(1));
    let app = |clock: &ManualClock| app(layer_with_expiry(store.clone(), clock.clone(), expiry));
    let mut browser = Browser::new(app(&ahead));
    sign_in(&mut browser, "ada").await;
    let mut browser = browser.on(app(&right));
    for minute in (0..180).step_by(10) {
        assert_eq!(whoami(&mut browser).await, "ada", "after {minute} minutes");
        right.advance(minutes(10));
    }
}

/// The same with the TTL of Redis, in real time.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_a_clock_ahead_lives_while_it_is_used_on_redis() {
    let redis = RedisServer::start();
    let expiry = Expiry::idle(Duration::from_secs(1)).absolute(days(1));
    let app = async |ahead| {
        let store = RedisStore::connect(redis.url(), "cloakroom")
            .await
            .expect("it runs");
        app(layer_with_expiry(store, AheadClock(ahead), expiry))
    };
    let mut browser = Browser::new(app(minutes(10)).await);
    sign_in(&mut browser, "ada").await;
    let mut browser = browser.on(app(Duration::ZERO).await);
    for tenth in 0..90 {
        assert_eq!(whoami(&mut browser).await, "ada", "after {tenth} x 100 ms");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The last use that was recorded by a clock that was ahead does not keep an unused session alive.
#[tokio::test]
async fn a_session_from_a_clock_ahead_expires_when_it_is_not_used() {
    let right = ManualClock::default();
    let store = MemoryStore::with_clock(right.clone());
    let ahead = ManualClock::default();
    ahead.advance(hours(1));
    let expiry = Expiry::idle(minutes(30)).absolute(days(1));
    let app = |clock: &ManualClock| app(layer_with_expiry(store.clone(), clock.clone(), expiry));
    let mut browser = Browser::new(app(&ahead));
    sign_in(&mut browser, "ada").await;
    let mut browser = browser.on(app(&right));
    assert_eq!(whoami(&mut browser).await, "ada");
    right.advance(minutes(31));
    assert_eq!(whoami(&mut browser).await, "");
}

/// Two servers whose clocks differ by less than the tolerance: a request with the previous secret that
/// was on its way when the next one was presented is not theft.
#[tokio::test]
async fn a_short_grace_is_no_theft_between_clocks_that_differ() {
    let (one, two) = (ManualClock::default(), ManualClock::default());
    two.advance(Duration::from_secs(4));
    let store = MemoryStore::with_clock(one.clone());
    let rotation = Rotation::every(minutes(15)).grace(Duration::from_secs(1));
    let app = |clock: &ManualClock| {
        let builder = SessionLayer::builder(store.clone()).with_clock(clock.clone());
        builder.with_rotation(rotation).build().map(app)
    };
    let (Ok(at_one), Ok(at_two)) = (app(&one), app(&two)) else {
        return; // So short a grace is refused: right as well.
    };
    let mut browser = Browser::new(at_one);
    sign_in(&mut browser, "ada").await;
    one.advance(minutes(15));
    two.advance(minutes(15));
    let old = browser.clone();
    assert_eq!(whoami(&mut browser).await, "ada", "the next is handed out");
    assert_eq!(whoami(&mut browser).await, "ada", "and presented");
    assert_eq!(
        whoami(&mut old.on(at_two)).await,
        "ada",
        "no time has passed"
    );
    assert_eq!(
        whoami(&mut browser).await,
        "ada",
        "the owner stays signed in"
    );
}
