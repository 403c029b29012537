//! A sign-out that ends a migrated session and its legacy session, while another request ends one of them.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{CookieConfig, Migration, RevokedBy, Session, SessionError, SessionLayer};
use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::faulty_store::Verb;
use tokio::sync::Notify;

use super::legacy::{COOKIE, Legacy, key_of};
use super::{sign_in, whoami};

/// An app in the first phase of a migration, and browsers with the cookie of a migrated session.
struct Migrated {
    fixture: Fixture,
    legacy: Legacy,
    layer: SessionLayer,
    browser: Browser,
}

impl Migrated {
    async fn new() -> Self {
        let (fixture, legacy) = (Fixture::memory(), Legacy::new());
        let migration = Migration::side_by_side(legacy.clone(), key_of(&fixture.clock))
            .with_user(|entries| Some(entries.get::<String>("user").ok()??.into()));
        let layer = fixture.builder().with_migration(migration).build();
        let layer = layer.expect("a valid configuration");
        legacy.sign_in("1", "ada");
        let mut late = fixture.browser_of(layer.clone());
        late.add_cookie(COOKIE, "1");
        assert_eq!(whoami(&mut late).await, "ada");
        let mut browser = fixture.browser_of(layer.clone());
        let cookie = late.cookie().expect("it was set");
        browser.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
        assert_eq!(whoami(&mut browser).await, "ada");
        Self {
            fixture,
            legacy,
            layer,
            browser,
        }
    }

    /// Signs out while something happens between the end of the legacy session and that of the migrated one.
    async fn sign_out_while(&self, meanwhile: impl AsyncFnOnce()) -> TestResponse {
        let mut browser = self.browser.clone();
        let gate = self.fixture.store.hold(Verb::End);
        let signing_out = tokio::spawn(async move { browser.request(sign_out).await });
        gate.reached().await;
        meanwhile().await;
        gate.open();
        signing_out.await.expect("no request panics")
    }
}

async fn sign_out(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.sign_out().await?))
}

/// Another request has seen that the legacy session is gone, and has ended the migrated one for it.
#[tokio::test]
async fn a_sign_out_has_ended_what_another_request_ends_because_of_it() {
    let migrated = Migrated::new().await;
    let response = migrated
        .sign_out_while(async || assert_eq!(whoami(&mut migrated.browser.clone()).await, ""))
        .await;
    assert_eq!(response.text(), "Ended");
    assert_eq!(response.cookie_change(), CookieChange::Removed);
}

/// The user has signed out at the old version, so this sign-out comes too late.
#[tokio::test]
async fn a_sign_out_has_ended_nothing_if_the_legacy_session_had_ended() {
    let migrated = Migrated::new().await;
    let mut browser = migrated.browser.clone();
    let (legacy, mut tab) = (migrated.legacy.clone(), browser.clone());
    let response = browser
        .request(|session| async move {
            assert!(legacy.sign_out("1"));
            assert_eq!(whoami(&mut tab).await, "");
            sign_out(session).await
        })
        .await;
    assert_eq!(response.text(), "AlreadyEnded");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
}

/// The browser may have a better cookie by now.
#[tokio::test]
async fn a_sign_out_has_ended_nothing_if_the_session_was_revoked_meanwhile() {
    let migrated = Migrated::new().await;
    let sessions = migrated.layer.sessions();
    let revoke = async || {
        let revoked = sessions.revoke_all("ada", RevokedBy::Admin).await;
        assert_eq!(revoked.expect("it ends"), 1);
    };
    let response = migrated.sign_out_while(revoke).await;
    assert_eq!(response.text(), "AlreadyEnded");
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
}

/// The request has found its session ended. Then a failover brings that and the legacy session back, and while the sign-out
/// ends both, another request ends the migrated session because of it.
#[tokio::test]
async fn a_sign_out_reports_what_it_has_ended_after_a_failover() {
    let migrated = Migrated::new().await;
    let sessions = migrated.layer.sessions();
    let id = sessions.list("ada").await.expect("it lists")[0].id();
    let store = migrated.fixture.store.inner();
    let Ok(Loaded::Record(record)) = store.load(id).await else {
        panic!("it is stored");
    };
    let mut browser = migrated.browser.clone();
    assert_eq!(browser.clone().request(sign_out).await.text(), "Ended");
    let [loaded, resumed] = [(); 2].map(|()| Arc::new(Notify::new()));
    let (at_load, at_resume) = (Arc::clone(&loaded), Arc::clone(&resumed));
    let signing_out = tokio::spawn(async move {
        let response = browser.request(|session| async move {
            at_load.notify_one();
            at_resume.notified().await;
            sign_out(session).await
        });
        response.await
    });
    loaded.notified().await;
    // The tombstone is gone.
    migrated.fixture.clock.advance(Duration::from_secs(61));
    let created = store.create(id, &record, Duration::from_secs(600)).await;
    created.expect("memory does not fail");
    migrated.legacy.sign_in("1", "ada");
    let gate = migrated.fixture.store.hold(Verb::End);
    resumed.notify_one();
    gate.reached().await;
    assert_eq!(whoami(&mut migrated.browser.clone()).await, "");
    gate.open();
    let response = signing_out.await.expect("no request panics");
    assert_eq!(response.text(), "Ended");
    assert_eq!(response.cookie_change(), CookieChange::Removed);
    assert!(!migrated.legacy.is_live("1"));
}

/// A session that was created here has no legacy session, so nothing has to be read before it is revoked.
#[tokio::test]
async fn revoking_a_session_that_was_not_migrated_is_one_command() {
    let migrated = Migrated::new().await;
    migrated.fixture.clock.advance(Duration::from_secs(1));
    let mut other = migrated.browser.without_cookies();
    let id = sign_in(&mut other, "bob").await;
    migrated.fixture.clear_verbs();
    let sessions = migrated.layer.sessions();
    assert!(sessions.revoke_any(id).await.expect("it ends"));
    let verbs = migrated.fixture.store.take_verbs();
    assert_eq!(verbs.last(), Some(&Verb::End));
    // For its user.
    assert_eq!(verbs, [Verb::Load, Verb::End]);
}
