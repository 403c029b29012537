//! Revoking all sessions of an app.

use std::time::Duration;

use cloakroom::{MemoryStore, Session, Store};
use cloakroom_core::store::Loaded;
use cloakroom_core::{Clock, ManualClock, SystemClock};
use tests::app::{Fixture, app};
use tests::backend::Backend;
use tests::browser::CookieChange;
use tests::slow_scan::SlowScan;

use super::{sign_in, try_sign_in, whoami};

/// As long as documented, with some slack.
const LONGEST: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_every_session_ends_on_every_server_and_sign_in_works_again() {
    everything_ends(Backend::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_every_session_ends_and_sign_in_works_again() {
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
        .request(|session| async move { session.insert("n", 1) })
        .await;
    // These servers have just read the revocation time.
    for browser in &mut browsers {
        assert_ne!(whoami(browser).await, "");
    }
    let sessions = backend.sessions().await;
    let began = std::time::Instant::now();
    // The manual clock must advance with the store's, or the revocation time is never reached.
    let clock = backend.clock.clone();
    let ticking = tokio::spawn(async move {
        loop {
            clock.set(SystemClock.now());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let ended = tokio::time::timeout(LONGEST, sessions.revoke_everyone()).await;
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

/// A record is restored, as from a backup: it authenticates nobody.
#[tokio::test(start_paused = true)]
async fn a_session_restored_from_a_backup_stays_revoked() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let id = sign_in(&mut browser, "ada").await;
    let Ok(Loaded::Record(record)) = fixture.store.load(id).await else {
        panic!("the session is stored");
    };
    let sessions = fixture.layer().sessions();
    assert_eq!(sessions.revoke_everyone().await.expect("it ends"), 1);
    fixture.clock.advance(Duration::from_secs(70));
    let created = fixture
        .store
        .create(id, &record, Duration::from_secs(600))
        .await;
    created.expect("the tombstone is gone");
    assert!(
        sessions
            .find(id)
            .await
            .expect("the store responds")
            .is_none()
    );
    assert_eq!(whoami(&mut browser).await, "");
    sign_in(&mut browser, "ada").await;
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// While everyone is being revoked, sign-ins fail without changing the cookie.
#[tokio::test(start_paused = true)]
async fn sign_in_fails_while_everyone_is_being_revoked() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    sign_in(&mut browser, "ada").await;
    let sessions = fixture.layer().sessions();
    let ending = tokio::spawn(async move { sessions.revoke_everyone().await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut other = fixture.browser();
    let response = try_sign_in(&mut other, "bob").await;
    assert_eq!(response.status, 503);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    let mut fresh = fixture.browser();
    let response = fresh
        .request(|session| async move { session.insert("n", 1) })
        .await;
    assert_eq!(response.status, 503);
    assert_eq!(ending.await.expect("no panic").expect("it ends"), 1);
    fixture.clock.advance(Duration::from_secs(20));
    sign_in(&mut other, "bob").await;
}

/// A server that has read the revocation time ends what it refuses. Another one would accept it until it has read the time.
#[tokio::test(start_paused = true)]
async fn a_sign_out_while_everyone_is_being_revoked_holds_on_every_server() {
    let fixture = Fixture::memory();
    let (here, elsewhere) = (fixture.layer(), fixture.layer());
    let mut browser = fixture.browser_of(here.clone());
    sign_in(&mut browser, "ada").await;
    let mut other = browser.clone().on(app(elsewhere.clone()));
    assert_eq!(whoami(&mut other).await, "ada");
    let mut old = fixture.browser_of(here.clone());
    sign_in(&mut old, "bob").await;
    let mut renewing = old.clone().on(app(elsewhere));
    let renew = |session: Session| async move { session.renew() };
    let sessions = here.sessions();
    let ending = tokio::spawn(async move { sessions.revoke_everyone().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(whoami(&mut other).await, "ada", "it knows no other time");
    let sign_out = |session: Session| async move { session.sign_out().await.map(drop) };
    assert_eq!(browser.request(sign_out).await.status, 200);
    assert_eq!(whoami(&mut other).await, "");
    // Also with the cookie of a session that another server has renewed since.
    assert_eq!(renewing.request(renew).await.status, 200);
    assert_eq!(whoami(&mut renewing).await, "bob");
    assert_eq!(old.request(sign_out).await.status, 200);
    assert_eq!(whoami(&mut renewing).await, "");
    assert_eq!(ending.await.expect("no panic").expect("it ends"), 0);
}

/// A scan of a large store takes longer than sign-ins are refused.
#[tokio::test(start_paused = true)]
async fn a_sign_in_after_the_revocation_survives_a_scan_that_takes_long() {
    let clock = ManualClock::default();
    let store = SlowScan::new(MemoryStore::with_clock(clock.clone()));
    let fixture = Fixture::on(store.clone(), clock);
    let (mut ada, mut bob) = (fixture.browser(), fixture.browser());
    sign_in(&mut ada, "ada").await;
    let sessions = fixture.layer().sessions();
    let ending = tokio::spawn(async move { sessions.revoke_everyone().await });
    store.first_scan.reached().await;
    let long = Duration::from_secs(12);
    tokio::time::sleep(long).await;
    fixture.clock.advance(long);
    sign_in(&mut bob, "bob").await;
    store.first_scan.open();
    assert_eq!(ending.await.expect("no panic").expect("it ends"), 1);
    assert_eq!(whoami(&mut bob).await, "bob");
    assert_eq!(whoami(&mut ada).await, "");
}

/// A server whose knowledge of the revocation time is stale rereads it before it trusts a session.
#[tokio::test(start_paused = true)]
async fn a_server_with_stale_knowledge_rereads_before_it_serves() {
    let fixture = Fixture::memory();
    let mut asleep = fixture.browser();
    sign_in(&mut asleep, "ada").await;
    assert_eq!(whoami(&mut asleep).await, "ada");
    // Only the revocation time is stored; the sessions are not deleted yet.
    let store: &MemoryStore = fixture.store.inner();
    let revoked = cloakroom_core::StoreAdmin::set_revoked_before(
        store,
        Duration::from_secs(1),
        Duration::from_secs(600),
    );
    revoked.await.expect("it begins");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(whoami(&mut asleep).await, "");
}
