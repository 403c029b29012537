//! How a near cache is told what it needs.

use std::sync::Arc;
use std::time::Duration;

use super::shared::{MOST, Shared};
use super::{Held, NearCache, keeper};
use crate::error::ConnectError;
use crate::store::RedisStore;

/// Sets up a [`NearCache`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct NearCacheBuilder {
    store: RedisStore,
    memory: u64,
    window: Duration,
}

impl NearCacheBuilder {
    pub(super) const fn new(store: RedisStore) -> Self {
        Self {
            store,
            memory: 64 << 20,
            window: Duration::from_secs(1),
        }
    }

    /// How many bytes the remembered sessions may take, about: 64 MiB unless told otherwise. A session
    /// takes about its JSON, 128 bytes per entry and 400.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// How old what a request sees may be, when everything goes wrong: one second unless told
    /// otherwise. Servers are asked for a sign of life four times as often. From 100 ms to 5 s.
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Begins to listen, in the background. Until it hears, every session is read from Redis.
    ///
    /// # Errors
    ///
    /// When the window is out of bounds, or there is no memory.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, in which it listens.
    pub fn build(self) -> Result<NearCache, ConnectError> {
        if !(Duration::from_millis(100)..=MOST).contains(&self.window) {
            return Err(ConnectError::configuration(
                "the window of a near cache lies between 100 ms and 5 s",
            ));
        }
        if self.memory == 0 {
            return Err(ConnectError::configuration(
                "a near cache without memory remembers nothing",
            ));
        }
        let shared = Arc::new(Shared::new(self.store, self.memory, self.window));
        let task = tokio::spawn(keeper::keep(Arc::clone(&shared)));
        let keeper = task.abort_handle();
        Ok(NearCache(Arc::new(Held { shared, keeper })))
    }
}
