//! The recipes of `docs/recipes.md`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use cloakroom::{Session, SessionLayer, days};
use futures_util::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use serde_json::Value;
use tests::app::{Fixture, run_handler};
use tests::browser::{Browser, TestResponse};
use tests::client::Client;
use tests::recipes::{guest, live, mobile, remember_me, second_factor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn browser(routes: Router, layer: SessionLayer) -> Browser {
    Browser::new(routes.fallback(run_handler).layer(layer))
}

async fn post(browser: &mut Browser, path: &str, form: &str) -> TestResponse {
    let request = Request::post(path)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()));
    browser.send(request.expect("a request")).await
}

async fn get(browser: &mut Browser, path: &str) -> TestResponse {
    let request = Request::get(path).body(Body::empty());
    browser.send(request.expect("a request")).await
}

#[tokio::test]
async fn a_remembered_session_outlives_the_others_and_the_browser() {
    let fixture = Fixture::memory();
    let open = || browser(remember_me::routes(), fixture.layer());
    let (mut remembered, mut other) = (open(), open());
    let response = post(&mut remembered, "/sign-in", "user=ada&remember=on").await;
    let seconds = days(90).as_secs();
    assert_eq!(response.set_cookie().max_age(), Some(seconds));
    let response = post(&mut other, "/sign-in", "user=ada").await;
    assert_eq!(response.set_cookie().max_age(), None);
    let user = |session: Session| async move { Ok(session.user().is_some().to_string()) };
    fixture.clock.advance(days(13));
    assert_eq!(remembered.request(user).await.text(), "true");
    assert_eq!(other.request(user).await.text(), "false");
    fixture.clock.advance(days(15));
    assert_eq!(remembered.request(user).await.text(), "false");
}

async fn cart(browser: &mut Browser) -> String {
    let read = |session: Session| async move {
        let cart: Option<BTreeMap<String, u32>> = session.get("cart")?;
        Ok(format!("{:?}", cart.unwrap_or_default()))
    };
    browser.request(read).await.text().to_owned()
}

