//! Promises of a store that can be broken on purpose, to show that the checker notices.

use std::time::Duration;

use cloakroom::{MemoryStore, SessionId, Store};
use cloakroom_core::index::AddRequest;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{Record, Revision, UserIndex, UserKey};
use futures_util::FutureExt;
use serde_json::Value;

use super::command::with_entries;

/// A promise that the store breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An update replaces the record whatever its revision is.
    RevisionIgnored,
    /// The end of a session leaves no tombstone.
    NoTombstone,
    /// An update is stored, and reported as a conflict: its edits are replayed on the record that has them.
    StoredAndRefused,
    /// The grace period of a replaced token does not end.
    EndlessGrace,
    /// Of a user with too many sessions, the newest is evicted.
    NewestEvicted,
    /// The index forgets each session that is added.
    NotIndexed,
    /// The index adds sessions above the limit, and evicts none.
    LimitIgnored,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RevisionIgnored,
        Self::NoTombstone,
        Self::StoredAndRefused,
        Self::EndlessGrace,
        Self::NewestEvicted,
        Self::NotIndexed,
        Self::LimitIgnored,
    ];

    /// The revision that an update expects.
    pub(super) fn expected(
        broken: Option<Self>,
        store: &MemoryStore,
        id: SessionId,
        expected: Revision,
    ) -> Revision {
        if broken == Some(Self::RevisionIgnored)
            && let Some(Ok(Loaded::Record(stored))) = store.load(id).now_or_never()
        {
            return stored.revision();
        }
        expected
    }

    /// The reply to an update.
    pub(super) fn updated(broken: Option<Self>, record: &Record, updated: Updated) -> Updated {
        // Only some updates, since the writer would try again without end.
        let is_chosen = record.revision().to_bits().is_multiple_of(4);
        if broken == Some(Self::StoredAndRefused) && updated == Updated::Updated && is_chosen {
            return Updated::Conflict(record.clone());
        }
        updated
    }

    /// How long a tombstone is kept.
    pub(super) fn keep(broken: Option<Self>, keep: Duration) -> Duration {
        match broken {
            Some(Self::NoTombstone) => Duration::ZERO,
            _ => keep,
        }
    }

    /// What is loaded.
    pub(super) fn loaded(broken: Option<Self>, loaded: Loaded) -> Loaded {
        match loaded {
            Loaded::Record(record) if broken == Some(Self::EndlessGrace) => {
                Loaded::Record(with_endless_grace(&record).unwrap_or(record))
            }
            other => other,
        }
    }

    /// The sessions to evict: the newest one instead of the oldest one.
    pub(super) fn evicted(
        broken: Option<Self>,
        store: &MemoryStore,
        user: &UserKey,
        own: SessionId,
        over: Vec<SessionId>,
    ) -> Vec<SessionId> {
        if broken != Some(Self::NewestEvicted) || over.is_empty() {
            return over;
        }
        let listed = UserIndex::list(store, user, None).now_or_never();
        let listed = listed.and_then(Result::ok).unwrap_or_default();
        let newest = listed.into_iter().find(|id| *id != own);
        newest.into_iter().collect()
    }

    /// What is added to the index.
    pub(super) fn added(broken: Option<Self>, request: &AddRequest) -> AddRequest {
        let mut request = request.clone();
        if broken == Some(Self::LimitIgnored) {
            request.limit = None;
        }
        request
    }

    /// How many sessions a user may have.
    pub(super) fn most(broken: Option<Self>, most: u32) -> u32 {
        match broken {
            Some(Self::LimitIgnored) => u32::MAX,
            _ => most,
        }
    }

    /// After a session was added to the index.
    pub(super) fn forget(broken: Option<Self>, store: &MemoryStore, user: &UserKey, id: SessionId) {
        if broken == Some(Self::NotIndexed) {
            drop(store.remove(user, &[id]).now_or_never());
        }
    }
}

fn with_endless_grace(record: &Record) -> Option<Record> {
    let mut entries = record.entries().clone();
    let mut secrets: Value = entries.get(Secrets::KEY).ok()??;
    *secrets.get_mut("before")?.get_mut("until")? = Value::from(u64::MAX);
    entries.set(Secrets::KEY, &secrets).ok()?;
    Some(with_entries(record, entries))
}
