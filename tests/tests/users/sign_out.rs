//! Signing out.

use cloakroom::{Destroyed, EndReason, Session, SessionId, Store, minutes};
use cloakroom_core::ManualClock;
use cloakroom_core::store::{Created, Loaded};
use tests::app::Fixture;
use tests::backend::Backend;
use tests::browser::CookieChange;
use tests::faulty_store::{Fault, Gate, Verb};
use tests::generous;
use tests::on_every_store;
use tests::redis::RedisServer;

use super::{eventually, sign_in, whoami};

on_every_store!(
    a_sign_out_takes_effect_on_every_server,
    a_new_session_can_be_created_after_a_sign_out
);

async fn a_sign_out_takes_effect_on_every_server(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut elsewhere = browser.on(tests::app::app(backend.layer().await));
    let response = browser
        .request(|session| async move {
            assert_eq!(session.sign_out().await?, Destroyed::Ended);
            assert_eq!(session.user(), None);
            assert_eq!(session.sign_out().await?, Destroyed::NoSession);
            Ok(())
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    assert_eq!(whoami(&mut elsewhere).await, "");
    let forgotten = async || backend.entered("ada").await.is_empty();
    eventually("the entry is removed", forgotten).await;
}

async fn a_new_session_can_be_created_after_a_sign_out(backend: Backend) {
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let response = browser
        .request(|session| async move {
            session.sign_out().await?;
            session.insert("n", 1)
        })
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(whoami(&mut browser).await, "");
    assert_eq!(browser.read().await, Some(1));
}

/// A request has found the session ended, by an end that no replica has. Then a replica takes over: the session is live
/// again.
#[tokio::test]
async fn a_sign_out_ends_a_session_that_a_failover_has_brought_back_meanwhile() {
    let fixture = Fixture::memory();
    let tombstone_is_lost = async |_| fixture.clock.advance(minutes(1));
    signs_out_during_a_failover(&fixture, tombstone_is_lost).await;

    let redis = RedisServer::start();
    let store = generous::connect(redis.url(), "cloakroom").await;
    let store = store.expect("the server is running");
    let fixture = Fixture::on(store, ManualClock::default());
    let tombstone_is_lost = async |id: SessionId| {
        let keys = redis.keys();
        let key = keys.iter().find(|key| key.ends_with(&id.to_string()));
        redis.command(&["DEL", key.expect("it has a tombstone")]);
    };
    signs_out_during_a_failover(&fixture, tombstone_is_lost).await;
}

async fn signs_out_during_a_failover<S: Store + Clone>(
    fixture: &Fixture<S>,
    tombstone_is_lost: impl AsyncFn(SessionId),
) {
    let layer = generous::layer_builder(fixture.store.clone());
    let layer = layer.with_clock(fixture.clock.clone()).build();
    let mut browser = fixture.browser_of(layer.expect("it is valid"));
    let id = sign_in(&mut browser, "ada").await;
    let store = fixture.store.inner();
    let Ok(Loaded::Record(record)) = store.load(id).await else {
        panic!("no record");
    };
    let mut tab = browser.clone();
    let sign_out = |session: Session| async move { Ok(format!("{:?}", session.sign_out().await?)) };
    assert_eq!(browser.clone().request(sign_out).await.text(), "Ended");
    let (found_ended, gate) = (Gate::new(), Gate::new());
    let faults = [
        Fault::After(found_ended.clone()),
        Fault::Before(gate.clone()),
    ];
    for fault in faults {
        fixture.store.next(Verb::Load, fault);
    }
    let signing_out = tokio::spawn(async move { tab.request(sign_out).await });
    found_ended.reached().await;
    found_ended.open();
    gate.reached().await;
    tombstone_is_lost(id).await;
    let created = store.create(id, &record, minutes(10)).await;
    assert_eq!(created.expect("it responds"), Created::Created);
    gate.open();
    let response = signing_out.await.expect("no request panics");
    assert_eq!(response.text(), "Ended");
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    assert_eq!(whoami(&mut browser).await, "");
}

#[tokio::test]
async fn the_tombstone_holds_the_reason() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let id: SessionId = sign_in(&mut browser, "ada").await;
    browser
        .request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    let Ok(Loaded::Tombstone(tombstone)) = fixture.store.load(id).await else {
        panic!("no tombstone");
    };
    assert_eq!(tombstone.reason(), EndReason::SignedOut);
}
