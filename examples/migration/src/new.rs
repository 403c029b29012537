//! The new version, on Cloakroom. The migration is set up in [`sessions`]; the handlers do not depend on it.

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
use crate::page::{NewItem, OtherVersion, SignIn, Visitor, page};
use crate::phase::{MigrationOptions, Phase};

pub(crate) async fn sessions(
    redis: &str,
    phase: Phase,
    migration: &MigrationOptions,
) -> Result<SessionLayer, Box<dyn Error>> {
    let store = RedisStore::connect(redis, "cloakroom").await?;
    // The same timeout as in the old version.
    let old = TowerSessionsRedis::new(&store).with_inactivity(days(IDLE_DAYS.into()));
    let migration = match phase {
        Phase::SideBySide => Migration::side_by_side(old, migration.key()?),
        Phase::Cutover => Migration::cutover(old, migration.key()?),
    };
    Ok(SessionLayer::builder(store)
        .with_migration(migration.with_user(user_of))
        .build()?)
}

/// Returns the user that is signed in to a legacy session.
fn user_of(entries: &Entries) -> Option<UserId> {
    let name: Option<String> = entries.get("user").ok()?;
    Some(name?.into())
}

pub(crate) fn app(to_old: Option<OtherVersion>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(sign_in))
        .route("/items", post(add_item))
        .route("/sign-out", post(sign_out))
        .with_state(to_old)
}

async fn home(
    session: Session,
    State(to_old): State<Option<OtherVersion>>,
) -> Result<Markup, SessionError> {
    let visitor = Visitor {
        name: session.user().map(|user| user.to_string()),
        items: session.get("items")?.unwrap_or_default(),
    };
    Ok(page("Cloakroom", &visitor, to_old.as_ref()))
}

async fn sign_in(session: Session, Form(form): Form<SignIn>) -> Result<Redirect, SessionError> {
    session.sign_in(form.name).await?;
    Ok(Redirect::to("/"))
}

async fn add_item(session: Session, Form(form): Form<NewItem>) -> Result<Redirect, SessionError> {
    session.push("items", form.item)?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<Redirect, SessionError> {
    session.sign_out().await?;
    Ok(Redirect::to("/"))
}
