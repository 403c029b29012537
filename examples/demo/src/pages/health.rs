//! Whether the app can do its work, for load balancers: no session, no cookie.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde_json::json;
use tracing::warn;

use crate::app::App;

/// 200 if the store answers, else 503.
pub(crate) async fn check(State(app): State<App>) -> impl IntoResponse {
    let (status, word) = match app.storage.ping().await {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(error) => {
            warn!(%error, "the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
        }
    };
    (
        status,
        [(CACHE_CONTROL, "no-store")],
        Json(json!({ "status": word })),
    )
}
