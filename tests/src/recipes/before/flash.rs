//! Flash messages, by hand.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tower_sessions_015::Session;
use tower_sessions_015::session::Error;

const NOTICES: &str = "notices";

/// How many are kept.
const MAX_NOTICES: usize = 16;

#[derive(Clone, Serialize, Deserialize)]
enum Notice {
    OrderPlaced { number: u64 },
}

/// Adds a message. Two requests at once lose one: this library stores the whole session.
async fn flash(session: &Session, notice: Notice) -> Result<(), Error> {
    let notices: Option<Vec<Notice>> = session.get(NOTICES).await?;
    let mut notices = notices.unwrap_or_default();
    notices.push(notice);
    if notices.len() > MAX_NOTICES {
        notices.remove(0);
    }
    session.insert(NOTICES, notices).await
}

/// Takes the messages, and saves at once, so that a page that fails does not bring them back. Two pages at once show
/// them twice.
async fn take_flashes(session: &Session) -> Result<Vec<Notice>, Error> {
    let notices: Option<Vec<Notice>> = session.remove(NOTICES).await?;
    if notices.is_some() {
        session.save().await?;
    }
    Ok(notices.unwrap_or_default())
}

async fn order(session: Session) -> Result<Redirect, StatusCode> {
    let notice = Notice::OrderPlaced { number: 7 };
    flash(&session, notice).await.map_err(failed)?;
    Ok(Redirect::to("/orders"))
}

async fn orders(session: Session) -> Result<String, StatusCode> {
    let notices = take_flashes(&session).await.map_err(failed)?;
    let text = |notice: &Notice| match notice {
        Notice::OrderPlaced { number } => format!("Order {number} is placed. "),
    };
    Ok(notices.iter().map(text).collect())
}

fn failed(_: Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/order", post(order))
        .route("/orders", get(orders))
}
