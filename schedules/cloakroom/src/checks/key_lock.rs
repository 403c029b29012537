//! Writers of one session that compete for its lock, and may leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cloakroom_core::{
    Entries, Expiry, Limits, Realm, Record, Revision, SessionId, SystemRng, Timestamp, Token,
};
use tokio::task::{wait_for_steps, yield_now};
use tokio::{Outcomes, check, choose, runtime, spawn};

use crate::key_lock::KeyLocks;

static WRITERS: Outcomes<5> = Outcomes::new([
    "a record is handed to the next holder",
    "a holder is handed none after a commit",
    "a writer leaves while it waits or holds the lock",
    "a writer that may leave stays",
    "nobody holds the lock in between",
]);

/// What the holders of a lock do.
struct History {
    locks: KeyLocks,
    id: SessionId,
    first: Record,
    holders: AtomicUsize,
    /// The number of the last record that was committed.
    committed: AtomicU64,
}

/// One writer holds the lock at a time. What it is handed is what the last holder has committed. Who leaves, at any step,
/// holds up nobody; the last one removes the lock.
pub fn writers_of_one_session(schedules: usize) {
    check(schedules, &WRITERS, || {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let token = Token::issue(now, &SystemRng).expect("there is randomness");
        let digest = Realm::new("test").digest(&token);
        let limits = Limits::begin(Expiry::default(), now);
        let history = Arc::new(History {
            locks: KeyLocks::new(),
            id: token.id(),
            first: Record::new(Revision::from_bits(0), now, limits, digest, Entries::new()),
            holders: AtomicUsize::new(0),
            committed: AtomicU64::new(0),
        });
        runtime::block_on(async {
            let writers: Vec<_> = (1..=4)
                .map(|number| spawn(write(Arc::clone(&history), number)))
                .collect();
            wait_for_steps(6).await;
            writers[0].abort();
            let is_free = !history.locks.is_locked(history.id);
            WRITERS.count_if(is_free, "nobody holds the lock in between");
            for (number, writer) in writers.into_iter().enumerate() {
                let left = writer.await.is_err();
                assert!(!left || number == 0);
                WRITERS.count_if(left, "a writer leaves while it waits or holds the lock");
                WRITERS.count_if(!left && number == 0, "a writer that may leave stays");
            }
            assert!(
                !history.locks.is_locked(history.id),
                "the last one removes the lock"
            );
        });
    });
}

async fn write(history: Arc<History>, number: u64) {
    let mut lock = history.locks.lock(history.id).await.expect("there is room");
    let holder = Holder::new(&history);
    let handed = lock.take_handoff();
    let committed = history.committed.load(Ordering::Relaxed);
    if let Some(handed) = &handed {
        assert_eq!(handed.revision().to_bits(), committed, "an earlier commit");
    }
    WRITERS.count_if(handed.is_some(), "a record is handed to the next holder");
    let is_first = committed == 0;
    WRITERS.count_if(
        !is_first && handed.is_none(),
        "a holder is handed none after a commit",
    );
    yield_now().await;
    if choose(4) == 0 {
        // It fails.
        return;
    }
    history.committed.store(number, Ordering::Relaxed);
    let next = Record::new(
        Revision::from_bits(number),
        history.first.last_seen(),
        history.first.limits(),
        *history.first.digest(),
        Entries::new(),
    );
    drop(holder);
    lock.hand_off(&next);
}

/// Counts who holds the lock. Its holder drops it before the lock.
struct Holder<'a>(&'a History);

impl<'a> Holder<'a> {
    fn new(history: &'a History) -> Self {
        assert_eq!(
            history.holders.fetch_add(1, Ordering::Relaxed),
            0,
            "there is another one"
        );
        Self(history)
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::Relaxed);
    }
}
