//! A migrated session that was revoked stays ended, whichever step of a migration has failed before: its legacy cookie
//! does not migrate again once the tombstone has expired.

use std::time::Duration;

use cloakroom::{
    CookieConfig, MemoryStore, Migration, MigrationKey, SessionError, SessionErrorKind, SessionId,
    Sessions, Store, StoreErrorKind,
};
use cloakroom_core::migration::MigrationMark;
use cloakroom_core::store::{Created, Loaded};
use cloakroom_core::{ManualClock, Record};
use cloakroom_redis::RedisStore;
use tests::app::Fixture;
use tests::browser::Browser;
use tests::faulty_store::{Fault, Gate, Verb};
use tests::generous;
use tests::redis::RedisServer;
use tests::resp::Reply;

use super::legacy::{COOKIE, Legacy, key_of};
use super::whoami;

/// A step of a request that fails.
#[derive(Clone, Copy, Debug)]
enum Failing {
    Nothing,
    LegacyRead,
    LegacyEnd,
    LosesCommand(Verb),
    LosesReply(Verb),
}

/// Steps of a request that fail.
const FAILURES: [Failing; 11] = [
    Failing::Nothing,
    Failing::LegacyRead,
    Failing::LegacyEnd,
    Failing::LosesCommand(Verb::Load),
    Failing::LosesReply(Verb::Load),
    Failing::LosesCommand(Verb::Create),
    Failing::LosesReply(Verb::Create),
    Failing::LosesCommand(Verb::Update),
    Failing::LosesReply(Verb::Update),
    Failing::LosesCommand(Verb::End),
    Failing::LosesReply(Verb::End),
];

/// Steps of a revocation that fail.
const FAILURES_OF_REVOCATIONS: [Failing; 5] = [
    Failing::Nothing,
    Failing::LegacyEnd,
    Failing::LosesCommand(Verb::Load),
    Failing::LosesCommand(Verb::End),
    Failing::LosesReply(Verb::End),
];

/// The phase of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SideBySide,
    Cutover,
}

/// Servers of both phases on one store.
struct Servers<S> {
    legacy: Legacy,
    key: MigrationKey,
    fixture: Fixture<S>,
}

impl<S: Store + Clone> Servers<S> {
    fn on(store: S, clock: ManualClock) -> Self {
        Self {
            legacy: Legacy::new(),
            key: key_of(&clock),
            fixture: Fixture::on(store, clock),
        }
    }

    fn server(&self, phase: Phase) -> (Browser, Sessions) {
        let (legacy, key) = (self.legacy.clone(), self.key.clone());
        let migration = match phase {
            Phase::SideBySide => Migration::side_by_side(legacy, key),
            Phase::Cutover => Migration::cutover(legacy, key),
        };
        let migration =
            migration.with_user(|entries| Some(entries.get::<String>("user").ok()??.into()));
        let layer = generous::layer_builder(self.fixture.store.clone())
            .with_clock(self.fixture.clock.clone())
            .with_migration(migration)
            .build()
            .expect("a valid configuration");
        let sessions = layer.sessions();
        (self.fixture.browser_of(layer), sessions)
    }

    /// A browser with a legacy cookie only.
    fn with_legacy_cookie(&self, phase: Phase, legacy_id: &str) -> Browser {
        let (mut browser, _) = self.server(phase);
        browser.add_cookie(COOKIE, legacy_id);
        browser
    }

    fn inject(&self, failing: Failing) {
        match failing {
            Failing::Nothing => {}
            Failing::LegacyRead => self.legacy.fail_reads(1),
            // A request tries at most twice: for the session that it unlinks, and for its legacy cookie.
            Failing::LegacyEnd => self.legacy.fail_ends(2),
            Failing::LosesCommand(verb) => self.fixture.store.next(verb, Fault::LoseCommand),
            Failing::LosesReply(verb) => self.fixture.store.next(verb, Fault::LoseReply),
        }
    }

    fn mend(&self) {
        self.legacy.fail_reads(0);
        self.legacy.fail_ends(0);
        self.fixture.store.clear_faults();
    }

