//! Event streams and WebSockets that end with their session. `docs/recipes.md` quotes it.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use cloakroom::{Session, SessionError, SessionWatch};
use futures_util::{FutureExt, Stream, StreamExt, stream};

/// Events of the app, then one last event when the session ends, after which the stream is over. The page closes its
/// `EventSource` at the event `end`, since browsers connect again by themselves.
async fn events(
    session: Session,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, SessionError> {
    session.require_user()?;
    let watch = session.watch()?.shared();
    let end = watch
        .clone()
        .map(|reason| Event::default().event("end").data(reason.as_str()));
    let events = app_events().take_until(watch).chain(stream::once(end));
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}

/// The app's events, which never end by themselves.
fn app_events() -> impl Stream<Item = Event> {
    let first = stream::once(async { Event::default().data("news") });
    first.chain(stream::pending())
}

async fn socket(session: Session, upgrade: WebSocketUpgrade) -> Result<Response, SessionError> {
    session.require_user()?;
    let watch = session.watch()?;
    Ok(upgrade.on_upgrade(|socket| talk(socket, watch)))
}

/// Echoes until the client or the session ends. The client learns why from the close frame.
async fn talk(mut socket: WebSocket, mut watch: SessionWatch) {
    loop {
        tokio::select! {
            reason = &mut watch => {
                let frame = CloseFrame {
                    code: close_code::POLICY,
                    reason: reason.as_str().into(),
                };
                // The client may be gone already.
                let _ = socket.send(Message::Close(Some(frame))).await;
                return;
            }
            message = socket.recv() => match message {
                Some(Ok(message)) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}

async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await?;
    Ok(())
}

/// The routes.
pub fn routes() -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/socket", get(socket))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
}
