//! A store in the process' own memory.

mod register;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::register::Register;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::event::{EventBus, LocalBus, SessionEvent, Subscription};
use crate::id::{Revision, SessionId};
use crate::index::{Admission, Applicant, UserIndex};
use crate::record::{Record, Tombstone};
use crate::store::{Created, Ended, Loaded, Store, StoreError, Touched, Updated};
use crate::user::UserKey;

/// How many expired sessions one write removes at most, so that no request pays for a backlog.
const SWEEP: usize = 8;

/// Keeps sessions in memory: for development, tests, and apps of a single process that may forget
/// them at a restart.
///
/// Clones share their sessions. What expired is removed by later writes, a few at a time.
///
/// ```
/// use cloakroom_core::MemoryStore;
///
/// let store = MemoryStore::new();
/// assert_eq!(store.len(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shelf: Arc<Mutex<Shelf>>,
    register: Arc<Mutex<Register>>,
    bus: LocalBus,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty store that tells the time by `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            shelf: Arc::default(),
            register: Arc::default(),
            bus: LocalBus::new(),
            clock: Arc::new(clock),
        }
    }

    /// How many sessions and tombstones are in memory, with those that expired and were not swept
    /// yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Whether nothing is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many users have sessions in the index, with those whose sessions expired and were not
    /// swept yet.
    #[must_use]
    pub fn users(&self) -> usize {
        self.register().users()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Every change below is whole before anything in it can panic.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shelf for a write: swept, and the time.
    fn write(&self) -> (MutexGuard<'_, Shelf>, Timestamp) {
        let now = self.clock.now();
        let mut shelf = self.lock();
        shelf.sweep(now);
        (shelf, now)
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
        let (mut shelf, now) = self.write();
        if shelf.live(id, now).is_some() {
            return Ok(Created::Collision);
        }
        shelf.put(id, Kept::Record(record.clone()), now.plus(ttl));
        Ok(Created::Created)
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let now = self.clock.now();
        Ok(match self.lock().live(id, now) {
            Some(Kept::Record(record)) => Loaded::Record(record.clone()),
            Some(Kept::Tombstone(tombstone)) => Loaded::Tombstone(tombstone.clone()),
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
        let (mut shelf, now) = self.write();
        Ok(match shelf.live(id, now) {
            None => Updated::Missing,
            Some(Kept::Tombstone(tombstone)) => Updated::Ended(tombstone.clone()),
            Some(Kept::Record(there)) if there.revision() != expected => {
                Updated::Conflict(there.clone())
            }
            Some(Kept::Record(_)) => {
                shelf.put(id, Kept::Record(record.clone()), now.plus(ttl));
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
        let (mut shelf, now) = self.write();
        let touched = match shelf.live(id, now) {
            Some(Kept::Record(there)) if there.revision() == expected && there.seen() < seen => {
                Kept::Record(there.clone().touched(seen))
            }
            _ => return Ok(Touched::Superseded),
        };
        shelf.put(id, touched, now.plus(ttl));
        Ok(Touched::Touched)
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let (mut shelf, now) = self.write();
        let ended = match shelf.live(id, now) {
            Some(Kept::Tombstone(there)) => return Ok(Ended::AlreadyEnded(there.clone())),
            Some(Kept::Record(there)) => {
                if expected.is_some_and(|revision| revision != there.revision()) {
                    return Ok(Ended::Conflict(there.clone()));
                }
                Ended::Ended
            }
            None => Ended::Missing,
        };
        shelf.put(id, Kept::Tombstone(tombstone.clone()), now.plus(keep));
        Ok(ended)
    }

    fn index(&self) -> Option<impl UserIndex> {
        Some(self)
    }

    fn bus(&self) -> Option<impl EventBus> {
        Some(self)
    }
}

impl UserIndex for MemoryStore {
    async fn admit(&self, user: &UserKey, applicant: &Applicant) -> Result<Admission, StoreError> {
        Ok(self.register().admit(user, applicant))
    }

    async fn entered(&self, user: &UserKey) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.register().entered(user))
    }

    async fn forget(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        self.register().forget(user, ids);
        Ok(())
    }

    async fn everything(&self) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.lock().slots.keys().copied().collect())
    }

    async fn epoch(&self) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        let epoch = self.register().epoch.filter(|(_, until)| now < *until);
        Ok(epoch.map_or(Timestamp::from_millis(0), |(at, _)| at))
    }

    async fn begin_epoch(&self, at: Timestamp, keep: Duration) -> Result<(), StoreError> {
        let until = self.clock.now().plus(keep);
        let mut register = self.register();
        if register.epoch.is_none_or(|(before, _)| before < at) {
            register.epoch = Some((at, until));
        }
        Ok(())
    }
}

impl EventBus for MemoryStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        self.bus.send(event.clone());
        Ok(())
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe()
    }
}

#[derive(Default)]
struct Shelf {
    slots: HashMap<SessionId, Slot>,
    /// The slots by the time at which they expire.
    expiries: BTreeSet<(Timestamp, SessionId)>,
}

struct Slot {
    kept: Kept,
    expires: Timestamp,
}

enum Kept {
    Record(Record),
    Tombstone(Tombstone),
}

impl Shelf {
    fn live(&self, id: SessionId, now: Timestamp) -> Option<&Kept> {
        let slot = self.slots.get(&id)?;
        (now < slot.expires).then_some(&slot.kept)
    }

    fn put(&mut self, id: SessionId, kept: Kept, expires: Timestamp) {
        if let Some(old) = self.slots.insert(id, Slot { kept, expires }) {
            self.expiries.remove(&(old.expires, id));
        }
        self.expiries.insert((expires, id));
    }

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
    use crate::{EndReason, Entries, Expiry, Limits, ManualClock, Realm, SystemEntropy, Token};

    #[tokio::test]
    async fn writes_sweep_what_expired_a_few_at_a_time() {
        let clock = ManualClock::default();
        let store = MemoryStore::with_clock(clock.clone());
        let second = Duration::from_secs(1);
        let create = async |ttl| {
            let now = clock.now();
            let token = Token::issue(now, &SystemEntropy).unwrap();
            let revision = Revision::draw(&SystemEntropy).unwrap();
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
}
