//! A lock per session, for commits that compete within one process.
//!
//! Without it, of 500 requests that write one session at once, each round trip lets one through and
//! refuses 499. With it, only servers compete: each holder hands the record that it has committed to
//! the next one, which builds on it.
//!
//! The lock is held across the awaits of a commit; that is what it is for.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::{Record, SessionId};
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 64;

/// The locks of all sessions. A fixed number of locks serves all of them: sessions that share one
/// sometimes wait for each other, which costs time and nothing else.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    stripes: [Stripe; STRIPES],
}

#[derive(Debug, Default)]
struct Stripe {
    waiting: AtomicUsize,
    /// What the last holder committed, if others were waiting.
    handoff: Mutex<Option<(SessionId, Record)>>,
}

/// The right to commit next to a session. Dropping it releases the lock.
pub(crate) struct KeyLock<'a> {
    id: SessionId,
    stripe: &'a Stripe,
    handoff: MutexGuard<'a, Option<(SessionId, Record)>>,
}

/// Counts a waiter until it is dropped, so also one that gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl KeyLocks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe::default()),
        }
    }

    /// Whether the session's lock is held. If so, a commit should wait for it: an attempt without the
    /// lock would be refused, or get the holder refused.
    pub(crate) fn is_locked(&self, id: SessionId) -> bool {
        self.stripe(id).handoff.try_lock().is_err()
    }

    /// Waits for the session's lock.
    pub(crate) async fn lock(&self, id: SessionId) -> KeyLock<'_> {
        let stripe = self.stripe(id);
        let waiting = Waiting::join(&stripe.waiting);
        let handoff = stripe.handoff.lock().await;
        drop(waiting);
        KeyLock {
            id,
            stripe,
            handoff,
        }
    }

    fn stripe(&self, id: SessionId) -> &Stripe {
        // The last byte of a UUIDv7 is random.
        &self.stripes[usize::from(id.as_bytes()[15]) % STRIPES]
    }
}

impl KeyLock<'_> {
    /// Takes the record that the previous holder has committed to this session, if there is one. It may
    /// be stale: another server may have committed since.
    pub(crate) fn take_handoff(&mut self) -> Option<Record> {
        let (id, record) = self.handoff.take()?;
        (id == self.id).then_some(record)
    }

    /// Releases the lock, and hands the committed record to the next holder. If nobody waits, the record
    /// is dropped, since it would only grow stale.
    pub(crate) fn hand_off(mut self, record: &Record) {
        if self.stripe.waiting.load(Ordering::SeqCst) > 0 {
            *self.handoff = Some((self.id, record.clone()));
        }
    }
}

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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

    /// Returns another session of the same stripe.
    fn neighbour_of(id: SessionId) -> SessionId {
        let stripe = |id: SessionId| usize::from(id.as_bytes()[15]) % STRIPES;
        loop {
            let (other, _) = new_session();
            if stripe(other) == stripe(id) {
                return other;
            }
        }
    }

    #[tokio::test]
    async fn waiters_get_the_lock_in_order() {
        let locks = Arc::new(KeyLocks::new());
        let (id, _) = new_session();
        let first = locks.lock(id).await;
        let order = Arc::new(SyncMutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (locks, order) = (Arc::clone(&locks), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _lock = locks.lock(id).await;
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
    async fn a_record_is_handed_to_the_next_holder_of_the_same_session() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        let mut first = locks.lock(id).await;
        assert!(first.take_handoff().is_none());
        let mut next = Box::pin(locks.lock(id));
        assert!(next.as_mut().now_or_never().is_none());
        first.hand_off(&record);
        let mut next = next.await;
        assert_eq!(next.take_handoff(), Some(record));
        assert_eq!(next.take_handoff(), None, "once");
    }

    #[tokio::test]
    async fn no_record_is_kept_without_a_waiter_or_for_another_session() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        locks.lock(id).await.hand_off(&record);
        assert!(locks.lock(id).await.take_handoff().is_none());

        let first = locks.lock(id).await;
        let mut neighbour = Box::pin(locks.lock(neighbour_of(id)));
        assert!(neighbour.as_mut().now_or_never().is_none());
        first.hand_off(&record);
        assert!(neighbour.await.take_handoff().is_none());
        assert!(
            locks.lock(id).await.take_handoff().is_none(),
            "it was dropped"
        );
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_is_not_counted_and_does_not_block() {
        let locks = KeyLocks::new();
        let (id, record) = new_session();
        let first = locks.lock(id).await;
        let mut waiter = Box::pin(locks.lock(id));
        assert!(waiter.as_mut().now_or_never().is_none());
        drop(waiter);
        first.hand_off(&record);
        let mut next = locks.lock(id).now_or_never().expect("the lock is free");
        assert!(next.take_handoff().is_none());
    }

    #[tokio::test]
    async fn sessions_of_other_stripes_do_not_wait() {
        let locks = KeyLocks::new();
        let (id, _) = new_session();
        let _lock = locks.lock(id).await;
        let other = loop {
            let (other, _) = new_session();
            if usize::from(other.as_bytes()[15]) % STRIPES
                != usize::from(id.as_bytes()[15]) % STRIPES
            {
                break other;
            }
        };
        assert!(locks.lock(other).now_or_never().is_some());
    }
}
