//! The same small app twice: with tower-sessions and its Redis store, and with Cloakroom.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use cloakroom::{CookieConfig, LegacyStore, Migration, MigrationKey, Session};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use fred::prelude::{ClientLike, Config, Pool};
use tests::generous;
use tests::redis::RedisServer;
use tower_sessions_014::{Expiry, Session as LegacySession, SessionManagerLayer, cookie::Key};
use tower_sessions_redis_store::RedisStore as TheirStore;

use crate::browser::Browser;
use crate::servers::Redis;

/// The new cookie's name.
pub(super) const NEW: &str = "__Host-Http-id";
/// The legacy cookie's name.
pub(super) const LEGACY: &str = "id";

/// How the legacy app protects its cookie.
#[derive(Clone, Debug)]
pub(super) enum Seal {
    Plain,
    Signed(Key),
    Private(Key),
}

/// The migration key of all servers: the migration began twenty days ago.
pub(super) fn key() -> MigrationKey {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    let day = 24 * 60 * 60;
    let began = now.as_secs() / day * day - 20 * day;
    MigrationKey::new(b"a secret of at least 32 bytes, for tests", began)
        .expect("the secret is long")
}

pub(super) async fn legacy_app(redis: &Redis) -> Router {
    legacy_app_with(redis, &Seal::Plain, None).await
}

pub(super) async fn legacy_app_with(redis: &Redis, seal: &Seal, expiry: Option<Expiry>) -> Router {
    let config = Config::from_url(&redis.url()).expect("Redis is running");
    let pool = Pool::new(config, None, None, None, 2).expect("Redis is running");
    pool.init().await.expect("Redis is running");
    let mut layer = SessionManagerLayer::new(TheirStore::new(pool));
    if let Some(expiry) = expiry {
        layer = layer.with_expiry(expiry);
    }
    match seal {
        Seal::Plain => old_routes().layer(layer),
        Seal::Signed(key) => old_routes().layer(layer.with_signed(key.clone())),
        Seal::Private(key) => old_routes().layer(layer.with_private(key.clone())),
    }
}

fn old_routes() -> Router {
    Router::new()
        .route("/login/{name}", get(old_sign_in))
        .route("/sign-in-in-place/{name}", get(old_sign_in_in_place))
        .route("/logout", get(old_sign_out))
        .route("/forget-user", get(old_forget_user))
        .route("/who", get(old_who))
        .route("/set/{key}/{value}", get(old_set))
        .route("/get/{key}", get(old_get))
}

async fn old_sign_in(session: LegacySession, Path(name): Path<String>) {
    session.cycle_id().await.expect("the session works");
    session
        .insert("user", name)
        .await
        .expect("the session works");
}

async fn old_sign_in_in_place(session: LegacySession, Path(name): Path<String>) {
    session
        .insert("user", name)
        .await
        .expect("the session works");
}

async fn old_sign_out(session: LegacySession) {
    session.flush().await.expect("the session works");
}

async fn old_forget_user(session: LegacySession) {
    session
        .remove::<String>("user")
        .await
        .expect("the session works");
}

async fn old_who(session: LegacySession) -> String {
    let user: Option<String> = session.get("user").await.expect("the session works");
    user.unwrap_or_else(|| "nobody".into())
}

async fn old_set(session: LegacySession, Path((key, value)): Path<(String, String)>) {
    session
        .insert(&key, value)
        .await
        .expect("the session works");
}

async fn old_get(session: LegacySession, Path(key): Path<String>) -> String {
    let value: Option<String> = session.get(&key).await.expect("the session works");
    value.unwrap_or_default()
}

/// The new app side by side with the legacy app.
pub(super) async fn side_by_side(redis: &Redis) -> Router {
    let store = redis.store().await;
    let old = TowerSessionsRedis::new(&store);
    new_app(store, Migration::side_by_side(old, key()))
}

/// The new app after cutover.
pub(super) async fn cutover(redis: &Redis) -> Router {
    let store = redis.store().await;
    let old = TowerSessionsRedis::new(&store);
    new_app(store, Migration::cutover(old, key()))
}

pub(super) fn new_app(store: RedisStore, migration: Migration) -> Router {
    let layer = generous::layer_builder(store)
        .with_migration(migration)
        .build();
    new_routes().layer(layer.expect("it fits"))
}

