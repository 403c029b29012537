//! The session store: memory or Redis.

use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder, StoreError};
use cloakroom_limit::Limits;
use cloakroom_redis::{ConnectError, Health, RedisStore};

/// The session store.
#[derive(Clone)]
pub(crate) enum Storage {
    Memory(MemoryStore),
    Redis(RedisStore),
}

impl Storage {
    /// Connects to the Redis at `url`, or uses memory without one.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, ConnectError> {
        let Some(url) = url else {
            return Ok(Self::Memory(MemoryStore::new()));
        };
        Ok(Self::Redis(RedisStore::connect(url, "demo").await?))
    }

    /// Returns a builder for a layer on this store.
    pub(crate) fn sessions(&self) -> SessionLayerBuilder {
        match self {
            Self::Memory(store) => SessionLayer::builder(store.clone()),
            Self::Redis(store) => SessionLayer::builder(store.clone()),
        }
    }

    /// Returns counters for limits: in the same Redis, or in memory.
    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Memory(_) => Limits::in_memory(),
            Self::Redis(store) => Limits::new(store),
        }
    }

    /// Returns the health of the Redis server, `None` for memory.
    pub(crate) async fn health(&self) -> Result<Option<Health>, StoreError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(store) => store.health().await.map(Some),
        }
    }

    /// The name of the store, for the page.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis(store) => store.redacted_url(),
        }
    }

    /// Where sessions are stored, for the terminal.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Memory(_) => "Sessions are stored in memory and end with the demo.".to_owned(),
            Self::Redis(store) => format!("Sessions are stored in {}.", store.redacted_url()),
        }
    }
}
