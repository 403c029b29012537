//! Users of migrated sessions.

use axum::Router;
use cloakroom::{Migration, RevokedBy, Sessions, UserId, minutes};
use cloakroom_core::Entries;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tests::generous;

use super::apps::{LEGACY, forget_tombstones, key, legacy_app, legacy_keys, new_routes, signed_in};
use crate::servers::Redis;

fn user_of(entries: &Entries) -> Option<UserId> {
    let name: Option<String> = entries.get("user").ok()?;
    Some(name?.into())
}

async fn new(redis: &Redis) -> (Router, Sessions) {
    let store = redis.store().await;
    let old = TowerSessionsRedis::new(&store);
    let migration = Migration::side_by_side(old, key()).with_user(user_of);
    let layer = generous::layer_builder(store)
        .with_migration(migration)
        .build()
        .expect("it fits");
    let sessions = layer.sessions();
    let stale = axum::routing::get(async |session: cloakroom::Session| {
        session
            .require_recent_sign_in(minutes(10))
            .is_err()
            .to_string()
    });
    (new_routes().route("/stale", stale).layer(layer), sessions)
}

#[tokio::test]
async fn migrated_users_are_signed_in_listed_and_revoked_everywhere() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let (new, sessions) = new(&redis).await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        let browser = signed_in(&old).await;
        let mut on_new = browser.at(&new);
        assert_eq!(on_new.text("/user").await, "ada");
        assert_eq!(on_new.text("/stale").await, "true");
        browsers.push(on_new);
    }
    let listed = sessions.list("ada").await.unwrap();
    assert_eq!(listed.len(), 3);
    let day = std::time::Duration::from_secs(24 * 3600);
    assert!(
        listed
            .iter()
            .all(|one| one.created_at().elapsed().unwrap() < day)
    );
    assert_eq!(
        sessions.revoke_all("ada", RevokedBy::User).await.unwrap(),
        3
    );
    assert!(legacy_keys(&redis.0).is_empty());
    forget_tombstones(&redis.0);
    for browser in browsers {
        assert_eq!(browser.at(&new).text("/who").await, "nobody");
        assert_eq!(browser.at(&old).text("/who").await, "nobody");
    }
    assert_eq!(sessions.count("ada").await.unwrap(), 0);
}

#[tokio::test]
async fn removing_the_user_in_the_legacy_app_signs_out_of_the_new_one() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let (new, _) = new(&redis).await;
    let mut browser = signed_in(&old).await;
    let mut on_new = browser.at(&new);
    assert_eq!(on_new.text("/user").await, "ada");
    browser.text("/forget-user").await;
    assert_eq!(on_new.text("/user").await, "");
    // When the tombstone has expired, the session migrates again without a user.
    forget_tombstones(&redis.0);
    assert_eq!(on_new.text("/who").await, "nobody");
    assert_eq!(on_new.text("/get/cart").await, "hat");
    browser.text("/sign-in-in-place/bob").await;
    assert_eq!(on_new.text("/user").await, "");
    forget_tombstones(&redis.0);
    assert_eq!(on_new.text("/user").await, "bob");
    assert!(on_new.cookies.contains_key(LEGACY));
}
