//! The old version, on tower-sessions.

use std::error::Error;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use fred::prelude::{ClientLike, Config, Pool};
use maud::Markup;
use tower_sessions_014::cookie::time::Duration;
use tower_sessions_014::session::Error as SessionError;
use tower_sessions_014::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;

use crate::page::{NewItem, OtherVersion, SignIn, Visitor, page};

/// The idle timeout of a session, in days.
pub(crate) const IDLE_DAYS: u32 = 7;

pub(crate) async fn sessions(
    redis: &str,
) -> Result<SessionManagerLayer<RedisStore<Pool>>, Box<dyn Error>> {
    let pool = Pool::new(Config::from_url(redis)?, None, None, None, 2)?;
    pool.init().await?;
    let expiry = Expiry::OnInactivity(Duration::days(IDLE_DAYS.into()));
    Ok(SessionManagerLayer::new(RedisStore::new(pool)).with_expiry(expiry))
}

pub(crate) fn app(to_new: OtherVersion) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(sign_in))
        .route("/items", post(add_item))
        .route("/sign-out", post(sign_out))
        .with_state(to_new)
}

async fn home(session: Session, State(to_new): State<OtherVersion>) -> Result<Markup, StatusCode> {
    let visitor = Visitor {
        name: session.get("user").await.map_err(failed)?,
        items: session
            .get("items")
            .await
            .map_err(failed)?
            .unwrap_or_default(),
    };
    Ok(page("tower-sessions", &visitor, Some(&to_new)))
}

async fn sign_in(session: Session, Form(form): Form<SignIn>) -> Result<Redirect, StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", form.name).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn add_item(session: Session, Form(form): Form<NewItem>) -> Result<Redirect, StatusCode> {
    let items: Option<Vec<String>> = session.get("items").await.map_err(failed)?;
    let mut items = items.unwrap_or_default();
    items.push(form.item);
    session.insert("items", items).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: Session) -> Result<Redirect, StatusCode> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

fn failed(_: SessionError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
