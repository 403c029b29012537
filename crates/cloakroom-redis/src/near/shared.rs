//! What the near cache and its tasks share.

use std::time::Duration;

use cloakroom_core::SessionId;
use cloakroom_core::store::Loaded;
use fred::types::client::Invalidation;
use tokio::time::Instant;

use super::cache::{SessionCache, Version};
use super::stats::{Counters, increment};
use super::validity::{Node, Validity};
use crate::store::RedisStore;

/// The maximum time for which a session is cached, whether or not it changes: it bounds the effect of any
/// mistake.
pub(super) const MAX_AGE: Duration = Duration::from_secs(5);

/// What the near cache and its tasks share.
pub(super) struct SharedCache {
    pub(super) store: RedisStore,
    pub(super) sessions: SessionCache,
    pub(super) validity: Validity,
    pub(super) window: Duration,
    /// The prefix of the keys whose changes Redis reports.
    pub(super) tracked_prefix: String,
    pub(super) counters: Counters,
}

impl SharedCache {
    pub(super) fn new(store: RedisStore, memory: u64, window: Duration) -> Self {
        Self {
            tracked_prefix: store.prefix().with_colon(),
            store,
            sessions: SessionCache::new(memory),
            validity: Validity::new(),
            window,
            counters: Counters::default(),
        }
    }

    /// Declares the cache valid for one window after the start of a check that has succeeded.
    pub(super) fn extend_validity(&self, node: &Node, check_began: Instant) {
        let until = check_began + self.window;
        self.validity.extend_until(node, Some(until));
    }

    /// How often the connections are checked.
    pub(super) fn heartbeat(&self) -> Duration {
        self.window / 4
    }

    /// Handles a message about changed keys. `None` means that messages were missed, because the buffer
    /// was full.
    pub(super) fn on_invalidation(&self, message: Option<Invalidation>) {
        let Some(message) = message else {
            return self.clear();
        };
        let prefix = self.store.prefix();
        for key in message.keys {
            let id = key.as_str().and_then(|key| prefix.id_in(key));
            if let Some(id) = id {
                increment(&self.counters.changes);
                self.sessions.invalidate(id);
            }
        }
    }

    pub(super) fn clear(&self) {
        increment(&self.counters.cleared);
        self.sessions.clear();
    }

    /// Caches what this process has written, for no longer than the window: the message about its own
    /// write cannot be distinguished from one about the write of another process at the same moment.
    pub(super) fn insert_written(
        &self,
        id: SessionId,
        version: Version,
        session: Loaded,
        began: Instant,
    ) {
        let until = began + self.window;
        self.sessions.insert_written(id, version, session, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(window: Duration) -> SharedCache {
        let store = RedisStore::builder("redis://127.0.0.1:1", "cloakroom").connect_lazy();
        SharedCache::new(store.expect("it is valid"), 1 << 20, window)
    }

    /// As `NearCacheBuilder::with_max_staleness` documents.
    #[tokio::test]
    async fn the_connections_are_checked_four_times_per_window() {
        for window in [Duration::from_millis(100), MAX_AGE] {
            assert_eq!(4 * cache(window).heartbeat(), window);
        }
    }

    /// If no check follows, because the task of the connection is stuck for instance.
    #[tokio::test]
    async fn one_check_makes_the_cache_valid_for_one_window() {
        let window = Duration::from_secs(1);
        let cache = cache(window);
        cache.validity.set_nodes(&[None]);
        let began = Instant::now();
        cache.extend_validity(&None, began);
        let last = began + window - Duration::from_nanos(1);
        assert!(cache.validity.is_valid(last));
        assert!(!cache.validity.is_valid(began + window));
    }
}
