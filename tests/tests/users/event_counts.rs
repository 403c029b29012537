//! How many events there are: one for each sign-in, and none for one that fails.

use std::time::Duration;

use cloakroom::{Expiry, SessionEvent, SessionLimit, Subscription, days};
use cloakroom_core::StoreErrorKind;
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::faulty_store::{Fault, Verb};
use tests::on_every_store;
use tokio::time::timeout;

use super::{sign_in, try_sign_in, whoami};

on_every_store!(
    a_sign_in_is_one_event,
    a_rejected_sign_in_is_no_event,
    an_expired_session_makes_room_before_an_older_live_one,
);

/// A browser for [`events_until_now`], on a layer without a limit.
async fn marker(backend: &Backend) -> Browser {
    Browser::new(app(backend.layer().await))
}

/// The events so far: all that come before one that is sent now.
async fn events_until_now(events: &mut Subscription, browser: &mut Browser) -> Vec<SessionEvent> {
    sign_in(browser, "marker").await;
    let mut seen = Vec::new();
    loop {
        let event = timeout(Duration::from_secs(20), events.next()).await;
        let event = event.expect("it arrives").expect("the bus is open");
        match event {
            SessionEvent::SignedIn { user, .. } if user.to_string() == "marker" => return seen,
            event => seen.push(event),
        }
    }
}

fn kinds(events: &[SessionEvent]) -> Vec<&'static str> {
    let kind = |event: &SessionEvent| match event {
        SessionEvent::Created { .. } => "created",
        SessionEvent::SignedIn { .. } => "signed in",
        SessionEvent::Renewed { .. } => "renewed",
        SessionEvent::Ended { .. } => "ended",
        _ => "other",
    };
    events.iter().map(kind).collect()
}

async fn a_sign_in_is_one_event(backend: Backend) {
    let layer = backend.layer().await;
    let mut events = backend.listen(&layer).await;
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    let seen = events_until_now(&mut events, &mut marker(&backend).await).await;
    assert_eq!(kinds(&seen), ["signed in"]);
    sign_in(&mut browser, "ada").await;
    sign_in(&mut browser, "bob").await;
    let seen = events_until_now(&mut events, &mut marker(&backend).await).await;
    assert_eq!(kinds(&seen), ["signed in", "signed in"]);
}

async fn a_rejected_sign_in_is_no_event(backend: Backend) {
    let builder = backend.builder().await;
    let builder = builder.with_session_limit(SessionLimit::reject_above(1));
    let layer = builder.build().expect("it is valid");
    let new = || Browser::new(app(layer.clone()));
    let mut events = backend.listen(&layer).await;
    sign_in(&mut new(), "ada").await;
    let seen = events_until_now(&mut events, &mut marker(&backend).await).await;
    assert_eq!(kinds(&seen), ["signed in"]);
    assert_eq!(try_sign_in(&mut new(), "ada").await.status, 409);
    let seen = events_until_now(&mut events, &mut marker(&backend).await).await;
    assert_eq!(kinds(&seen), [""; 0], "{seen:?}");
}

#[tokio::test]
async fn a_sign_in_that_is_not_stored_is_no_event() {
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let mut events = layer.sessions().events().expect("there is a bus");
    let mut browser = Browser::new(app(layer.clone()));
    for (error, status) in [
        (StoreErrorKind::OutOfMemory, 507),
        (StoreErrorKind::Unavailable, 503),
    ] {
        fixture.store.next(Verb::Create, Fault::Refuse(error));
        assert_eq!(try_sign_in(&mut browser, "ada").await.status, status);
    }
    let seen = events_until_now(&mut events, &mut Browser::new(app(layer))).await;
    assert!(!kinds(&seen).contains(&"signed in"), "{seen:?}");
}

/// The limit is two. The oldest session is in use; a younger one has expired since the layer's idle timeout
/// became shorter, and the store still has its record.
async fn an_expired_session_makes_room_before_an_older_live_one(backend: Backend) {
    let mut desk = backend.browser().await;
    let mut phone = desk.clone();
    sign_in(&mut desk, "ada").await;
    backend.clock.advance(Duration::from_secs(1));
    sign_in(&mut phone, "ada").await;

    let builder = backend.builder().await;
    let builder = builder.with_session_limit(SessionLimit::evict_oldest(2));
    let expiry = Expiry::idle(Duration::from_secs(300)).absolute(days(9));
    let app = app(builder.with_expiry(expiry).build().expect("it is valid"));
    let (mut desk, mut phone) = (desk.on(app.clone()), phone.on(app.clone()));
    for _ in 0..2 {
        backend.clock.advance(Duration::from_secs(200));
        assert_eq!(whoami(&mut desk).await, "ada");
    }
    assert_eq!(whoami(&mut phone).await, "", "it was not used for 400 s");
    let mut laptop = Browser::new(app);
    sign_in(&mut laptop, "ada").await;
    assert_eq!(whoami(&mut desk).await, "ada", "nobody had to make room");
    assert_eq!(whoami(&mut laptop).await, "ada");
}

/// No live session is outside of the index: a short session that is added later does not shorten the TTL.
#[tokio::test(flavor = "multi_thread")]
async fn the_ttl_of_the_index_never_shrinks() {
    let mut backend = Backend::redis();
    let browser = backend.browser().await;
    let sign_in_for = async |expiry| {
        let mut browser = browser.clone();
        let response = browser.request(move |session| async move {
            session.sign_in("ada").with_expiry(expiry).await
        });
        assert_eq!(response.await.status, 200);
    };
    sign_in_for(Expiry::idle(days(20)).absolute(days(60))).await;
    let redis = backend.server();
    let is_index = |key: &String| redis.command(&["TYPE", key]).text() != "string";
    let keys = redis.keys_with_ttl().into_iter().map(|(key, _)| key);
    let keys: Vec<_> = keys.filter(is_index).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    let before = redis.ttl(&keys[0]).expect("it has one");
    assert!(before >= days(59), "{before:?}");
    sign_in_for(Expiry::idle(Duration::from_secs(60)).absolute(Duration::from_secs(60))).await;
    let after = backend.server().ttl(&keys[0]).expect("it has one");
    assert!(after >= days(59), "{before:?} before, {after:?} after");
    assert_eq!(backend.entered("ada").await.len(), 2);
}
