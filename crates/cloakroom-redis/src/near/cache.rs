//! The cached sessions, and the rules that keep stale ones out.

use std::hash::{BuildHasherDefault, Hasher};
use std::mem::{size_of, size_of_val};

use cloakroom_core::store::Loaded;
use cloakroom_core::{Record, SessionId};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All ids share this number of slots. Two sessions with one slot can only prevent each other from being
/// cached.
const SLOTS: usize = 4096;

/// Added to the count of a slot to invalidate it: more than the messages that it can receive while one
/// command is in flight.
const CLEARED: u64 = 1 << 32;

/// The memory of one entry besides its text: the positions of its key and its value, and the overhead of
/// the allocator if the text is separate.
const PER_ENTRY: usize = 80;

/// The memory of one session besides its entries: in the tables of the cache, in its list, and the
/// overhead of the allocator.
const PER_SESSION: usize = 256;

/// The cached sessions, bounded in bytes.
pub(super) struct SessionCache {
    sessions: Cache<SessionId, Arc<Cached>, Weight, BuildHasherDefault<IdHasher>>,
    /// A session is only cached under the lock of its slot, and only if nothing has changed since it was
    /// requested.
    slots: Box<[Mutex<Version>]>,
}

/// The changes of the sessions of a slot, and at the same time the state of the slot when a command was
/// sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Invalidation messages from Redis.
    invalidations: u64,
    /// Writes of this process: each counts when it starts, and when it has succeeded.
    writes: u64,
}

/// A session as it was read or written.
struct Cached {
    session: Loaded,
    until: Instant,
    /// This process has written it, and the message about that write has not arrived yet.
    own_invalidation_pending: AtomicBool,
}

impl SessionCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        let estimated = usize::try_from(max_bytes / 1024).unwrap_or(usize::MAX);
        Self {
            sessions: Cache::with(
                estimated.max(16),
                max_bytes,
                Weight,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            ),
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Returns a cached session, unless it has expired.
    pub(super) fn get(&self, id: SessionId, now: Instant) -> Option<Loaded> {
        let cached = self.sessions.get(&id)?;
        if now < cached.until {
            Some(cached.session.clone())
        } else {
            None
        }
    }

    /// Returns the version to pass to [`insert_read`](Self::insert_read). It must be taken before the
    /// read is sent.
    pub(super) fn version(&self, id: SessionId) -> Version {
        *self.slot(id)
    }

    /// Caches what a read has found, unless something has changed since `version`: a read that started
    /// before an invalidation or a write must not overwrite it.
    pub(super) fn insert_read(
        &self,
        id: SessionId,
        version: Version,
        session: Loaded,
        until: Instant,
    ) {
        let slot = self.slot(id);
        if *slot == version && session != Loaded::Nothing {
            self.insert(id, session, until, false);
        }
    }

    /// Removes a session before it is written. Returns the version to pass to
    /// [`insert_written`](Self::insert_written), and the cached record.
    pub(super) fn begin_write(&self, id: SessionId) -> (Version, Option<Record>) {
        let mut slot = self.slot(id);
        slot.writes += 1;
        let before = self.sessions.remove(&id);
        let record = match before.map(|(_, cached)| cached.session.clone()) {
            Some(Loaded::Record(record)) => Some(record),
            _ => None,
        };
        (*slot, record)
    }

    /// Caches what this process has written.
    ///
    /// Redis reports this write like any other: once, before or after its reply. That message must not
    /// remove the session, but any further one must. If two local writes overlap, their order is unknown,
    /// so neither is cached.
    pub(super) fn insert_written(
        &self,
        id: SessionId,
        version: Version,
        session: Loaded,
        until: Instant,
    ) {
        let mut slot = self.slot(id);
        let is_only_write = slot.writes == version.writes;
        let invalidations = slot.invalidations - version.invalidations;
        // Reads that are in flight may have found the previous value.
        slot.writes += 1;
        match invalidations {
            0 if is_only_write => self.insert(id, session, until, true),
            1 if is_only_write => self.insert(id, session, until, false),
            _ => drop(self.sessions.remove(&id)),
        }
    }

    /// Ends a write of which it is not known in full what it has stored. Reads that began after the write and were
    /// executed before it have found the previous value: they may have cached it, or be in flight.
    pub(super) fn forget_written(&self, id: SessionId) {
        let mut slot = self.slot(id);
        slot.writes += 1;
        self.sessions.remove(&id);
    }

    /// Handles a message that a session has changed.
    pub(super) fn invalidate(&self, id: SessionId) {
        let mut slot = self.slot(id);
        slot.invalidations += 1;
        let is_own = self.sessions.peek(&id).is_some_and(|cached| {
            cached
                .own_invalidation_pending
                .swap(false, Ordering::Relaxed)
        });
        if !is_own {
            self.sessions.remove(&id);
        }
    }

    /// Removes all sessions, and keeps the results of reads and writes in flight out.
    pub(super) fn clear(&self) {
        for slot in &self.slots {
            lock(slot).invalidations += CLEARED;
        }
        self.sessions.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sessions.weight()
    }

    fn insert(
        &self,
        id: SessionId,
        session: Loaded,
        until: Instant,
        own_invalidation_pending: bool,
    ) {
        let cached = Cached {
            session,
            until,
            own_invalidation_pending: AtomicBool::new(own_invalidation_pending),
        };
        self.sessions.insert(id, Arc::new(cached));
    }

    fn slot(&self, id: SessionId) -> MutexGuard<'_, Version> {
        // The last bytes of an id are random.
        let [.., high, low] = *id.as_bytes();
        let slot = usize::from(u16::from_be_bytes([high, low])) % SLOTS;
        lock(&self.slots[slot])
    }
}

fn lock(slot: &Mutex<Version>) -> MutexGuard<'_, Version> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hashes ids by their last eight bytes, of which at least 54 bits are random. A client that makes up ids cannot fill the
/// cache with them: it has only those that were found in the store.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            // Two of the bits are the same in all ids.
            self.0 = u64::from_be_bytes(*last).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length, which is the same for all.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The memory of a cached session in bytes, approximately.
#[derive(Clone)]
struct Weight;

impl Weighter<SessionId, Arc<Cached>> for Weight {
    fn weight(&self, _: &SessionId, cached: &Arc<Cached>) -> u64 {
        let fixed = size_of::<Cached>() + PER_SESSION;
        let data = match &cached.session {
            Loaded::Record(record) => {
                let entries = record.entries();
                entries.text_len() + entries.len() * PER_ENTRY
            }
            Loaded::Tombstone(tombstone) => size_of_val(tombstone.secrets()),
            Loaded::Nothing => 0,
        };
        (fixed + data) as u64
    }
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
