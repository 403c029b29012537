//! Side by side, and after cutover.

use std::sync::Arc;
use std::time::Duration;
use tests::generous;

use axum::Router;
use axum::routing::get;
use cloakroom::{Migration, Session};
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tower_sessions_014::{Expiry, cookie::Key};

use super::apps::{
    LEGACY, NEW, Seal, cutover, forget_tombstones, key, legacy_app, legacy_app_with, legacy_keys,
    new_app, new_keys, new_routes, sealed, side_by_side, signed_in,
};
use crate::browser::{Browser, Gate};
use crate::servers::Redis;

#[tokio::test]
async fn plain_signed_and_private_cookies_migrate() {
    let seals = [
        Seal::Plain,
        Seal::Signed(Key::generate()),
        Seal::Private(Key::generate()),
    ];
    for seal in &seals {
        let redis = Redis::start();
        let old = legacy_app_with(&redis, seal, None).await;
        let browser = signed_in(&old).await;
        let store = redis.store().await;
        let migration = Migration::side_by_side(sealed(&store, seal), key());
        let mut on_new = browser.at(&new_app(store, migration));
        assert_eq!(on_new.text("/who").await, "ada", "{seal:?}");
        assert_eq!(on_new.text("/get/cart").await, "hat", "{seal:?}");
        // Both versions stay signed in.
        assert_eq!(on_new.at(&old).text("/who").await, "ada", "{seal:?}");
    }
}

#[tokio::test]
async fn side_by_side_the_legacy_record_and_cookie_stay() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let browser = signed_in(&old).await;
    let before = legacy_keys(&redis.0);
    let mut on_new = browser.at(&side_by_side(&redis).await);
    let response = on_new.get("/who").await;
    assert_eq!(response.text, "ada");
    assert_eq!(response.set_cookies.len(), 1, "{response:?}");
    assert!(response.set_cookies[0].starts_with(NEW), "{response:?}");
    // Later responses set no cookie.
    assert!(on_new.get("/who").await.set_cookies.is_empty());
    assert_eq!(legacy_keys(&redis.0), before);
    assert_eq!(browser.at(&old).text("/who").await, "ada");
    // Edits after the migration stay in their own app.
    on_new.text("/set/cart/shoes").await;
    assert_eq!(on_new.at(&old).text("/get/cart").await, "hat");
    on_new.at(&old).text("/set/cart/scarf").await;
    assert_eq!(on_new.text("/get/cart").await, "shoes");
    // Nothing stored for the new session reveals the legacy id or a token.
    let old_id = &browser.cookies[LEGACY];
    for key in new_keys(&redis.0) {
        let tests::resp::Reply::Bytes(value) = redis.0.command(&["GET", &key]) else {
            panic!("{key} is no string");
        };
        let text = String::from_utf8(value).unwrap();
        assert!(
            !text.contains(old_id) && !text.contains(&on_new.cookies[NEW]),
            "{text}"
        );
    }
}

#[tokio::test]
async fn after_cutover_the_legacy_record_and_cookie_are_removed() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let new = cutover(&redis).await;
    let mut on_new = browser.at(&new);
    assert_eq!(on_new.text("/who").await, "ada");
    assert!(!on_new.cookies.contains_key(LEGACY));
    assert!(legacy_keys(&redis.0).is_empty());
    assert_eq!(on_new.text("/get/cart").await, "hat");
    assert_eq!(new_keys(&redis.0).len(), 1);
    // The legacy cookie still authenticates the session, if a browser has lost the new cookie.
    assert_eq!(browser.at(&new).text("/who").await, "ada");
    on_new.text("/logout").await;
    forget_tombstones(&redis.0);
    let mut late = browser.at(&new);
    assert_eq!(late.text("/who").await, "nobody");
    assert!(late.cookies.is_empty());
}

#[tokio::test]
async fn a_session_migrated_side_by_side_is_completed_after_cutover() {
    for with_old_cookie in [true, false] {
        let redis = Redis::start();
        let browser = signed_in(&legacy_app(&redis).await).await;
        let first = side_by_side(&redis).await;
        let mut on_new = browser.at(&first);
        on_new.text("/set/cart/shoes").await;
        let mut at_second = on_new.at(&cutover(&redis).await);
        if !with_old_cookie {
            at_second = at_second.with_only(NEW);
        }
        assert_eq!(at_second.text("/get/cart").await, "shoes");
        assert!(legacy_keys(&redis.0).is_empty());
        assert!(!at_second.cookies.contains_key(LEGACY));
        // A server that is not cut over yet does not treat it as a sign-out.
        assert_eq!(on_new.at(&first).text("/get/cart").await, "shoes");
        assert_eq!(at_second.text("/who").await, "ada");
        assert_eq!(new_keys(&redis.0).len(), 1);
    }
}

