//! Acting as a user, with `impersonate`.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use cloakroom::{Session, SessionError, minutes};

const CART: &str = "cart";

async fn start(session: Session, Path(user): Path<String>) -> Result<(), SessionError> {
    session.impersonate(user).await
}

async fn stop(session: Session) -> Result<(), SessionError> {
    session.stop_impersonating().await?;
    Ok(())
}

async fn show(session: Session) -> Result<String, SessionError> {
    let user: Option<String> = session.user_id()?;
    let cart: Option<String> = session.get(CART)?;
    let by = session.impersonator().map(|by| by.to_string());
    let is_recent = session.signed_in_within(minutes(10));
    Ok(format!("{user:?} {by:?} {cart:?} {is_recent}"))
}

async fn sign_in(session: Session, Path(user): Path<String>) -> Result<(), SessionError> {
    session.sign_in(user).insert(CART, "hat")?.await
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(show))
        .route("/sign-in/{user}", post(sign_in))
        .route("/act-as/{user}", post(start))
        .route("/stop", post(stop))
}
