//! `axum_session` with its Redis pool. Its memory cache is on by default; with it, several servers do not
//! see each other's changes. Its expiry always slides.

use axum::Router;
use axum::extract::State;
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
