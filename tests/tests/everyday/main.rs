//! The everyday tasks of an app with sign-in: guards, impersonation, flash messages, and others.

mod audit;
mod by_hand;
mod caching;
mod ended_reasons;
mod failed_steps;
mod flash;
mod guards;
mod impersonation;
mod impersonation_ends;
mod lifetimes;
mod revoking_others;
mod test_client;

use axum::body::Body;
use axum::extract::Request;
use cloakroom::UserId;
use http::Method;
use tests::browser::{Browser, TestResponse};

/// The type that browsers name when they load a page.
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// Signs in, and expects it to succeed.
async fn sign_in(browser: &mut Browser, user: impl Into<UserId>) {
    let user = user.into();
    let response = browser
        .request(|session| async move { session.sign_in(user).await })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
}

/// Loads a page.
async fn open(browser: &mut Browser, uri: &str) -> TestResponse {
    send(browser, Method::GET, uri, HTML).await
}

/// Sends a request that accepts this type.
async fn send(browser: &mut Browser, method: Method, uri: &str, accept: &str) -> TestResponse {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("accept", accept).body(Body::empty());
    browser.send(request.expect("it is valid")).await
}

/// Where a response redirects to; its status if it is not a redirect.
fn target(response: &TestResponse) -> String {
    if response.status != 303 {
        return response.status.as_u16().to_string();
    }
    let location = &response.headers["location"];
    location.to_str().expect("it is ASCII").to_owned()
}
