//! The token in a header, for clients other than browsers.

use axum::body::Body;
use axum::extract::Request;
use cloakroom::{CookieConfig, Session, SessionError, TokenHeader};
use http::header::AUTHORIZATION;
use tests::app::{Handler, app};
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::on_every_store;

use super::{sign_in, user_of, whoami};

on_every_store!(
    a_client_signs_in_reads_and_signs_out_with_the_header,
    the_header_takes_precedence_over_the_cookie,
    without_the_header_the_cookie_is_used,
    a_header_only_layer_ignores_cookies,
    the_token_can_be_a_bearer_token,
    a_foreign_bearer_token_does_not_hide_the_cookie,
);

const NAME: &str = "session-token";

fn named() -> TokenHeader {
    TokenHeader::named(NAME)
}

/// A request with this header.
async fn send<F, R>(
    client: &mut Browser,
    header: (&'static str, &str),
    handler: impl FnOnce(Session) -> F + Send + 'static,
) -> TestResponse
where
    F: Future<Output = Result<R, SessionError>> + Send + 'static,
    R: axum::response::IntoResponse + Send,
{
    let mut request = Request::new(Body::empty());
    let value = header.1.parse().expect("it can be in a header");
    request.headers_mut().insert(header.0, value);
    request.extensions_mut().insert(Handler::session(handler));
    client.send(request).await
}

fn token(response: &TestResponse) -> Option<String> {
    let value = response.headers.get(NAME)?.to_str().expect("it is ASCII");
    Some(value.to_owned())
}

async fn sign_in_now(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await.map(|_| ())
}

async fn a_client_signs_in_reads_and_signs_out_with_the_header(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut client = Browser::new(app(layer));
    let response = send(&mut client, (NAME, ""), sign_in_now).await;
    let first = token(&response).expect("the response carries it");
    assert_eq!(first.len(), 43);
    assert_eq!(
        response.cookie_change(),
        CookieChange::Nothing,
        "and no cookie"
    );
    assert_eq!(response.cache_control(), "no-store");
    assert_eq!(response.vary(), "cookie, session-token");

    let response = send(&mut client, (NAME, &first), user_of).await;
    assert_eq!(response.text(), "ada");
    assert_eq!(token(&response), None, "it is not repeated");
    let response = send(&mut client, (NAME, &first), |session| async move {
        session.renew()
    })
    .await;
    let second = token(&response).expect("a renewal gives a new one");
    assert_ne!(first, second);
    assert_eq!(send(&mut client, (NAME, &first), user_of).await.text(), "");
    let response = send(&mut client, (NAME, &second), sign_out).await;
    assert_eq!(
        token(&response).as_deref(),
        Some(""),
        "it says that the session has ended"
    );
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(send(&mut client, (NAME, &second), user_of).await.text(), "");
}

/// A page of another site cannot set the header, so a request with it is not a forged form.
async fn the_header_takes_precedence_over_the_cookie(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    for nothing in ["", "x", &"A".repeat(43), &"A".repeat(9000)] {
        let response = send(&mut browser, (NAME, nothing), user_of).await;
        assert_eq!(response.text(), "", "the cookie does not count");
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
    }
    let response = send(&mut browser, (NAME, ""), |session| async move {
        session.sign_in("bob").await
    })
    .await;
    let bobs = token(&response).expect("the response carries it");
    let response = send(&mut browser, (NAME, &bobs), user_of).await;
    assert_eq!(response.text(), "bob");
    assert_eq!(whoami(&mut browser).await, "ada", "the cookie is as it was");
}

async fn without_the_header_the_cookie_is_used(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer));
    let response = browser.request(sign_in_now).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(token(&response), None);
    assert_eq!(whoami(&mut browser).await, "ada");
    // The same token is valid in the cookie and in the header.
    let token_value = browser.cookie().expect("it is set").to_owned();
    let mut other = browser.on(app(backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid")));
    assert_eq!(
        send(&mut other, (NAME, &token_value), user_of).await.text(),
        "ada"
    );
}

async fn a_header_only_layer_ignores_cookies(backend: Backend) {
    let api = backend
        .builder()
        .await
        .with_token_header(named().header_only())
        .build()
        .expect("it is valid");
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut browser = browser.on(app(api));
    assert_eq!(whoami(&mut browser).await, "", "its cookie does not count");
    let response = browser.request(sign_in_now).await;
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(response.vary(), "session-token");
    let token_value = token(&response).expect("it needs no header to get one");
    assert_eq!(
        send(&mut browser, (NAME, &token_value), user_of)
            .await
            .text(),
        "ada"
    );
}

async fn the_token_can_be_a_bearer_token(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(TokenHeader::bearer())
        .build()
        .expect("it is valid");
    let mut client = Browser::new(app(layer));
    let authorization = AUTHORIZATION.as_str();
    assert_eq!(authorization, "authorization");
    let response = send(&mut client, ("authorization", "Bearer"), sign_in_now).await;
    let token_value = token(&response).expect("the response carries it");
    let bearer = format!("Bearer {token_value}");
    let response = send(&mut client, ("authorization", &bearer), user_of).await;
    assert_eq!(response.text(), "ada");
    assert_eq!(response.vary(), "cookie, authorization");
    // Other schemes are left to the app.
    client.add_cookie(CookieConfig::DEFAULT_NAME, token_value.clone());
    let response = send(&mut client, ("authorization", "Basic YTpi"), user_of).await;
    assert_eq!(response.text(), "ada", "the cookie counts");
}

/// A proxy that authenticates its users by itself adds a JWT to each request.
async fn a_foreign_bearer_token_does_not_hide_the_cookie(backend: Backend) {
    const JWT: &str = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";
    let bearer = ("authorization", JWT);
    let layer = backend
        .builder()
        .await
        .with_token_header(TokenHeader::bearer())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer));
    let response = send(&mut browser, bearer, sign_in_now).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(token(&response), None, "a browser cannot read it there");
    let response = send(&mut browser, bearer, user_of).await;
    assert_eq!(response.text(), "ada");
    let response = send(&mut browser, bearer, sign_out).await;
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    // What could be one of ours counts, although it is not.
    let unknown = format!("Bearer {}", "A".repeat(43));
    sign_in(&mut browser, "ada").await;
    let response = send(&mut browser, ("authorization", &unknown), user_of).await;
    assert_eq!(response.text(), "");
}
