//! What a cache has done since it was built.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Cached`](crate::Cached) of this process has done since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads that were answered from a copy in memory.
    pub copies: u64,
    /// Reads whose value the backend had. Requests that wait for one read count once.
    pub shared: u64,
    /// Of these, those whose value was stale.
    pub stale: u64,
    /// Calls of the loader.
    pub loads: u64,
    /// Of these, those that failed or took too long.
    pub failed_loads: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) copies: AtomicU64,
    pub(crate) shared: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) failed_loads: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            copies: read(&self.copies),
            shared: read(&self.shared),
            stale: read(&self.stale),
            loads: read(&self.loads),
            failed_loads: read(&self.failed_loads),
        }
    }
}

pub(crate) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
