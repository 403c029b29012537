//! A store in the memory of the process.

mod index;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::index::MemoryIndex;
use crate::admin::StoreAdmin;
use crate::bus::{EventBus, LocalBus};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::codec::Stored;
use crate::error::StoreError;
use crate::id::{Revision, SessionId};
use crate::index::UserIndex;
use crate::record::{Record, Tombstone};
use crate::rotation::Secrets;
use crate::store::{Created, Ended, Loaded, Store, Touched, Updated};

/// How many expired sessions one write removes at most, which bounds the time of a request.
const SWEEP: usize = 8;

/// Keeps sessions in memory: for development, tests, and apps with a single process that may lose its
/// sessions at a restart.
///
/// Clones share their sessions. Expired sessions are removed by later writes, a few at a time. There is no other
/// bound on their number.
///
/// ```
/// use cloakroom_core::MemoryStore;
///
/// let store = MemoryStore::new();
/// assert_eq!(store.len(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    sessions: Arc<Mutex<Sessions>>,
    index: Arc<Mutex<MemoryIndex>>,
    bus: LocalBus,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// Creates an empty store that reads the time from `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            sessions: Arc::default(),
            index: Arc::default(),
            bus: LocalBus::new(),
            clock: Arc::new(clock),
        }
    }

    /// Returns the number of sessions and tombstones in memory, including those that have expired and are
    /// not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Returns whether there are no sessions and tombstones in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of users in the index, including those whose sessions have expired and are not
    /// removed yet.
    #[must_use]
    pub fn users(&self) -> usize {
        self.lock_index().users()
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        // A poisoned lock can be used: every change below is complete before anything can panic.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_index(&self) -> MutexGuard<'_, MemoryIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the sessions for a write, and removes some that have expired. Also returns the current time.
    fn lock_for_write(&self) -> (MutexGuard<'_, Sessions>, Timestamp) {
        let now = self.clock.now();
        let mut sessions = self.lock();
        sessions.sweep(now);
        (sessions, now)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let (mut sessions, now) = self.lock_for_write();
        if sessions.get(id, now).is_some() {
            return Ok(Created::Collision);
        }
        sessions.put(id, Stored::Record(record.clone()), now.plus(ttl));
        Ok(Created::Created)
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let now = self.clock.now();
        Ok(match self.lock().get(id, now) {
            Some(Stored::Record(record)) => Loaded::Record(record.clone()),
            Some(Stored::Tombstone(tombstone)) => Loaded::Tombstone(tombstone.clone()),
            None => Loaded::Nothing,
        })
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let (mut sessions, now) = self.lock_for_write();
        Ok(match sessions.get(id, now) {
            None => Updated::Missing,
            Some(Stored::Tombstone(tombstone)) => Updated::Ended(tombstone.clone()),
            Some(Stored::Record(there)) if there.revision() != expected => {
                Updated::Conflict(there.clone())
            }
            Some(Stored::Record(_)) => {
                sessions.put(id, Stored::Record(record.clone()), now.plus(ttl));
                Updated::Updated
            }
        })
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let (mut sessions, now) = self.lock_for_write();
        let touched = match sessions.get(id, now) {
            Some(Stored::Record(there)) if there.revision() == expected => {
                Stored::Record(there.clone().touched(seen))
            }
            _ => return Ok(Touched::Superseded),
        };
        sessions.put(id, touched, now.plus(ttl));
        Ok(Touched::Touched)
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let (mut sessions, now) = self.lock_for_write();
        let mut tombstone = tombstone.clone();
        let ended = match sessions.get(id, now) {
            Some(Stored::Tombstone(there)) => return Ok(Ended::AlreadyEnded(there.clone())),
            Some(Stored::Record(there)) => {
                if expected.is_some_and(|revision| revision != there.revision()) {
                    return Ok(Ended::Conflict(there.clone()));
                }
                tombstone = Secrets::complete(&tombstone, there);
                Ended::Ended
            }
            None => Ended::Missing,
        };
        sessions.put(id, Stored::Tombstone(tombstone), now.plus(keep));
        Ok(ended)
    }

    fn index(&self) -> Option<impl UserIndex> {
        Some(self)
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        Some(self)
    }

    fn bus(&self) -> Option<impl EventBus> {
        Some(self)
    }
}

