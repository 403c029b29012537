//! Two who meet, one step after the other.

use axum::Router;
use cloakroom::{Arrivals, Rotation, SessionLayer, SessionLimit, Sessions, UserId, minutes};
use cloakroom_core::{Entries, Timestamp, UserIndex};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::moving_in::TowerSessions;
use tests::faults::{CountingStore, Fault, Gate, Verb};

use super::apps::{
    NEW, OLD, after, beside, forget_tombstones, key, logged_in, new_app, new_keys, new_routes,
    old_app, old_keys,
};
use crate::servers::Redis;
use crate::visitor::Visitor;

type Faulty = CountingStore<RedisStore>;

fn user_of(entries: &Entries) -> Option<UserId> {
    let name: Option<String> = entries.get("user").ok()?;
    Some(name?.into())
}

/// A server of either phase, on a store that can be held up.
async fn server(redis: &Redis, last: bool) -> (Router, Faulty, Sessions) {
    let inner = redis.store().await;
    let old = TowerSessions::in_redis(&inner);
    let arrivals = match last {
        false => Arrivals::beside(old, key()),
        true => Arrivals::after(old, key()),
    };
    let store = CountingStore::new(inner);
    let layer = SessionLayer::builder(store.clone())
        .with_migration(arrivals.with_user(user_of))
        .build()
        .expect("it fits");
    let sessions = layer.sessions();
    (new_routes().layer(layer), store, sessions)
}

#[tokio::test]
async fn a_log_out_that_a_request_beside_has_seen_half_done_is_one() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let (new, store, _) = server(&redis, false).await;
    let mut at_new = browser.at(&new);
    at_new.text("/who").await;
    let mut beside = at_new.at(&beside(&redis).await);
    let gate = Gate::new();
    store.next(Verb::End, Fault::Before(gate.clone()));
    let leaving = tokio::spawn(async move {
        let text = at_new.text("/logout").await;
        (text, at_new.cookies)
    });
    gate.reached().await;
    // The old session is gone, and ours for that.
    assert_eq!(beside.text("/who").await, "nobody");
    gate.open();
    let (text, _) = leaving.await.unwrap();
    assert_eq!(text, "Ended");
    assert!(old_keys(&redis.0).is_empty());
}

#[tokio::test]
async fn a_user_is_not_forgotten_between_entry_and_session() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let (new, store, sessions) = server(&redis, false).await;
    let gate = Gate::new();
    store.next(Verb::Create, Fault::Before(gate.clone()));
    let mut at_new = browser.at(&new);
    let moving = tokio::spawn(async move { at_new.text("/user").await });
    gate.reached().await;
    // Who looks now finds an entry without a session, whose id is old.
    for _ in 0..20 {
        assert_eq!(sessions.count("ada").await.unwrap(), 0);
    }
    gate.open();
    assert_eq!(moving.await.unwrap(), "ada");
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
}

#[tokio::test]
async fn who_comes_just_after_the_old_session_has_gone_finds_the_new_one() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let (slow, store, _) = server(&redis, true).await;
    let gate = Gate::new();
    store.next(Verb::Load, Fault::After(gate.clone()));
    let mut late = browser.at(&slow);
    let late = tokio::spawn(async move { late.text("/who").await });
    gate.reached().await;
    assert_eq!(browser.at(&after(&redis).await).text("/who").await, "ada");
    assert!(old_keys(&redis.0).is_empty());
    gate.open();
    assert_eq!(late.await.unwrap(), "ada");
}

#[tokio::test]
async fn a_server_of_the_first_phase_that_is_late_ends_nothing() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let (first, store, _) = server(&redis, false).await;
    let mut at_new = browser.at(&first);
    at_new.text("/who").await;
    let gate = Gate::new();
    store.next(Verb::Load, Fault::After(gate.clone()));
    let mut late = at_new.clone();
    let late = tokio::spawn(async move { late.text("/who").await });
    gate.reached().await;
    let (second, _, _) = server(&redis, true).await;
    assert_eq!(at_new.at(&second).text("/who").await, "ada");
    assert!(old_keys(&redis.0).is_empty());
    gate.open();
    assert_eq!(late.await.unwrap(), "ada");
    assert_eq!(at_new.text("/who").await, "ada");
}

#[tokio::test]
async fn a_log_out_at_the_old_version_holds_in_the_second_phase() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let browser = logged_in(&old).await;
    let mut at_new = browser.at(&beside(&redis).await);
    at_new.text("/who").await;
    browser.at(&old).text("/logout").await;
    let mut at_second = at_new.at(&after(&redis).await);
    assert_eq!(at_second.text("/who").await, "nobody");
}

