//! Our implementations below `tower_sessions::Session`: their layer with our store, and our layer with
//! the bridge.

use axum::Router;
use tests::generous;

use super::behaviour::{self, Differences, Setup};
use super::cloakroom_tower_sessions::{BridgeLayer, TowerSessionsStore};
use super::tower_sessions::SessionManagerLayer;
use crate::servers::Redis;

async fn our_store(redis: &Redis, app: Router) -> Router {
    let store = TowerSessionsStore::new(redis.store().await);
    app.layer(SessionManagerLayer::new(store))
}

async fn our_layer(redis: &Redis, app: Router) -> Router {
    app.layer(BridgeLayer::new())
        .layer(generous::layer(redis.store().await))
}

#[tokio::test]
async fn the_tower_sessions_layer_works_on_our_store() {
    behaviour::check(Setup::new(our_store)).await;
    let expected = Differences {
        merges: true,
        ended_concurrently: 200,
        keeps_flushed_id: false,
        takes_stale_cookie: true,
        shows_ids: false,
        id_is_secret: true,
    };
    let found = behaviour::differences(Setup::new(our_store)).await;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn tower_sessions_extractors_work_on_our_layer() {
    behaviour::check(Setup::new(our_layer)).await;
    let expected = Differences {
        merges: true,
        ended_concurrently: 200,
        keeps_flushed_id: false,
        takes_stale_cookie: false,
        shows_ids: false,
        id_is_secret: false,
    };
    let found = behaviour::differences(Setup::new(our_layer)).await;
    assert_eq!(found, expected);
}
