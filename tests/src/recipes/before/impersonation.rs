//! Acting as a user, by hand.

use std::collections::HashMap;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tower_sessions_015::Session;
use tower_sessions_015::session::Error;

const USER: &str = "user";
const SIGNED_IN_AT: &str = "signed_in_at";
const CART: &str = "cart";
const SET_ASIDE: &str = "set_aside";

/// The entries of the app's sessions, which must not mix with those of the user. One that is forgotten here leaks.
const ENTRIES: [&str; 3] = [USER, SIGNED_IN_AT, CART];

/// The admin's own session.
#[derive(Serialize, Deserialize)]
struct SetAside {
    impersonator: String,
    entries: HashMap<String, Value>,
}

/// The session gets a new id each time, so a cookie from before gains nothing.
async fn impersonate(session: &Session, user: &str) -> Result<bool, Error> {
    let impersonator: Option<String> = session.get(USER).await?;
    let Some(impersonator) = impersonator else {
        return Ok(false);
    };
    if session.get::<SetAside>(SET_ASIDE).await?.is_some() {
        return Ok(false);
    }
    let mut entries = HashMap::new();
    for key in ENTRIES {
        if let Some(value) = session.remove_value(key).await? {
            entries.insert(key.to_owned(), value);
        }
    }
    let set_aside = SetAside {
        impersonator,
        entries,
    };
    session.cycle_id().await?;
    session.insert(SET_ASIDE, set_aside).await?;
    // Without the time of a sign-in: it is none.
    session.insert(USER, user).await?;
    Ok(true)
}

async fn stop_impersonating(session: &Session) -> Result<bool, Error> {
    let set_aside: Option<SetAside> = session.remove(SET_ASIDE).await?;
    let Some(set_aside) = set_aside else {
        return Ok(false);
    };
    for key in ENTRIES {
        session.remove_value(key).await?;
    }
    for (key, value) in set_aside.entries {
        session.insert_value(&key, value).await?;
    }
    session.cycle_id().await?;
    Ok(true)
}

async fn impersonator(session: &Session) -> Result<Option<String>, Error> {
    let set_aside: Option<SetAside> = session.get(SET_ASIDE).await?;
    Ok(set_aside.map(|set_aside| set_aside.impersonator))
}

async fn start(session: Session, Path(user): Path<String>) -> Result<(), StatusCode> {
    if impersonate(&session, &user).await.map_err(failed)? {
        Ok(())
    } else {
        Err(StatusCode::FORBIDDEN)
    }
}

async fn stop(session: Session) -> Result<(), StatusCode> {
    stop_impersonating(&session).await.map_err(failed)?;
    Ok(())
}

async fn show(session: Session) -> Result<String, StatusCode> {
    let user: Option<String> = session.get(USER).await.map_err(failed)?;
    let cart: Option<String> = session.get(CART).await.map_err(failed)?;
    let by = impersonator(&session).await.map_err(failed)?;
    let at: Option<OffsetDateTime> = session.get(SIGNED_IN_AT).await.map_err(failed)?;
    let limit = OffsetDateTime::now_utc() - Duration::minutes(10);
    let is_recent = at.is_some_and(|at| at > limit);
    Ok(format!("{user:?} {by:?} {cart:?} {is_recent}"))
}

async fn sign_in(session: Session, Path(user): Path<String>) -> Result<(), StatusCode> {
    session.cycle_id().await.map_err(failed)?;
    session.insert(USER, user).await.map_err(failed)?;
    session.insert(CART, "hat").await.map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    session.insert(SIGNED_IN_AT, now).await.map_err(failed)
}

fn failed(_: Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(show))
        .route("/sign-in/{user}", post(sign_in))
        .route("/act-as/{user}", post(start))
        .route("/stop", post(stop))
}
