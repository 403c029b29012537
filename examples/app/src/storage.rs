//! Where sessions, counters and cached records are: in memory, or in Redis.

use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder};
use cloakroom_cache::CacheBackend;
use cloakroom_limit::Limits;
use cloakroom_redis::{ConnectError, RedisStore};

/// Where sessions, counters and cached records are. Clones share it.
#[derive(Clone, Debug)]
pub enum Storage {
    /// For development, and for a single server.
    Memory(MemoryStore, Limits, CacheBackend),
    /// For several servers.
    Redis(RedisStore),
}

impl Storage {
    /// Keeps everything in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(
            MemoryStore::new(),
            Limits::in_memory(),
            CacheBackend::in_memory(),
        )
    }

    /// Keeps everything in one Redis.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn redis(url: &str) -> Result<Self, ConnectError> {
        Ok(Self::Redis(RedisStore::connect(url, "app-example").await?))
    }

    pub(crate) fn sessions(&self) -> SessionLayerBuilder {
        match self {
            Self::Memory(store, ..) => SessionLayer::builder(store.clone()),
            Self::Redis(store) => SessionLayer::builder(store.clone()),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Memory(_, limits, _) => limits.clone(),
            Self::Redis(store) => Limits::new(store),
        }
    }

    pub(crate) fn cache(&self) -> CacheBackend {
        match self {
            Self::Memory(.., cache) => cache.clone(),
            Self::Redis(store) => CacheBackend::new(store),
        }
    }
}
