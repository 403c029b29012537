//! The suite with tower-sessions 0.14: their layer with their Redis store, their layer with our store,
//! our layer with the bridge.

use axum::Router;
use cloakroom::SessionLayer;
use cloakroom_tower_sessions::v0_14::{BridgeLayer, TowerStore};
use fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_014 as tower_sessions;
use tower_sessions_redis_store::RedisStore as TheirStore;

use self::behaviour::Differences;
use crate::servers::Redis;

#[path = "behaviour.rs"]
mod behaviour;
#[path = "handlers.rs"]
mod handlers;

pub(crate) struct Setup {
    pub(crate) redis: Redis,
    below: Below,
}

enum Below {
    Theirs,
    OurStore,
    OurLayer,
}

impl Setup {
    fn new(below: Below) -> Self {
        let redis = Redis::start();
        Self { redis, below }
    }

    pub(crate) async fn around(&self, app: Router) -> Router {
        match self.below {
            Below::Theirs => {
                let config = Config::from_url(&self.redis.url()).expect("Redis is there");
                let pool = Pool::new(config, None, None, None, 2).expect("Redis is there");
                pool.connect();
                pool.wait_for_connect().await.expect("Redis is there");
                let store = TheirStore::new(pool);
                app.layer(tower_sessions::SessionManagerLayer::new(store))
            }
            Below::OurStore => {
                let store = TowerStore::new(self.redis.store().await);
                app.layer(tower_sessions::SessionManagerLayer::new(store))
            }
            Below::OurLayer => app
                .layer(BridgeLayer::new())
                .layer(SessionLayer::new(self.redis.store().await)),
        }
    }
}

#[tokio::test]
async fn their_layer_with_their_store() {
    behaviour::is_kept(Setup::new(Below::Theirs)).await;
    let expected = Differences {
        merges: false,
        ended_meanwhile: 500,
        keeps_flushed_id: true,
        takes_stale_cookie: true,
        shows_ids: true,
        id_is_secret: true,
    };
    let found = behaviour::differences(Setup::new(Below::Theirs)).await;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn their_layer_with_our_store() {
    behaviour::is_kept(Setup::new(Below::OurStore)).await;
    let expected = Differences {
        merges: true,
        ended_meanwhile: 200,
        keeps_flushed_id: false,
        takes_stale_cookie: true,
        shows_ids: false,
        id_is_secret: true,
    };
    let found = behaviour::differences(Setup::new(Below::OurStore)).await;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn our_layer_with_the_bridge() {
    behaviour::is_kept(Setup::new(Below::OurLayer)).await;
    let expected = Differences {
        merges: true,
        ended_meanwhile: 200,
        keeps_flushed_id: false,
        takes_stale_cookie: false,
        shows_ids: false,
        id_is_secret: false,
    };
    let found = behaviour::differences(Setup::new(Below::OurLayer)).await;
    assert_eq!(found, expected);
}