    /// A request fails at a step, the session is revoked by its id while another step fails, and again without a
    /// failure. Returns whether there was a session to revoke.
    async fn revoked_stays_ended(
        &self,
        legacy_id: &str,
        phases: (Option<Phase>, Phase),
        failing: (Failing, Failing),
        forget_tombstones: impl Fn(),
    ) -> bool {
        let case = format!("{phases:?}, {failing:?}");
        let user = format!("ada {legacy_id}");
        self.legacy.sign_in(legacy_id, &user);
        if let Some(earlier) = phases.0 {
            let mut browser = self.with_legacy_cookie(earlier, legacy_id);
            assert_eq!(whoami(&mut browser).await, user, "{case}");
        }
        self.inject(failing.0);
        let mut browser = self.with_legacy_cookie(phases.1, legacy_id);
        browser
            .request(|session| async move { Ok(session.user().is_some().to_string()) })
            .await;
        self.mend();
        let (_, sessions) = self.server(phases.1);
        let listed = sessions.list(user.clone()).await.expect("it lists");
        let Some(info) = listed.first() else {
            return false;
        };
        self.inject(failing.1);
        // It may fail.
        let first = sessions.revoke_any(info.id()).await;
        self.mend();
        if first.is_err() {
            let second = sessions.revoke_any(info.id()).await;
            second.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        assert!(!self.legacy.is_live(legacy_id), "{case}: {first:?}");
        forget_tombstones();
        for phase in [Phase::SideBySide, Phase::Cutover] {
            let mut late = self.with_legacy_cookie(phase, legacy_id);
            assert_eq!(whoami(&mut late).await, "", "{case}, at {phase:?}");
        }
        true
    }

    /// All failures of the request, each with all failures of the revocation.
    async fn every_failure(&self, forget_tombstones: impl Fn()) {
        let mut revoked = 0;
        let histories = [
            (None, Phase::SideBySide),
            (None, Phase::Cutover),
            (Some(Phase::SideBySide), Phase::Cutover),
        ];
        for phases in histories {
            for (number, failing) in FAILURES.into_iter().enumerate() {
                for (other, revoking) in FAILURES_OF_REVOCATIONS.into_iter().enumerate() {
                    let id = format!("{phases:?} {number} {other}");
                    let failing = (failing, revoking);
                    let was_revoked = self
                        .revoked_stays_ended(&id, phases, failing, &forget_tombstones)
                        .await;
                    revoked += usize::from(was_revoked);
                }
            }
        }
        // Only a create or a read that fails leaves no session.
        assert!(revoked >= 3 * 7 * 5, "{revoked}");
    }
}

#[tokio::test]
async fn a_revoked_session_does_not_migrate_again_in_memory() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock.clone());
    let minute = || clock.advance(Duration::from_secs(61));
    servers.every_failure(minute).await;
}

#[tokio::test]
async fn a_revoked_session_does_not_migrate_again_on_redis() {
    let server = RedisServer::start();
    let store = generous::connect(server.url(), "cloakroom").await;
    let store: RedisStore = store.expect("the server is running");
    let servers = Servers::on(store, ManualClock::default());
    let forget = || forget_tombstones(&server);
    servers.every_failure(forget).await;
}

/// Removes all tombstones, as their TTL would.
fn forget_tombstones(server: &RedisServer) {
    for (key, _) in server.keys_with_ttl() {
        if !key.starts_with("cloakroom:0") {
            continue;
        }
        if let Reply::Bytes(value) = server.command(&["GET", &key])
            && value.starts_with(b"t1 ")
        {
            server.command(&["DEL", &key]);
        }
    }
}

