//! Commits of one session take turns within a process, once one of them was refused.
//!
//! Without turns, of five hundred requests that edit one session at once, each round lets one
//! through and sends the others back to the store. With turns, whoever holds the turn leaves its
//! record for the next, so contenders are servers, not requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::{Record, SessionId};
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 64;

/// The turns of all sessions, in stripes: sessions that share one wait for each other needlessly,
/// and harmlessly.
#[derive(Debug)]
pub(crate) struct Turns {
    stripes: [Stripe; STRIPES],
}

#[derive(Debug, Default)]
struct Stripe {
    waiting: AtomicUsize,
    /// What the last holder committed, while others wait.
    left: Mutex<Option<(SessionId, Record)>>,
}

/// The right to commit next. Dropping it passes it on.
pub(crate) struct Turn<'a> {
    id: SessionId,
    stripe: &'a Stripe,
    left: MutexGuard<'a, Option<(SessionId, Record)>>,
}

/// Counts a waiter, also one that gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe::default()),
        }
    }

    /// Whether somebody has the turn of this session. Who comes then had better wait: an attempt
    /// now would be refused, or let the holder be.
    pub(crate) fn is_contended(&self, id: SessionId) -> bool {
        self.stripe(id).left.try_lock().is_err()
    }

    /// Waits for the turn of this session.
    pub(crate) async fn take(&self, id: SessionId) -> Turn<'_> {
        let stripe = self.stripe(id);
        let waiting = Waiting::join(&stripe.waiting);
        let left = stripe.left.lock().await;
        drop(waiting);
        Turn { id, stripe, left }
    }

    fn stripe(&self, id: SessionId) -> &Stripe {
        // The last byte of a UUIDv7 is random.
        &self.stripes[usize::from(id.as_bytes()[15]) % STRIPES]
    }
}

impl Turn<'_> {
    /// What the holder before committed to this session, if it did.
    pub(crate) fn take_left(&mut self) -> Option<Record> {
        let (id, record) = self.left.take()?;
        (id == self.id).then_some(record)
    }

    /// Leaves what was committed to those who wait; if nobody does, it would only grow stale.
    pub(crate) fn leave(mut self, record: &Record) {
        if self.stripe.waiting.load(Ordering::SeqCst) > 0 {
            *self.left = Some((self.id, record.clone()));
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
        Clock, Entries, Expiry, Limits, Realm, Revision, SystemClock, SystemEntropy, Token,
    };
    use futures_util::FutureExt;

    use super::*;

    fn new_session() -> (SessionId, Record) {
        let now = SystemClock.now();
        let token = Token::issue(now, &SystemEntropy).unwrap();
        let revision = Revision::draw(&SystemEntropy).unwrap();
        let digest = Realm::new("test").digest(&token);
        let limits = Limits::begin(Expiry::default(), now);
        let record = Record::new(revision, now, limits, digest, Entries::new());
        (token.id(), record)
    }

    /// Another session of the same stripe.
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
    async fn turns_are_given_in_the_order_in_which_they_were_asked_for() {
        let turns = Arc::new(Turns::new());
        let (id, _) = new_session();
        let first = turns.take(id).await;
        let order = Arc::new(SyncMutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(id).await;
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
    async fn what_is_left_is_for_the_next_of_the_same_session() {
        let turns = Turns::new();
        let (id, record) = new_session();
        let mut first = turns.take(id).await;
        assert!(first.take_left().is_none());
        let mut next = Box::pin(turns.take(id));
        assert!(next.as_mut().now_or_never().is_none());
        first.leave(&record);
        let mut next = next.await;
        assert_eq!(next.take_left(), Some(record));
        assert_eq!(next.take_left(), None, "once");
    }

    #[tokio::test]
    async fn nothing_is_left_for_nobody_nor_for_another_session() {
        let turns = Turns::new();
        let (id, record) = new_session();
        turns.take(id).await.leave(&record);
        assert!(turns.take(id).await.take_left().is_none());

        let first = turns.take(id).await;
        let mut neighbour = Box::pin(turns.take(neighbour_of(id)));
        assert!(neighbour.as_mut().now_or_never().is_none());
        first.leave(&record);
        assert!(neighbour.await.take_left().is_none());
        assert!(turns.take(id).await.take_left().is_none(), "it is gone");
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_neither_counts_nor_blocks() {
        let turns = Turns::new();
        let (id, record) = new_session();
        let first = turns.take(id).await;
        let mut waiter = Box::pin(turns.take(id));
        assert!(waiter.as_mut().now_or_never().is_none());
        drop(waiter);
        first.leave(&record);
        let mut next = turns.take(id).now_or_never().expect("the turn is free");
        assert!(next.take_left().is_none());
    }

    #[tokio::test]
    async fn sessions_of_other_stripes_do_not_wait() {
        let turns = Turns::new();
        let (id, _) = new_session();
        let _turn = turns.take(id).await;
        let other = loop {
            let (other, _) = new_session();
            if usize::from(other.as_bytes()[15]) % STRIPES
                != usize::from(id.as_bytes()[15]) % STRIPES
            {
                break other;
            }
        };
        assert!(turns.take(other).now_or_never().is_some());
    }
}
