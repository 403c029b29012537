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

    /// Waits for the turn of this session.
    pub(crate) async fn take(&self, id: SessionId) -> Turn<'_> {
        // The last byte of a UUIDv7 is random.
        let stripe = &self.stripes[usize::from(id.as_bytes()[15]) % STRIPES];
        let waiting = Waiting::join(&stripe.waiting);
        let left = stripe.left.lock().await;
        drop(waiting);
        Turn { id, stripe, left }
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
