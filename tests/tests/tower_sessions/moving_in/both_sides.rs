//! What holds while both versions run, and after.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cloakroom::{Arrivals, Session, SessionLayer};
use cloakroom_tower_sessions::moving_in::TowerSessions;
use tower_sessions_014::{Expiry, cookie::Key};

use super::apps::{
    NEW, OLD, Seal, after, beside, forget_tombstones, key, logged_in, new_app, new_keys,
    new_routes, old_app, old_app_with, old_keys, sealed,
};
use crate::servers::Redis;
use crate::visitor::{Gate, Visitor};

#[tokio::test]
async fn plain_signed_and_private_cookies_move_in() {
    let seals = [
        Seal::Plain,
        Seal::Signed(Key::generate()),
        Seal::Private(Key::generate()),
    ];
    for seal in &seals {
        let redis = Redis::start();
        let old = old_app_with(&redis, seal, None).await;
        let browser = logged_in(&old).await;
        let store = redis.store().await;
        let arrivals = Arrivals::beside(sealed(&store, seal), key());
        let mut at_new = browser.at(&new_app(store, arrivals));
        assert_eq!(at_new.text("/who").await, "ada", "{seal:?}");
        assert_eq!(at_new.text("/get/cart").await, "hat", "{seal:?}");
        // Both versions go on.
        assert_eq!(at_new.at(&old).text("/who").await, "ada", "{seal:?}");
    }
}

#[tokio::test]
async fn beside_the_old_version_its_record_and_cookie_stay() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let browser = logged_in(&old).await;
    let before = old_keys(&redis.0);
    let mut at_new = browser.at(&beside(&redis).await);
    let answer = at_new.get("/who").await;
    assert_eq!(answer.text, "ada");
    assert_eq!(answer.set_cookies.len(), 1, "{answer:?}");
    assert!(answer.set_cookies[0].starts_with(NEW), "{answer:?}");
    // From now on, nothing is handed out.
    assert!(at_new.get("/who").await.set_cookies.is_empty());
    assert_eq!(old_keys(&redis.0), before);
    assert_eq!(browser.at(&old).text("/who").await, "ada");
    // Edits after the move stay on their side.
    at_new.text("/set/cart/coat").await;
    assert_eq!(at_new.at(&old).text("/get/cart").await, "hat");
    at_new.at(&old).text("/set/cart/scarf").await;
    assert_eq!(at_new.text("/get/cart").await, "coat");
    // What stands in Redis of the new session does not lead to the old one.
    let old_id = &browser.cookies[OLD];
    for key in new_keys(&redis.0) {
        let tests::resp::Reply::Bytes(value) = redis.0.command(&["GET", &key]) else {
            panic!("{key} is no string");
        };
        let text = String::from_utf8(value).unwrap();
        assert!(
            !text.contains(old_id) && !text.contains(&at_new.cookies[NEW]),
            "{text}"
        );
    }
}

#[tokio::test]
async fn after_the_old_version_record_and_cookie_go() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let new = after(&redis).await;
    let mut at_new = browser.at(&new);
    assert_eq!(at_new.text("/who").await, "ada");
    assert!(!at_new.cookies.contains_key(OLD));
    assert!(old_keys(&redis.0).is_empty());
    assert_eq!(at_new.text("/get/cart").await, "hat");
    assert_eq!(new_keys(&redis.0).len(), 1);
    // The old cookie still leads to the session, if a browser has lost the new one.
    assert_eq!(browser.at(&new).text("/who").await, "ada");
    at_new.text("/logout").await;
    forget_tombstones(&redis.0);
    let mut late = browser.at(&new);
    assert_eq!(late.text("/who").await, "nobody");
    assert!(late.cookies.is_empty());
}

