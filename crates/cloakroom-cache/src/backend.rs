//! Where caches keep their records.

use std::fmt;
use std::sync::Arc;

use cloakroom_redis::RedisStore;

use crate::error::ConfigError;
use crate::hash::{KeyHasher, PUBLIC_SECRET};
use crate::remote::{Memory, Redis, Remote, SharedMemory};

/// The minimum length of the secret for hashes, in bytes.
const MIN_SECRET_LEN: usize = 32;

/// Where caches keep what all servers share: the Redis of a session store, or memory. Clones share it.
///
/// In Redis, commands go over the store's connection, with its timeouts; keys begin with the app's name, contain
/// no key of the app, and always have a TTL.
///
/// ```no_run
/// use cloakroom_cache::CacheBackend;
/// use cloakroom_redis::RedisStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
/// let secret = std::env::var("CACHE_KEY")?;
/// let backend = CacheBackend::new(&store).with_hash_key(secret)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct CacheBackend {
    kind: Kind,
    secret: Arc<[u8]>,
}

#[derive(Clone)]
enum Kind {
    Redis(RedisStore),
    Memory(Arc<SharedMemory>),
}

impl CacheBackend {
    /// Keeps records in the Redis of this store.
    pub fn new(store: &RedisStore) -> Self {
        Self::of(Kind::Redis(store.clone()))
    }

    /// Keeps records in memory: for development, tests, and apps on a single server. Its caches take up to about
    /// 64 MiB together, besides their copies.
    pub fn in_memory() -> Self {
        Self::of(Kind::Memory(Arc::new(SharedMemory::new())))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            secret: PUBLIC_SECRET.into(),
        }
    }

    /// Sets the secret with which keys are hashed. Without it, somebody who can read Redis can find out whose
    /// record a key has by trying all ids. All servers need the same; a change makes all records unreachable.
    ///
    /// # Errors
    ///
    /// If the secret has fewer than 32 bytes.
    pub fn with_hash_key(mut self, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET_LEN {
            return Err(ConfigError::new(
                "with_hash_key",
                format!("the secret must have at least {MIN_SECRET_LEN} bytes"),
            ));
        }
        self.secret = secret.into();
        Ok(self)
    }

    pub(crate) fn remote(&self, name: &str) -> Remote {
        match &self.kind {
            Kind::Redis(store) => Remote::Redis(Redis::new(store, name)),
            Kind::Memory(shared) => Remote::Memory(Memory::new(shared, name)),
        }
    }

    pub(crate) fn hasher(&self, name: &str) -> KeyHasher {
        KeyHasher::new(&self.secret, name)
    }
}

impl fmt::Debug for CacheBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Redis(store) => store.redacted_url(),
            Kind::Memory(_) => "memory",
        };
        f.debug_struct("CacheBackend")
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}
