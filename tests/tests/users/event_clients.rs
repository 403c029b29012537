//! The clients in events: what device tracking has recorded of their sessions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use cloakroom::{DeviceTracking, Session, SessionClient, SessionError, SessionEvent, Subscription};
use http::header::USER_AGENT;
use tests::app::{Handler, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::on_every_store;

on_every_store!(
    every_event_of_a_tracked_session_has_its_client,
    without_tracking_no_event_has_a_client,
);

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn tracking() -> DeviceTracking {
    DeviceTracking::new().with_peer_address(|extensions| {
        let info: Option<&ConnectInfo<SocketAddr>> = extensions.get();
        info.map(|info| info.0.ip())
    })
}

/// Longer than what is kept of it.
fn agent() -> String {
    format!("\"Shop\" {}", "x".repeat(400))
}

async fn send<F>(browser: &mut Browser, handler: impl FnOnce(Session) -> F + Send + 'static)
where
    F: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let mut request = Request::new(Body::empty());
    let agent = agent().parse().expect("ASCII");
    request.headers_mut().insert(USER_AGENT, agent);
    let peer: SocketAddr = ([192, 0, 2, 7], 4711).into();
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Handler::session(handler));
    let response = browser.send(request).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

/// A session with an event of each kind that has a client.
async fn whole_life(browser: &mut Browser) {
    send(
        browser,
        |session| async move { session.sign_in("ada").await },
    )
    .await;
    send(browser, |session| async move { session.renew() }).await;
    send(browser, |session| async move {
        session.impersonate("bob").await
    })
    .await;
    send(browser, |session| async move {
        session.stop_impersonating().await.map(drop)
    })
    .await;
    send(
        browser,
        |session| async move { session.sign_in("ada").await },
    )
    .await;
    send(browser, |session| async move {
        session.sign_out().await.map(drop)
    })
    .await;
}

/// The kinds of the next events, which may come in another order, and their clients.
async fn clients(
    events: &mut Subscription,
    count: usize,
) -> BTreeMap<String, Option<SessionClient>> {
    let mut seen = BTreeMap::new();
    while seen.len() < count {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        let (kind, client) = match next.expect("it is published").expect("the store is there") {
            SessionEvent::SignedIn { from, client, .. } if from.is_some() => ("again", client),
            SessionEvent::SignedIn { client, .. } => ("signed in", client),
            SessionEvent::Renewed { client, .. } => ("renewed", client),
            SessionEvent::ImpersonationStarted { client, .. } => ("started", client),
            SessionEvent::ImpersonationStopped { client, .. } => ("stopped", client),
            SessionEvent::Ended { reason, client, .. } => (reason.as_str(), client),
            other => panic!("{other:?}"),
        };
        seen.insert(kind.to_owned(), client);
    }
    seen
}

const KINDS: [&str; 6] = [
    "again",
    "renewed",
    "signed in",
    "signed_out",
    "started",
    "stopped",
];

async fn every_event_of_a_tracked_session_has_its_client(backend: Backend) {
    let builder = backend.builder().await;
    let layer = builder.with_device_tracking(tracking()).build();
    let layer = layer.expect("it is valid");
    // Another server of the app.
    let listener = backend.layer().await;
    let mut events = backend.listen(&listener).await;
    whole_life(&mut Browser::new(app(layer))).await;
    let seen = clients(&mut events, KINDS.len()).await;
    assert_eq!(seen.keys().collect::<Vec<_>>(), KINDS);
    let expected = SessionClient::new(Some(&agent()), Some([192, 0, 2, 7].into()));
    let len = expected.user_agent().map(str::len);
    assert_eq!(len, Some(SessionClient::MAX_USER_AGENT_LEN));
    for (kind, client) in seen {
        assert_eq!(client.as_ref(), Some(&expected), "{kind}");
    }
}

async fn without_tracking_no_event_has_a_client(backend: Backend) {
    let layer = backend.layer().await;
    let mut events = backend.listen(&layer).await;
    whole_life(&mut Browser::new(app(layer))).await;
    let seen = clients(&mut events, KINDS.len()).await;
    assert!(seen.values().all(Option::is_none), "{seen:?}");
}
