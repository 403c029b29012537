//! An app with axum-login, moving in with the bridge.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_login::{AuthManager, AuthManagerLayerBuilder, AuthSession, AuthnBackend};
use cloakroom::{Arrivals, SessionLayer, UserId};
use cloakroom_core::Entries;
use cloakroom_tower_sessions::{moving_in::TowerSessions, v0_14::BridgeLayer};
use fred::prelude::{ClientLike, Config, Pool};
use serde::Deserialize;
use tower::layer::layer_fn;
use tower_sessions_014::{Session as TowerSession, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore as TheirStore;

use super::apps::{OLD, forget_tombstones, key, old_keys};
use crate::ecosystem::Users;
use crate::servers::Redis;
use crate::visitor::Visitor;

const DATA: &str = "axum-login.data";

type Auth = AuthSession<Users>;

fn routes() -> Router {
    Router::new()
        .route("/login/{name}", get(log_in))
        .route("/logout", get(log_out))
        .route("/who", get(who))
        .route("/cart", get(cart))
}

async fn log_in(mut auth: Auth, Path(name): Path<String>) {
    let user = auth
        .backend
        .authenticate(name)
        .await
        .expect("the users are there")
        .expect("nobody is mallory");
    auth.login(&user).await.expect("the session works");
}

async fn log_out(mut auth: Auth) {
    auth.logout().await.expect("the session works");
}

async fn cart(session: TowerSession) {
    session
        .insert("cart", "hat")
        .await
        .expect("the session works");
}

async fn who(auth: Auth) -> String {
    let name = auth.user.as_ref().map(axum_login::AuthUser::id);
    name.unwrap_or_else(|| "nobody".into())
}

async fn old_app(redis: &Redis) -> Router {
    let config = Config::from_url(&redis.url()).expect("Redis is there");
    let pool = Pool::new(config, None, None, None, 2).expect("Redis is there");
    pool.connect();
    pool.wait_for_connect().await.expect("Redis is there");
    let sessions = SessionManagerLayer::new(TheirStore::new(pool));
    routes().layer(
        AuthManagerLayerBuilder::new(Users, sessions)
            .with_data_key(DATA)
            .build(),
    )
}

/// What axum-login keeps.
#[derive(Deserialize)]
struct Data {
    user_id: Option<String>,
}

fn user_of(entries: &Entries) -> Option<UserId> {
    let data: Data = entries.get(DATA).ok()??;
    Some(data.user_id?.into())
}

#[tokio::test]
async fn who_is_logged_in_stays_so_and_logs_out_of_both() {
    let redis = Redis::start();
    let old = old_app(&redis).await;
    let store = redis.store().await;
    let predecessor = TowerSessions::in_redis(&store);
    let arrivals = Arrivals::beside(predecessor, key()).with_user(user_of);
    let layer = SessionLayer::builder(store)
        .with_migration(arrivals)
        .build()
        .unwrap();
    let sessions = layer.sessions();
    let new: Router = routes()
        .layer(layer_fn(|inner| AuthManager::new(inner, Users, DATA)))
        .layer(BridgeLayer::new())
        .layer(layer);

    let mut browser = Visitor::new(&old);
    browser.text("/login/ada").await;
    let mut at_new = browser.at(&new);
    assert_eq!(at_new.text("/who").await, "ada");
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // Out there, out here.
    browser.text("/logout").await;
    assert_eq!(at_new.text("/who").await, "nobody");
    // In there, in here; out here, out there.
    let mut again = at_new.at(&old);
    again.text("/login/bob").await;
    let mut at_new = again.at(&new);
    assert_eq!(at_new.text("/who").await, "bob");
    at_new.text("/logout").await;
    assert!(at_new.cookies.is_empty(), "{:?}", at_new.cookies);
    assert_eq!(again.text("/who").await, "nobody");
    // In here alone: the old way in is closed.
    let mut guest = Visitor::new(&old);
    guest.text("/cart").await;
    let planted = guest.with_only(OLD);
    let mut at_new = guest.at(&new);
    at_new.text("/login/ada").await;
    assert!(old_keys(&redis.0).is_empty());
    assert_eq!(at_new.text("/who").await, "ada");
    forget_tombstones(&redis.0);
    assert_eq!(planted.at(&new).text("/who").await, "nobody");
    assert_eq!(at_new.text("/who").await, "ada");
}
