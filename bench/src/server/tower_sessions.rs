//! tower-sessions with its own store, which stands on fred as well, with one connection.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::clients::Pool;
use tower_sessions_redis_store::fred::interfaces::ClientLike;
use tower_sessions_redis_store::fred::types::config::Config;

use super::entries::{Entries, IDLE, page};
use super::{Failed, gate};
use crate::Problem;
use crate::args::Setup;

pub(super) async fn app(setup: Setup) -> Result<Router, Problem> {
    let redis = Config::from_url(&format!("redis://127.0.0.1:{}", setup.redis))?;
    // Pools of more than one connection cost more CPU here.
    let pool = Pool::new(redis, None, None, None, 1)?;
    pool.init().await?;
    let idle = Duration::try_from(IDLE)?;
    let sessions =
        SessionManagerLayer::new(RedisStore::new(pool)).with_expiry(Expiry::OnInactivity(idle));
    // A session that is only read lives on only if it is saved.
    let rolling = Router::new()
        .route("/rolling", get(read))
        .layer(sessions.clone().with_always_save(true));
    Ok(Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
        .layer(sessions)
        .merge(rolling)
        .with_state(setup))
}

async fn read(session: Session) -> Result<String, Failed> {
    let name: String = session.get("name").await?.ok_or("no name")?;
    let visits = session.get("visits").await?.ok_or("no visits")?;
    Ok(page(&name, visits))
}

async fn write(session: Session) -> Result<String, Failed> {
    let visits: u64 = session.get("visits").await?.ok_or("no visits")?;
    let visits = visits + 1;
    session.insert("visits", visits).await?;
    let name: String = session.get("name").await?.ok_or("no name")?;
    Ok(page(&name, visits))
}

async fn sign_in(State(setup): State<Setup>, session: Session) -> Result<&'static str, Failed> {
    let entries = Entries::new(setup);
    session.cycle_id().await?;
    session.insert("user", entries.user).await?;
    session.insert("name", entries.name).await?;
    session.insert("roles", entries.roles).await?;
    session.insert("theme", entries.theme).await?;
    session.insert("visits", entries.visits).await?;
    Ok("welcome")
}

async fn hold(session: Session) -> Result<String, Failed> {
    let answer = read(session).await;
    gate::wait().await;
    answer
}
