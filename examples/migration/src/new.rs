//! The new version. All of the move stands in [`sessions`]: the handlers know nothing of it.

use std::error::Error;

use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use cloakroom::{Entries, Migration, Session, SessionError, SessionLayer, UserId, days};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use maud::Markup;

use crate::old::IDLE_DAYS;
use crate::page::{Guest, LogIn, Neighbour, Piece, page};
use crate::phase::{Move, Phase};

pub(crate) async fn sessions(
    redis: &str,
    phase: Phase,
    secrets: &Move,
) -> Result<SessionLayer, Box<dyn Error>> {
    let store = RedisStore::connect(redis, "cloakroom").await?;
    // As the old version has it.
    let old = TowerSessionsRedis::in_redis(&store).with_inactivity(days(IDLE_DAYS.into()));
    let migration = match phase {
        Phase::Beside => Migration::side_by_side(old, secrets.key()?),
        Phase::After => Migration::cutover(old, secrets.key()?),
    };
    Ok(SessionLayer::builder(store)
        .with_migration(migration.with_user(user_of))
        .build()?)
}

/// Who is signed in to an old session.
fn user_of(entries: &Entries) -> Option<UserId> {
    let name: Option<String> = entries.get("user").ok()?;
    Some(name?.into())
}

pub(crate) fn app(to_old: Option<Neighbour>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(log_in))
        .route("/hang", post(hang))
        .route("/sign-out", post(log_out))
        .with_state(to_old)
}

async fn home(
    session: Session,
    State(to_old): State<Option<Neighbour>>,
) -> Result<Markup, SessionError> {
    let guest = Guest {
        name: session.user().map(|user| user.to_string()),
        pieces: session.get("pieces")?.unwrap_or_default(),
    };
    Ok(page("Cloakroom", &guest, to_old.as_ref()))
}

async fn log_in(session: Session, Form(form): Form<LogIn>) -> Result<Redirect, SessionError> {
    session.sign_in(form.name).await?;
    Ok(Redirect::to("/"))
}

async fn hang(session: Session, Form(form): Form<Piece>) -> Result<Redirect, SessionError> {
    session.push("pieces", form.piece)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.sign_out().await?;
    Ok(Redirect::to("/"))
}
