//! Limits on the number of sessions of a user.

use std::time::Duration;

use cloakroom::{EndReason, Expiry, SessionLayer, SessionLimit, Store, days};
use cloakroom_core::store::Loaded;
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb;
use tests::on_every_store;
use tokio::task::JoinSet;

use super::{eventually, sign_in, try_sign_in, whoami};

on_every_store!(
    a_sign_in_over_the_limit_is_rejected,
    the_oldest_session_is_evicted,
    signing_in_again_in_the_same_browser_counts_once,
    expired_sessions_are_evicted_before_live_ones,
    a_limit_of_five_holds_for_three_hundred_concurrent_sign_ins,
    of_three_hundred_concurrent_sign_ins_all_but_five_are_rejected,
);

async fn limited(backend: &Backend, limit: SessionLimit) -> SessionLayer {
    let builder = backend.builder().await.with_session_limit(limit);
    builder.build().expect("the store keeps an index")
}

async fn a_sign_in_over_the_limit_is_rejected(backend: Backend) {
    let layer = limited(&backend, SessionLimit::reject_above(2)).await;
    let new = || Browser::new(app(layer.clone()));
    let (mut one, mut two, mut three) = (new(), new(), new());
    sign_in(&mut one, "ada").await;
    sign_in(&mut two, "ada").await;
    let response = try_sign_in(&mut three, "ada").await;
    assert_eq!(response.status, 409);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(whoami(&mut three).await, "");
    sign_in(&mut three, "bob").await;
    assert_eq!(whoami(&mut one).await, "ada");
    assert_eq!(whoami(&mut two).await, "ada");
    // A sign-out frees its place at once.
    one.request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    sign_in(&mut new(), "ada").await;
    assert_eq!(layer.sessions().count("ada").await.expect("it counts"), 2);
}

async fn the_oldest_session_is_evicted(backend: Backend) {
    let layer = limited(&backend, SessionLimit::evict_oldest(2)).await;
    let mut browsers = Vec::new();
    for _ in 0..4 {
        backend.clock.advance(Duration::from_secs(1));
        let mut browser = Browser::new(app(layer.clone()));
        sign_in(&mut browser, "ada").await;
        browsers.push(browser);
        let count = layer.sessions().count("ada").await.expect("it counts");
        assert_eq!(count, browsers.len().min(2));
    }
    for (index, browser) in browsers.iter_mut().enumerate() {
        let expected = if index < 2 { "" } else { "ada" };
        assert_eq!(whoami(browser).await, expected, "browser {index}");
    }
    let two_left = async || backend.entered("ada").await.len() == 2;
    eventually("two entries are left", two_left).await;
}

async fn signing_in_again_in_the_same_browser_counts_once(backend: Backend) {
    let layer = limited(&backend, SessionLimit::reject_above(1)).await;
    let mut browser = Browser::new(app(layer));
    for _ in 0..3 {
        sign_in(&mut browser, "ada").await;
        browser
            .request(|session| async move { session.renew() })
            .await;
        assert_eq!(whoami(&mut browser).await, "ada");
    }
}

async fn expired_sessions_are_evicted_before_live_ones(backend: Backend) {
    let layer = limited(&backend, SessionLimit::evict_oldest(2)).await;
    let mut desk = Browser::new(app(layer.clone()));
    sign_in(&mut desk, "ada").await;
    // A newer session that expires soon.
    let mut phone = Browser::new(app(layer.clone()));
    let short = Expiry::idle(Duration::from_secs(1)).absolute(days(9));
    phone
        .request(move |session| async move { session.sign_in("ada").with_expiry(short).await })
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    backend.clock.advance(Duration::from_secs(600));
    let mut laptop = Browser::new(app(layer));
    sign_in(&mut laptop, "ada").await;
    assert_eq!(whoami(&mut desk).await, "ada");
    assert_eq!(whoami(&mut laptop).await, "ada");
    assert_eq!(whoami(&mut phone).await, "");
}

