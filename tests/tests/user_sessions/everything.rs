//! Everything of an app, ended after a leak.

use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_core::store::Loaded;
use tests::app::Stage;
use tests::backend::Backend;
use tests::browser::Effect;

use super::{sign_in, try_sign_in, whoami};

/// As long as the documentation says, and a little.
const LONGEST: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_every_session_ends_on_every_server_and_log_ins_work_again() {
    everything_ends(Backend::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_too() {
    everything_ends(Backend::cluster()).await;
}

async fn everything_ends(backend: Backend) {
    let mut browsers = Vec::new();
    for user in ["ada", "bob", "bob"] {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, user).await;
        browsers.push(browser);
    }
    let mut nobody = backend.browser().await;
    nobody
        .act(|session| async move { session.insert("n", 1) })
        .await;
    // These servers have looked at the epoch just now.
    for browser in &mut browsers {
        assert_ne!(whoami(browser).await, "");
    }
    let sessions = backend.sessions().await;
    let began = std::time::Instant::now();
    // The clock of the test stands still: it must move for the epoch to begin.
    let clock = backend.clock.clone();
    let ticking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            clock.advance(Duration::from_millis(50));
        }
    });
    let ended = tokio::time::timeout(LONGEST, sessions.end_everything()).await;
    assert_eq!(ended.expect("it takes no longer").expect("it ends"), 4);
    assert!(
        began.elapsed() > Duration::from_secs(8),
        "every server has had the time"
    );
    for browser in &mut browsers {
        assert_eq!(whoami(browser).await, "");
    }
    assert_eq!(nobody.read().await, None);
    for user in ["ada", "bob"] {
        assert_eq!(sessions.count(user).await.expect("it counts"), 0);
    }
    backend.clock.advance(Duration::from_secs(2));
    sign_in(&mut browsers[0], "ada").await;
    assert_eq!(whoami(&mut browsers[0]).await, "ada");
    ticking.abort();
}

/// A record comes back, as from a backup: nobody is signed in for it.
#[tokio::test(start_paused = true)]
async fn what_a_backup_brings_back_opens_nothing() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    let id = sign_in(&mut browser, "ada").await;
    let Ok(Loaded::Record(record)) = stage.store.load(id).await else {
        panic!("the session is stored");
    };
    let sessions = stage.layer().sessions();
    assert_eq!(sessions.end_everything().await.expect("it ends"), 1);
    stage.clock.advance(Duration::from_secs(70));
    let created = stage
        .store
        .create(id, &record, Duration::from_secs(600))
        .await;
    created.expect("the tombstone is gone");
    assert!(
        sessions
            .find(id)
            .await
            .expect("the store answers")
            .is_none()
    );
    assert_eq!(whoami(&mut browser).await, "");
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// While it is under way, nobody signs in, and who is refused keeps the cookie.
#[tokio::test(start_paused = true)]
async fn while_it_is_under_way_nobody_can_sign_in() {
    let stage = Stage::memory();
    let mut browser = stage.browser();
    sign_in(&mut browser, "ada").await;
    let sessions = stage.layer().sessions();
    let ending = tokio::spawn(async move { sessions.end_everything().await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut other = stage.browser();
    let answer = try_sign_in(&mut other, "bob").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.effect(), Effect::Nothing);
    let mut fresh = stage.browser();
    let answer = fresh
        .act(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(answer.status, 503);
    assert_eq!(ending.await.expect("no panic").expect("it ends"), 1);
    stage.clock.advance(Duration::from_secs(20));
    sign_in(&mut other, "bob").await;
}

/// A server that has no idea of the epoch asks before it trusts a session.
#[tokio::test(start_paused = true)]
async fn a_server_that_slept_through_it_looks_before_it_serves() {
    let stage = Stage::memory();
    let mut asleep = stage.browser();
    sign_in(&mut asleep, "ada").await;
    assert_eq!(whoami(&mut asleep).await, "ada");
    // Only the epoch is written: the sweep has not come that far.
    let store: &MemoryStore = stage.store.inner();
    let epoch = cloakroom_core::UserIndex::begin_epoch(
        store,
        cloakroom_core::Clock::now(&stage.clock).plus(Duration::from_secs(1)),
        Duration::from_secs(600),
    );
    epoch.await.expect("it begins");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(whoami(&mut asleep).await, "");
}
