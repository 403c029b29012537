//! Token rotation with slow requests, a store that fails, and detached sessions.

use std::time::Duration;

use cloakroom::{Expiry, MemoryStore, RevokedBy, Rotation, SessionLayer, minutes};
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::Loaded;
use cloakroom_core::{Clock, Store, StoreErrorKind};
use tests::app::{Fixture, Handler, app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Verb};

use super::rotation::{EVERY, GRACE};
use super::{sign_in, whoami};

/// A late response must not set the cookie of a session that has been renewed.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_sets_no_cookie_after_a_renewal() {
    let fixture = Fixture::memory();
    let layer = || {
        fixture
            .builder()
            .with_rotation(Rotation::every(EVERY))
            .build()
            .expect("it is valid")
    };
    let mut browser = Browser::new(app(layer()));
    sign_in(&mut browser, "ada").await;
    fixture.clock.advance(EVERY);
    // The rotation has started, and its response was lost: the old secret is still valid.
    whoami(&mut browser.clone()).await;
    let gate = tests::faulty_store::Gate::new();
    let (mut slow, held) = (browser.clone(), gate.clone());
    let slow = tokio::spawn(async move {
        let handler = Handler::session(move |session| async move {
            held.pass().await;
            Ok(session.user().is_some().to_string())
        });
        slow.request_with(handler).await
    });
    gate.reached().await;
    sign_in(&mut browser, "ada").await;
    gate.open();
    let response = slow.await.expect("no request panics");
    assert_eq!(response.text(), "true");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[tokio::test]
async fn a_failing_store_only_delays_the_rotation() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_rotation(Rotation::every(EVERY))
        .build();
    let mut browser = Browser::new(app(layer.expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    fixture.clock.advance(EVERY);
    for fault in [
        Fault::Refuse(StoreErrorKind::OutOfMemory),
        Fault::LoseCommand,
    ] {
        fixture.store.next(Verb::Update, fault.clone());
        let response = browser.request(super::user_of).await;
        assert_eq!(
            (response.status.as_u16(), response.text()),
            (200, "ada"),
            "{fault:?}"
        );
    }
    let response = browser.request(super::user_of).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// To learn whose tombstone it is, the session is read first. That is not worth the session's life.
#[tokio::test(start_paused = true)]
async fn a_read_that_stalls_does_not_keep_a_session_from_being_ended() {
    let fixture = Fixture::memory();
    let builder = fixture.builder().with_rotation(Rotation::every(EVERY));
    let layer = builder.build().expect("it is valid");
    let sessions = layer.sessions();
    let mut browser = fixture.browser_of(layer);
    for all in [false, true] {
        let id = sign_in(&mut browser, "ada").await;
        fixture.store.next(Verb::Load, Fault::Hang);
        if all {
            let ended = sessions.revoke_all("ada", RevokedBy::User).await;
            assert_eq!(ended.expect("it ends"), 1);
        } else {
            assert!(sessions.revoke("ada", id).await.expect("it ends"));
        }
        assert_eq!(whoami(&mut browser).await, "");
    }
}

#[test]
fn an_invalid_grace_period_is_an_error() {
    let layer = |rotation| {
        SessionLayer::builder(MemoryStore::new())
            .with_rotation(rotation)
            .build()
    };
    assert!(layer(Rotation::every(EVERY).grace(Duration::ZERO)).is_err());
    assert!(layer(Rotation::every(EVERY).grace(EVERY)).is_err());
    assert!(layer(Rotation::every(EVERY).grace(GRACE)).is_ok());
}

/// A detached session cannot set the cookie: keeping it alive does not begin a rotation that is due.
#[tokio::test]
async fn keeping_a_detached_session_alive_rotates_nothing() {
    let fixture = Fixture::memory();
    let builder = fixture.builder().with_rotation(Rotation::every(EVERY));
    let mut browser = Browser::new(app(builder.build().expect("it is valid")));
    let id = sign_in(&mut browser, "ada").await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .request(|session| async move {
            assert!(sender.send(session.detach()?).is_ok());
            Ok(())
        })
        .await;
    let mut job = receiver.await.expect("it was sent");
    fixture.clock.advance(EVERY * 2);
    job.save().await.expect("it is touched");
    let Ok(Loaded::Record(record)) = fixture.store.load(id).await else {
        panic!("the session is live");
    };
    assert_eq!(record.last_seen(), fixture.clock.now(), "it was touched");
    assert!(!Secrets::are_rotating(record.entries()));
    // The next request of the browser rotates.
    let response = browser.request(super::user_of).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
}

/// A slow request chooses an expiry, so its response has a cookie to set. Its secret was replaced twice
/// meanwhile: it must not be handed out again.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_hands_out_no_secret_that_was_replaced() {
    let fixture = Fixture::memory();
    let builder = fixture.builder().with_rotation(Rotation::every(EVERY));
    let mut browser = Browser::new(app(builder.build().expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    let gate = tests::faulty_store::Gate::new();
    let (mut slow, held) = (browser.clone(), gate.clone());
    let slow = tokio::spawn(async move {
        let handler = Handler::session(move |session| async move {
            held.pass().await;
            session.set_expiry(Expiry::idle(minutes(60)))?;
            Ok("chosen")
        });
        slow.request_with(handler).await
    });
    gate.reached().await;
    for _ in 0..2 {
        fixture.clock.advance(EVERY);
        whoami(&mut browser).await;
        whoami(&mut browser).await;
    }
    gate.open();
    let response = slow.await.expect("no request panics");
    assert_eq!(response.text(), "chosen");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(whoami(&mut browser).await, "ada");
}
