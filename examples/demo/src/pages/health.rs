//! The health check for load balancers and monitoring. It uses no session.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use cloakroom_redis::Health;
use serde_json::{Value, json};
use tracing::warn;

use crate::app::App;

/// Returns 200 if the store responds, with its warnings, and 503 otherwise.
pub(crate) async fn check(State(app): State<App>) -> impl IntoResponse {
    let (status, body) = match app.storage.health().await {
        Ok(None) => (StatusCode::OK, json!({ "status": "ok", "store": "memory" })),
        Ok(Some(health)) => (StatusCode::OK, report(&health)),
        Err(error) => {
            warn!(%error, "the store does not respond");
            let body = json!({ "status": "unavailable" });
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body))
}

fn report(health: &Health) -> Value {
    let warnings: Vec<_> = health.warnings().iter().map(ToString::to_string).collect();
    json!({
        "status": "ok",
        "store": format!("{:?} {}", health.server(), health.version()),
        "role": format!("{:?}", health.role()),
        "latency_micros": u64::try_from(health.latency().as_micros()).unwrap_or(u64::MAX),
        "memory": {
            "used": health.memory_used(),
            "peak": health.memory_peak(),
            "limit": health.memory_limit(),
            "at_the_limit": health.eviction_policy(),
        },
        "keys": { "evicted": health.evicted_keys(), "expired": health.expired_keys() },
        "replicas": health.connected_replicas(),
        "warnings": warnings,
    })
}
