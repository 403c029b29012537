//! The old version: nothing of Cloakroom's in it.

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

use crate::page::{Guest, LogIn, Neighbour, Piece, page};

/// How long a session lives without being used, in days.
pub(crate) const IDLE_DAYS: u32 = 7;

pub(crate) async fn sessions(
    redis: &str,
) -> Result<SessionManagerLayer<RedisStore<Pool>>, Box<dyn Error>> {
    let pool = Pool::new(Config::from_url(redis)?, None, None, None, 2)?;
    pool.init().await?;
    let expiry = Expiry::OnInactivity(Duration::days(IDLE_DAYS.into()));
    Ok(SessionManagerLayer::new(RedisStore::new(pool)).with_expiry(expiry))
}

pub(crate) fn app(to_new: Neighbour) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(log_in))
        .route("/hang", post(hang))
        .route("/sign-out", post(log_out))
        .with_state(to_new)
}

async fn home(session: Session, State(to_new): State<Neighbour>) -> Result<Markup, StatusCode> {
    let guest = Guest {
        name: session.get("user").await.map_err(failed)?,
        pieces: session
            .get("pieces")
            .await
            .map_err(failed)?
            .unwrap_or_default(),
    };
    Ok(page("tower-sessions", &guest, Some(&to_new)))
}

async fn log_in(session: Session, Form(form): Form<LogIn>) -> Result<Redirect, StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", form.name).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn hang(session: Session, Form(form): Form<Piece>) -> Result<Redirect, StatusCode> {
    let pieces: Option<Vec<String>> = session.get("pieces").await.map_err(failed)?;
    let mut pieces = pieces.unwrap_or_default();
    pieces.push(form.piece);
    session.insert("pieces", pieces).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, StatusCode> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

fn failed(_: SessionError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