/// The next request tries again to end the legacy session, also without its cookie. Until then a revocation needs it, and
/// afterwards it does not.
#[tokio::test]
async fn a_legacy_session_that_could_not_be_ended_is_ended_by_the_next_request() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock);
    let (_, sessions) = servers.server(Phase::Cutover);
    servers.legacy.sign_in("1", "ada");
    let mut browser = servers.with_legacy_cookie(Phase::Cutover, "1");
    servers.legacy.fail_ends(2);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert!(servers.legacy.is_live("1"));
    let listed = sessions.list("ada").await.expect("it lists");
    servers.legacy.fail_ends(1);
    let refused = sessions.revoke_any(listed[0].id()).await;
    refused.expect_err("the legacy session may be live");
    let own = browser.cookie().expect("it was set").to_owned();
    let (mut without_legacy_cookie, _) = servers.server(Phase::Cutover);
    without_legacy_cookie.add_cookie(CookieConfig::DEFAULT_NAME, own);
    assert_eq!(whoami(&mut without_legacy_cookie).await, "ada");
    assert!(!servers.legacy.is_live("1"));
    servers.legacy.fail_ends(1);
    let revoked = sessions.revoke_any(listed[0].id()).await;
    assert!(revoked.expect("the legacy session has ended"));
    assert_eq!(whoami(&mut browser).await, "");
}

/// The end of a legacy session has reached too few replicas, so the session that continues it was not ended: a handler that
/// ignores this does not get away with a success.
#[tokio::test]
async fn a_legacy_session_on_too_few_replicas_does_not_pass_for_the_end_of_the_session() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock);
    servers.legacy.sign_in("1", "ada");
    let mut browser = servers.with_legacy_cookie(Phase::Cutover, "1");
    assert_eq!(whoami(&mut browser).await, "ada");
    let (mut own, sessions) = servers.server(Phase::Cutover);
    let cookie = browser.cookie().expect("it was set").to_owned();
    own.add_cookie(CookieConfig::DEFAULT_NAME, cookie);
    let mut both = own.clone();
    both.add_cookie(COOKIE, "1");
    // By the middleware, and by the handler.
    servers.legacy.end_on_too_few_replicas(2);
    let response = both
        .request(|session| async move {
            drop(session.sign_out().await);
            Ok("you have signed out")
        })
        .await;
    assert_eq!(response.status, 503);
    let error = response.extension::<SessionError>();
    let kind = error.map(SessionError::kind);
    assert_eq!(kind, Some(SessionErrorKind::OutcomeUnknown));
    assert_eq!(whoami(&mut own).await, "ada", "it is live");

    let listed = sessions.list("ada").await.expect("it lists");
    let signed_out = both.request(|session| async move { session.sign_out().await.map(|_| ()) });
    assert_eq!(signed_out.await.status, 200);
    assert_eq!(listed.len(), 1);
    assert_eq!(whoami(&mut own).await, "");
}

/// An old server has saved a legacy session again after the migration has ended it.
#[tokio::test]
async fn a_legacy_session_that_is_saved_again_ends_with_the_next_request() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock.clone());
    servers.legacy.sign_in("1", "ada");
    let mut browser = servers.with_legacy_cookie(Phase::Cutover, "1");
    assert_eq!(whoami(&mut browser).await, "ada");
    assert!(!servers.legacy.is_live("1"));
    servers.legacy.sign_in("1", "ada");
    // As a browser that sends both cookies, and as one that has only its legacy cookie.
    let mut both = servers.with_legacy_cookie(Phase::Cutover, "1");
    let own = browser.cookie().expect("it was set").to_owned();
    both.add_cookie(CookieConfig::DEFAULT_NAME, own);
    let mut late = servers.with_legacy_cookie(Phase::Cutover, "1");
    for late in [&mut both, &mut late] {
        servers.legacy.sign_in("1", "ada");
        assert_eq!(whoami(late).await, "ada");
        assert!(!servers.legacy.is_live("1"));
        assert_eq!(late.cookie_named(COOKIE), None, "it is removed");
    }
    let signed_out = browser.request(|session| async move { session.sign_out().await.map(|_| ()) });
    assert_eq!(signed_out.await.status, 200);
    clock.advance(Duration::from_secs(61));
    for phase in [Phase::SideBySide, Phase::Cutover] {
        let mut late = servers.with_legacy_cookie(phase, "1");
        assert_eq!(whoami(&mut late).await, "", "{phase:?}");
    }
}

