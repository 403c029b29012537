//! What moving in costs, in commands.

use axum::Router;
use cloakroom::{Arrivals, SessionLayer};
use cloakroom_tower_sessions::moving_in::TowerSessions;

use super::apps::{key, logged_in, new_routes, old_app};
use crate::servers::Redis;
use crate::visitor::Visitor;

/// The commands of one request, on the keys of sessions: what is told and tidied beside it is not
/// waited for.
async fn commands(redis: &Redis, browser: &mut Visitor, path: &str) -> Vec<String> {
    let monitor = redis.0.monitor();
    browser.text(path).await;
    let seen = monitor.commands().into_iter();
    let seen = seen.map(|words| words[0].to_uppercase());
    seen.filter(|name| !["PUBLISH", "ZREM"].contains(&&**name))
        .collect()
}

async fn app(redis: &Redis, last: bool, knows_users: bool) -> Router {
    let store = redis.store().await;
    let old = TowerSessions::in_redis(&store);
    let mut arrivals = match last {
        false => Arrivals::beside(old, key()),
        true => Arrivals::after(old, key()),
    };
    if knows_users {
        arrivals = arrivals.with_user(|entries| {
            let name: Option<String> = entries.get("user").ok()?;
            Some(name?.into())
        });
    }
    let layer = SessionLayer::builder(store)
        .with_migration(arrivals)
        .build();
    let app = new_routes().layer(layer.expect("it fits"));
    // From now on the scripts and the epoch are known.
    let mut first = Visitor::new(&app);
    first.text("/login/eve").await;
    first.text("/who").await;
    app
}

#[tokio::test]
async fn a_moved_session_costs_one_more_read_while_both_versions_run() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let waiting = logged_in(&old).await;
    let first = app(&redis, false, false).await;
    let mut moved = waiting.at(&first);
    let moving = commands(&redis, &mut moved, "/who").await;
    assert_eq!(moving, ["GET", "GET", "SET", "GET"]);
    assert_eq!(commands(&redis, &mut moved, "/who").await, ["GET", "GET"]);
    let mut native = Visitor::new(&first);
    native.text("/login/bob").await;
    assert_eq!(commands(&redis, &mut native, "/who").await, ["GET"]);
    let none: [&str; 0] = [];
    assert_eq!(
        commands(&redis, &mut Visitor::new(&first), "/who").await,
        none
    );

    let second = app(&redis, true, false).await;
    let mut moved = moved.at(&second);
    moved.text("/who").await;
    assert_eq!(commands(&redis, &mut moved, "/who").await, ["GET"]);
    let mut late = logged_in(&old).await.at(&second);
    let moving = commands(&redis, &mut late, "/who").await;
    assert_eq!(moving, ["GET", "GET", "SET", "DEL", "GET"]);
    assert_eq!(commands(&redis, &mut late, "/who").await, ["GET"]);

    let knowing = app(&redis, false, true).await;
    let mut known = logged_in(&old).await.at(&knowing);
    let moving = commands(&redis, &mut known, "/who").await;
    assert_eq!(moving, ["GET", "GET", "EVALSHA", "GET"]);
}
