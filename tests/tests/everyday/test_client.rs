//! The client for the tests of apps.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Redirect;
use axum::routing::{get, post};
use cloakroom::testing::{TestClient, TestSession};
use cloakroom::{
    ManualClock, MemoryStore, Next, RequireSignIn, Session, SessionError, SessionLayer,
    TokenHeader, days,
};

async fn account(session: Session) -> Result<String, SessionError> {
    let role: Option<String> = session.get("role")?;
    let user = session.require_user()?;
    Ok(format!("{user} {}", role.unwrap_or_default()))
}

async fn enter(session: Session, next: Next, form: String) -> Result<Redirect, SessionError> {
    let mut fields = url::form_urlencoded::parse(form.as_bytes());
    let (_, name) = fields.find(|(name, _)| name == "name").expect("a name");
    session.sign_in(name.into_owned()).await?;
    Ok(Redirect::to(next.or("/")))
}

async fn leave(session: Session) -> Result<(), SessionError> {
    session.sign_out().await.map(drop)
}

fn app() -> (Router, SessionLayer, ManualClock) {
    let clock = ManualClock::default();
    let layer = SessionLayer::builder(MemoryStore::with_clock(clock.clone()))
        .with_clock(clock.clone())
        .with_sign_in_page("/sign-in")
        .with_token_header(TokenHeader::bearer())
        .build()
        .expect("it is valid");
    let app = Router::new()
        .route("/account", get(account))
        .route(
            "/renew",
            post(|session: Session| async move { session.renew() }),
        )
        .route_layer(RequireSignIn::new())
        .route("/sign-in", post(enter))
        .route("/sign-out", post(leave))
        .layer(layer.clone());
    (app, layer, clock)
}

#[tokio::test]
async fn it_signs_in_by_the_form_and_keeps_the_cookie() {
    let (app, _, clock) = app();
    let mut client = TestClient::new(app);
    let refused = client.get("/account").await;
    let form = refused.location().expect("a redirect").to_owned();
    let accepted = client.post(&form, &[("name", "ada & co=x")]).await;
    assert_eq!(client.follow(accepted).await.text(), "ada & co=x ");
    let mut other = client.clone();
    other.clear();
    assert_eq!(other.get("/account").await.status, 303);
    assert_eq!(client.post("/sign-out", &[]).await.status, 200);
    assert_eq!(client.cookie(cloakroom::CookieConfig::DEFAULT_NAME), None);
    assert_eq!(client.get("/account").await.status, 303);
    client.post("/sign-in", &[("name", "ada")]).await;
    clock.advance(days(2));
    assert_eq!(client.get("/account").await.status, 303, "it has expired");
}

#[tokio::test]
async fn it_is_signed_in_with_entries_by_a_cookie_or_a_token() {
    let (app, layer, _) = app();
    let mut browser = TestClient::new(app);
    let admin = |session: &Session| session.insert("role", "admin");
    let session = browser
        .signed_in_with(&layer, 7, admin)
        .await
        .expect("it is stored");
    assert_eq!(browser.get("/account").await.text(), "7 admin");
    browser.post("/renew", &[]).await;
    assert_eq!(browser.get("/account").await.text(), "7 admin");
    let stored = session.now().await.expect("the store responds");
    assert_eq!(stored.user(), None, "it was renewed");

    let mut phone = browser.clone();
    phone.clear();
    let session = TestSession::signed_in_with(&layer, 8, admin).await;
    phone.set_bearer(&session.expect("it is stored"));
    let json = || {
        let request = Request::get("/account").header("accept", "application/json");
        request.body(Body::empty()).expect("it is valid")
    };
    assert_eq!(phone.send(json()).await.text(), "8 admin");
    phone.post("/renew", &[]).await;
    assert_eq!(
        phone.send(json()).await.text(),
        "8 admin",
        "with the new token"
    );
    phone.clear();
    assert_eq!(phone.send(json()).await.status, 401);
}
