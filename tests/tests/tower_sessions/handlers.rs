//! An app that uses only `tower_sessions::Session`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, response::IntoResponse};

use super::tower_sessions::{Expiry, Session, session::Error};
use crate::browser::Gate;

type Page<T = &'static str> = Result<T, Failure>;
type Entry = Path<(String, String)>;

pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

pub(crate) fn app(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/idle", get(|| async { "nothing" }))
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(set))
        .route("/slow/{key}/{value}", get(slow))
        .route("/fail/{key}/{value}", get(fail))
        .route("/save/{key}/{value}", get(save))
        .route("/remove/{key}", get(remove))
        .route("/clear", get(clear))
        .route("/flush", get(flush))
        .route("/flush/{key}/{value}", get(flush_and_set))
        .route("/cycle", get(cycle))
        .route("/hour", get(an_hour))
        .with_state(gate)
}

async fn read(session: Session, Path(key): Path<String>) -> Page<String> {
    let value: Option<String> = session.get(&key).await?;
    Ok(value.unwrap_or_else(|| "nothing".to_owned()))
}

async fn set(session: Session, Path((key, value)): Entry) -> Page {
    session.insert(&key, value).await?;
    Ok("set")
}

async fn slow(session: Session, State(gate): State<Arc<Gate>>, Path((key, value)): Entry) -> Page {
    let _: Option<String> = session.get(&key).await?;
    gate.wait().await;
    session.insert(&key, value).await?;
    Ok("set")
}

async fn fail(session: Session, Path((key, value)): Entry) -> Page<StatusCode> {
    session.insert(&key, value).await?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn save(session: Session, Path((key, value)): Entry) -> Page<String> {
    session.insert(&key, value).await?;
    session.save().await?;
    Ok(session.id().map_or_else(String::new, |id| id.to_string()))
}

async fn remove(session: Session, Path(key): Path<String>) -> Page<String> {
    let value: Option<String> = session.remove(&key).await?;
    Ok(value.unwrap_or_else(|| "nothing".to_owned()))
}

async fn clear(session: Session) -> Page {
    session.clear().await;
    Ok("cleared")
}

async fn flush(session: Session) -> Page {
    session.flush().await?;
    Ok("flushed")
}

async fn flush_and_set(session: Session, Path((key, value)): Entry) -> Page {
    session.flush().await?;
    session.insert(&key, value).await?;
    Ok("flushed and set")
}

async fn cycle(session: Session) -> Page {
    session.cycle_id().await?;
    Ok("cycled")
}

async fn an_hour(session: Session) -> Page {
    session.set_expiry(Some(Expiry::OnInactivity(time::Duration::hours(1))));
    Ok("an hour")
}
