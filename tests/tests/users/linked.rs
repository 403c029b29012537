//! Sessions that were migrated while the old version of the app still runs: they are listed only while
//! their legacy session is live, at one read of the legacy store each.

use cloakroom::{Migration, SessionInfo, SessionLayer};
use tests::app::{Fixture, app};
use tests::browser::Browser;

use super::legacy::{COOKIE, Legacy, key_of};
use super::sign_in;

struct Migrating {
    legacy: Legacy,
    layer: SessionLayer,
    fixture: Fixture,
}

impl Migrating {
    fn new() -> Self {
        let (fixture, legacy) = (Fixture::memory(), Legacy::new());
        let migration = Migration::side_by_side(legacy.clone(), key_of(&fixture.clock))
            .with_user(|entries| Some(entries.get::<String>("user").ok()??.into()));
        let layer = fixture.builder().with_migration(migration).build();
        Self {
            legacy,
            layer: layer.expect("a valid configuration"),
            fixture,
        }
    }

    /// A browser that was signed in at the old version, after its first request at the new one.
    async fn migrated(&self, legacy_id: &str, user: &str) -> Browser {
        self.legacy.sign_in(legacy_id, user);
        let mut browser = self.fixture.browser_of(self.layer.clone());
        browser.add_cookie(COOKIE, legacy_id);
        assert_eq!(super::whoami(&mut browser).await, user);
        browser
    }
}

#[tokio::test]
async fn a_migrated_session_is_listed_until_it_is_signed_out_at_the_old_version() {
    let migrating = Migrating::new();
    let sessions = migrating.layer.sessions();
    let _phone = migrating.migrated("1", "ada").await;
    let _laptop = migrating.migrated("2", "ada").await;
    let listed = sessions.list("ada").await.expect("it lists");
    assert_eq!(listed.len(), 2);
    assert!(migrating.legacy.sign_out("1"));
    let left = sessions.list("ada").await.expect("it lists");
    let [left] = &left[..] else {
        panic!("one of {listed:?} is left: {left:?}");
    };
    assert_eq!(sessions.count("ada").await.expect("it counts"), 1);
    for info in &listed {
        let found = sessions.find(info.id()).await.expect("it finds");
        assert_eq!(found.is_some(), info.id() == left.id());
    }
}

#[tokio::test]
async fn a_list_reads_the_legacy_store_once_for_each_linked_session() {
    let migrating = Migrating::new();
    let sessions = migrating.layer.sessions();
    let _linked = [
        migrating.migrated("1", "ada").await,
        migrating.migrated("2", "ada").await,
    ];
    let mut unlinked = Browser::new(app(migrating.layer.clone()));
    let id = sign_in(&mut unlinked, "ada").await;
    migrating.legacy.take_reads();
    assert_eq!(sessions.list("ada").await.expect("it lists").len(), 3);
    assert_eq!(migrating.legacy.take_reads(), 2);
    let found = sessions.find(id).await.expect("it finds");
    assert_eq!(found.as_ref().map(SessionInfo::id), Some(id));
    assert_eq!(migrating.legacy.take_reads(), 0);
}
