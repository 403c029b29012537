//! WebSockets and server-sent events that end with their session, over real connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use cloakroom::{Session, SessionError, SessionLayer};
use futures_util::{StreamExt, stream};
use tests::backend::Backend;
use tests::client::Client;
use tests::on_every_store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::PATIENCE;

on_every_store!(
    a_server_sent_event_stream_ends_with_its_session,
    a_web_socket_is_closed_with_its_session,
);

async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await.map(|_| ())
}

/// Sends one line at once, and one when the session has ended.
async fn live(session: Session) -> Result<Response, SessionError> {
    let watch = session.watch()?;
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"data: open\n\n"))]);
    let last = stream::once(async move { Ok(Bytes::from(format!("data: {}\n\n", watch.await))) });
    let mut response = Response::new(Body::from_stream(first.chain(last)));
    let value = "text/event-stream".parse().expect("ASCII");
    response.headers_mut().insert("content-type", value);
    Ok(response)
}

async fn socket(session: Session, upgrade: WebSocketUpgrade) -> Result<Response, SessionError> {
    let mut over = session.watch()?;
    Ok(upgrade.on_upgrade(|mut socket: WebSocket| async move {
        loop {
            tokio::select! {
                reason = &mut over => {
                    let reason_message = Message::Text(reason.as_str().into());
                    drop(socket.send(reason_message).await);
                    return;
                }
                message = socket.recv() => match message {
                    Some(Ok(message)) => drop(socket.send(message).await),
                    _ => return,
                }
            }
        }
    }))
}

async fn serve(layer: SessionLayer) -> SocketAddr {
    let app = Router::new()
        .route("/in", get(sign_in))
        .route("/out", get(sign_out))
        .route("/live", get(live))
        .route("/socket", get(socket))
        .layer(layer);
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Two servers of one app, and the cookie of a client that has signed in on the first.
async fn setup(backend: &Backend) -> (SocketAddr, SocketAddr, String) {
    let one = serve(backend.layer().await).await;
    let two = serve(backend.layer().await).await;
    let mut client = Client::new(&format!("http://{one}"));
    client.get("/in").await;
    let cookie = client.cookie().expect("it is set").to_owned();
    (one, two, cookie)
}

async fn sign_out_at(server: SocketAddr, cookie: &str) {
    let client = Client::new(&format!("http://{server}"));
    client.with_cookie(cookie).get("/out").await;
}

async fn a_server_sent_event_stream_ends_with_its_session(backend: Backend) {
    let (one, two, cookie) = setup(&backend).await;
    let mut stream = TcpStream::connect(one).await.expect("it listens");
    let request = format!(
        "GET /live HTTP/1.1\r\nhost: {one}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.contains("data: open") {
        let read = timeout(PATIENCE, stream.read(&mut bytes))
            .await
            .expect("it comes");
        text.push_str(&String::from_utf8_lossy(
            &bytes[..read.expect("it is open")],
        ));
    }
    let began = Instant::now();
    sign_out_at(two, &cookie).await;
    let mut rest = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut rest)).await;
    read.expect("it ends").expect("it is text");
    assert!(rest.contains("data: signed_out"), "{rest}");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

async fn a_web_socket_is_closed_with_its_session(backend: Backend) {
    use tokio_tungstenite::tungstenite::Message;
    let (one, two, cookie) = setup(&backend).await;
    let mut request = format!("ws://{one}/socket")
        .into_client_request()
        .expect("a URL");
    let cookie_header = cookie.parse().expect("ASCII");
    request.headers_mut().insert("cookie", cookie_header);
    let (mut socket, _) = tokio_tungstenite::connect_async(request)
        .await
        .expect("it opens");
    let hello = Message::Text("hello".into());
    futures_util::SinkExt::send(&mut socket, hello.clone())
        .await
        .expect("it is sent");
    let echo = timeout(PATIENCE, socket.next()).await.expect("it comes");
    assert_eq!(echo.expect("it is open").expect("it is a message"), hello);
    let began = Instant::now();
    sign_out_at(two, &cookie).await;
    let last = timeout(PATIENCE, socket.next()).await.expect("it comes");
    let last = last.expect("it is open").expect("it is a message");
    assert_eq!(last.into_text().expect("it is text").as_str(), "signed_out");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}
