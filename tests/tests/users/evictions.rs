//! A session that is renewed at the moment at which a sign-in evicts it.

use std::time::Duration;

use cloakroom::{
    CookieConfig, Session, SessionError, SessionErrorKind, SessionId, SessionLayer, SessionLimit,
    Store, StoreErrorKind,
};
use cloakroom_core::{ManualClock, Realm, UserIndex, UserKey};
use tests::app::Fixture;
use tests::browser::{Browser, TestResponse};
use tests::faulty_store::{Fault, Gate, Verb};
use tests::generous;
use tests::recorder::{MetricsRecorder, Series};
use tests::redis::RedisServer;
use tokio::task::JoinHandle;

use super::{eventually, sign_in, try_sign_in, whoami};

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
    each_session_that_makes_room_may_be_renewed_meanwhile,
    a_sign_in_whose_second_eviction_fails_is_rolled_back,
    an_attempt_that_was_evicted_leaves_no_entry,
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

/// The ids in the index of ada, the newest first.
async fn entered(fixture: &Fixture<impl Store + Clone>) -> Vec<SessionId> {
    let key = UserKey::new(&Realm::new(CookieConfig::DEFAULT_NAME), &"ada".into());
    let index = fixture.store.index().expect("the store keeps an index");
    index.list(&key, None).await.expect("it lists")
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

async fn each_session_that_makes_room_may_be_renewed_meanwhile(
    fixture: &Fixture<impl Store + Clone>,
) {
    let layer = layer(fixture, 2);
    let mut phone = signed_in(fixture, &layer).await;
    let mut desk = signed_in(fixture, &layer).await;
    let (signing_in, gate) = begin_sign_in(fixture, &layer).await;
    renew(fixture, &mut phone).await;
    // That of the desk has to make room for it.
    let second = fixture.store.hold(Verb::End);
    gate.open();
    second.reached().await;
    renew(fixture, &mut desk).await;
    second.open();
    let (mut laptop, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(whoami(&mut laptop).await, "ada");
    assert_eq!(whoami(&mut desk).await, "ada", "the newest");
    assert_eq!(whoami(&mut phone).await, "");
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

/// The session that it evicts first was renewed meanwhile, and the one that has to make room for that cannot be ended.
async fn a_sign_in_whose_second_eviction_fails_is_rolled_back(
    fixture: &Fixture<impl Store + Clone>,
) {
    let layer = layer(fixture, 2);
    let mut phone = signed_in(fixture, &layer).await;
    let mut desk = signed_in(fixture, &layer).await;
    let (signing_in, gate) = begin_sign_in(fixture, &layer).await;
    renew(fixture, &mut phone).await;
    fixture.store.next(Verb::End, Fault::LoseCommand);
    gate.open();
    let (mut laptop, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(kind(&response), Some(SessionErrorKind::OutcomeUnknown));
    assert_eq!(whoami(&mut laptop).await, "");
    for browser in [&mut phone, &mut desk] {
        assert_eq!(whoami(browser).await, "ada");
    }
    let two = async || entered(fixture).await.len() == 2;
    eventually("the new session is removed from the index", two).await;
}

/// The user has as many entries as sessions, without a list that would remove the others.
async fn an_attempt_that_was_evicted_leaves_no_entry(fixture: &Fixture<impl Store + Clone>) {
    let layer = layer(fixture, 1);
    let mut phone = signed_in(fixture, &layer).await;
    let (signing_in, gate) = begin_sign_in(fixture, &layer).await;
    renew(fixture, &mut phone).await;
    gate.open();
    let (_, response) = signing_in.await.expect("no request panics");
    assert_eq!(response.status, 200, "{}", response.text());
    let one = async || entered(fixture).await.len() == 1;
    eventually("only the session of the sign-in is left", one).await;
}

/// An attempt of the sign-in was evicted, and the next one fails for another reason.
#[tokio::test]
async fn a_sign_in_reports_why_its_last_attempt_has_failed() {
    let unavailable = (
        Fault::Refuse(StoreErrorKind::Unavailable),
        SessionErrorKind::Unavailable,
    );
    let lost = (Fault::LoseCommand, SessionErrorKind::OutcomeUnknown);
    for (fault, expected) in [unavailable, lost] {
        let fixture = Fixture::memory();
        let layer = layer(&fixture, 1);
        let mut phone = signed_in(&fixture, &layer).await;
        let (signing_in, gate) = begin_sign_in(&fixture, &layer).await;
        renew(&fixture, &mut phone).await;
        for _ in 1..ATTEMPTS {
            fixture.store.next(Verb::Create, fault.clone());
        }
        gate.open();
        let (_, response) = signing_in.await.expect("no request panics");
        assert_eq!(response.status, 503, "{}", response.text());
        assert_eq!(kind(&response), Some(expected));
    }
}

#[tokio::test]
async fn a_sign_in_that_is_evicted_again_and_again_is_counted_once() {
    let recorder = MetricsRecorder::default();
    let _recording = recorder.record();
    let fixture = Fixture::memory();
    a_sign_in_fails_if_the_session_that_it_evicts_is_renewed_again_and_again(&fixture).await;
    let series = recorder.take();
    let errors = series.iter().map(Series::line);
    let errors: Vec<_> = errors
        .filter(|line| line.starts_with("errors_total"))
        .collect();
    let once = "errors_total{kind=\"ended\",operation=\"sign_in\"} 1";
    assert_eq!(errors, [once]);
}

fn kind(response: &TestResponse) -> Option<SessionErrorKind> {
    let error: Option<&SessionError> = response.extension();
    error.map(SessionError::kind)
}
