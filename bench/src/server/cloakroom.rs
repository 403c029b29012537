//! Cloakroom as it is out of the box: sliding expiry is always on, and written down when a tenth of
//! the idle timeout has passed.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use cloakroom::{
    Clock, Expiry, LazySession, ManualClock, Session, SessionLayer, SessionLayerBuilder, Store,
    SystemClock, days,
};
use cloakroom_redis::RedisStore;

use super::entries::{Entries, IDLE, page};
use super::{Failed, gate};
use crate::Problem;
use crate::args::Setup;

pub(super) async fn app(setup: Setup) -> Result<Router, Problem> {
    on(store(setup).await?, setup)
}

pub(super) async fn store(setup: Setup) -> Result<RedisStore, Problem> {
    let url = format!("redis://127.0.0.1:{}", setup.redis);
    Ok(RedisStore::connect(url).await?)
}

/// The app on a store.
pub(super) fn on(store: impl Store, setup: Setup) -> Result<Router, Problem> {
    Ok(router()
        .route("/rolling", get(read))
        .layer(layer(store, setup).build()?)
        .with_state(setup))
}

/// The app on a clock that goes so fast that every read by `/rolling` must be written down.
pub(super) async fn touching(setup: Setup) -> Result<Router, Problem> {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    // Until the same session comes again, a third of its idle timeout has passed; a tenth is enough.
    let step = IDLE / 3 / u32::try_from(setup.sessions.max(1))?;
    let sessions = layer(store(setup).await?, setup).with_clock(clock.clone());
    let rolling = async move |session: LazySession| {
        clock.advance(step);
        read(session.load().await?).await
    };
    Ok(router()
        .route("/rolling", get(rolling))
        .layer(sessions.build()?)
        .with_state(setup))
}

fn layer(store: impl Store, setup: Setup) -> SessionLayerBuilder {
    let builder = SessionLayer::builder(store).with_expiry(Expiry::idle(IDLE).absolute(days(300)));
    if setup.more > 0 {
        return builder.with_max_session_size(1 << 20);
    }
    builder
}

fn router() -> Router<Setup> {
    Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
}

async fn read(session: Session) -> Result<String, Failed> {
    let name: String = session.get("name")?.ok_or("no name")?;
    let visits = session.get("visits")?.ok_or("no visits")?;
    Ok(page(&name, visits))
}

async fn write(session: Session) -> Result<String, Failed> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    let name: String = session.get("name")?.ok_or("no name")?;
    Ok(page(&name, visits))
}

async fn sign_in(State(setup): State<Setup>, session: Session) -> Result<&'static str, Failed> {
    let entries = Entries::new(setup);
    session.insert("user", entries.user)?;
    session.insert("name", &entries.name)?;
    session.insert("roles", &entries.roles)?;
    session.insert("theme", &entries.theme)?;
    session.insert("visits", entries.visits)?;
    for (number, text) in entries.more.iter().enumerate() {
        session.insert(format!("more-{number}"), text)?;
    }
    session.sign_in(entries.user.to_string()).await?;
    Ok("welcome")
}

async fn hold(session: Session) -> Result<String, Failed> {
    let answer = read(session).await;
    gate::wait().await;
    answer
}
