//! Races of two requests, step by step.

use axum::Router;
use cloakroom::{Migration, Rotation, SessionLimit, Sessions, UserId, minutes};
use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::{Entries, Timestamp};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tests::faulty_store::{CountingStore, Fault, Gate, Verb};
use tests::generous;

use super::apps::{
    LEGACY, NEW, cutover, forget_tombstones, key, legacy_app, legacy_keys, new_app, new_keys,
    new_routes, side_by_side, signed_in,
};
use crate::browser::Browser;
use crate::servers::Redis;

type Faulty = CountingStore<RedisStore>;

fn user_of(entries: &Entries) -> Option<UserId> {
    let name: Option<String> = entries.get("user").ok()?;
    Some(name?.into())
}

/// A server of either phase, on a store that can be held.
async fn server(redis: &Redis, last: bool) -> (Router, Faulty, Sessions) {
    let inner = redis.store().await;
    let old = TowerSessionsRedis::new(&inner);
    let migration = if last {
        Migration::cutover(old, key())
    } else {
        Migration::side_by_side(old, key())
    };
    let store = CountingStore::new(inner);
    let layer = generous::layer_builder(store.clone())
        .with_migration(migration.with_user(user_of))
        .build()
        .expect("it fits");
    let sessions = layer.sessions();
    (new_routes().layer(layer), store, sessions)
}

#[tokio::test]
async fn a_sign_out_seen_half_done_by_another_request_is_complete() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let (new, store, _) = server(&redis, false).await;
    let mut on_new = browser.at(&new);
    on_new.text("/who").await;
    let mut side_by_side = on_new.at(&side_by_side(&redis).await);
    let gate = Gate::new();
    store.next(Verb::End, Fault::Before(gate.clone()));
    let leaving = tokio::spawn(async move {
        let text = on_new.text("/logout").await;
        (text, on_new.cookies)
    });
    gate.reached().await;
    // The legacy session is gone, so ours counts as ended.
    assert_eq!(side_by_side.text("/who").await, "nobody");
    gate.open();
    let (text, _) = leaving.await.unwrap();
    assert_eq!(text, "Ended");
    assert!(legacy_keys(&redis.0).is_empty());
}

/// A session that is still linked needs its legacy session: without it, the next request would end both.
#[tokio::test]
async fn a_session_that_cannot_be_unlinked_keeps_its_legacy_session() {
    for fault in [Fault::LoseCommand, Fault::LoseReply] {
        let redis = Redis::start();
        let browser = signed_in(&legacy_app(&redis).await).await;
        let (first, _, _) = server(&redis, false).await;
        let mut on_first = browser.at(&first);
        assert_eq!(on_first.text("/user").await, "ada");
        let (second, store, _) = server(&redis, true).await;
        store.next(Verb::Update, fault.clone());
        let mut on_second = on_first.at(&second);
        assert_eq!(on_second.text("/user").await, "ada", "{fault:?}");
        for server in [&first, &second, &first] {
            assert_eq!(on_second.at(server).text("/user").await, "ada", "{fault:?}");
        }
        assert!(
            legacy_keys(&redis.0).is_empty(),
            "the next request has unlinked it"
        );
    }
}

#[tokio::test]
async fn the_index_entry_survives_until_its_session_is_stored() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let (new, store, sessions) = server(&redis, false).await;
    let gate = Gate::new();
    store.next(Verb::Create, Fault::Before(gate.clone()));
    let mut on_new = browser.at(&new);
    let moving = tokio::spawn(async move { on_new.text("/user").await });
    gate.reached().await;
    // A list now finds an entry without a session, whose id looks old.
    for _ in 0..20 {
        assert_eq!(sessions.count("ada").await.unwrap(), 0);
    }
    gate.open();
    assert_eq!(moving.await.unwrap(), "ada");
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
}

#[tokio::test]
async fn a_request_after_the_legacy_session_is_removed_finds_the_new_one() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let (slow, store, _) = server(&redis, true).await;
    let gate = Gate::new();
    store.next(Verb::Load, Fault::After(gate.clone()));
    let mut late = browser.at(&slow);
    let late = tokio::spawn(async move { late.text("/who").await });
    gate.reached().await;
    assert_eq!(browser.at(&cutover(&redis).await).text("/who").await, "ada");
    assert!(legacy_keys(&redis.0).is_empty());
    gate.open();
    assert_eq!(late.await.unwrap(), "ada");
}

#[tokio::test]
async fn a_late_server_of_the_first_phase_ends_nothing() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let (first, store, _) = server(&redis, false).await;
    let mut on_new = browser.at(&first);
    on_new.text("/who").await;
    let gate = Gate::new();
    store.next(Verb::Load, Fault::After(gate.clone()));
    let mut late = on_new.clone();
    let late = tokio::spawn(async move { late.text("/who").await });
    gate.reached().await;
    let (second, _, _) = server(&redis, true).await;
    assert_eq!(on_new.at(&second).text("/who").await, "ada");
    assert!(legacy_keys(&redis.0).is_empty());
    gate.open();
    assert_eq!(late.await.unwrap(), "ada");
    assert_eq!(on_new.text("/who").await, "ada");
}

