//! What is counted, for whoever looks after it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`NearCache`](super::NearCache) did since it was made, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether sessions are served from memory now.
    pub coherent: bool,
    /// How many reads were answered from memory.
    pub hits: u64,
    /// How many reads went to Redis.
    pub misses: u64,
    /// How many changes of sessions Redis told of, also of sessions that are not remembered.
    pub changes: u64,
    /// How often everything was forgotten: a connection that was made anew, a flushed database.
    pub cleared: u64,
    /// How many sessions are remembered.
    pub sessions: u64,
    /// How many bytes these take, about.
    pub bytes: u64,
}

/// The same, while it is counted.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) cleared: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
