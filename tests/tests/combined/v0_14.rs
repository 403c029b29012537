//! With tower-sessions 0.14, and their Redis store.

use axum::Router;
use cloakroom_tower_sessions::v0_14 as bridge;
use fred::prelude::{ClientLike, Config, Pool};
use tokio::time::timeout;
use tower_sessions_014 as tower_sessions;
use tower_sessions_redis_store::RedisStore as TheirStore;

use crate::setup::PATIENCE;

#[path = "tower_app.rs"]
pub(crate) mod app;

/// Their layer on their Redis store.
pub(crate) async fn on_their_store(app: Router, url: &str) -> Router {
    let config = Config::from_url(url).expect("the URL is valid");
    let pool = Pool::new(config, None, None, None, 2).expect("two clients");
    // Not `connect` and `wait_for_connect`, which waits forever if the connection is there in between.
    let connected = timeout(PATIENCE, pool.init()).await;
    let connected = connected.expect("their client connects in time");
    connected.expect("Redis runs");
    let store = TheirStore::new(pool);
    app.layer(tower_sessions::SessionManagerLayer::new(store))
}