#[tokio::test]
async fn a_sign_out_in_the_new_app_ends_both_sessions() {
    for cookies in ["both", LEGACY, NEW] {
        let redis = Redis::start();
        let old = legacy_app(&redis).await;
        let browser = signed_in(&old).await;
        let new = side_by_side(&redis).await;
        let mut on_new = browser.at(&new);
        if cookies != LEGACY {
            on_new.text("/who").await;
        }
        let copied = on_new.clone();
        if cookies == NEW {
            on_new = on_new.with_only(NEW);
        }
        assert_eq!(on_new.text("/logout").await, "Ended");
        assert!(on_new.cookies.is_empty(), "{:?}", on_new.cookies);
        assert!(legacy_keys(&redis.0).is_empty());
        for _ in 0..2 {
            assert_eq!(copied.at(&old).text("/who").await, "nobody");
            assert_eq!(copied.at(&new).text("/who").await, "nobody");
            // Also when the tombstones have expired.
            forget_tombstones(&redis.0);
        }
    }
}

#[tokio::test]
async fn a_sign_out_in_the_legacy_app_ends_both_sessions() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let mut browser = signed_in(&old).await;
    let new = side_by_side(&redis).await;
    let mut on_new = browser.at(&new);
    on_new.text("/who").await;
    browser.text("/logout").await;
    for mut copied in [
        on_new.clone(),
        on_new.with_only(NEW),
        on_new.with_only(LEGACY),
    ] {
        let response = copied.get("/who").await;
        assert_eq!((response.status, &*response.text), (200, "nobody"));
        assert!(response.set_cookies.is_empty(), "{response:?}");
    }
    forget_tombstones(&redis.0);
    assert_eq!(on_new.text("/who").await, "nobody");
    // A sign-in there, with the new cookie still in the browser, migrates as well.
    let mut again = on_new.at(&old);
    again.text("/login/bob").await;
    assert_eq!(again.at(&new).text("/who").await, "bob");
}

#[tokio::test]
async fn sign_in_and_renewal_invalidate_the_legacy_cookie() {
    for path in ["/login/ada", "/renew"] {
        for first in ["/who", ""] {
            let redis = Redis::start();
            let old = legacy_app(&redis).await;
            // An attacker has planted a legacy cookie of their own.
            let mut attacker = Browser::new(&old);
            attacker.text("/set/cart/hat").await;
            let planted = attacker.with_only(LEGACY);
            let new = side_by_side(&redis).await;
            let mut victim = planted.at(&new);
            if !first.is_empty() {
                victim.text(first).await;
            }
            let derived = victim.clone();
            victim.text(path).await;
            assert!(!victim.cookies.contains_key(LEGACY));
            assert!(legacy_keys(&redis.0).is_empty());
            assert_eq!(victim.text("/get/cart").await, "hat");
            for _ in 0..2 {
                for stale in [&planted, &derived] {
                    assert_eq!(stale.at(&new).text("/get/cart").await, "", "{path}");
                    assert_eq!(stale.at(&old).text("/get/cart").await, "", "{path}");
                }
                forget_tombstones(&redis.0);
            }
            assert_eq!(victim.text("/get/cart").await, "hat");
        }
    }
}

/// If a session ended here without its legacy session, a request that finds the tombstone ends the
/// legacy session, so that it stays ended when the tombstone has expired.
#[tokio::test]
async fn a_legacy_cookie_of_an_ended_session_ends_the_legacy_session() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let new = side_by_side(&redis).await;
    let mut on_new = browser.at(&new);
    let id = on_new.text("/id").await;
    // By a server without migration.
    let bare = generous::layer(redis.store().await);
    assert!(
        bare.sessions()
            .revoke_any(id.parse().unwrap())
            .await
            .unwrap()
    );
    assert_eq!(legacy_keys(&redis.0).len(), 1);
    assert_eq!(browser.at(&new).text("/who").await, "nobody");
    assert!(legacy_keys(&redis.0).is_empty());
}

