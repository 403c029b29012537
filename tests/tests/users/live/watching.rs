//! Watching a session that ends elsewhere.

use std::time::Duration;

use cloakroom::{
    EndReason, Expiry, MemoryStore, Session, SessionErrorKind, SessionEvent, SessionLayer,
    SessionWatch, hours, minutes,
};
use cloakroom_core::store::Loaded;
use cloakroom_core::{EventBus, ManualClock, Store, StoreAdmin};
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::faulty_store::Verb;
use tests::on_every_store;
use tests::wait::within;
use tokio::time::{Instant, timeout};

use super::{PATIENCE, from_handler, sign_in, sign_out};

on_every_store!(
    a_watch_resolves_when_the_session_ends_on_another_server,
    a_watch_resolves_at_once_for_an_ended_session,
    a_renewal_resolves_a_watch,
    many_watches_of_many_sessions_are_independent,
    an_event_is_not_believed_before_the_session_was_read,
);

async fn reason(watch: SessionWatch) -> EndReason {
    timeout(PATIENCE, watch).await.expect("it resolves")
}

async fn a_watch_resolves_when_the_session_ends_on_another_server(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let mut watching = tokio::spawn(reason(watch));
    let early = timeout(Duration::from_millis(300), &mut watching).await;
    assert!(early.is_err(), "nothing has happened: {early:?}");
    let mut elsewhere = browser.on(app(backend.layer().await));
    let began = Instant::now();
    elsewhere.request(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

async fn a_watch_resolves_at_once_for_an_ended_session(backend: Backend) {
    let mut browser = backend.browser().await;
    let id = sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    backend
        .sessions()
        .await
        .revoke_any(id)
        .await
        .expect("it ends");
    assert_eq!(reason(watch).await, EndReason::RevokedByAdmin);
}

async fn a_renewal_resolves_a_watch(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let watching = tokio::spawn(reason(watch));
    browser
        .request(|session| async move { session.renew() })
        .await;
    assert_eq!(watching.await.expect("no panic"), EndReason::Renewed);
}

async fn many_watches_of_many_sessions_are_independent(backend: Backend) {
    let layer = backend.layer().await;
    let mut watching = Vec::new();
    let mut browsers = Vec::new();
    for user in 0..20_u32 {
        let mut browser = Browser::new(app(layer.clone()));
        sign_in(&mut browser, user).await;
        for _ in 0..5 {
            let watch = from_handler(&mut browser, Session::watch).await;
            watching.push((user, tokio::spawn(reason(watch))));
        }
        browsers.push(browser);
    }
    // Every other browser signs out; the other watches continue.
    for browser in browsers.iter_mut().step_by(2) {
        browser.request(sign_out).await;
    }
    for (user, mut watching) in watching {
        if user % 2 == 0 {
            assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
        } else {
            assert!(
                timeout(Duration::from_millis(1), &mut watching)
                    .await
                    .is_err()
            );
            watching.abort();
        }
    }
}

#[tokio::test]
async fn watching_without_a_stored_session_is_an_error() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let refused = from_handler(&mut browser, |session| {
        Ok(session.watch().map_err(|error| error.kind()).err())
    });
    assert_eq!(refused.await, Some(SessionErrorKind::NotPersisted));
}

/// The event is lost: the layer publishes none.
#[tokio::test(start_paused = true)]
async fn a_lost_event_is_noticed_within_thirty_seconds() {
    let fixture = Fixture::memory();
    let mut browser = Browser::new(app(fixture
        .builder()
        .without_events()
        .build()
        .expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let began = Instant::now();
    browser.request(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
    assert!(began.elapsed() <= Duration::from_secs(30));
}

/// Advances the manual clock with the runtime's clock.
fn tick(fixture: &Fixture) -> tokio::task::JoinHandle<()> {
    let clock = fixture.clock.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_watch_resolves_when_the_session_expires() {
    let fixture = Fixture::memory();
    let expiry = Expiry::idle(minutes(5)).absolute(minutes(20));
    let layer = fixture
        .builder()
        .with_expiry(expiry)
        .build()
        .expect("it is valid");
    let _ticking = tick(&fixture);

    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    let began = Instant::now();
    let idle = from_handler(&mut browser, Session::watch).await;
    assert_eq!(idle.await, EndReason::Expired);
    let took = began.elapsed();
    assert!(
        took >= minutes(5) && took < minutes(5) + Duration::from_secs(7),
        "{took:?}"
    );

    // With `keep_alive`, a connection keeps its session alive until the absolute deadline.
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    let began = Instant::now();
    let kept = from_handler(&mut browser, |session| Ok(session.watch()?.keep_alive())).await;
    assert_eq!(kept.await, EndReason::Expired);
    let took = began.elapsed();
    assert!(
        took >= minutes(20) && took < minutes(20) + Duration::from_secs(2),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_used_elsewhere_stays_alive() {
    let fixture = Fixture::memory();
    let expiry = Expiry::idle(minutes(5)).absolute(hours(1));
    let layer = fixture
        .builder()
        .with_expiry(expiry)
        .build()
        .expect("it is valid");
    let _ticking = tick(&fixture);
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let mut watching = tokio::spawn(watch);
    for _ in 0..8 {
        let early = timeout(minutes(2), &mut watching).await;
        assert!(early.is_err(), "{early:?}");
        browser.read().await;
    }
    browser.request(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
}

/// The store is unavailable for a while: that ends no watch.
#[tokio::test(start_paused = true)]
async fn a_store_outage_does_not_resolve_a_watch() {
    use cloakroom_core::StoreErrorKind::Unavailable;
    use tests::faulty_store::Fault;
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    fixture.store.always(Some(Fault::Refuse(Unavailable)));
    let mut watching = tokio::spawn(watch);
    let early = timeout(minutes(10), &mut watching).await;
    assert!(early.is_err(), "{early:?}");
    fixture.store.always(None);
    browser.request(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
}

/// The session's record vanishes, without an event and without a tombstone.
#[tokio::test(start_paused = true)]
async fn a_watch_resolves_when_the_session_has_vanished() {
    let stores = ManualClock::default();
    let store = MemoryStore::with_clock(stores.clone());
    let builder = SessionLayer::builder(store).with_clock(ManualClock::default());
    let mut browser = Browser::new(app(builder.build().expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!watching.is_finished());
    let began = Instant::now();
    stores.advance(hours(24 * 40));
    assert_eq!(reason_of(watching).await, EndReason::Expired);
    assert!(began.elapsed() <= Duration::from_secs(31));
}

/// Everything was revoked, without an event, and nobody has ended the session yet: the watch does.
#[tokio::test(start_paused = true)]
async fn a_watch_resolves_when_everything_was_revoked() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let id = sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!watching.is_finished());
    let began = Instant::now();
    let admin = fixture.store.inner().admin().expect("it has one");
    let revoked = admin.set_revoked_before(Duration::from_secs(1), hours(1));
    revoked.await.expect("it is set");
    assert_eq!(reason_of(watching).await, EndReason::RevokedByAdmin);
    // One look later than the one at which the old time is still known.
    assert!(began.elapsed() <= Duration::from_secs(61));
    let there = fixture.store.load(id).await.expect("it responds");
    assert!(matches!(there, Loaded::Tombstone(_)), "{there:?}");
}

async fn reason_of(watching: tokio::task::JoinHandle<EndReason>) -> EndReason {
    let reason = timeout(minutes(3), watching).await;
    reason.expect("it resolves").expect("no panic")
}

/// A client that may only publish cannot close a connection; the true end still arrives.
async fn an_event_is_not_believed_before_the_session_was_read(backend: Backend) {
    let layer = backend.layer().await;
    let mut browser = Browser::new(app(layer.clone()));
    let id = sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let mut watching = tokio::spawn(reason(watch));
    let _subscribed = backend.listen(&layer).await;
    for reason in [EndReason::Destroyed, EndReason::Renewed] {
        backend
            .publish(&SessionEvent::Ended {
                id,
                user: None,
                reason,
                client: None,
            })
            .await;
        let early = timeout(Duration::from_millis(400), &mut watching).await;
        assert!(early.is_err(), "nothing has happened: {early:?}");
    }
    let began = Instant::now();
    browser.request(sign_out).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::SignedOut);
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Waits until the watch has read its session.
async fn session_was_read(fixture: &Fixture) {
    let read = async || fixture.store.take_verbs().contains(&Verb::Load);
    within("the session is read", PATIENCE, read).await;
}

/// What an event claimed of a session that lives on is no reason when the session ends later.
#[tokio::test]
async fn an_event_that_was_not_believed_is_forgotten() {
    let fixture = Fixture::memory();
    let life = Expiry::idle(minutes(1)).absolute(minutes(1));
    let layer = fixture.builder().with_expiry(life).build();
    let mut browser = fixture.browser_of(layer.expect("it is valid"));
    let id = sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    fixture.clear_verbs();
    let mut watching = tokio::spawn(reason(watch));
    session_was_read(&fixture).await;
    let publish = async |event| {
        let bus = fixture.store.bus().expect("it has one");
        bus.publish(&event).await.expect("it is published");
    };
    publish(SessionEvent::Ended {
        id,
        user: None,
        reason: EndReason::Destroyed,
        client: None,
    })
    .await;
    session_was_read(&fixture).await;
    let early = timeout(Duration::from_millis(300), &mut watching).await;
    assert!(early.is_err(), "the session lives: {early:?}");
    // It expires without a trace, and the watch reads it again.
    fixture.clock.advance(minutes(5));
    publish(SessionEvent::Missed).await;
    assert_eq!(watching.await.expect("no panic"), EndReason::Expired);
}
