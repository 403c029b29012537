//! axum-login and axum-messages, unchanged, on our layer and a real Redis.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use axum_login::tower_sessions::Session as TowerSession;
use axum_login::{AuthManager, AuthSession, AuthUser, AuthnBackend, login_required};
use axum_messages::{Messages, MessagesManagerLayer};
use cloakroom_tower_sessions::{v0_14, v0_15};
use tests::faulty_store::{CountingStore, Verb};
use tests::generous;
use tower::layer::layer_fn;

use crate::browser::Browser;
use crate::servers::Redis;

#[derive(Clone, Debug)]
pub(crate) struct User(String);

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.0.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"the hash of a password"
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = String;
    type Error = Infallible;

    async fn authenticate(&self, name: String) -> Result<Option<User>, Infallible> {
        Ok((name != "mallory").then_some(User(name)))
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        Ok(Some(User(name.clone())))
    }
}

type Auth = AuthSession<Users>;

async fn sign_in(mut auth: Auth, messages: Messages, Path(name): Path<String>) -> Redirect {
    match auth.authenticate(name).await.expect("the users are there") {
        Some(user) => {
            auth.login(&user).await.expect("the session works");
            messages.success(format!("welcome, {}", user.0));
            Redirect::to("/protected")
        }
        None => {
            messages.error("wrong password");
            Redirect::to("/login")
        }
    }
}

async fn sign_out(mut auth: Auth) -> Redirect {
    auth.logout().await.expect("the session works");
    Redirect::to("/login")
}

async fn protected(auth: Auth, messages: Messages) -> String {
    let messages: Vec<_> = messages
        .into_iter()
        .map(|message| message.message)
        .collect();
    format!(
        "{}: {}",
        auth.user.expect("the route is protected").0,
        messages.join(", ")
    )
}

async fn log_in_page(messages: Messages) -> String {
    let messages: Vec<_> = messages
        .into_iter()
        .map(|message| message.message)
        .collect();
    format!("sign in: {}", messages.join(", "))
}

async fn cart(session: TowerSession, Path(item): Path<String>) -> StatusCode {
    session
        .insert("cart", item)
        .await
        .expect("the session works");
    StatusCode::OK
}

async fn show_cart(session: TowerSession) -> String {
    session
        .get("cart")
        .await
        .expect("the session works")
        .unwrap_or_default()
}

/// An app with every kind of session extractor.
fn app(store: CountingStore<cloakroom_redis::RedisStore>) -> Router {
    Router::new()
        .route("/protected", get(protected))
        .route_layer(login_required!(Users, login_url = "/login"))
        .route("/login", get(log_in_page))
        .route("/login/{name}", get(sign_in))
        .route("/logout", get(sign_out))
        .route("/cart", get(show_cart))
        .route("/cart/{item}", get(cart))
        .layer(layer_fn(|inner| {
            AuthManager::new(inner, Users, "axum-login.data")
        }))
        .layer(MessagesManagerLayer)
        .layer(v0_14::BridgeLayer::new())
        .layer(v0_15::BridgeLayer::new())
        .layer(generous::layer(store))
}

async fn shop() -> (Redis, CountingStore<cloakroom_redis::RedisStore>, Router) {
    let redis = Redis::start();
    let store = CountingStore::new(redis.store().await);
    let app = app(store.clone());
    (redis, store, app)
}

#[tokio::test]
async fn axum_login_signs_in_protects_a_page_and_signs_out() {
    let (_redis, _, app) = shop().await;
    let mut ada = Browser::new(&app);
    let refused = ada.get("/protected").await;
    assert!(refused.location.starts_with("/login"), "{refused:?}");
    ada.get("/login/mallory").await;
    assert_eq!(ada.text("/login").await, "sign in: wrong password");
    assert_eq!(ada.text("/login").await, "sign in: ");

    assert_eq!(ada.text("/cart/shoes").await, "");
    let before = ada.clone();
    assert_eq!(ada.get("/login/ada").await.location, "/protected");
    assert_ne!(
        ada.cookie(),
        before.cookie(),
        "a sign-in renews the session"
    );
    assert_eq!(
        before.clone().text("/cart").await,
        "",
        "the old one has ended"
    );
    assert_eq!(ada.text("/protected").await, "ada: welcome, ada");
    assert_eq!(ada.text("/protected").await, "ada: ");
    assert_eq!(
        ada.text("/cart").await,
        "shoes",
        "what was there carries over"
    );

    let mut copied = ada.clone();
    assert_eq!(ada.get("/logout").await.location, "/login");
    assert_eq!(ada.cookie(), None);
    let refused = copied.get("/protected").await;
    assert!(refused.location.starts_with("/login"), "{refused:?}");
}

#[tokio::test]
async fn a_request_loads_the_session_once() {
    let (_redis, store, app) = shop().await;
    let mut ada = Browser::new(&app);
    ada.get("/login/ada").await;
    ada.text("/protected").await;
    drop(store.take_verbs());
    ada.text("/protected").await;
    assert_eq!(store.take_verbs(), [Verb::Load]);
    ada.text("/cart/hat").await;
    assert_eq!(store.take_verbs(), [Verb::Load, Verb::Update]);
    Browser::new(&app).text("/login").await;
    assert_eq!(store.take_verbs(), []);
}

#[tokio::test]
async fn a_sign_out_during_slow_requests_holds() {
    let (_redis, _, app) = shop().await;
    let mut ada = Browser::new(&app);
    ada.get("/login/ada").await;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..40 {
        let mut one = ada.clone();
        requests.spawn(async move {
            let path = match number {
                20 => "/logout".to_owned(),
                number => format!("/cart/{number}"),
            };
            one.get(&path).await.status
        });
    }
    let statuses = requests.join_all().await;
    assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
    let refused = ada.get("/protected").await;
    assert!(refused.location.starts_with("/login"), "{refused:?}");
}
