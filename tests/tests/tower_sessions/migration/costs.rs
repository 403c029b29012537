//! The cost of a migration, in commands.

use axum::Router;
use cloakroom::Migration;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tests::generous;

use super::apps::{key, legacy_app, new_routes, signed_in};
use crate::browser::Browser;
use crate::servers::Redis;

/// The commands of one request on session keys, without those in the background: events and index
/// cleanup.
async fn commands(redis: &Redis, browser: &mut Browser, path: &str) -> Vec<String> {
    let monitor = redis.0.monitor();
    browser.text(path).await;
    let seen = monitor.commands().into_iter();
    let seen = seen.map(|words| words[0].to_uppercase());
    seen.filter(|name| !["PUBLISH", "ZREM"].contains(&&**name))
        .collect()
}

async fn app(redis: &Redis, last: bool, knows_users: bool) -> Router {
    let store = redis.store().await;
    let old = TowerSessionsRedis::new(&store);
    let mut migration = if last {
        Migration::cutover(old, key())
    } else {
        Migration::side_by_side(old, key())
    };
    if knows_users {
        migration = migration.with_user(|entries| {
            let name: Option<String> = entries.get("user").ok()?;
            Some(name?.into())
        });
    }
    let layer = generous::layer_builder(store)
        .with_migration(migration)
        .build();
    let app = new_routes().layer(layer.expect("it fits"));
    // So that the scripts and the revocation time are cached.
    let mut first = Browser::new(&app);
    first.text("/login/eve").await;
    first.text("/who").await;
    app
}

#[tokio::test]
async fn a_migrated_session_costs_one_more_read_side_by_side() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let waiting = signed_in(&old).await;
    let first = app(&redis, false, false).await;
    let mut moved = waiting.at(&first);
    let moving = commands(&redis, &mut moved, "/who").await;
    assert_eq!(moving, ["GET", "GET", "SET", "GET"]);
    assert_eq!(commands(&redis, &mut moved, "/who").await, ["GET", "GET"]);
    let mut native = Browser::new(&first);
    native.text("/login/bob").await;
    assert_eq!(commands(&redis, &mut native, "/who").await, ["GET"]);
    let none: [&str; 0] = [];
    assert_eq!(
        commands(&redis, &mut Browser::new(&first), "/who").await,
        none
    );

    let second = app(&redis, true, false).await;
    let mut moved = moved.at(&second);
    moved.text("/who").await;
    assert_eq!(commands(&redis, &mut moved, "/who").await, ["GET"]);
    let mut late = signed_in(&old).await.at(&second);
    let moving = commands(&redis, &mut late, "/who").await;
    assert_eq!(
        moving,
        [
            "GET", "GET", "SET", "EVALSHA", "DEL", "EVALSHA", "DEL", "GET"
        ]
    );
    assert_eq!(commands(&redis, &mut late, "/who").await, ["GET"]);

    let knowing = app(&redis, false, true).await;
    let mut known = signed_in(&old).await.at(&knowing);
    let moving = commands(&redis, &mut known, "/who").await;
    assert_eq!(moving, ["GET", "GET", "EVALSHA", "GET"]);
}