/// The stored records and tombstones.
#[derive(Default)]
struct Sessions {
    slots: BTreeMap<SessionId, Slot>,
    /// The ids by the time at which they expire.
    expiries: BTreeSet<(Timestamp, SessionId)>,
}

struct Slot {
    stored: Stored,
    expires: Timestamp,
}

impl Sessions {
    /// Returns what is stored under an id and has not expired.
    fn get(&self, id: SessionId, now: Timestamp) -> Option<&Stored> {
        let slot = self.slots.get(&id)?;
        (now < slot.expires).then_some(&slot.stored)
    }

    fn put(&mut self, id: SessionId, stored: Stored, expires: Timestamp) {
        if let Some(old) = self.slots.insert(id, Slot { stored, expires }) {
            self.expiries.remove(&(old.expires, id));
        }
        self.expiries.insert((expires, id));
    }

    /// Removes sessions that have expired, a few at a time.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.expiries.first() {
                Some(&(expires, id)) if expires <= now => {
                    self.expiries.pop_first();
                    self.slots.remove(&id);
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::entries::Entries;
    use crate::expiry::{Expiry, Limits};
    use crate::index::{AddRequest, STALE_AFTER};
    use crate::record::EndReason;
    use crate::rng::SystemRng;
    use crate::token::{Realm, Token};
    use crate::user::{UserId, UserKey};

    #[tokio::test]
    async fn writes_remove_expired_sessions_a_few_at_a_time() {
        let clock = ManualClock::default();
        let store = MemoryStore::with_clock(clock.clone());
        let second = Duration::from_secs(1);
        let create = async |ttl| {
            let now = clock.now();
            let token = Token::issue(now, &SystemRng).unwrap();
            let revision = Revision::draw(&SystemRng).unwrap();
            let digest = Realm::new("test").digest(&token);
            let limits = Limits::begin(Expiry::default(), now);
            let record = Record::new(revision, now, limits, digest, Entries::new());
            store.create(token.id(), &record, ttl).await.unwrap();
            token.id()
        };
        for _ in 0..20 {
            create(second).await;
        }
        let tombstone = Tombstone::new(None, clock.now(), EndReason::Destroyed);
        let ended = create(second).await;
        store.end(ended, None, &tombstone, second).await.unwrap();
        assert_eq!(store.len(), 21);
        clock.advance(second);
        create(second * 60).await;
        assert_eq!(store.len(), 22 - SWEEP);
        create(second * 60).await;
        create(second * 60).await;
        assert_eq!(store.len(), 3);
    }

    #[tokio::test]
    async fn sessions_and_users_are_counted() {
        let (store, minute) = (MemoryStore::new(), Duration::from_secs(60));
        assert!(store.is_empty());
        assert_eq!(store.users(), 0);
        let add = async |user: u8, now: Timestamp| {
            let id = Token::issue(now, &SystemRng).unwrap().id();
            let key = UserKey::new(&Realm::new("test"), &UserId::from([user].as_slice()));
            let request = AddRequest {
                id,
                deadline: now.plus(minute),
                now,
                limit: None,
                replaces: None,
                dead: Vec::new(),
                has_fresh_token: true,
            };
            store.index().unwrap().add(&key, &request).await.unwrap();
            (key, id)
        };
        let now = SystemClock.now();
        let (key, id) = add(0, now).await;
        assert_eq!(store.users(), 1);
        add(1, now).await;
        add(2, now).await;
        assert_eq!(store.users(), 3);
        let index = store.index().unwrap();
        index.remove(&key, &[id]).await.unwrap();
        assert_eq!(store.users(), 2);
        assert!(store.is_empty(), "only the index has entries");
        // All of the others have expired.
        add(3, now.plus(minute + STALE_AFTER)).await;
        assert_eq!(store.users(), 1);

        let tombstone = Tombstone::new(None, now, EndReason::Destroyed);
        store.end(id, None, &tombstone, minute).await.unwrap();
        assert!(!store.is_empty());
    }
}
