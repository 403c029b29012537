//! Device tracking: user agent and address of a session.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use cloakroom::{DeviceTracking, ProxyHeader, hours};
use http::header::USER_AGENT;
use tests::app::{Fixture, Handler, app};
use tests::backend::Backend;
use tests::browser::{Browser, TestResponse};
use tests::faulty_store::Verb;
use tests::on_every_store;

use super::sign_in;

on_every_store!(
    the_list_has_user_agent_and_address,
    devices_are_not_recorded_by_default,
);

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";

fn devices() -> DeviceTracking {
    let peer = |extensions: &http::Extensions| {
        let info: Option<&ConnectInfo<SocketAddr>> = extensions.get();
        info.map(|info| info.0.ip())
    };
    let proxies = ["10.0.0.0/8".parse().expect("it is a network")];
    DeviceTracking::new()
        .with_peer_address(peer)
        .trusting_proxies(proxies, ProxyHeader::XForwardedFor)
}

/// A request through the proxy at 10.0.0.1.
async fn from(browser: &mut Browser, address: &str, handler: Handler) -> TestResponse {
    let mut request = Request::new(Body::empty());
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, FIREFOX.parse().expect("ASCII"));
    headers.insert("x-forwarded-for", address.parse().expect("ASCII"));
    let peer: SocketAddr = ([10, 0, 0, 1], 4711).into();
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(handler);
    browser.send(request).await
}

fn signing_in() -> Handler {
    Handler::session(|session| async move { session.sign_in("ada").await })
}

fn reading() -> Handler {
    Handler::session(|session| async move { Ok(session.contains("n").to_string()) })
}

async fn the_list_has_user_agent_and_address(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_device_tracking(devices())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer.clone()));
    from(&mut browser, "192.0.2.1", signing_in()).await;
    let seen = async || {
        let list = layer
            .sessions()
            .list("ada")
            .await
            .expect("the store responds");
        let device = list[0].device().expect("it was recorded");
        assert_eq!(device.to_string(), "Firefox on Windows 10");
        assert_eq!(device.user_agent(), Some(FIREFOX));
        let first = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(device.address_at_sign_in(), Some(first));
        device.address().expect("it was recorded").to_string()
    };
    assert_eq!(seen().await, "192.0.2.1");
    // A new address is recorded when last-seen is updated, not with every request.
    from(&mut browser, "192.0.2.2", reading()).await;
    assert_eq!(seen().await, "192.0.2.1");
    backend.clock.advance(hours(3));
    from(&mut browser, "192.0.2.2", reading()).await;
    assert_eq!(seen().await, "192.0.2.2");
    backend.clock.advance(hours(3));
    from(&mut browser, "192.0.2.1", reading()).await;
    assert_eq!(seen().await, "192.0.2.1");
}

async fn devices_are_not_recorded_by_default(backend: Backend) {
    let layer = backend.layer().await;
    let mut browser = Browser::new(app(layer.clone()));
    from(&mut browser, "192.0.2.1", signing_in()).await;
    let list = layer
        .sessions()
        .list("ada")
        .await
        .expect("the store responds");
    assert!(list[0].device().is_none());

    let bare = backend
        .builder()
        .await
        .with_device_tracking(devices().without_addresses())
        .build()
        .expect("it is valid");
    let first = list[0].id();
    layer.sessions().revoke_any(first).await.expect("it ends");
    let mut browser = Browser::new(app(bare.clone()));
    from(&mut browser, "192.0.2.1", signing_in()).await;
    let list = bare
        .sessions()
        .list("ada")
        .await
        .expect("the store responds");
    let device = list[0].device().expect("its user agent was recorded");
    assert_eq!(device.address(), None);
    assert_eq!(device.address_at_sign_in(), None);
}

/// A failed update of last-seen or device must not fail a request that only reads.
#[tokio::test]
async fn a_failed_last_seen_update_does_not_fail_the_request() {
    let fixture = Fixture::memory();
    let mut browser = Browser::new(app(fixture
        .builder()
        .with_device_tracking(devices())
        .build()
        .expect("it is valid")));
    from(&mut browser, "192.0.2.1", signing_in()).await;
    fixture.clock.advance(hours(3));
    let refused = tests::faulty_store::Fault::Refuse(cloakroom_core::StoreErrorKind::OutOfMemory);
    fixture.store.next(Verb::Update, refused);
    fixture.clear_verbs();
    let response = from(&mut browser, "192.0.2.2", reading()).await;
    assert_eq!(response.status, 200);
    assert_eq!(fixture.store.take_verbs(), [Verb::Load, Verb::Update]);
    sign_in(&mut browser, "ada").await;
}

/// The device is written with the whole record, and only if it is another one.
#[tokio::test]
async fn a_request_of_the_same_device_updates_last_seen_alone() {
    let fixture = Fixture::memory();
    let layer = fixture.builder().with_device_tracking(devices()).build();
    let mut browser = fixture.browser_of(layer.expect("it is valid"));
    from(&mut browser, "192.0.2.1", signing_in()).await;
    for (address, verb) in [("192.0.2.1", Verb::Touch), ("192.0.2.2", Verb::Update)] {
        fixture.clock.advance(hours(3));
        fixture.clear_verbs();
        from(&mut browser, address, reading()).await;
        assert_eq!(fixture.store.take_verbs(), [Verb::Load, verb]);
    }
}
