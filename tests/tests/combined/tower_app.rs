//! The same shop on `tower_sessions::Session`, and the layers under it that are ours.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use cloakroom::Store;
use serde_json::Value;

use super::bridge::{BridgeLayer, TowerSessionsStore};
use super::tower_sessions::{Session, SessionManagerLayer, session::Error};
use crate::app::{MARKS, Meet, Seen, meet};

type Page<T = ()> = Result<T, StatusCode>;

/// Their layer on a Cloakroom store.
pub(crate) fn on_store(app: Router, store: impl Store) -> Router {
    app.layer(SessionManagerLayer::new(TowerSessionsStore::new(store)))
}

/// Their sessions on a Cloakroom layer, which the caller adds. Cloakroom does not know who is signed in.
pub(crate) fn bridged(app: Router) -> Router {
    app.layer(BridgeLayer::new())
}

/// The same, and Cloakroom knows who is signed in.
pub(crate) fn bridged_with_users(app: Router) -> Router {
    let user = |data: &HashMap<String, Value>| Some(data.get("user")?.as_str()?.into());
    app.layer(BridgeLayer::new().with_user(user))
}

/// All pages.
pub(crate) fn whole() -> Router {
    edits()
        .route("/me", get(me))
        .route("/sign-in/{user}/{mark}", post(sign_in))
        .route("/sign-out", post(sign_out))
}

/// The pages that edit a session.
pub(crate) fn edits() -> Router {
    Router::new()
        .route("/cart/{item}", post(cart))
        .route("/mark/{mark}", post(mark))
        .route("/renew/{mark}", post(renew))
        .route("/flush/{mark}", post(flush))
        .route("/save/{mark}", post(save))
        .route("/sign-in-saved/{user}/{mark}", post(sign_in_saved))
        .route("/sign-in-failing/{user}", post(sign_in_failing))
        .route("/forget-user", post(forget_user))
}

fn failed(error: Error) -> StatusCode {
    // As their own examples do.
    drop(error);
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn me(session: Session) -> Page<String> {
    let text = async |key: &str| {
        let value: Option<String> = session.get(key).await.map_err(failed)?;
        Ok::<_, StatusCode>(value)
    };
    let mut seen = Seen {
        user: text("user").await?.unwrap_or_default(),
        cart: text("cart").await?.unwrap_or_default(),
        marks: String::new(),
    };
    for mark in MARKS {
        if text(&format!("mark-{mark}")).await?.is_some() {
            seen.marks.push_str(mark);
        }
    }
    Ok(seen.to_text())
}

async fn cart(session: Session, Path(item): Path<String>) -> Page {
    session.insert("cart", item).await.map_err(failed)
}

/// Loads the session, and waits for the other request.
async fn loaded(session: &Session, meeting: Meet) -> Page {
    let _: Option<String> = session.get("cart").await.map_err(failed)?;
    meet(meeting).await;
    Ok(())
}

async fn leave(session: &Session, mark: &str) -> Page {
    let key = format!("mark-{mark}");
    session.insert(&key, "").await.map_err(failed)
}

async fn mark(session: Session, meeting: Meet, Path(mark): Path<String>) -> Page {
    loaded(&session, meeting).await?;
    leave(&session, &mark).await
}

async fn renew(session: Session, meeting: Meet, Path(mark): Path<String>) -> Page {
    loaded(&session, meeting).await?;
    session.cycle_id().await.map_err(failed)?;
    leave(&session, &mark).await
}

async fn flush(session: Session, meeting: Meet, Path(mark): Path<String>) -> Page {
    loaded(&session, meeting).await?;
    session.flush().await.map_err(failed)?;
    leave(&session, &mark).await
}

async fn save(session: Session, Path(mark): Path<String>) -> Page {
    leave(&session, &mark).await?;
    session.save().await.map_err(failed)
}

async fn sign_in(
    session: Session,
    meeting: Meet,
    Path((user, mark)): Path<(String, String)>,
) -> Page {
    loaded(&session, meeting).await?;
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", user).await.map_err(failed)?;
    leave(&session, &mark).await
}

/// Saves at once, and edits again.
async fn sign_in_saved(session: Session, Path((user, mark)): Path<(String, String)>) -> Page {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", user).await.map_err(failed)?;
    session.save().await.map_err(failed)?;
    leave(&session, &mark).await
}

async fn sign_in_failing(session: Session, Path(user): Path<String>) -> Page {
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", user).await.map_err(failed)?;
    Err(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Signs out without ending the session.
async fn forget_user(session: Session) -> Page {
    let _: Option<Value> = session.remove_value("user").await.map_err(failed)?;
    Ok(())
}

async fn sign_out(session: Session, meeting: Meet) -> Page<&'static str> {
    loaded(&session, meeting).await?;
    session.flush().await.map_err(failed)?;
    Ok("ended")
}
