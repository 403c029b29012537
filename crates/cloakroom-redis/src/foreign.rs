//! Keys of others on the same server, such as the sessions that an app kept there before.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;

use crate::command;
use crate::connection::Connection;
use crate::replicas::Replicas;
use crate::store::RedisStore;

/// Keys that are not the store's own, by their whole names: no prefix is put before them. They are read
/// and removed over the store's connection, with its time limits and its errors.
///
/// The store's user needs the right to these keys: see the [crate's front page](crate).
///
/// ```no_run
/// # async fn look(store: cloakroom_redis::RedisStore) -> Result<(), cloakroom_redis::StoreError> {
/// let keys = store.foreign_keys();
/// if let Some(value) = keys.read("ym_E7kU3pmZtCkc1hePo1Q").await? {
///     println!("{} bytes", value.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ForeignKeys {
    connection: Connection,
    replicas: Option<Replicas>,
}

impl RedisStore {
    /// Keys of others on the same server.
    #[must_use]
    pub fn foreign_keys(&self) -> ForeignKeys {
        ForeignKeys {
            connection: self.connection().clone(),
            replicas: self.replicas().cloned(),
        }
    }
}

impl ForeignKeys {
    /// What a key holds (`GET`).
    ///
    /// # Errors
    ///
    /// As the store's `load`; also when the key holds no string.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        command::load_alone(&self.connection, key).await
    }

    /// The same, and from now on the key lives for `ttl` (`GETEX`, from Redis 6.2).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_and_keep(
        &self,
        key: &str,
        ttl: Duration,
    ) -> Result<Option<Bytes>, StoreError> {
        command::load_and_keep(&self.connection, key, ttl).await
    }

    /// Removes a key (`DEL`), and waits for replicas if the store does. Tells whether it was there.
    ///
    /// # Errors
    ///
    /// As the store's `end`.
    pub async fn remove(&self, key: &str) -> Result<bool, StoreError> {
        match &self.replicas {
            None => command::remove(&self.connection, key).await,
            Some(replicas) => command::remove_on_replicas(replicas, key).await,
        }
    }
}

impl fmt::Debug for ForeignKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignKeys")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
