//! Session events on all servers, and live connections that end with their session.

mod bus;
mod events;
mod watching;
mod web_socket;

use std::time::Duration;

use cloakroom::{Session, SessionError, SessionEvent, SessionId, Subscription, UserId};
use tests::browser::Browser;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a test waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);

async fn sign_in(browser: &mut Browser, user: impl Into<UserId>) -> SessionId {
    let user = user.into();
    let response = browser
        .request(|session| async move {
            session.sign_in(user).await?;
            Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
        })
        .await;
    response.text().parse().expect("the response is the id")
}

async fn sign_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await.map(|_| ())
}

/// The next event other than `Missed`.
async fn next(events: &mut Subscription) -> SessionEvent {
    let next = async {
        loop {
            match events.next().await {
                Some(SessionEvent::Missed) => {}
                Some(event) => return event,
                None => panic!("the bus is closed"),
            }
        }
    };
    timeout(PATIENCE, next).await.expect("the event arrives")
}

/// Sends a request, and returns a value that the handler makes of the session.
async fn from_handler<T: Send + 'static>(
    browser: &mut Browser,
    make: impl FnOnce(&Session) -> Result<T, SessionError> + Send + 'static,
) -> T {
    let (sender, receiver) = oneshot::channel();
    let response = browser
        .request(|session| async move {
            drop(sender.send(make(&session)?));
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    receiver.await.expect("the handler has sent it")
}
