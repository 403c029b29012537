//! Where sessions are kept: in memory, or in Redis.

use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder, StoreError};
use cloakroom_redis::{ConnectError, Health, RedisStore};

/// Where sessions are kept.
#[derive(Clone)]
pub(crate) enum Storage {
    Memory(MemoryStore),
    Redis(RedisStore),
}

impl Storage {
    /// Connects to the Redis at `url`; without one, memory will do.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, ConnectError> {
        let Some(url) = url else {
            return Ok(Self::Memory(MemoryStore::new()));
        };
        Ok(Self::Redis(RedisStore::connect(url, "demo").await?))
    }

    /// A layer that keeps its sessions here, to be configured.
    pub(crate) fn sessions(&self) -> SessionLayerBuilder {
        match self {
            Self::Memory(store) => SessionLayer::builder(store.clone()),
            Self::Redis(store) => SessionLayer::builder(store.clone()),
        }
    }

    /// How the server is; `None` where there is none.
    pub(crate) async fn health(&self) -> Result<Option<Health>, StoreError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(store) => store.health().await.map(Some),
        }
    }

    /// What it is called, for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis(store) => store.redacted_url(),
        }
    }

    /// What becomes of the sessions, for who starts the app.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Memory(_) => "Sessions are kept in memory, until this stops.".to_owned(),
            Self::Redis(store) => format!("Sessions are kept in {}.", store.redacted_url()),
        }
    }
}
