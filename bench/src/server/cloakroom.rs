//! Cloakroom with its defaults, and records of format 2: sliding expiry is always on, and recorded after a tenth of the idle
//! timeout.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use cloakroom::{
    Clock, Expiry, LazySession, ManualClock, Session, SessionLayer, SessionLayerBuilder, Store,
    SystemClock, days,
};
use cloakroom_redis::{NearCache, RecordFormat, RedisStore};

use super::Failed;
use super::common::{self, Entries, IDLE, page};
use crate::BoxError;
use crate::args::ServeArgs;

pub(super) async fn app(args: ServeArgs) -> Result<Router, BoxError> {
    app_on(store(args).await?, args)
}

/// The app with the near cache in front of the store.
pub(super) async fn near(args: ServeArgs) -> Result<Router, BoxError> {
    app_on(NearCache::new(store(args).await?), args)
}

pub(super) async fn store(args: ServeArgs) -> Result<RedisStore, BoxError> {
    let store = RedisStore::builder(args.url(), "cloakroom");
    Ok(store.with_record_format(RecordFormat::V2).connect().await?)
}

pub(super) fn app_on(store: impl Store, args: ServeArgs) -> Result<Router, BoxError> {
    Ok(router()
        .route("/rolling", get(read))
        .layer(layer(store, args).build()?)
        .with_state(args))
}

/// The app with a clock so fast that every read on `/rolling` updates last-seen.
pub(super) async fn touching(args: ServeArgs) -> Result<Router, BoxError> {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    // A third of the idle timeout passes between two requests of a session; a tenth is enough.
    let step = IDLE / 3 / u32::try_from(args.sessions.max(1))?;
    let sessions = layer(store(args).await?, args).with_clock(clock.clone());
    let rolling = async move |session: LazySession| {
        clock.advance(step);
        read(session.load().await?).await
    };
    Ok(router()
        .route("/rolling", get(rolling))
        .layer(sessions.build()?)
        .with_state(args))
}

fn layer(store: impl Store, args: ServeArgs) -> SessionLayerBuilder {
    let builder = SessionLayer::builder(store).with_expiry(Expiry::idle(IDLE).absolute(days(300)));
    if args.extra_entries > 0 {
        return builder.with_max_session_size(1 << 20);
    }
    builder
}

fn router() -> Router<ServeArgs> {
    Router::new()
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

async fn sign_in(State(args): State<ServeArgs>, session: Session) -> Result<&'static str, Failed> {
    let entries = Entries::new(args);
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
    let page = read(session).await;
    common::hold().await;
    page
}

async fn race_edit(
    Path((key, millis)): Path<(String, u64)>,
    session: Session,
) -> Result<&'static str, Failed> {
    common::pause(millis).await;
    session.insert(key, 1)?;
    Ok("edited")
}

async fn race_renew(Path(key): Path<String>, session: Session) -> Result<&'static str, Failed> {
    session.renew()?;
    session.insert(key, 1)?;
    Ok("renewed")
}

async fn race_sign_in(session: Session) -> Result<&'static str, Failed> {
    session.sign_in("ada").await?;
    Ok("welcome")
}

async fn race_sign_out(session: Session) -> Result<&'static str, Failed> {
    session.sign_out().await?;
    Ok("goodbye")
}

async fn race_show(session: Session) -> String {
    let has = |key: &str| matches!(session.get::<u8>(key), Ok(Some(_)));
    common::shown(session.user().is_some(), has)
}
