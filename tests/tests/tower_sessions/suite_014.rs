//! The suite with tower-sessions 0.14, and with their layer on their Redis store.

use axum::Router;
use cloakroom_tower_sessions::v0_14 as cloakroom_tower_sessions;
use fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_014 as tower_sessions;
use tower_sessions_redis_store::RedisStore as TheirStore;

use self::behaviour::{Differences, Setup};
use crate::servers::Redis;

#[path = "behaviour.rs"]
mod behaviour;
#[path = "handlers.rs"]
mod handlers;
#[path = "ours.rs"]
mod ours;

async fn their_store(redis: &Redis, app: Router) -> Router {
    let config = Config::from_url(&redis.url()).expect("Redis is running");
    let pool = Pool::new(config, None, None, None, 2).expect("Redis is running");
    pool.init().await.expect("Redis is running");
    let store = TheirStore::new(pool);
    app.layer(tower_sessions::SessionManagerLayer::new(store))
}

#[tokio::test]
async fn the_tower_sessions_layer_on_its_own_store_is_the_reference() {
    behaviour::check(Setup::new(their_store)).await;
    let expected = Differences {
        merges: false,
        ended_concurrently: 500,
        keeps_flushed_id: true,
        takes_stale_cookie: true,
        shows_ids: true,
        id_is_secret: true,
    };
    let found = behaviour::differences(Setup::new(their_store)).await;
    assert_eq!(found, expected);
}
