//! The extractor of the signed-in user's record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, Path, Request};
use axum::routing::get;
use axum::{Router, middleware};
use cloakroom::{MemoryStore, Session, SessionError, SessionLayer};
use cloakroom_cache::{CacheBackend, Cached, CurrentUser, SessionUser};
use http::StatusCode;
use http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

#[derive(Debug, Serialize, Deserialize)]
struct User {
    name: String,
}

impl SessionUser for User {
    type Id = u64;
}

#[derive(Clone)]
struct App {
    users: Cached<u64, User>,
    queries: Arc<AtomicUsize>,
}

impl FromRef<App> for Cached<u64, User> {
    fn from_ref(app: &App) -> Self {
        app.users.clone()
    }
}

impl App {
    /// Users 1 to 9 exist; the database is down for user 66.
    fn new() -> Self {
        let queries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&queries);
        let users = Cached::builder(&CacheBackend::in_memory(), "user")
            .with_max_staleness(Duration::from_secs(60))
            .build(move |id: u64| {
                count.fetch_add(1, Ordering::SeqCst);
                async move {
                    match id {
                        1..=9 => Ok(Some(User {
                            name: format!("user {id}"),
                        })),
                        66 => Err(std::io::Error::other("the database is down")),
                        _ => Ok(None),
                    }
                }
            });
        Self {
            users: users.expect("a valid configuration"),
            queries,
        }
    }
}

async fn sign_in(Path(user): Path<String>, session: Session) -> Result<(), SessionError> {
    session.sign_in(user).await.map(drop)
}

async fn page(CurrentUser(user): CurrentUser<User>, again: CurrentUser<User>) -> String {
    assert!(Arc::ptr_eq(&user, &again.0));
    user.name.clone()
}

async fn maybe(user: Option<CurrentUser<User>>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.0.name.clone())
}

/// The handler signs in as somebody else, and asks again.
async fn switch(
    CurrentUser(before): CurrentUser<User>,
    session: Session,
    request: Request,
) -> Result<String, SessionError> {
    session.sign_in(2_u64).await?;
    let (mut parts, _) = request.into_parts();
    let app = parts.extensions.get::<App>().cloned().expect("it is there");
    type Current = CurrentUser<User>;
    let after = <Current as FromRequestParts<App>>::from_request_parts(&mut parts, &app).await;
    let CurrentUser(after) = after.expect("it is there");
    Ok(format!("{} {}", before.name, after.name))
}

fn router(app: &App) -> Router {
    let state = app.clone();
    let with_app = middleware::map_request(move |mut request: Request| {
        request.extensions_mut().insert(state.clone());
        async move { request }
    });
    Router::new()
        .route("/sign-in/{user}", get(sign_in))
        .route("/page", get(page))
        .route("/maybe", get(maybe))
        .route("/switch", get(switch))
        .layer(with_app)
        .layer(SessionLayer::new(MemoryStore::new()))
        .with_state(app.clone())
}

/// A browser, and the status and text of its last response.
struct Browser {
    router: Router,
    cookie: Option<String>,
}

impl Browser {
    fn new(app: &App) -> Self {
        Self {
            router: router(app),
            cookie: None,
        }
    }

    async fn signed_in(app: &App, user: &str) -> Self {
        let mut browser = Self::new(app);
        let (status, _) = browser.get(&format!("/sign-in/{user}")).await;
        assert_eq!(status, StatusCode::OK);
        browser
    }

    async fn get(&mut self, path: &str) -> (StatusCode, String) {
        let mut request = Request::get(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str().expect("ASCII").split(';').next();
            self.cookie = cookie.map(str::to_owned);
        }
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
        let body = response.into_body().collect().await.expect("a body");
        let text = String::from_utf8(body.to_bytes().to_vec());
        (status, text.expect("UTF-8"))
    }
}

fn ok(text: &str) -> (StatusCode, String) {
    (StatusCode::OK, text.to_owned())
}

#[tokio::test]
async fn the_users_record_is_queried_once_for_many_requests_and_extractors() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app, "7").await;
    for _ in 0..100 {
        assert_eq!(browser.get("/page").await, ok("user 7"));
    }
    assert_eq!(app.queries.load(Ordering::SeqCst), 1);
    let stats = app.users.stats();
    assert_eq!((stats.loads, stats.copies), (1, 99), "once per request");
}

#[tokio::test]
async fn who_is_not_signed_in_or_does_not_exist_gets_a_401() {
    let app = App::new();
    let mut browser = Browser::new(&app);
    assert_eq!(browser.get("/page").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/maybe").await, ok("nobody"));
    assert_eq!(app.queries.load(Ordering::SeqCst), 0);
    let mut deleted = Browser::signed_in(&app, "10").await;
    let (status, text) = deleted.get("/page").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(text, "the signed-in user does not exist any more");
    assert_eq!(deleted.get("/maybe").await, ok("nobody"));
    let mut known = Browser::signed_in(&app, "9").await;
    assert_eq!(known.get("/maybe").await, ok("user 9"));
}

#[tokio::test]
async fn a_record_that_cannot_be_loaded_is_a_503_and_never_somebody_else() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app, "66").await;
    for path in ["/page", "/maybe"] {
        let (status, text) = browser.get(path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "the signed-in user cannot be loaded");
    }
    // An id of another type.
    let mut other = Browser::signed_in(&app, "ada").await;
    assert_eq!(
        other.get("/page").await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn a_user_who_signs_in_during_a_request_is_not_taken_for_the_previous_one() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app, "1").await;
    assert_eq!(browser.get("/switch").await, ok("user 1 user 2"));
    assert_eq!(browser.get("/page").await, ok("user 2"));
}
