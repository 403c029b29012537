//! A lock per session, for commits that compete within one process.
//!
//! Without it, of 500 requests that write one session at once, each round trip lets one through and
//! refuses 499. With it, only servers compete: each holder hands the record that it has committed to
//! the next one, which builds on it.
//!
//! The lock is held across the awaits of a commit; that is what it is for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use cloakroom_core::{Record, SessionId};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::sync::{Arc, Mutex as SyncMutex, MutexGuard as SyncMutexGuard, PoisonError};

/// The number of maps that the locks are spread over, so that requests rarely wait for each other to look one up.
const SHARDS: usize = 16;

/// How many requests may use the lock of one session at a time: one holds it, the others wait. Each commit takes
/// at least one round trip to the store, so more would not be served within the store timeout.
pub(crate) const MAX_WRITERS: usize = 1024;

/// The locks of the sessions that are being written by competing requests. A session's lock is created by the
/// first request that needs it, and removed by the last, so there are at most as many locks as requests.
pub(crate) struct KeyLocks {
    shards: [SyncMutex<Shard>; SHARDS],
    max_writers: usize,
}

type Shard = HashMap<SessionId, Slot>;

/// What the last holder committed, if others were waiting.
type Handoff = Option<Record>;

struct Slot {
    /// The requests that hold the lock or wait for it.
    writers: usize,
    lock: Arc<Mutex<Handoff>>,
}

/// More requests than allowed use the lock of a session.
#[derive(Debug)]
pub(crate) struct TooManyWriters;

/// The right to commit next to a session. Dropping it releases the lock.
pub(crate) struct KeyLock<'a> {
    // First, so that it is dropped first: the lock is released before it may be removed.
    handoff: OwnedMutexGuard<Handoff>,
    place: Place<'a>,
}

/// Counts a request as a writer of a session until it is dropped, so also one that gives up or is cancelled.
struct Place<'a> {
    locks: &'a KeyLocks,
    id: SessionId,
    lock: Arc<Mutex<Handoff>>,
}

impl KeyLocks {
    pub(crate) fn new() -> Self {
        Self::with_max_writers(MAX_WRITERS)
    }

    fn with_max_writers(max_writers: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| SyncMutex::default()),
            max_writers,
        }
    }

    /// Whether the session's lock is held. If so, a commit should wait for it: an attempt without the
    /// lock would be refused, or get the holder refused.
    pub(crate) fn is_locked(&self, id: SessionId) -> bool {
        self.shard(id).contains_key(&id)
    }

    /// Waits for the session's lock. Requests get it in the order in which they have asked for it.
    pub(crate) async fn lock(&self, id: SessionId) -> Result<KeyLock<'_>, TooManyWriters> {
        let place = self.join(id)?;
        let handoff = Arc::clone(&place.lock).lock_owned().await;
        Ok(KeyLock { handoff, place })
    }

    fn join(&self, id: SessionId) -> Result<Place<'_>, TooManyWriters> {
        let mut shard = self.shard(id);
        let slot = shard.entry(id).or_insert_with(|| Slot {
            writers: 0,
            lock: Arc::default(),
        });
        if slot.writers >= self.max_writers {
            return Err(TooManyWriters);
        }
        slot.writers += 1;
        let lock = Arc::clone(&slot.lock);
        drop(shard);
        Ok(Place {
            locks: self,
            id,
            lock,
        })
    }

    fn shard(&self, id: SessionId) -> SyncMutexGuard<'_, Shard> {
        // The last byte of a UUIDv7 is random.
        let shard = &self.shards[usize::from(id.as_bytes()[15]) % SHARDS];
        // No change of a shard stops halfway.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether other requests use the lock as well.
    fn has_others(&self) -> bool {
        let shard = self.locks.shard(self.id);
        shard.get(&self.id).is_some_and(|slot| slot.writers > 1)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut shard = self.locks.shard(self.id);
        if let Entry::Occupied(mut slot) = shard.entry(self.id) {
            slot.get_mut().writers -= 1;
            if slot.get().writers == 0 {
                slot.remove();
            }
        }
    }
}

impl KeyLock<'_> {
    /// Takes the record that the previous holder has committed to this session, if there is one. It may
    /// be stale: another server may have committed since.
    pub(crate) fn take_handoff(&mut self) -> Option<Record> {
        self.handoff.take()
    }

    /// Releases the lock, and hands the committed record to the next holder. If nobody waits, the record
    /// is dropped, since it would only grow stale.
    pub(crate) fn hand_off(mut self, record: &Record) {
        if self.place.has_others() {
            *self.handoff = Some(record.clone());
        }
    }
}

