//! Configures a [`NearCache`].

use std::sync::Arc;
use std::time::Duration;

use super::shared::{MAX_AGE, SharedCache};
use super::store::NearCache;
use super::supervisor;
use crate::error::ConnectError;
use crate::store::RedisStore;

impl NearCache {
    /// Creates a near cache of 64 MiB with a window of one second.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime: it starts a task.
    #[must_use]
    pub fn new(store: RedisStore) -> Self {
        let builder = Self::builder(store);
        builder.build().expect("the defaults are valid")
    }

    /// Returns a builder for a near cache with other options.
    pub fn builder(store: RedisStore) -> NearCacheBuilder {
        NearCacheBuilder::new(store)
    }
}

/// Configures a [`NearCache`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct NearCacheBuilder {
    store: RedisStore,
    memory: u64,
    window: Duration,
}

impl NearCacheBuilder {
    const fn new(store: RedisStore) -> Self {
        Self {
            store,
            memory: 64 << 20,
            window: Duration::from_secs(1),
        }
    }

    /// Sets how many bytes the cached sessions may take, approximately. The default is 64 MiB. A session
    /// takes about 400 bytes, 128 bytes per entry, and its JSON.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets the maximum age of what a request may see, even if connections fail. The default is one
    /// second; the value must be between 100 ms and 5 s. The connections are checked four times per
    /// window.
    pub fn with_max_staleness(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Builds the near cache, and starts its connections in the background. Until they are established,
    /// every session is read from Redis.
    ///
    /// # Errors
    ///
    /// When the window is out of bounds, or the memory is zero.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime: it starts a task.
    pub fn build(self) -> Result<NearCache, ConnectError> {
        if !(Duration::from_millis(100)..=MAX_AGE).contains(&self.window) {
            return Err(ConnectError::configuration(
                "the window of a near cache must be between 100 ms and 5 s",
            ));
        }
        if self.memory == 0 {
            return Err(ConnectError::configuration(
                "the memory of a near cache must not be zero",
            ));
        }
        let cache = Arc::new(SharedCache::new(self.store, self.memory, self.window));
        let supervisor = tokio::spawn(supervisor::run(Arc::clone(&cache)));
        Ok(NearCache::from_parts(cache, supervisor.abort_handle()))
    }
}
