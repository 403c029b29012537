//! The number of allocations that the layer adds to a request, by its use of the session.
//!
//! It is counted with the memory store on one thread, so that the numbers are exact; a change that
//! increases one must change it here, and say why. This binary has one test only, since the allocations
//! of another would be counted.

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
        .route("/wait", get(wait))
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

/// A handler that waits, for a database for instance.
async fn wait(session: Session) -> Result<&'static str, SessionError> {
    session.get::<u32>("visits")?;
    tokio::task::yield_now().await;
    Ok("waited")
}

async fn write(session: Session) -> Result<&'static str, SessionError> {
    session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?;
    Ok("written")
}

fn request(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::builder().uri(path).header(COOKIE, cookie);
    request.body(Body::empty()).expect("it is a request")
}

/// The smallest number of allocations of a request over several rounds: one-time initialization is not
/// counted.
async fn allocations(app: &Router, path: &str, cookie: &str) -> usize {
    let mut least = usize::MAX;
    for _ in 0..ROUNDS {
        let (app, request) = (app.clone(), request(path, cookie));
        let region = Region::new(ALLOCATOR);
        let response = app.oneshot(request).await.unwrap();
        least = least.min(region.change().allocations);
        assert_eq!(response.status(), StatusCode::OK);
    }
    least
}

#[tokio::test]
async fn allocations_per_request_are_bounded() {
    let (bare, app) = (routes(), app());
    let first = app.clone().oneshot(request("/write", "a=b")).await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let without = allocations(&bare, "/none", &cookie).await;
    let mut added = Vec::new();
    for path in ["/none", "/read", "/wait", "/write"] {
        added.push(allocations(&app, path, &cookie).await - without);
    }
    // One of each is axum's: it boxes the body of a response that is not of its own type.
    // A handler that waits after the session was loaded has a timer, which counts that as use.
    assert_eq!(added, [8, 12, 13, 24], "not used, read, waited, written");
    let kept = allocations(&app_that_keeps_requests(), "/none", &cookie).await - without;
    assert_eq!(kept - added[0], 2, "a header map is two tables");
}
