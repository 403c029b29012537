//! axum-login with a cached backend.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend};
use cloakroom::MemoryStore;
use cloakroom_cache::{CacheBackend, Cached, CachedBackend};
use cloakroom_tower_sessions::v0_14::TowerSessionsStore;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use tower_sessions_014::SessionManagerLayer;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: i64,
    /// Increased by every change of the password.
    credentials: Vec<u8>,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.credentials
    }
}

/// The app's backend, which counts its queries.
#[derive(Clone, Debug, Default)]
struct Users {
    users: Arc<Mutex<HashMap<i64, User>>>,
    queries: Arc<AtomicUsize>,
}

impl Users {
    fn set(&self, id: i64, credentials: u8) {
        let credentials = vec![credentials];
        let user = User { id, credentials };
        self.users.lock().expect("no panic").insert(id, user);
    }

    fn find(&self, id: i64) -> Option<User> {
        self.users.lock().expect("no panic").get(&id).cloned()
    }

    fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }
}

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Infallible> {
        Ok(self.find(id))
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        Ok(self.find(*id))
    }
}

async fn sign_in<B: AuthnBackend<User = User, Credentials = i64> + 'static>(
    mut auth: AuthSession<B>,
) -> StatusCode {
    let found = auth.authenticate(7).await;
    let Ok(Some(user)) = found else {
        return StatusCode::UNAUTHORIZED;
    };
    match auth.login(&user).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A page that does not ask who is signed in.
async fn page() {}

async fn is_signed_in<B: AuthnBackend<User = User> + 'static>(auth: AuthSession<B>) -> StatusCode {
    match auth.user {
        Some(_) => StatusCode::OK,
        None => StatusCode::UNAUTHORIZED,
    }
}

fn app<B: AuthnBackend<User = User, Credentials = i64> + 'static>(backend: B) -> Router {
    let sessions = SessionManagerLayer::new(TowerSessionsStore::new(MemoryStore::new()));
    let auth = AuthManagerLayerBuilder::new(backend, sessions.with_secure(false)).build();
    Router::new()
        .route("/sign-in", get(sign_in::<B>))
        .route("/page", get(page))
        .route("/signed-in", get(is_signed_in::<B>))
        .layer(auth)
}

async fn send(app: &Router, path: &str, cookie: &str) -> (StatusCode, Option<String>) {
    let request = Request::get(path).header(COOKIE, cookie);
    let request = request.body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("infallible");
    let set = response.headers().get(SET_COOKIE);
    let set = set.and_then(|set| set.to_str().ok()?.split(';').next());
    (response.status(), set.map(str::to_owned))
}

/// Signs in, requests a hundred pages, and returns the queries of these.
async fn queries_of_a_hundred_pages(app: &Router, users: &Users) -> (usize, String) {
    let (status, cookie) = send(app, "/sign-in", "").await;
    assert_eq!(status, StatusCode::OK);
    let cookie = cookie.expect("it is set");
    let before = users.queries();
    for _ in 0..100 {
        assert_eq!(send(app, "/page", &cookie).await.0, StatusCode::OK);
    }
    assert_eq!(send(app, "/signed-in", &cookie).await.0, StatusCode::OK);
    (users.queries() - before, cookie)
}

#[tokio::test]
async fn axum_login_queries_the_user_for_every_request_and_a_cached_backend_once() {
    let users = Users::default();
    users.set(7, 1);
    let (queries, _) = queries_of_a_hundred_pages(&app(users.clone()), &users).await;
    assert_eq!(queries, 101);

    let cached = Cached::builder(&CacheBackend::in_memory(), "account");
    let cached = cached.with_max_staleness(std::time::Duration::from_secs(60));
    let backend = CachedBackend::new(users.clone(), cached).expect("a valid configuration");
    let (queries, cookie) = queries_of_a_hundred_pages(&app(backend.clone()), &users).await;
    assert_eq!(queries, 1);
    drop(cookie);
}

#[tokio::test]
async fn a_changed_password_ends_the_session_once_the_user_is_forgotten() {
    let users = Users::default();
    users.set(7, 1);
    let backend = CachedBackend::new(
        users.clone(),
        Cached::builder(&CacheBackend::in_memory(), "account"),
    );
    let backend = backend.expect("a valid configuration");
    let app = app(backend.clone());
    let (_, cookie) = queries_of_a_hundred_pages(&app, &users).await;
    users.set(7, 2);
    assert_eq!(send(&app, "/signed-in", &cookie).await.0, StatusCode::OK);
    backend.users().forget(&7).await.expect("it is stored");
    let (status, _) = send(&app, "/signed-in", &cookie).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