#[tokio::test]
async fn the_cart_of_a_guest_goes_to_the_new_user_and_is_merged_with_that_of_a_known_one() {
    let fixture = Fixture::memory();
    let carts = guest::Carts::default();
    let open = || browser(guest::routes(Arc::clone(&carts)), fixture.layer());
    let mut new = open();
    post(&mut new, "/cart", "product=hat").await;
    post(&mut new, "/register", "user=ada").await;
    assert_eq!(cart(&mut new).await, r#"{"hat": 1}"#);

    let of_bob = BTreeMap::from([("hat".to_owned(), 2), ("tie".to_owned(), 1)]);
    carts
        .lock()
        .expect("not poisoned")
        .insert("bob".to_owned(), of_bob);
    let mut known = open();
    post(&mut known, "/cart", "product=hat").await;
    post(&mut known, "/sign-in", "user=bob").await;
    assert_eq!(cart(&mut known).await, r#"{"hat": 3, "tie": 1}"#);
    // Signing in again adds nothing, and loses nothing.
    post(&mut known, "/sign-in", "user=bob").await;
    assert_eq!(cart(&mut known).await, r#"{"hat": 3, "tie": 1}"#);
    // Another user of the same browser gets nothing of it.
    post(&mut known, "/sign-in", "user=cyd").await;
    assert_eq!(cart(&mut known).await, "{}");
}

#[tokio::test]
async fn the_second_factor_renews_the_session_and_every_sign_in_needs_it_again() {
    let fixture = Fixture::memory();
    let mut ada = browser(second_factor::routes(), fixture.layer());
    assert_eq!(
        get(&mut ada, "/account").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(post(&mut ada, "/code", "code=123456").await.status, 401);
    post(&mut ada, "/password", "user=ada").await;
    let mut stolen = ada.clone();
    let response = get(&mut ada, "/account").await;
    assert_eq!(response.headers[LOCATION], "/code");
    assert_eq!(post(&mut ada, "/code", "code=000000").await.status, 403);
    post(&mut ada, "/code", "code=123456").await;
    assert_eq!(get(&mut ada, "/account").await.text(), "The account of ada");
    // A cookie that was stolen before gains nothing.
    assert_eq!(get(&mut stolen, "/account").await.status, 401);
    post(&mut ada, "/password", "user=ada").await;
    let response = get(&mut ada, "/account").await;
    assert_eq!(response.headers[LOCATION], "/code");
}

async fn call(app: &mut Browser, method: Method, path: &str, token: &str) -> TestResponse {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"user": "ada"}"#));
    app.send(request.expect("a request")).await
}

#[tokio::test]
async fn a_mobile_app_signs_in_and_out_with_a_bearer_token() {
    let fixture = Fixture::memory();
    let layer = mobile::layer(fixture.builder()).expect("it is valid");
    let mut app = Browser::new(mobile::routes(&layer));
    let response = call(&mut app, Method::POST, "/api/sign-in", "").await;
    assert_eq!(response.status, 200);
    assert!(response.set_cookies().is_empty());
    assert!(!response.headers.contains_key("session-token"));
    assert_eq!(response.cache_control(), "no-store");
    let body: Value = serde_json::from_slice(&response.body).expect("JSON");
    let token = body["token"].as_str().expect("a token");
    assert_eq!(token.len(), 43);
    let me = call(&mut app, Method::GET, "/api/me", token).await;
    assert_eq!(me.text(), "ada");
    let me = call(&mut app, Method::GET, "/api/me", "").await;
    assert_eq!(me.status, 401);
    fixture.clock.advance(days(29));
    let me = call(&mut app, Method::GET, "/api/me", token).await;
    assert_eq!(me.text(), "ada");
    let response = call(&mut app, Method::POST, "/api/sign-out", token).await;
    assert_eq!(response.status, 200);
    let me = call(&mut app, Method::GET, "/api/me", token).await;
    assert_eq!(me.status, 401);
}

/// A server with the live routes, and a client that is signed in.
async fn live_server() -> (SocketAddr, Client) {
    let layer = Fixture::memory().layer();
    let app = live::routes().layer(layer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut client = Client::new(&format!("http://{address}"));
    client.post("/sign-in", &[]).await;
    (address, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_at_the_sign_out() {
    let (address, mut client) = live_server().await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let cookie = client.cookie().expect("it is signed in");
    let request = format!(
        "GET /events HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    let written = stream.write_all(request.as_bytes()).await;
    written.expect("it is sent");
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains("data: news") {
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
        let read = read.expect("it comes").expect("it is open");
        assert_ne!(read, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    client.post("/sign-out", &[]).await;
    let mut rest = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut rest)).await;
    read.expect("it ends").expect("it is text");
    assert!(rest.contains("event: end\ndata: signed_out"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_is_closed_at_the_sign_out() {
    use tokio_tungstenite::tungstenite::Message;
    let (address, mut client) = live_server().await;
    let mut request = format!("ws://{address}/socket")
        .into_client_request()
        .expect("a URL");
    let cookie = client.cookie().expect("it is signed in").parse();
    request
        .headers_mut()
        .insert("cookie", cookie.expect("ASCII"));
    let connected = tokio_tungstenite::connect_async(request).await;
    let (mut socket, _) = connected.expect("it opens");
    let hello = Message::Text("hello".into());
    let sent = futures_util::SinkExt::send(&mut socket, hello.clone()).await;
    sent.expect("it is sent");
    let next = async |socket: &mut tokio_tungstenite::WebSocketStream<_>| {
        let message = timeout(PATIENCE, socket.next()).await;
        message
            .expect("it comes")
            .expect("it is open")
            .expect("a message")
    };
    assert_eq!(next(&mut socket).await, hello);
    client.post("/sign-out", &[]).await;
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("not a close frame");
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1008, "signed_out")
    );
}
