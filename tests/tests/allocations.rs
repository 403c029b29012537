//! How many allocations the layer adds to a request, by what the request does with its session.
//!
//! It counts on the store in memory, on one thread, so that the counts are exact; a change that makes one of
//! them larger has to change it here, and say why. One test in this binary: another one's allocations
//! would count.

use std::alloc::System;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use cloakroom::{MemoryStore, RequestHead, Session, SessionError, SessionLayer};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 10;

fn routes() -> Router {
    Router::new().route("/none", get(async || "none"))
}

fn app() -> Router {
    let layer = SessionLayer::builder(MemoryStore::new())
        .without_events()
        .build()
        .expect("it is valid");
    routes()
        .route("/read", get(read))
        .route("/write", get(write))
        .layer(layer)
}

/// Error responses that see the request: what they may need is kept of every request.
fn app_that_keeps_requests() -> Router {
    let layer = SessionLayer::builder(MemoryStore::new())
        .without_events()
        .with_error_response_for_request(|error: &SessionError, _: &RequestHead| {
            error.status().into_response()
        })
        .build()
        .expect("it is valid");
    routes().layer(layer)
}

async fn read(session: Session) -> Result<&'static str, SessionError> {
    session.get::<u32>("visits")?;
    Ok("read")
}

async fn write(session: Session) -> Result<&'static str, SessionError> {
    session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?;
    Ok("written")
}

fn request(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::builder().uri(path).header(COOKIE, cookie);
    request.body(Body::empty()).expect("it is a request")
}

/// The least number of allocations of one request: whatever a first one prepares is not counted.
async fn allocations(app: &Router, path: &str, cookie: &str) -> usize {
    let mut least = usize::MAX;
    for _ in 0..ROUNDS {
        let (app, request) = (app.clone(), request(path, cookie));
        let region = Region::new(ALLOCATOR);
        let answer = app.oneshot(request).await.unwrap();
        least = least.min(region.change().allocations);
        assert_eq!(answer.status(), StatusCode::OK);
    }
    least
}

#[tokio::test]
async fn each_kind_of_request_costs_so_many_allocations() {
    let (bare, app) = (routes(), app());
    let first = app.clone().oneshot(request("/write", "a=b")).await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let without = allocations(&bare, "/none", &cookie).await;
    let mut added = Vec::new();
    for path in ["/none", "/read", "/write"] {
        added.push(allocations(&app, path, &cookie).await - without);
    }
    // One of each is axum's: it boxes the body of a response that is not of its own type.
    assert_eq!(added, [8, 12, 24], "not used, read, written");
    let kept = allocations(&app_that_keeps_requests(), "/none", &cookie).await - without;
    assert_eq!(kept - added[0], 2, "a header map is two tables");
}