impl fmt::Debug for KeyLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLocks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex as SyncMutex};

    use cloakroom_core::{
        Clock, Entries, Expiry, Limits, Realm, Revision, SystemClock, SystemRng, Token,
    };
    use futures_util::FutureExt;

    use super::*;

    fn new_session() -> (SessionId, Record) {
        let now = SystemClock.now();
        let token = Token::issue(now, &SystemRng).unwrap();
        let revision = Revision::draw(&SystemRng).unwrap();
        let digest = Realm::new("test").digest(&token);
        let limits = Limits::begin(Expiry::default(), now);
        let record = Record::new(revision, now, limits, digest, Entries::new());
        (token.id(), record)
    }

    async fn lock(locks: &KeyLocks, id: SessionId) -> KeyLock<'_> {
        locks.lock(id).await.expect("there is room")
    }

    fn count(locks: &KeyLocks) -> usize {
        let shards = locks.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[tokio::test]
    async fn waiters_get_the_lock_in_order() {
        let locks = Arc::new(KeyLocks::new());
        let (id, _) = new_session();
        let first = lock(&locks, id).await;
        let order = Arc::new(SyncMutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (locks, order) = (Arc::clone(&locks), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _lock = lock(&locks, id).await;
                order.lock().unwrap().push(number);
                tokio::task::yield_now().await;
            }));
            tokio::task::yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_record_is_handed_to_the_next_holder() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        let mut first = lock(&locks, id).await;
        assert!(first.take_handoff().is_none());
        let mut next = Box::pin(lock(&locks, id));
        assert!(next.as_mut().now_or_never().is_none());
        first.hand_off(&record);
        let mut next = next.await;
        assert_eq!(next.take_handoff(), Some(record));
        assert_eq!(next.take_handoff(), None, "once");
    }

    #[tokio::test]
    async fn no_record_is_kept_without_a_waiter() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        lock(&locks, id).await.hand_off(&record);
        assert_eq!(count(&locks), 0);
        assert!(lock(&locks, id).await.take_handoff().is_none());
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_is_not_counted_and_does_not_block() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        let first = lock(&locks, id).await;
        let mut waiter = Box::pin(lock(&locks, id));
        assert!(waiter.as_mut().now_or_never().is_none());
        drop(waiter);
        first.hand_off(&record);
        let next = locks.lock(id).now_or_never().expect("the lock is free");
        assert!(next.expect("there is room").take_handoff().is_none());
    }

    #[tokio::test]
    async fn a_record_for_a_waiter_that_gives_up_goes_to_the_next_one() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        let first = lock(&locks, id).await;
        let (mut second, mut third) = (Box::pin(lock(&locks, id)), Box::pin(lock(&locks, id)));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        first.hand_off(&record);
        drop(second);
        assert_eq!(third.await.take_handoff(), Some(record));
        assert_eq!(count(&locks), 0);
    }

    #[tokio::test]
    async fn other_sessions_do_not_wait() {
        let locks = KeyLocks::new();
        let (id, _) = new_session();
        let _lock = lock(&locks, id).await;
        for _ in 0..1000 {
            let (other, _) = new_session();
            assert!(!locks.is_locked(other));
            drop(lock(&locks, other).await);
        }
        assert!(locks.is_locked(id));
        assert_eq!(count(&locks), 1, "the last holder has removed the lock");
    }

    #[tokio::test]
    async fn writers_of_one_session_are_bounded() {
        let locks = KeyLocks::with_max_writers(3);
        let (id, _) = new_session();
        let holder = lock(&locks, id).await;
        let mut waiting = [(); 2].map(|()| Box::pin(locks.lock(id)));
        for waiter in &mut waiting {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        let refused = locks.lock(id).now_or_never().expect("it does not wait");
        assert!(matches!(refused, Err(TooManyWriters)));
        let (other, _) = new_session();
        assert!(
            locks
                .lock(other)
                .now_or_never()
                .is_some_and(|lock| lock.is_ok())
        );
        drop(holder);
        assert!(locks.lock(id).now_or_never().is_none(), "it waits again");
        drop(waiting);
        assert_eq!(count(&locks), 0);
    }

    /// A task that panics or is aborted while it holds the lock, or waits for it, leaves nothing behind.
    #[tokio::test]
    async fn lost_tasks_leave_no_lock_behind() {
        let locks = Arc::new(KeyLocks::new());
        let (id, _) = new_session();
        let panics = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move {
                let _lock = lock(&locks, id).await;
                panic!("while the lock is held");
            }
        });
        assert!(panics.await.is_err());
        assert_eq!(count(&locks), 0);

        let hold = || {
            let locks = Arc::clone(&locks);
            tokio::spawn(async move {
                let _lock = lock(&locks, id).await;
                std::future::pending::<()>().await;
            })
        };
        let tasks = [hold(), hold(), hold()];
        while locks.shard(id).get(&id).is_none_or(|slot| slot.writers < 3) {
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.abort();
            assert!(task.await.is_err());
        }
        assert_eq!(count(&locks), 0);
        assert!(locks.lock(id).now_or_never().is_some());
    }
}
