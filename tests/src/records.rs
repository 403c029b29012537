//! Sample records.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom_core::index::AddRequest;
use cloakroom_core::store::Loaded;
use cloakroom_core::{
    Clock, EndReason, Entries, Expiry, Limits, Realm, Record, Revision, SessionId, Store,
    StoreAdmin, StoreError, SystemClock, SystemRng, Token, Tombstone,
};

/// A minute: a TTL that outlives a test.
pub const MINUTE: Duration = Duration::from_secs(60);

/// A session that has just begun, with `number` as its only entry.
///
/// # Panics
///
/// When the system has no randomness.
#[must_use]
pub fn session(number: u64) -> (SessionId, Record) {
    let now = SystemClock.now();
    let token = Token::issue(now, &SystemRng).expect("the system has randomness");
    let limits = Limits::begin(Expiry::default(), now);
    let digest = Realm::new("tests").digest(&token);
    let record = Record::new(revision(), now, limits, digest, numbered(number));
    (token.id(), record)
}

/// A request to add a session to its user's index, without a limit.
#[must_use]
pub fn add_request(id: SessionId, record: &Record) -> AddRequest {
    AddRequest {
        id,
        deadline: record.limits().deadline(),
        now: record.last_seen(),
        limit: None,
        replaces: None,
        dead: Vec::new(),
        has_fresh_token: true,
    }
}

/// The ids of all sessions and tombstones in a store.
///
/// # Panics
///
/// When the store fails.
pub async fn all_ids(admin: &impl StoreAdmin) -> HashSet<SessionId> {
    let (mut ids, mut from) = (HashSet::new(), None);
    loop {
        let page = admin.scan_ids(from.as_ref()).await;
        let page = page.expect("the store responds");
        ids.extend(page.ids);
        from = page.next;
        if from.is_none() {
            return ids;
        }
    }
}

/// The record after one more commit, with `number` as its only entry.
#[must_use]
pub fn next(record: &Record, number: u64) -> Record {
    Record::new(
        revision(),
        record.last_seen(),
        record.limits(),
        *record.digest(),
        numbered(number),
    )
}

/// The record's entry.
///
/// # Panics
///
/// When the record is not from this module.
#[must_use]
pub fn number(record: &Record) -> u64 {
    let number = record.entries().get("number").expect("it is a number");
    number.expect("it is there")
}

/// The tombstone of a session that was destroyed.
#[must_use]
pub fn tombstone(record: &Record) -> Tombstone {
    Tombstone::new(
        Some(*record.digest()),
        record.last_seen(),
        EndReason::Destroyed,
    )
}

/// A fresh revision.
///
/// # Panics
///
/// When the system has no randomness.
#[must_use]
pub fn revision() -> Revision {
    Revision::draw(&SystemRng).expect("the system has randomness")
}

fn numbered(number: u64) -> Entries {
    let mut entries = Entries::new();
    entries.set("number", &number).expect("a number is JSON");
    entries
}

/// Loads a session as a request does: from the cache, or from the store.
///
/// # Errors
///
/// When it is not cached and the store fails.
pub async fn recent(store: &impl Store, id: SessionId) -> Result<Loaded, StoreError> {
    match store.peek_cached(id) {
        Some(loaded) => Ok(loaded),
        None => store.load(id).await,
    }
}
