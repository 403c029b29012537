//! The mobile app: a token in JSON, and the reason of its end.

use http::header::AUTHORIZATION;
use http::{Method, Request};
use serde_json::{Value, json};
use tests::client::exchange;

use super::shop::Shop;
/// Sends a request with this token; an empty one asks for a token.
async fn send(url: &str, method: Method, token: &str, body: &Value) -> (u16, Value) {
    let (authority, path) = url
        .strip_prefix("http://")
        .and_then(|url| url.split_once('/'))
        .expect("a URL");
    let request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header(AUTHORIZATION, format!("Bearer {token}").trim_end())
        .header("content-type", "application/json")
        .body(body.to_string());
    let response = exchange(authority, request.expect("it is valid")).await;
    let response = response.expect("a response");
    assert_eq!(response.header("session-token"), "", "it is in the body");
    assert_eq!(response.header("set-cookie"), "");
    let body = serde_json::from_str(&response.body).unwrap_or_default();
    (response.status.as_u16(), body)
}

/// After `devices`, which has changed the password.
pub(crate) async fn an_app_gets_a_token_and_learns_why_it_has_ended(shop: &Shop) {
    let sign_in = shop.at("/api/sign-in");
    let form = |password: &str| json!({ "name": "Ada", "password": password });
    let (status, body) = send(&sign_in, Method::POST, "", &form("wrong")).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (401, Some("wrong_password"))
    );
    let (status, body) = send(&sign_in, Method::POST, "", &form("another-password")).await;
    assert_eq!(status, 200, "{body}");
    let token = body["token"].as_str().expect("a token").to_owned();

    // On the other server.
    let me = shop.at_other("/api/me");
    let (status, body) = send(&me, Method::GET, &token, &Value::Null).await;
    assert_eq!((status, body["name"].as_str()), (200, Some("Ada")));
    let sign_out = shop.at("/api/sign-out");
    let (status, _) = send(&sign_out, Method::POST, &token, &Value::Null).await;
    assert_eq!(status, 200);
    let (status, body) = send(&me, Method::GET, &token, &Value::Null).await;
    assert_eq!((status, body["reason"].as_str()), (401, Some("signed_out")));
}
