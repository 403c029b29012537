//! A provider that has not asked the user to sign in, and a user without a password.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use app_example::Storage;
use axum::routing::{get, post};
use axum::{Json, Router};
use cloakroom::CookieConfig;
use serde_json::{Value, json};
use test_support::http::{Client, Response};
use tokio::net::TcpListener;

use super::{database, post as send, start_with, token};

/// What the provider says of a user.
type UserInfo = Arc<Mutex<Value>>;

/// A provider that has authenticated the user without asking, at a time of the test.
async fn provider(user: &UserInfo) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let token = json!({ "access_token": "token", "token_type": "bearer" });
    let user = Arc::clone(user);
    let user_info = async move || Json(user.lock().expect("it is not poisoned").clone());
    let routes = Router::new()
        .route("/token", post(async move || Json(token)))
        .route("/userinfo", get(user_info));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// Signs in, and returns the address at the provider and the response to the callback.
async fn sign_in(browser: &mut Client) -> (String, Response) {
    let begun = browser.post("/oauth/begin", &[("next", "/devices")]).await;
    let url = begun.header("location").to_owned();
    let (_, state) = url.split_once("state=").expect("a state");
    let state = state.split('&').next().expect("it ends");
    let callback = format!("/oauth/callback?state={state}&code=code");
    let response = browser.get(&callback).await;
    // The cookie of the transaction is removed as well.
    let cookies = response.headers.get_all("set-cookie").iter();
    let mut cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
    let session = cookies.find(|cookie| cookie.starts_with(CookieConfig::DEFAULT_NAME));
    if let Some(session) = session.and_then(|cookie| cookie.split(';').next()) {
        *browser = browser.clone().with_cookie(session);
    }
    (url, response)
}

#[tokio::test]
async fn a_sign_in_counts_only_if_the_provider_has_asked_the_user() {
    let user = UserInfo::default();
    let provider = provider(&user).await;
    let address = start_with(&database().await, &Storage::memory(), &provider).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_secs();
    for (auth_time, status) in [
        (json!(now - 3600), 403),
        (Value::Null, 403),
        (json!(now), 303),
    ] {
        *user.lock().expect("it is not poisoned") =
            json!({ "sub": "elsa", "name": "Elsa", "auth_time": auth_time });
        let mut browser = Client::new(&address);
        let (url, response) = sign_in(&mut browser).await;
        assert!(
            url.contains("prompt=login") && url.contains("max_age=60"),
            "{url}"
        );
        assert_eq!(response.status, status, "{auth_time}: {}", response.body);
        let is_signed_in = browser.get("/").await.body.contains("Hello, Elsa.");
        assert_eq!(is_signed_in, status == 303, "{auth_time}");
        if is_signed_in {
            a_user_of_the_provider_gets_no_password(&mut browser).await;
        }
    }
}

async fn a_user_of_the_provider_gets_no_password(browser: &mut Client) {
    let account = browser.get("/account").await.body;
    assert!(!account.contains("/account/password"), "{account}");
    let page = browser.get("/account/password").await;
    assert!(page.body.contains("change your password there"));
    assert!(!page.body.contains("new-password"), "{}", page.body);
    let csrf = token(browser, "/account").await;
    let form = [("csrf", &*csrf), ("password", "elsa-password")];
    assert_eq!(send(browser, "/account/password", &form).await, 409);
}