#[tokio::test]
async fn a_lost_answer_to_the_move_is_settled_and_a_lost_command_is_503() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    for (fault, expected) in [(Fault::LoseAnswer, 200), (Fault::LoseCommand, 503)] {
        let browser = logged_in(&old).await;
        let (new, store, _) = server(&redis, false).await;
        store.next(Verb::Create, fault);
        let mut at_new = browser.at(&new);
        assert_eq!(at_new.get("/who").await.status, expected);
        assert_eq!(at_new.text("/who").await, "ada");
    }
    assert_eq!(new_keys(&redis.0).len(), 2);
}

#[tokio::test]
async fn of_two_old_cookies_with_live_sessions_neither_is_trusted() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let (one, other) = (logged_in(&old).await, logged_in(&old).await);
    let mut both = one.at(&beside(&redis).await);
    let second = format!("{}; {OLD}={}", both.cookies[OLD], other.cookies[OLD]);
    both.cookies.insert(OLD.into(), second);
    let answer = both.get("/who").await;
    assert_eq!((&*answer.text, answer.set_cookies.len()), ("nobody", 0));
    // Of a live and a dead one, the live one counts.
    other.at(&old).text("/logout").await;
    forget_tombstones(&redis.0);
    assert_eq!(both.text("/who").await, "ada");
}

#[tokio::test]
async fn the_secret_to_which_old_cookies_lead_does_not_rotate() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let store = redis.store().await;
    let clock = cloakroom_core::ManualClock::at(Timestamp::from(std::time::SystemTime::now()));
    let old = TowerSessions::in_redis(&store);
    let layer = SessionLayer::builder(store)
        .with_clock(clock.clone())
        .with_rotation(Rotation::every(minutes(15)))
        .with_migration(Arrivals::beside(old, key()))
        .build()
        .unwrap();
    let new = new_routes().layer(layer);
    let mut at_new = browser.at(&new);
    at_new.text("/who").await;
    for _ in 0..3 {
        clock.advance(minutes(20));
        assert!(at_new.get("/who").await.set_cookies.is_empty());
        // A browser that has lost the new cookie is no thief.
        assert_eq!(browser.at(&new).text("/who").await, "ada");
    }
    at_new.text("/login/ada").await;
    clock.advance(minutes(20));
    assert_eq!(at_new.get("/who").await.set_cookies.len(), 1);
}

#[tokio::test]
async fn nothing_moves_in_from_before_everything_was_ended() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let (moved, waiting) = (logged_in(&old).await, logged_in(&old).await);
    let mut moved = moved.at(&beside(&redis).await);
    assert_eq!(moved.text("/who").await, "ada");
    let store = redis.store().await;
    let hour_ago = std::time::SystemTime::now() - minutes(60);
    let begun = UserIndex::begin_epoch(&store, hour_ago.into(), minutes(60));
    begun.await.unwrap();
    // A server that has not looked at the epoch yet.
    let new = beside(&redis).await;
    assert_eq!(moved.at(&new).text("/who").await, "nobody");
    assert_eq!(waiting.at(&new).text("/who").await, "nobody");
}

#[tokio::test]
async fn a_moved_session_makes_room_with_its_old_one() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let browser = logged_in(&old).await;
    let store = redis.store().await;
    let predecessor = TowerSessions::in_redis(&store);
    let arrivals = Arrivals::beside(predecessor, key()).with_user(user_of);
    let layer = SessionLayer::builder(store)
        .with_session_limit(SessionLimit::end_oldest(1))
        .with_migration(arrivals)
        .build();
    let new: Router = new_routes().layer(layer.unwrap());
    let mut moved = browser.at(&new);
    assert_eq!(moved.text("/who").await, "ada");
    let mut another = Visitor::new(&new);
    another.text("/login/ada").await;
    assert!(old_keys(&redis.0).is_empty());
    assert_eq!(moved.text("/who").await, "nobody");
    assert_eq!(moved.at(&old).text("/who").await, "nobody");
    assert_eq!(another.with_only(NEW).text("/who").await, "ada");
    let plain = new_app(
        redis.store().await,
        Arrivals::after(TowerSessions::in_redis(&redis.store().await), key()),
    );
    assert_eq!(moved.at(&plain).text("/who").await, "nobody");
}
