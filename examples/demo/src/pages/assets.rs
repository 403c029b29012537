//! Style sheet, scripts and icon, compiled into the program.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Their routes. They do not use sessions, so the responses can be cached.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let style = include_str!("../../assets/style.css");
    let clock = include_str!("../../assets/clock.js");
    let live = include_str!("../../assets/live.js");
    let confirm = include_str!("../../assets/confirm.js");
    let events = include_str!("../../assets/events.js");
    let icon = include_str!("../../assets/icon.svg");
    Router::new()
        .route("/style.css", get(asset("text/css; charset=utf-8", style)))
        .route("/clock.js", get(asset(SCRIPT, clock)))
        .route("/live.js", get(asset(SCRIPT, live)))
        .route("/confirm.js", get(asset(SCRIPT, confirm)))
        .route("/events.js", get(asset(SCRIPT, events)))
        .route("/icon.svg", get(asset("image/svg+xml", icon)))
}

type Asset = ([(axum::http::HeaderName, &'static str); 2], &'static str);

fn asset(kind: &'static str, text: &'static str) -> impl Fn() -> std::future::Ready<Asset> + Clone {
    move || {
        let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=60")];
        std::future::ready((headers, text))
    }
}