/// A server of a newer release can read the legacy id in a record of a newer format, and end both sessions.
#[tokio::test]
async fn a_migrated_session_of_a_newer_format_is_not_revoked_without_its_legacy_session() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock);
    servers.legacy.sign_in("1", "ada");
    let mut browser = servers.with_legacy_cookie(Phase::SideBySide, "1");
    assert_eq!(whoami(&mut browser).await, "ada");
    let (_, sessions) = servers.server(Phase::SideBySide);
    let listed = sessions.list("ada").await.expect("it lists");
    let id = listed[0].id();
    let store = &servers.fixture.store;
    let refuse_loads = |kind| {
        // For its user, and for its legacy id.
        for _ in 0..2 {
            store.next(Verb::Load, Fault::Refuse(kind));
        }
    };
    refuse_loads(StoreErrorKind::NewerFormat);
    let refused = sessions.revoke_any(id).await;
    let kind = refused.expect_err("the legacy session is live").kind();
    assert_eq!(kind, SessionErrorKind::Unavailable);
    assert_eq!(whoami(&mut browser).await, "ada");
    assert!(servers.legacy.is_live("1"));
    assert!(sessions.revoke_any(id).await.expect("it can be read"));
    assert!(!servers.legacy.is_live("1"));
    // Nobody can read the legacy id in a damaged record, so the session ends alone.
    servers.legacy.sign_in("2", "bob");
    let mut browser = servers.with_legacy_cookie(Phase::SideBySide, "2");
    assert_eq!(whoami(&mut browser).await, "bob");
    let listed = sessions.list("bob").await.expect("it lists");
    refuse_loads(StoreErrorKind::Unreadable);
    let revoked = sessions.revoke_any(listed[0].id()).await;
    assert!(revoked.expect("it ends"));
    assert_eq!(whoami(&mut browser).await, "");
}

/// A create that arrives long after its request has failed stores a linked session, which ends with the first request.
#[tokio::test]
async fn a_late_create_of_the_second_phase_does_not_bring_an_ended_session_back() {
    let clock = ManualClock::default();
    let servers = Servers::on(MemoryStore::with_clock(clock.clone()), clock.clone());
    servers.legacy.sign_in("1", "ada");
    let gate = Gate::new();
    servers
        .fixture
        .store
        .next(Verb::Update, Fault::Before(gate.clone()));
    let mut browser = servers.with_legacy_cookie(Phase::Cutover, "1");
    let request = tokio::spawn(async move { (whoami(&mut browser).await, browser) });
    gate.reached().await;
    let (_, sessions) = servers.server(Phase::Cutover);
    let listed = sessions.list("ada").await.expect("it lists");
    let id = listed[0].id();
    let created = record(&servers.fixture.store, id).await;
    let mark = MigrationMark::of(created.entries()).expect("it is marked");
    assert!(mark.from().is_some(), "it is stored as a linked session");
    gate.open();
    let (user, mut browser) = request.await.expect("no request panics");
    assert_eq!(user, "ada");
    let stored = record(&servers.fixture.store, id).await;
    let mark = MigrationMark::of(stored.entries()).expect("it is marked");
    assert_eq!(mark.from(), None, "the same request has removed the link");
    assert_eq!(mark.legacy_id(), None, "its legacy session has ended");
    let response = browser
        .request(|session| async move { session.sign_out().await.map(|_| ()) })
        .await;
    assert_eq!(response.status, 200);
    clock.advance(Duration::from_secs(61));
    let created = servers
        .fixture
        .store
        .inner()
        .create(id, &created, Duration::from_secs(600))
        .await;
    assert_eq!(created.expect("memory does not fail"), Created::Created);
    for phase in [Phase::SideBySide, Phase::Cutover] {
        let mut late = servers.with_legacy_cookie(phase, "1");
        assert_eq!(whoami(&mut late).await, "", "{phase:?}");
    }
}

async fn record(store: &impl Store, id: SessionId) -> Record {
    match store.load(id).await {
        Ok(Loaded::Record(record)) => record,
        other => panic!("no record: {other:?}"),
    }
}
