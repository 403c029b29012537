//! Flash messages, with `flash` and `take_flashes`.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use cloakroom::{Key, Session, SessionError};
use serde::{Deserialize, Serialize};

const NOTICES: Key<Vec<Notice>> = Key::new("notices");

#[derive(Clone, Serialize, Deserialize)]
enum Notice {
    OrderPlaced { number: u64 },
}

async fn order(session: Session) -> Result<Redirect, SessionError> {
    session.flash(NOTICES, Notice::OrderPlaced { number: 7 })?;
    Ok(Redirect::to("/orders"))
}

async fn orders(session: Session) -> Result<String, SessionError> {
    let notices = session.take_flashes(NOTICES).await?;
    let text = |notice: &Notice| match notice {
        Notice::OrderPlaced { number } => format!("Order {number} is placed. "),
    };
    Ok(notices.iter().map(text).collect())
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/order", post(order))
        .route("/orders", get(orders))
}
