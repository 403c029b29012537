//! tower-sessions with its own store, which uses fred too, with one connection.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::clients::Pool;
use tower_sessions_redis_store::fred::interfaces::ClientLike;
use tower_sessions_redis_store::fred::types::config::Config;

use super::Failed;
use super::common::{self, Entries, IDLE, page};
use crate::BoxError;
use crate::args::ServeArgs;

pub(super) async fn app(args: ServeArgs) -> Result<Router, BoxError> {
    let redis = Config::from_url(&args.url())?;
    // Pools of more than one connection cost more CPU here.
    let pool = Pool::new(redis, None, None, None, 1)?;
    pool.init().await?;
    let idle = Duration::try_from(IDLE)?;
    let sessions =
        SessionManagerLayer::new(RedisStore::new(pool)).with_expiry(Expiry::OnInactivity(idle));
    // Reading extends a session's life only if the session is saved as well.
    let rolling = Router::new()
        .route("/rolling", get(read))
        .layer(sessions.clone().with_always_save(true));
    Ok(Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
        .route("/race/edit/{key}/{millis}", get(race_edit))
        .route("/race/renew/{key}", get(race_renew))
        .route("/race/sign-in", get(race_sign_in))
        .route("/race/sign-out", get(race_sign_out))
        .route("/race/show", get(race_show))
        .layer(sessions)
        .merge(rolling)
        .with_state(args))
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

async fn sign_in(State(args): State<ServeArgs>, session: Session) -> Result<&'static str, Failed> {
    let entries = Entries::new(args);
    session.cycle_id().await?;
    session.insert("user", entries.user).await?;
    session.insert("name", entries.name).await?;
    session.insert("roles", entries.roles).await?;
    session.insert("theme", entries.theme).await?;
    session.insert("visits", entries.visits).await?;
    Ok("welcome")
}

async fn hold(session: Session) -> Result<String, Failed> {
    let page = read(session).await;
    common::hold().await;
    page
}

async fn race_edit(
    Path((key, millis)): Path<(String, u64)>,
    session: Session,
) -> Result<&'static str, Failed> {
    // It is loaded when it is first read.
    session.get::<u8>(&key).await?;
    common::pause(millis).await;
    session.insert(&key, 1).await?;
    Ok("edited")
}

async fn race_renew(Path(key): Path<String>, session: Session) -> Result<&'static str, Failed> {
    session.cycle_id().await?;
    session.insert(&key, 1).await?;
    Ok("renewed")
}

async fn race_sign_in(session: Session) -> Result<&'static str, Failed> {
    session.cycle_id().await?;
    session.insert("user", 1).await?;
    Ok("welcome")
}

async fn race_sign_out(session: Session) -> Result<&'static str, Failed> {
    session.flush().await?;
    Ok("goodbye")
}

async fn race_show(session: Session) -> Result<String, Failed> {
    let mut found = Vec::new();
    for key in ["cart", "a", "b", "user"] {
        if session.get::<u8>(key).await?.is_some() {
            found.push(key);
        }
    }
    let has = |key: &str| found.contains(&key);
    Ok(common::shown(has("user"), has))
}
