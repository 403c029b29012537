//! What a legacy cookie leads to: a session that is migrated, that was migrated, or that cannot be.

use std::time::{Duration, SystemTime};

use cloakroom::{CookieConfig, Migration, SessionLayerBuilder, StoreErrorKind, days};
use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{
    Clock, Realm, Record, Revision, Store, StoreAdmin, SystemRng, Timestamp, Token,
};
use tests::app::Fixture;
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::{Fault, Verb};

use super::legacy::{COOKIE, Legacy, key_of};
use super::{sign_in, whoami};

const MILLISECOND: Duration = Duration::from_millis(1);

/// An app that is being migrated, in the first or the second phase.
struct Migrating {
    fixture: Fixture,
    legacy: Legacy,
    migration: Migration,
}

impl Migrating {
    fn side_by_side() -> Self {
        Self::new(Migration::side_by_side)
    }

    fn new(phase: fn(Legacy, cloakroom::MigrationKey) -> Migration) -> Self {
        let (fixture, legacy) = (Fixture::memory(), Legacy::new());
        let now = fixture.clock.now().as_millis();
        // The key has a time in seconds.
        fixture.clock.set(Timestamp::from_millis(now / 1000 * 1000));
        let migration = phase(legacy.clone(), key_of(&fixture.clock));
        Self {
            migration: migration
                .with_user(|entries| Some(entries.get::<String>("user").ok()??.into())),
            fixture,
            legacy,
        }
    }

    fn both_phases() -> [Self; 2] {
        [Self::side_by_side(), Self::new(Migration::cutover)]
    }

    fn builder(&self) -> SessionLayerBuilder {
        let builder = self.fixture.builder();
        builder.with_migration(self.migration.clone())
    }

    /// A browser with the cookie of this legacy session, in which ada is signed in.
    fn browser(&self, legacy_id: &str) -> Browser {
        self.browser_of(self.builder(), legacy_id)
    }

    fn browser_of(&self, builder: SessionLayerBuilder, legacy_id: &str) -> Browser {
        let layer = builder.build().expect("a valid configuration");
        let mut browser = self.fixture.browser_of(layer);
        self.legacy.sign_in(legacy_id, "ada");
        browser.add_cookie(COOKIE, legacy_id);
        browser
    }
}

/// A session that no server can decode stays as it is, also if the visitor gets a session without a sign-in. Only
/// a sign-in ends it.
#[tokio::test]
async fn a_damaged_legacy_session_stays_until_a_sign_in() {
    for migrating in Migrating::both_phases() {
        let mut browser = migrating.browser("1");
        migrating.legacy.damage(true);
        assert_eq!(whoami(&mut browser).await, "");
        let write = browser.request(|session| async move { session.insert("n", 1) });
        assert_eq!(write.await.cookie_change(), CookieChange::Set);
        assert!(migrating.legacy.is_live("1"));
        assert_eq!(browser.cookie_named(COOKIE), Some("1"));
        sign_in(&mut migrating.browser("1"), "ada").await;
        assert!(!migrating.legacy.is_live("1"));
    }
}

/// Whether a visitor is signed in is unknown as long as the legacy store does not respond.
#[tokio::test]
async fn a_legacy_session_that_cannot_be_read_for_now_is_an_error() {
    for migrating in Migrating::both_phases() {
        let mut browser = migrating.browser("1");
        migrating.legacy.fail_reads(1);
        let response = browser.request(super::user_of).await;
        assert_eq!(response.status, 503, "{}", response.text());
        assert_eq!(whoami(&mut browser).await, "ada", "tried again");
    }
}

/// The legacy system would not be able to use it either, but nobody has ended it.
#[tokio::test]
async fn a_migrated_session_whose_legacy_session_is_damaged_since_is_live() {
    let migrating = Migrating::side_by_side();
    let mut browser = migrating.browser("1");
    assert_eq!(whoami(&mut browser).await, "ada");
    migrating.legacy.damage(true);
    assert_eq!(whoami(&mut browser).await, "ada");
    migrating.legacy.damage(false);
    migrating.legacy.fail_reads(1);
    let response = browser.request(super::user_of).await;
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(whoami(&mut browser).await, "ada", "tried again");
}

