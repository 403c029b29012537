//! Configures a [`NearCache`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::shared::{MAX_AGE, SharedCache};
use super::store::NearCache;
use super::supervisor::Supervisor;
use crate::store::RedisStore;

impl NearCache {
    /// Creates a near cache of 64 MiB with a staleness bound of one second.
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
    max_bytes: u64,
    max_staleness: Duration,
}

/// A near cache was configured with a value that is out of bounds. The message names the option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearCacheError(&'static str);

impl fmt::Display for NearCacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for NearCacheError {}

impl NearCacheBuilder {
    const fn new(store: RedisStore) -> Self {
        Self {
            store,
            max_bytes: 64 << 20,
            max_staleness: Duration::from_secs(1),
        }
    }

    /// Sets how many bytes the cached sessions may take, approximately. The default is 64 MiB. A session
    /// counts about 400 bytes, and for each entry 80 bytes, its key and its JSON.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the maximum age of what a request may see, even if connections fail. The default is one
    /// second; the value must be between 100 ms and 5 s. The connections are checked four times
    /// within it.
    pub fn with_max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// Builds the near cache, and starts its connections in the background. Until they are established,
    /// every session is read from Redis.
    ///
    /// # Errors
    ///
    /// If `with_max_staleness` is out of bounds, or `with_max_bytes` is zero.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime: it starts a task.
    pub fn build(self) -> Result<NearCache, NearCacheError> {
        if !(Duration::from_millis(100)..=MAX_AGE).contains(&self.max_staleness) {
            return Err(NearCacheError(
                "with_max_staleness: must be between 100 ms and 5 s",
            ));
        }
        if self.max_bytes == 0 {
            return Err(NearCacheError("with_max_bytes: must not be zero"));
        }
        let cache = Arc::new(SharedCache::new(
            self.store,
            self.max_bytes,
            self.max_staleness,
        ));
        let supervisor = Supervisor::start(&cache);
        Ok(NearCache::from_parts(cache, supervisor))
    }
}
