//! Statistics of a near cache.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`NearCache`](super::NearCache) did since it was created, and what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether sessions are currently served from memory.
    pub coherent: bool,
    /// How many reads were served from memory.
    pub hits: u64,
    /// How many reads went to Redis.
    pub misses: u64,
    /// How many changed sessions Redis has reported, cached or not.
    pub changes: u64,
    /// How often the whole cache was cleared: when a connection was interrupted or a database flushed.
    pub cleared: u64,
    /// How many sessions are cached.
    pub sessions: u64,
    /// How many bytes they take, approximately.
    pub bytes: u64,
}

/// The counters behind [`NearCacheStats`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) cleared: AtomicU64,
}

pub(super) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