#[tokio::test]
async fn an_expired_legacy_session_is_not_migrated() {
    for migrating in Migrating::both_phases() {
        let mut browser = migrating.browser("1");
        let second = SystemTime::from(migrating.fixture.clock.now()) - Duration::from_secs(1);
        migrating.legacy.expire_at(second);
        assert_eq!(whoami(&mut browser).await, "");
        assert_eq!(browser.cookie(), None);
    }
}

/// It is unknown which of several sessions is the visitor's, so another one must not take their place.
#[tokio::test]
async fn a_legacy_cookie_beside_those_of_two_sessions_is_not_used() {
    for migrating in Migrating::both_phases() {
        let mut browser = migrating.browser("1");
        for user in ["bob", "eve"] {
            let mut other = browser.without_cookies();
            sign_in(&mut other, user).await;
            let cookie = other.cookie().expect("it has one");
            browser.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
        }
        assert_eq!(whoami(&mut browser).await, "");
        assert!(migrating.legacy.is_live("1"), "it was not migrated");
        assert_eq!(migrating.legacy.take_reads(), 0);
    }
}

/// A linked session ends with its legacy session, so that must not end before the link is removed.
#[tokio::test]
async fn a_session_that_could_not_be_unlinked_stays_with_its_legacy_session() {
    let migrating = Migrating::new(Migration::cutover);
    let mut browser = migrating.browser("1");
    let store = &migrating.fixture.store;
    store.next(Verb::Update, Fault::Refuse(StoreErrorKind::Unavailable));
    assert_eq!(whoami(&mut browser).await, "ada");
    assert!(migrating.legacy.is_live("1"));
    assert_eq!(whoami(&mut browser).await, "ada", "tried again");
    assert!(!migrating.legacy.is_live("1"));
    assert_eq!(whoami(&mut browser).await, "ada");
}

/// The token that is derived from a legacy id is compared as any other one is.
#[tokio::test]
async fn a_legacy_cookie_does_not_open_a_session_with_another_secret() {
    for migrating in Migrating::both_phases() {
        let mut browser = migrating.browser("1");
        assert_eq!(whoami(&mut browser).await, "ada");
        let token = Token::parse(browser.cookie().expect("it was set"));
        let id = token.expect("it is a token").id();
        let store = migrating.fixture.store.inner();
        let Ok(Loaded::Record(record)) = store.load(id).await else {
            panic!("it is stored");
        };
        let other = Token::issue_for(id, &SystemRng).expect("it is drawn");
        let other = Record::new(
            Revision::from_bits(7),
            record.last_seen(),
            record.limits(),
            Realm::new(CookieConfig::DEFAULT_NAME).digest(&other),
            record.entries().clone(),
        );
        let updated = store.update(id, record.revision(), &other, days(1)).await;
        assert_eq!(updated.expect("memory does not fail"), Updated::Updated);
        let mut late = migrating.browser("1");
        assert_eq!(whoami(&mut late).await, "");
        assert_eq!(late.cookie(), None);
        assert!(migrating.legacy.is_live("1"), "it is kept");
    }
}

/// The ids of migrated sessions are as old as the migration, and an older token would be refused.
#[tokio::test]
async fn nothing_is_migrated_once_the_migration_is_older_than_a_session_may_be() {
    let longest = days(40);
    for (after, user) in [
        (longest, "ada"),
        (longest + MILLISECOND, ""),
        (longest + days(1), ""),
    ] {
        for migrating in Migrating::both_phases() {
            let builder = migrating.builder().with_max_expiry(longest);
            let mut browser = migrating.browser_of(builder, "1");
            migrating.fixture.clock.advance(after);
            assert_eq!(whoami(&mut browser).await, user, "{after:?}");
        }
    }
}

/// A legacy session is as old as the migration here too. "Revoked before" is exact.
#[tokio::test]
async fn nothing_is_migrated_after_everyone_was_revoked() {
    for (later, user) in [(Duration::ZERO, "ada"), (MILLISECOND, "")] {
        for migrating in Migrating::both_phases() {
            migrating.fixture.clock.advance(later);
            let store = &migrating.fixture.store;
            let admin = store.admin().expect("it has one");
            let set = admin.set_revoked_before(Duration::ZERO, days(1)).await;
            set.expect("memory does not fail");
            let mut browser = migrating.browser("1");
            assert_eq!(whoami(&mut browser).await, user, "{later:?}");
        }
    }
}
