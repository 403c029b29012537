//! Migrating an app with axum-login, using the bridge.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_login::{AuthManager, AuthManagerLayerBuilder, AuthSession, AuthnBackend};
use cloakroom::{Migration, UserId};
use cloakroom_core::Entries;
use cloakroom_tower_sessions::{migration::TowerSessionsRedis, v0_14::BridgeLayer};
use fred::prelude::{ClientLike, Config, Pool};
use serde::Deserialize;
use tests::generous;
use tower::layer::layer_fn;
use tower_sessions_014::{Session as TowerSession, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore as TheirStore;

use super::apps::{LEGACY, forget_tombstones, key, legacy_keys};
use crate::browser::Browser;
use crate::ecosystem::Users;
use crate::servers::Redis;

const DATA: &str = "axum-login.data";

type Auth = AuthSession<Users>;

fn routes() -> Router {
    Router::new()
        .route("/login/{name}", get(sign_in))
        .route("/logout", get(sign_out))
        .route("/who", get(who))
        .route("/cart", get(cart))
}

async fn sign_in(mut auth: Auth, Path(name): Path<String>) {
    let user = auth
        .backend
        .authenticate(name)
        .await
        .expect("the users are there")
        .expect("nobody is mallory");
    auth.login(&user).await.expect("the session works");
}

async fn sign_out(mut auth: Auth) {
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

async fn legacy_app(redis: &Redis) -> Router {
    let config = Config::from_url(&redis.url()).expect("Redis is running");
    let pool = Pool::new(config, None, None, None, 2).expect("Redis is running");
    pool.init().await.expect("Redis is running");
    let sessions = SessionManagerLayer::new(TheirStore::new(pool));
    routes().layer(
        AuthManagerLayerBuilder::new(Users, sessions)
            .with_data_key(DATA)
            .build(),
    )
}

/// The session data of axum-login.
#[derive(Deserialize)]
struct Data {
    user_id: Option<String>,
}

fn user_of(entries: &Entries) -> Option<UserId> {
    let data: Data = entries.get(DATA).ok()??;
    Some(data.user_id?.into())
}

#[tokio::test]
async fn axum_login_users_stay_signed_in_and_sign_out_of_both() {
    let redis = Redis::start();
    let old = legacy_app(&redis).await;
    let store = redis.store().await;
    let legacy_store = TowerSessionsRedis::new(&store);
    let migration = Migration::side_by_side(legacy_store, key()).with_user(user_of);
    let layer = generous::layer_builder(store)
        .with_migration(migration)
        .build()
        .unwrap();
    let sessions = layer.sessions();
    let new: Router = routes()
        .layer(layer_fn(|inner| AuthManager::new(inner, Users, DATA)))
        .layer(BridgeLayer::new())
        .layer(layer);

    let mut browser = Browser::new(&old);
    browser.text("/login/ada").await;
    let mut on_new = browser.at(&new);
    assert_eq!(on_new.text("/who").await, "ada");
    assert_eq!(sessions.count("ada").await.unwrap(), 1);
    // A sign-out in the legacy app signs out of the new one.
    browser.text("/logout").await;
    assert_eq!(on_new.text("/who").await, "nobody");
    // A sign-in in the legacy app signs in to the new one; a sign-out in the new one signs out of both.
    let mut again = on_new.at(&old);
    again.text("/login/bob").await;
    let mut on_new = again.at(&new);
    assert_eq!(on_new.text("/who").await, "bob");
    on_new.text("/logout").await;
    assert!(on_new.cookies.is_empty(), "{:?}", on_new.cookies);
    assert_eq!(again.text("/who").await, "nobody");
    // After a sign-in in the new app, the legacy cookie is invalid.
    let mut anonymous = Browser::new(&old);
    anonymous.text("/cart").await;
    let planted = anonymous.with_only(LEGACY);
    let mut on_new = anonymous.at(&new);
    on_new.text("/login/ada").await;
    assert!(legacy_keys(&redis.0).is_empty());
    assert_eq!(on_new.text("/who").await, "ada");
    forget_tombstones(&redis.0);
    assert_eq!(planted.at(&new).text("/who").await, "nobody");
    assert_eq!(on_new.text("/who").await, "ada");
}