#[tokio::test]
async fn a_slow_request_with_the_legacy_cookie_does_not_replace_a_newer_one() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let slow = get(move |session: Session| async move {
        held.wait().await;
        session.id().map_or_else(String::new, |id| id.to_string())
    });
    let store = redis.store().await;
    let migration = Migration::side_by_side(TowerSessionsRedis::new(&store), key());
    let layer = generous::layer_builder(store)
        .with_migration(migration)
        .build()
        .unwrap();
    let new: Router = new_routes().route("/slow", slow).layer(layer);
    let mut late = browser.at(&new);
    let slow = tokio::spawn(async move { late.get("/slow").await });
    gate.arrived.notified().await;
    let mut on_new = browser.at(&new);
    on_new.text("/login/ada").await;
    gate.open.notify_one();
    let response = slow.await.unwrap();
    assert_eq!(response.status, 200);
    assert!(response.set_cookies.is_empty(), "{response:?}");
    assert_eq!(on_new.text("/who").await, "ada");
}

fn left(text: &str) -> u64 {
    text.parse().expect("a number")
}

#[tokio::test]
async fn without_inactivity_the_deadline_is_that_of_the_legacy_record() {
    let redis = Redis::start();
    let hour = tower_sessions_014::cookie::time::Duration::hours(1);
    let expiry = Some(Expiry::OnInactivity(hour));
    let old = legacy_app_with(&redis, &Seal::Plain, expiry).await;
    let browser = signed_in(&old).await;
    for new in [side_by_side(&redis).await, cutover(&redis).await] {
        let left = left(&browser.at(&new).text("/deadline").await);
        assert!((3500..=3600).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn use_in_the_new_app_extends_the_legacy_session() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let key_there = legacy_keys(&redis.0).remove(0);
    let store = redis.store().await;
    let old = TowerSessionsRedis::new(&store).with_inactivity(Duration::from_secs(3600));
    let new = new_app(store, Migration::side_by_side(old, key()));
    let mut on_new = browser.at(&new);
    assert!(left(&on_new.text("/deadline").await) > 29 * 24 * 3600);
    let ttl = || redis.0.ttl(&key_there).unwrap().as_secs();
    for _ in 0..2 {
        redis.0.command(&["PEXPIRE", &key_there, "60000"]);
        on_new.text("/who").await;
        assert!((3500..=3600).contains(&ttl()), "{}", ttl());
    }
    // The end of the legacy session ends both.
    redis.0.command(&["DEL", &key_there]);
    assert_eq!(on_new.text("/who").await, "nobody");
}

/// A sign-out is meant for all sessions of the browser, including a legacy session that was never
/// migrated.
#[tokio::test]
async fn a_sign_out_ends_an_unrelated_legacy_session_too() {
    let redis = Redis::start();
    let (old, new) = (legacy_app(&redis).await, side_by_side(&redis).await);
    let mut browser = Browser::new(&new);
    browser.text("/login/bob").await;
    let mut browser = browser.at(&old);
    browser.text("/login/ada").await;
    let mut browser = browser.at(&new);
    assert_eq!(browser.text("/who").await, "bob");
    assert_eq!(browser.text("/logout").await, "Ended");
    assert!(browser.cookies.is_empty());
    assert!(legacy_keys(&redis.0).is_empty());
}

#[tokio::test]
async fn sign_in_and_sign_out_end_a_legacy_session_that_cannot_migrate() {
    let redis = Redis::start();
    let (old, new) = (legacy_app(&redis).await, side_by_side(&redis).await);
    let too_much = format!("/set/cart/{}", "x".repeat(65_500));
    for (path, cookies) in [("/login/bob", 1), ("/logout", 0)] {
        let mut browser = signed_in(&old).await;
        browser.text(&too_much).await;
        let mut on_new = browser.at(&new);
        assert_eq!(on_new.text("/who").await, "nobody");
        assert_eq!(legacy_keys(&redis.0).len(), 1);
        on_new.text(path).await;
        assert_eq!(on_new.cookies.len(), cookies, "{path}");
        assert!(legacy_keys(&redis.0).is_empty(), "{path}");
    }
}