#[tokio::test]
async fn a_sign_out_in_the_legacy_app_holds_after_cutover() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let browser = signed_in(&old).await;
    let mut on_new = browser.at(&side_by_side(&redis).await);
    on_new.text("/who").await;
    browser.at(&old).text("/logout").await;
    let mut at_second = on_new.at(&cutover(&redis).await);
    assert_eq!(at_second.text("/who").await, "nobody");
}

#[tokio::test]
async fn a_lost_reply_to_the_migration_is_resolved_and_a_lost_command_is_503() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    for (fault, expected) in [(Fault::LoseReply, 200), (Fault::LoseCommand, 503)] {
        let browser = signed_in(&old).await;
        let (new, store, _) = server(&redis, false).await;
        store.next(Verb::Create, fault);
        let mut on_new = browser.at(&new);
        assert_eq!(on_new.get("/who").await.status, expected);
        assert_eq!(on_new.text("/who").await, "ada");
    }
    assert_eq!(new_keys(&redis.0).len(), 2);
}

#[tokio::test]
async fn of_two_legacy_cookies_with_live_sessions_neither_is_trusted() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let (one, other) = (signed_in(&old).await, signed_in(&old).await);
    let mut both = one.at(&side_by_side(&redis).await);
    let second = format!(
        "{}; {LEGACY}={}",
        both.cookies[LEGACY], other.cookies[LEGACY]
    );
    both.cookies.insert(LEGACY.into(), second);
    let response = both.get("/who").await;
    assert_eq!((&*response.text, response.set_cookies.len()), ("nobody", 0));
    // Of a live and an ended session, the live one is used.
    other.at(&old).text("/logout").await;
    forget_tombstones(&redis.0);
    assert_eq!(both.text("/who").await, "ada");
}

#[tokio::test]
async fn a_token_derived_from_a_legacy_cookie_does_not_rotate() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let store = redis.store().await;
    let clock = cloakroom_core::ManualClock::at(Timestamp::from(std::time::SystemTime::now()));
    let old = TowerSessionsRedis::new(&store);
    let layer = generous::layer_builder(store)
        .with_clock(clock.clone())
        .with_rotation(Rotation::every(minutes(15)))
        .with_migration(Migration::side_by_side(old, key()))
        .build()
        .unwrap();
    let new = new_routes().layer(layer);
    let mut on_new = browser.at(&new);
    on_new.text("/who").await;
    for _ in 0..3 {
        clock.advance(minutes(20));
        assert!(on_new.get("/who").await.set_cookies.is_empty());
        // A browser that has lost the new cookie is not an attacker.
        assert_eq!(browser.at(&new).text("/who").await, "ada");
    }
    on_new.text("/login/ada").await;
    clock.advance(minutes(20));
    assert_eq!(on_new.get("/who").await.set_cookies.len(), 1);
}

#[tokio::test]
async fn sessions_from_before_revoke_everyone_do_not_migrate() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let (moved, waiting) = (signed_in(&old).await, signed_in(&old).await);
    let mut moved = moved.at(&side_by_side(&redis).await);
    assert_eq!(moved.text("/who").await, "ada");
    let store = redis.store().await;
    let begun = StoreAdmin::set_revoked_before(&store, std::time::Duration::ZERO, minutes(60));
    begun.await.unwrap();
    // A server that has not read the revocation time yet.
    let new = side_by_side(&redis).await;
    assert_eq!(moved.at(&new).text("/who").await, "nobody");
    assert_eq!(waiting.at(&new).text("/who").await, "nobody");
}

#[tokio::test]
async fn evicting_a_migrated_session_ends_its_legacy_session() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let browser = signed_in(&old).await;
    let store = redis.store().await;
    let legacy_store = TowerSessionsRedis::new(&store);
    let migration = Migration::side_by_side(legacy_store, key()).with_user(user_of);
    let layer = generous::layer_builder(store)
        .with_session_limit(SessionLimit::evict_oldest(1))
        .with_migration(migration)
        .build();
    let new: Router = new_routes().layer(layer.unwrap());
    let mut moved = browser.at(&new);
    assert_eq!(moved.text("/who").await, "ada");
    let mut another = Browser::new(&new);
    another.text("/login/ada").await;
    assert!(legacy_keys(&redis.0).is_empty());
    assert_eq!(moved.text("/who").await, "nobody");
    assert_eq!(moved.at(&old).text("/who").await, "nobody");
    assert_eq!(another.with_only(NEW).text("/who").await, "ada");
    let plain = new_app(
        redis.store().await,
        Migration::cutover(TowerSessionsRedis::new(&redis.store().await), key()),
    );
    assert_eq!(moved.at(&plain).text("/who").await, "nobody");
}