pub(super) fn sealed(store: &RedisStore, seal: &Seal) -> TowerSessionsRedis {
    let old = TowerSessionsRedis::new(store);
    match seal {
        Seal::Plain => old,
        Seal::Signed(key) => old.signed(key.clone()),
        Seal::Private(key) => old.private(key.clone()),
    }
}

pub(super) fn new_routes() -> Router {
    Router::new()
        .route("/login/{name}", get(sign_in))
        .route("/renew", get(renew))
        .route("/logout", get(sign_out))
        .route("/who", get(who))
        .route("/id", get(id))
        .route("/set/{key}/{value}", get(set))
        .route("/get/{key}", get(get_entry))
        .route("/count", get(count))
        .route("/user", get(user))
        .route("/deadline", get(deadline))
}

async fn sign_in(session: Session, Path(name): Path<String>) {
    session.insert("user", &name).expect("the session works");
    session.sign_in(name).await.expect("the session works");
}

async fn renew(session: Session) {
    session.renew().expect("the session works");
}

async fn sign_out(session: Session) -> Result<String, cloakroom::SessionError> {
    Ok(format!("{:?}", session.sign_out().await?))
}

async fn who(session: Session) -> String {
    let user: Option<String> = session.get("user").expect("the session works");
    user.unwrap_or_else(|| "nobody".into())
}

async fn id(session: Session) -> String {
    session.id().map_or_else(String::new, |id| id.to_string())
}

async fn set(session: Session, Path((key, value)): Path<(String, String)>) {
    session.insert(&key, &value).expect("the session works");
}

async fn get_entry(session: Session, Path(key): Path<String>) -> String {
    let value: Option<String> = session.get(&key).expect("the session works");
    value.unwrap_or_default()
}

async fn count(session: Session) -> Result<String, cloakroom::SessionError> {
    let count = session.update("count", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(count.to_string())
}

async fn user(session: Session) -> String {
    session
        .user()
        .map_or_else(String::new, |user| user.to_string())
}

async fn deadline(session: Session) -> String {
    let deadline = session.deadline().expect("it has a deadline");
    let left = deadline
        .duration_since(SystemTime::now())
        .expect("it has a deadline");
    left.as_secs().to_string()
}

/// A browser that is signed in to the legacy app, with an entry in its session.
pub(super) async fn signed_in(old: &Router) -> Browser {
    let mut browser = Browser::new(old);
    browser.text("/set/cart/hat").await;
    browser.text("/login/ada").await;
    browser
}

/// The keys of Cloakroom's sessions, ended ones included.
pub(super) fn new_keys(redis: &RedisServer) -> Vec<String> {
    let keys = redis.keys_with_ttl().into_iter().map(|(key, _)| key);
    keys.filter(|key| key.starts_with("cloakroom:0")).collect()
}

/// The keys of legacy sessions.
pub(super) fn legacy_keys(redis: &RedisServer) -> Vec<String> {
    let keys = redis.keys_with_ttl().into_iter().map(|(key, _)| key);
    keys.filter(|key| !key.starts_with("cloakroom")).collect()
}

/// Removes all tombstones, as their TTL would.
pub(super) fn forget_tombstones(redis: &RedisServer) {
    for key in new_keys(redis) {
        let tests::resp::Reply::Bytes(value) = redis.command(&["GET", &key]) else {
            panic!("{key} is no string");
        };
        if value.starts_with(b"t1 ") {
            redis.command(&["DEL", &key]);
        }
    }
}

#[test]
fn the_legacy_cookie_must_have_its_own_name() {
    fn cookie(old: &impl LegacyStore) -> CookieConfig {
        old.cookie().clone()
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = Redis::start();
    let store = runtime.block_on(redis.store());
    let named = CookieConfig::new("sid").with_path("/app");
    let old = TowerSessionsRedis::new(&store).with_cookie(named);
    assert_eq!(cookie(&old).name(), "sid");
    let same = CookieConfig::new("id");
    let old = TowerSessionsRedis::new(&store);
    let refused = generous::layer_builder(store)
        .with_migration(Migration::side_by_side(old, key()))
        .with_cookie(same)
        .build();
    assert!(refused.unwrap_err().to_string().contains("one cookie"));
}
