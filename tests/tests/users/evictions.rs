//! A session that is renewed at the moment at which a sign-in evicts it.

use std::time::Duration;

use cloakroom::{Session, SessionError, SessionLayer, SessionLimit, Store};
use cloakroom_core::ManualClock;
use tests::app::Fixture;
use tests::browser::{Browser, TestResponse};
use tests::faulty_store::{Gate, Verb};
use tests::generous;
use tests::redis::RedisServer;
use tokio::task::JoinHandle;

use super::{sign_in, try_sign_in, whoami};

/// How many ids a sign-in tries.
const ATTEMPTS: usize = 3;

/// Runs a test on a memory store and on Redis.
macro_rules! on_memory_and_redis {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&tests::app::Fixture::memory()).await;
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $test() {
                let server = super::RedisServer::start();
                super::$test(&super::on_redis(&server).await).await;
            })*
        }
    };
}

on_memory_and_redis!(
    a_sign_in_evicts_what_a_renewal_has_made_of_the_oldest_session,
    the_oldest_session_makes_room_for_one_that_was_renewed_meanwhile,
    a_sign_in_fails_if_the_session_that_it_evicts_is_renewed_again_and_again,
);

async fn on_redis(server: &RedisServer) -> Fixture<impl Store + Clone> {
    let store = generous::connect(server.url(), "cloakroom").await;
    let store = store.expect("the server is running");
    Fixture::on(store, ManualClock::default())
}

fn layer(fixture: &Fixture<impl Store + Clone>, most: u32) -> SessionLayer {
    let limit = SessionLimit::evict_oldest(most);
    let builder = generous::layer_builder(fixture.store.clone());
    let builder = builder.with_clock(fixture.clock.clone());
    let layer = builder.with_session_limit(limit).build();
    layer.expect("the store keeps an index")
}

/// A browser that is signed in, and a second has passed since.
async fn signed_in(fixture: &Fixture<impl Store + Clone>, layer: &SessionLayer) -> Browser {
    let mut browser = fixture.browser_of(layer.clone());
    sign_in(&mut browser, "ada").await;
    fixture.clock.advance(Duration::from_secs(1));
    browser
}

async fn renew(fixture: &Fixture<impl Store + Clone>, browser: &mut Browser) {
    let renew = |session: Session| async move { session.renew() };
    assert_eq!(browser.request(renew).await.status, 200);
    fixture.clock.advance(Duration::from_secs(1));
}

/// A sign-in on another device, which is held before it ends the session that the index has given to it.
async fn begin_sign_in(
    fixture: &Fixture<impl Store + Clone>,
    layer: &SessionLayer,
) -> (JoinHandle<(Browser, TestResponse)>, Gate) {
    let mut laptop = fixture.browser_of(layer.clone());
    let gate = fixture.store.hold(Verb::End);
    let signing_in = tokio::spawn(async move {
        let response = try_sign_in(&mut laptop, "ada").await;
        (laptop, response)
    });
    gate.reached().await;
    fixture.clock.advance(Duration::from_secs(1));
    (signing_in, gate)
}

async fn count(layer: &SessionLayer) -> Result<usize, SessionError> {
    layer.sessions().count("ada").await
}

async fn a_sign_in_evicts_what_a_renewal_has_made_of_the_oldest_session(
    fixture: &Fixture<impl Store + Clone>,
) {
    let layer = layer(fixture, 1);
    let mut phone = signed_in(fixture, &layer).await;
    let (signing_in, gate) = begin_sign_in(fixture, &layer).await;
    // Twice, so that a tombstone leads to another one.
    renew(fixture, &mut phone).await;
    renew(fixture, &mut phone).await;
    gate.open();
    let (mut laptop, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(whoami(&mut laptop).await, "ada");
    assert_eq!(whoami(&mut phone).await, "");
    assert_eq!(count(&layer).await.expect("it counts"), 1);
}

async fn the_oldest_session_makes_room_for_one_that_was_renewed_meanwhile(
    fixture: &Fixture<impl Store + Clone>,
) {
    let layer = layer(fixture, 2);
    let mut phone = signed_in(fixture, &layer).await;
    let mut desk = signed_in(fixture, &layer).await;
    let (signing_in, gate) = begin_sign_in(fixture, &layer).await;
    renew(fixture, &mut phone).await;
    gate.open();
    let (mut laptop, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(whoami(&mut laptop).await, "ada");
    assert_eq!(whoami(&mut phone).await, "ada", "the newest");
    assert_eq!(whoami(&mut desk).await, "");
    assert_eq!(count(&layer).await.expect("it counts"), 2);
}

async fn a_sign_in_fails_if_the_session_that_it_evicts_is_renewed_again_and_again(
    fixture: &Fixture<impl Store + Clone>,
) {
    let layer = layer(fixture, 1);
    let mut phone = signed_in(fixture, &layer).await;
    let (signing_in, mut gate) = begin_sign_in(fixture, &layer).await;
    for attempt in 1..=ATTEMPTS {
        renew(fixture, &mut phone).await;
        // It is older than the renewed session, so it ends its own entry.
        let own = fixture.store.hold(Verb::End);
        gate.open();
        own.reached().await;
        if attempt < ATTEMPTS {
            gate = fixture.store.hold(Verb::End);
        }
        own.open();
        if attempt < ATTEMPTS {
            gate.reached().await;
            fixture.clock.advance(Duration::from_secs(1));
        }
    }
    let (mut laptop, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 409, "{}", response.text());
    assert_eq!(whoami(&mut laptop).await, "");
    assert_eq!(whoami(&mut phone).await, "ada");
    assert_eq!(count(&layer).await.expect("it counts"), 1);
}
