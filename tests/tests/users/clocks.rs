//! Servers whose clocks differ: nobody is signed out for that, and nobody is kept from signing in.

use std::time::Duration;

use cloakroom::{
    Expiry, MemoryStore, Rotation, SessionErrorKind, SessionLayer, Store, StoreErrorKind, days,
    hours, minutes,
};
use cloakroom_core::store::Loaded;
use cloakroom_core::{Clock, ManualClock, StoreAdmin, SystemClock};
use tests::app::app;
use tests::browser::Browser;
use tests::clocks::{AheadClock, TokioClock};
use tests::faulty_store::{CountingStore, Fault, Verb};
use tests::generous;
use tests::redis::RedisServer;
use tokio::time::sleep;

use super::{sign_in, try_sign_in, whoami};

/// The key of the time before which sessions are revoked.
const REVOKED_BEFORE: &str = "cloakroom:revoked-before";

fn layer(store: impl Store, clock: impl Clock) -> SessionLayer {
    generous::layer_builder(store)
        .with_clock(clock)
        .build()
        .expect("the configuration is valid")
}

fn layer_with_expiry(store: impl Store, clock: impl Clock, expiry: Expiry) -> SessionLayer {
    generous::layer_builder(store)
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
        generous::connect(redis.url(), "cloakroom")
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
        let store = generous::connect(redis.url(), "cloakroom")
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
        let builder = generous::layer_builder(store.clone()).with_clock(clock.clone());
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

/// The store's clock was an hour ahead when everything was revoked. Doing it again repairs that.
#[tokio::test(start_paused = true)]
async fn revoking_everything_again_repairs_a_time_in_the_future() {
    let right = TokioClock::start();
    let wrong = ManualClock::at(right.now().plus(hours(1)));
    let store = MemoryStore::with_clock(wrong.clone());
    let layer = layer(store, right.clone());
    layer.sessions().revoke_everyone().await.expect("it ends");
    let mut browser = Browser::new(app(layer.clone()));
    assert_eq!(try_sign_in(&mut browser, "ada").await.status, 503);
    wrong.set(right.now());
    layer.sessions().revoke_everyone().await.expect("it ends");
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// It may be replaced, so the sessions that it refuses are not ended.
#[tokio::test(start_paused = true)]
async fn a_time_in_the_future_ends_nothing() {
    let right = TokioClock::start();
    let stores = ManualClock::at(right.now());
    let store = MemoryStore::with_clock(stores.clone());
    let mut browser = Browser::new(app(layer(store.clone(), right.clone())));
    let id = sign_in(&mut browser, "ada").await;
    for (ahead, is_ended) in [(minutes(10), false), (Duration::ZERO, true)] {
        stores.set(right.now().plus(ahead));
        let mut later = browser.clone().on(app(layer(store.clone(), right.clone())));
        let revoked = StoreAdmin::set_revoked_before(&store, Duration::from_secs(1), hours(1));
        revoked.await.expect("it is set");
        assert_eq!(whoami(&mut later).await, "", "{ahead:?}");
        let there = store.load(id).await.expect("memory does not fail");
        assert_eq!(matches!(there, Loaded::Tombstone(_)), is_ended, "{there:?}");
        assert_eq!(matches!(there, Loaded::Record(_)), !is_ended, "{there:?}");
    }
}

/// A server that has read the wrong time notices that it was repaired, and one that starts later does.
#[tokio::test(flavor = "multi_thread")]
async fn revoking_everything_again_repairs_a_time_in_the_future_on_redis() {
    let redis = RedisServer::start();
    let store = async || {
        generous::connect(redis.url(), "cloakroom")
            .await
            .expect("it runs")
    };
    let one = layer(store().await, SystemClock);
    let two = layer(store().await, SystemClock);
    let wrong = SystemClock.now().plus(hours(1)).as_millis().to_string();
    redis.command(&["SET", REVOKED_BEFORE, &wrong]);
    let mut browser = Browser::new(app(two));
    assert_eq!(try_sign_in(&mut browser, "ada").await.status, 503);
    one.sessions().revoke_everyone().await.expect("it ends");
    sleep(Duration::from_secs(2)).await;
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// The sessions of a server whose clock is ahead look as if they were created later. If it is ahead by ten seconds, they
/// look as if they were created just after the revocation.
#[tokio::test(start_paused = true)]
async fn revoking_everything_ends_sessions_of_a_clock_ahead() {
    for ahead in [5, 8, 9, 10, 12, 14, 20, 3600] {
        let right = TokioClock::start();
        let store = MemoryStore::with_clock(right.clone());
        let ahead_by = right.ahead_by(Duration::from_secs(ahead));
        let mut browser = Browser::new(app(layer(store.clone(), ahead_by)));
        sign_in(&mut browser, "ada").await;
        let sessions = layer(store, right).sessions();
        let ended = sessions.revoke_everyone().await.expect("it ends");
        assert_eq!(ended, 1, "{ahead} s");
        assert_eq!(whoami(&mut browser).await, "", "{ahead} s");
    }
}

/// What the first pass has ended on too few replicas does not hide what the second one could not end.
#[tokio::test(start_paused = true)]
async fn revoking_everything_reports_a_session_that_may_be_live() {
    let right = TokioClock::start();
    let store = CountingStore::new(MemoryStore::with_clock(right.clone()));
    let ahead = right.ahead_by(Duration::from_secs(3600));
    let mut browser = Browser::new(app(layer(store.clone(), ahead)));
    sign_in(&mut browser, "ada").await;
    for kind in [
        StoreErrorKind::NotReplicated,
        StoreErrorKind::OutcomeUnknown,
    ] {
        store.next(Verb::End, Fault::Refuse(kind));
    }
    let sessions = layer(store.clone(), right).sessions();
    let revoked = sessions.revoke_everyone().await;
    let verbs = store.take_verbs();
    let kind = revoked.expect_err("it fails twice").kind();
    assert_eq!(kind, SessionErrorKind::OutcomeUnknown, "{verbs:?}");
    assert_eq!(verbs.iter().filter(|verb| **verb == Verb::End).count(), 2);
}

/// Nothing from before comes back on a server that has read the time, not even if the time itself is lost
/// together with the tombstones. It is kept as long as any session could live.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_kept_and_never_goes_back_on_redis() {
    let redis = RedisServer::start();
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("it runs");
    let layer = layer(store, SystemClock);
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    let keys = redis.keys_with_ttl().into_iter().map(|(key, _)| key);
    let is_session = |key: &String| redis.command(&["TYPE", key]).text() == "string";
    let keys: Vec<_> = keys.filter(is_session).collect();
    let [key] = &keys[..] else {
        panic!("one session: {keys:?}");
    };
    let record = redis.command(&["GET", key]).text();
    layer.sessions().revoke_everyone().await.expect("it ends");
    let ttl = redis.ttl(REVOKED_BEFORE).expect("it has one");
    assert!(ttl > days(399), "{ttl:?}");
    redis.command(&["DEL", REVOKED_BEFORE]);
    redis.command(&["SET", key, &record, "EX", "600"]);
    // Longer than a server relies on what it has read.
    for _ in 0..10 {
        assert_eq!(whoami(&mut browser).await, "");
        sleep(Duration::from_secs(1)).await;
    }
}

/// An update by a server that is a little behind does not move last-seen back; one by a server whose clock is
/// right repairs it.
#[tokio::test]
async fn an_update_moves_last_seen_back_only_from_the_future() {
    let right = ManualClock::default();
    let store = MemoryStore::with_clock(right.clone());
    for (ahead, kept) in [(4, true), (3600, false)] {
        let ahead = ManualClock::at(right.now().plus(Duration::from_secs(ahead)));
        let mut browser = Browser::new(app(layer(store.clone(), ahead.clone())));
        let id = sign_in(&mut browser, "ada").await;
        let mut browser = browser.on(app(layer(store.clone(), right.clone())));
        browser
            .request(|session| async move { session.insert("n", 1) })
            .await;
        let Ok(Loaded::Record(record)) = store.load(id).await else {
            panic!("the session is live");
        };
        assert!(record.entries().contains("n"), "it was updated");
        let expected = if kept { ahead.now() } else { right.now() };
        assert_eq!(record.last_seen(), expected);
    }
}