#[tokio::test]
async fn what_has_moved_in_the_first_phase_is_settled_in_the_second() {
    for with_old_cookie in [true, false] {
        let redis = Redis::start();
        let browser = logged_in(&old_app(&redis).await).await;
        let first = beside(&redis).await;
        let mut at_new = browser.at(&first);
        at_new.text("/set/cart/coat").await;
        let mut at_second = at_new.at(&after(&redis).await);
        if !with_old_cookie {
            at_second = at_second.with_only(NEW);
        }
        assert_eq!(at_second.text("/get/cart").await, "coat");
        assert!(old_keys(&redis.0).is_empty());
        assert!(!at_second.cookies.contains_key(OLD));
        // A server of the first phase, not replaced yet, does not take it for a log-out.
        assert_eq!(at_new.at(&first).text("/get/cart").await, "coat");
        assert_eq!(at_second.text("/who").await, "ada");
        assert_eq!(new_keys(&redis.0).len(), 1);
    }
}

#[tokio::test]
async fn a_log_out_at_the_new_version_ends_both() {
    for cookies in ["both", OLD, NEW] {
        let redis = Redis::start();
        let old = old_app(&redis).await;
        let browser = logged_in(&old).await;
        let new = beside(&redis).await;
        let mut at_new = browser.at(&new);
        if cookies != OLD {
            at_new.text("/who").await;
        }
        let copied = at_new.clone();
        if cookies == NEW {
            at_new = at_new.with_only(NEW);
        }
        assert_eq!(at_new.text("/logout").await, "Ended");
        assert!(at_new.cookies.is_empty(), "{:?}", at_new.cookies);
        assert!(old_keys(&redis.0).is_empty());
        for _ in 0..2 {
            assert_eq!(copied.at(&old).text("/who").await, "nobody");
            assert_eq!(copied.at(&new).text("/who").await, "nobody");
            // Also when nobody remembers any more that it has ended.
            forget_tombstones(&redis.0);
        }
    }
}

#[tokio::test]
async fn a_log_out_at_the_old_version_ends_both() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let mut browser = logged_in(&old).await;
    let new = beside(&redis).await;
    let mut at_new = browser.at(&new);
    at_new.text("/who").await;
    browser.text("/logout").await;
    for mut copied in [at_new.clone(), at_new.with_only(NEW), at_new.with_only(OLD)] {
        let answer = copied.get("/who").await;
        assert_eq!((answer.status, &*answer.text), (200, "nobody"));
        assert!(answer.set_cookies.is_empty(), "{answer:?}");
    }
    forget_tombstones(&redis.0);
    assert_eq!(at_new.text("/who").await, "nobody");
    // A log-in there, with the new cookie still in the browser, comes along.
    let mut again = at_new.at(&old);
    again.text("/login/bob").await;
    assert_eq!(again.at(&new).text("/who").await, "bob");
}

#[tokio::test]
async fn a_log_in_or_renewal_at_the_new_version_closes_the_old_way_in() {
    for path in ["/login/ada", "/renew"] {
        for first in ["/who", ""] {
            let redis = Redis::start();
            let old = old_app(&redis).await;
            // Somebody has planted an old cookie of theirs.
            let mut attacker = Visitor::new(&old);
            attacker.text("/set/cart/hat").await;
            let planted = attacker.with_only(OLD);
            let new = beside(&redis).await;
            let mut victim = planted.at(&new);
            if !first.is_empty() {
                victim.text(first).await;
            }
            let derived = victim.clone();
            victim.text(path).await;
            assert!(!victim.cookies.contains_key(OLD));
            assert!(old_keys(&redis.0).is_empty());
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

/// What has no tombstone any more, and whose old session could not be ended, stays closed: who finds
/// the tombstone ends the old session.
#[tokio::test]
async fn an_old_cookie_of_a_session_that_ended_here_ends_the_old_one() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let new = beside(&redis).await;
    let mut at_new = browser.at(&new);
    let id = at_new.text("/id").await;
    // By a server that knows nothing of moving in.
    let bare = SessionLayer::new(redis.store().await);
    assert!(bare.sessions().end(id.parse().unwrap()).await.unwrap());
    assert_eq!(old_keys(&redis.0).len(), 1);
    assert_eq!(browser.at(&new).text("/who").await, "nobody");
    assert!(old_keys(&redis.0).is_empty());
}

#[tokio::test]
async fn a_slow_request_with_the_old_cookie_replaces_no_better_one() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let slow = get(move |session: Session| async move {
        held.wait().await;
        session.id().map_or_else(String::new, |id| id.to_string())
    });
    let store = redis.store().await;
    let arrivals = Arrivals::beside(TowerSessions::in_redis(&store), key());
    let layer = SessionLayer::builder(store)
        .with_migration(arrivals)
        .build()
        .unwrap();
    let new: Router = new_routes().route("/slow", slow).layer(layer);
    let mut late = browser.at(&new);
    let slow = tokio::spawn(async move { late.get("/slow").await });
    gate.arrived.notified().await;
    let mut at_new = browser.at(&new);
    at_new.text("/login/ada").await;
    gate.open.notify_one();
    let answer = slow.await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.set_cookies.is_empty(), "{answer:?}");
    assert_eq!(at_new.text("/who").await, "ada");
}

