//! The simulated store keeps the contract of a store when nothing goes wrong, and goes wrong as it should.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{EndReason, Entries, Expiry, Store, StoreErrorKind, SystemClock};
use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::store::{Created, Loaded, Updated};
use cloakroom_core::{
    Clock, Limits, Realm, Record, Revision, SessionId, SystemRng, Token, Tombstone,
};
use simulation::clock::{BEGIN, SimClock};
use simulation::store::{COMMAND_TIMEOUT, SimStore, Troubles};
use tokio::time::{Instant, sleep};

const LONG: Duration = Duration::from_secs(3600);

struct Simulated(SimStore);

impl Subject for Simulated {
    type Store = SimStore;

    async fn store(&self) -> SimStore {
        self.0.clone()
    }

    async fn pass(&self, time: Duration) {
        sleep(time).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulated_store_conforms() {
    let troubles = Troubles::default();
    // The suite takes its times from the system's clock.
    let clock = SimClock::start(SystemClock.now());
    let store = SimStore::new(clock, troubles, None, Arc::default());
    // It compares times with those of the system's clock, so virtual time must not have passed yet.
    conformance::admin::all(&Simulated(store.clone())).await;
    for store in [store.clone(), store.in_two_commands()] {
        let subject = Simulated(store);
        conformance::all(&subject).await;
        conformance::index::all(&subject).await;
    }
}

fn store(troubles: Troubles) -> SimStore {
    SimStore::new(SimClock::start(BEGIN), troubles, None, Arc::default())
}

fn session() -> (SessionId, Record) {
    let token = Token::issue(BEGIN, &SystemRng).expect("the system has randomness");
    (token.id(), record(&token))
}

fn record(token: &Token) -> Record {
    let limits = Limits::begin(Expiry::default(), BEGIN);
    let digest = Realm::new("test").digest(token);
    Record::new(
        Revision::draw(&SystemRng).expect("the system has randomness"),
        BEGIN,
        limits,
        digest,
        Entries::new(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_lost_command_has_no_effect_and_a_lost_reply_has() {
    for (lost_commands, lost_replies, is_stored) in [(1000, 0, false), (0, 1000, true)] {
        let store = store(Troubles {
            lost_commands,
            lost_replies,
            end: Some(1000),
            ..Troubles::default()
        });
        let (id, record) = session();
        let start = Instant::now();
        let created = store.create(id, &record, LONG).await.unwrap_err();
        assert_eq!(created.kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(start.elapsed(), Duration::from_millis(COMMAND_TIMEOUT));
        let read = store.load(id).await.unwrap_err();
        assert_eq!(read.kind(), StoreErrorKind::Unavailable);
        sleep(Duration::from_secs(1)).await;
        let loaded = store.load(id).await.unwrap();
        assert_eq!(loaded == Loaded::Record(record), is_stored);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_command_is_carried_out_after_its_caller_has_given_up() {
    let store = store(Troubles {
        late: 1000,
        end: Some(1),
        ..Troubles::default()
    });
    let (id, record) = session();
    let created = store.create(id, &record, LONG).await.unwrap_err();
    assert_eq!(created.kind(), StoreErrorKind::OutcomeUnknown);
    assert_eq!(store.load(id).await.unwrap(), Loaded::Nothing);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_server_carries_commands_out_when_it_thaws() {
    let store = store(Troubles {
        frozen: Some((0, 5000)),
        ..Troubles::default()
    });
    let (id, record) = session();
    let created = store.create(id, &record, LONG).await.unwrap_err();
    assert_eq!(created.kind(), StoreErrorKind::OutcomeUnknown);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(
        store.create(id, &record, LONG).await.unwrap(),
        Created::Collision
    );
}

#[tokio::test(start_paused = true)]
async fn a_failover_loses_the_last_writes_and_no_confirmed_end() {
    let store = store(Troubles {
        failover: Some(1000),
        lag: 100,
        ..Troubles::default()
    });
    let (id, first) = session();
    let (ended, other) = session();
    let created = store.create(id, &first, LONG).await.unwrap();
    assert_eq!(created, Created::Created, "the replica has it");
    store.create(ended, &other, LONG).await.unwrap();
    sleep(Duration::from_millis(690)).await;
    let tombstone = Tombstone::new(None, BEGIN, EndReason::SignedOut);
    store.end(ended, None, &tombstone, LONG).await.unwrap();
    let token = Token::issue(BEGIN, &SystemRng).unwrap();
    let second = record(&token);
    let updated = store
        .update(id, first.revision(), &second, LONG)
        .await
        .unwrap();
    assert_eq!(
        updated,
        Updated::Updated,
        "it does not wait for the replica"
    );
    assert_eq!(store.load(id).await.unwrap(), Loaded::Record(second));
    sleep(Duration::from_millis(10)).await;
    assert_eq!(
        store.load(id).await.unwrap(),
        Loaded::Record(first),
        "the update is lost"
    );
    assert!(matches!(
        store.load(ended).await.unwrap(),
        Loaded::Tombstone(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_caller_is_dropped_is_carried_out() {
    let store = store(Troubles {
        seed: 3,
        max_delay: 50,
        ..Troubles::default()
    });
    for _ in 0..20 {
        let (id, record) = session();
        let creating = store.create(id, &record, LONG);
        drop(tokio::time::timeout(Duration::from_millis(1), creating).await);
        sleep(Duration::from_millis(100)).await;
        assert_eq!(store.load(id).await.unwrap(), Loaded::Record(record));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_as_old_as_it_may_be_and_sees_its_own_writes() {
    let window = Duration::from_millis(500);
    let other = store(Troubles::default());
    let cached = other.clone().with_cache(window);
    let (id, first) = session();
    other.create(id, &first, LONG).await.unwrap();
    assert_eq!(cached.peek_cached(id), None);
    cached.load(id).await.unwrap();
    let token = Token::issue(BEGIN, &SystemRng).unwrap();
    let (second, third) = (record(&token), record(&token));
    other
        .update(id, first.revision(), &second, LONG)
        .await
        .unwrap();
    sleep(window - Duration::from_millis(1)).await;
    assert_eq!(cached.peek_cached(id), Some(Loaded::Record(first)));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(cached.peek_cached(id), None);
    cached.load(id).await.unwrap();
    cached
        .update(id, second.revision(), &third, LONG)
        .await
        .unwrap();
    assert_eq!(cached.peek_cached(id), None);
}