async fn a_limit_of_five_holds_for_three_hundred_concurrent_sign_ins(backend: Backend) {
    burst(&backend, SessionLimit::evict_oldest(5)).await;
}

async fn of_three_hundred_concurrent_sign_ins_all_but_five_are_rejected(backend: Backend) {
    burst(&backend, SessionLimit::reject_above(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_five_holds_for_three_hundred_concurrent_sign_ins_on_a_cluster() {
    let backend = Backend::cluster();
    burst(&backend, SessionLimit::evict_oldest(5)).await;
    burst(&backend, SessionLimit::reject_above(5)).await;
}

/// Three hundred concurrent sign-ins of one user on four servers: five sessions are left and indexed.
async fn burst(backend: &Backend, limit: SessionLimit) {
    let mut apps = Vec::new();
    for _ in 0..4 {
        // The machine is busy with three hundred requests: none should time out for that.
        let layer = backend
            .builder()
            .await
            .with_session_limit(limit)
            .with_store_timeout(Duration::from_secs(60))
            .build();
        apps.push(app(layer.expect("it is valid")));
    }
    let user = format!("{limit:?}");
    let mut sign_ins = JoinSet::new();
    for index in 0..300 {
        let mut browser = Browser::new(apps[index % apps.len()].clone());
        let user = user.clone();
        sign_ins.spawn(async move {
            let response = try_sign_in(&mut browser, user).await;
            (response.status.as_u16(), browser)
        });
    }
    let mut alive = 0;
    let mut browsers = Vec::new();
    while let Some(sign_in) = sign_ins.join_next().await {
        let (status, browser) = sign_in.expect("no request panics");
        // On a busy machine a single command may time out; then the sign-in fails.
        assert!(matches!(status, 200 | 409 | 503), "{status}");
        browsers.push(browser);
    }
    for browser in &mut browsers {
        alive += usize::from(whoami(browser).await == user);
    }
    let sessions = backend.sessions().await;
    assert_eq!(alive, 5);
    assert_eq!(sessions.count(&user).await.expect("it counts"), 5);
    let five = async || backend.entered(&user).await.len() == 5;
    eventually("five entries are left", five).await;
}

/// An entry whose session is about to be stored is not treated as an orphan.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_in_progress_counts() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_session_limit(SessionLimit::reject_above(1))
        .build()
        .expect("it keeps an index");
    let gate = fixture.store.hold(Verb::Create);
    let mut first = Browser::new(app(layer.clone()));
    let signing_in = tokio::spawn(async move { try_sign_in(&mut first, "ada").await });
    gate.reached().await;
    let mut second = Browser::new(app(layer.clone()));
    assert_eq!(try_sign_in(&mut second, "ada").await.status, 409);
    gate.open();
    assert_eq!(signing_in.await.expect("no request panics").status, 200);
    assert_eq!(layer.sessions().count("ada").await.expect("it counts"), 1);
}

#[tokio::test]
async fn the_tombstone_holds_the_reason() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_session_limit(SessionLimit::evict_oldest(1))
        .build()
        .expect("it keeps an index");
    let first = sign_in(&mut Browser::new(app(layer.clone())), "ada").await;
    sign_in(&mut Browser::new(app(layer)), "ada").await;
    let Ok(Loaded::Tombstone(tombstone)) = fixture.store.load(first).await else {
        panic!("no tombstone");
    };
    assert_eq!(tombstone.reason(), EndReason::LimitExceeded);
}

#[test]
fn a_limit_of_zero_is_an_error() {
    let limited = |limit| {
        let builder = SessionLayer::builder(cloakroom::MemoryStore::new());
        builder.with_session_limit(limit).build()
    };
    assert!(limited(SessionLimit::evict_oldest(0)).is_err());
    assert!(limited(SessionLimit::evict_oldest(1)).is_ok());
}