fn left(text: &str) -> u64 {
    text.parse().expect("a number")
}

#[tokio::test]
async fn without_inactivity_a_session_ends_when_its_old_record_says() {
    let redis = Redis::start();
    let hour = tower_sessions_014::cookie::time::Duration::hours(1);
    let expiry = Some(Expiry::OnInactivity(hour));
    let old = old_app_with(&redis, &Seal::Plain, expiry).await;
    let browser = logged_in(&old).await;
    for new in [beside(&redis).await, after(&redis).await] {
        let left = left(&browser.at(&new).text("/deadline").await);
        assert!((3500..=3600).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn use_at_the_new_version_keeps_an_old_session_alive_by_its_inactivity() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let key_there = old_keys(&redis.0).remove(0);
    let store = redis.store().await;
    let old = TowerSessions::in_redis(&store).with_inactivity(Duration::from_secs(3600));
    let new = new_app(store, Arrivals::beside(old, key()));
    let mut at_new = browser.at(&new);
    assert!(left(&at_new.text("/deadline").await) > 29 * 24 * 3600);
    let ttl = || redis.0.ttl(&key_there).unwrap().as_secs();
    for _ in 0..2 {
        redis.0.command(&["PEXPIRE", &key_there, "60000"]);
        at_new.text("/who").await;
        assert!((3500..=3600).contains(&ttl()), "{}", ttl());
    }
    // And its end is the end of both.
    redis.0.command(&["DEL", &key_there]);
    assert_eq!(at_new.text("/who").await, "nobody");
}

/// A log-out is meant for all that the browser has, and so for an old session that never came here.
#[tokio::test]
async fn a_log_out_ends_the_old_session_beside_one_that_began_here() {
    let redis = Redis::start();
    let (old, new) = (old_app(&redis).await, beside(&redis).await);
    let mut browser = Visitor::new(&new);
    browser.text("/login/bob").await;
    let mut browser = browser.at(&old);
    browser.text("/login/ada").await;
    let mut browser = browser.at(&new);
    assert_eq!(browser.text("/who").await, "bob");
    assert_eq!(browser.text("/logout").await, "Ended");
    assert!(browser.cookies.is_empty());
    assert!(old_keys(&redis.0).is_empty());
}

#[tokio::test]
async fn a_log_in_or_log_out_ends_an_old_session_that_cannot_move() {
    let redis = Redis::start();
    let (old, new) = (old_app(&redis).await, beside(&redis).await);
    let too_much = format!("/set/cart/{}", "x".repeat(65_500));
    for (path, cookies) in [("/login/bob", 1), ("/logout", 0)] {
        let mut browser = logged_in(&old).await;
        browser.text(&too_much).await;
        let mut at_new = browser.at(&new);
        assert_eq!(at_new.text("/who").await, "nobody");
        assert_eq!(old_keys(&redis.0).len(), 1);
        at_new.text(path).await;
        assert_eq!(at_new.cookies.len(), cookies, "{path}");
        assert!(old_keys(&redis.0).is_empty(), "{path}");
    }
}
