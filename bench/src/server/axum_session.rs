//! `axum_session` with its Redis pool. Its memory cache is on by default; with it, several servers do not
//! see each other's changes. Its expiry always slides.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use axum_session::{SessionConfig, SessionLayer, SessionStore};
use axum_session_redispool::SessionRedisPool;
use redis_pool::RedisPool;
use time::Duration;

use super::Failed;
use super::common::{self, Entries, IDLE, page};
use crate::BoxError;
use crate::args::ServeArgs;

type Session = axum_session::Session<SessionRedisPool>;

/// Whether it caches sessions in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    On,
    Off,
}

pub(super) async fn app(args: ServeArgs, cache: Cache) -> Result<Router, BoxError> {
    let redis = redis::Client::open(args.url())?;
    let pool = SessionRedisPool::from(RedisPool::from(redis));
    let idle = Duration::try_from(IDLE)?;
    let mut config = SessionConfig::default().with_lifetime(idle);
    if cache == Cache::Off {
        config = config.with_memory_lifetime(Duration::ZERO);
    }
    let sessions = SessionStore::<SessionRedisPool>::new(Some(pool), config).await?;
    Ok(Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/rolling", get(read))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
        .route("/race/edit/{key}/{millis}", get(race_edit))
        .route("/race/renew/{key}", get(race_renew))
        .route("/race/sign-in", get(race_sign_in))
        .route("/race/sign-out", get(race_sign_out))
        .route("/race/show", get(race_show))
        .layer(SessionLayer::new(sessions))
        .with_state(args))
}

async fn read(session: Session) -> Result<String, Failed> {
    let name: String = session.get("name").ok_or("no name")?;
    let visits = session.get("visits").ok_or("no visits")?;
    Ok(page(&name, visits))
}

async fn write(session: Session) -> Result<String, Failed> {
    let visits: u64 = session.get("visits").ok_or("no visits")?;
    let visits = visits + 1;
    session.set("visits", visits);
    let name: String = session.get("name").ok_or("no name")?;
    Ok(page(&name, visits))
}

async fn sign_in(State(args): State<ServeArgs>, session: Session) -> &'static str {
    let entries = Entries::new(args);
    session.set("user", entries.user);
    session.set("name", entries.name);
    session.set("roles", entries.roles);
    session.set("theme", entries.theme);
    session.set("visits", entries.visits);
    "welcome"
}

async fn hold(session: Session) -> Result<String, Failed> {
    let page = read(session).await;
    common::hold().await;
    page
}

async fn race_edit(Path((key, millis)): Path<(String, u64)>, session: Session) -> &'static str {
    common::pause(millis).await;
    session.set(&key, 1);
    "edited"
}

async fn race_renew(Path(key): Path<String>, session: Session) -> &'static str {
    session.renew();
    session.set(&key, 1);
    "renewed"
}

async fn race_sign_in(session: Session) -> &'static str {
    session.renew();
    session.set("user", 1);
    "welcome"
}

async fn race_sign_out(session: Session) -> &'static str {
    session.destroy();
    "goodbye"
}

async fn race_show(session: Session) -> String {
    let has = |key: &str| session.get::<u8>(key).is_some();
    common::shown(has("user"), has)
}
