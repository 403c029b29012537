//! Access to keys that are not the store's own, such as the sessions of a previous session library.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;

use crate::command::{Executor, raw};
use crate::replication::Replication;
use crate::store::RedisStore;

/// Reads and removes keys that are not the store's own, over the store's connection, with its timeouts
/// and its errors.
///
/// Keys are given by their full names: no prefix is added. The store's user needs the right to these
/// keys, see the [crate's documentation](crate).
///
/// ```no_run
/// # async fn look(store: cloakroom_redis::RedisStore) -> Result<(), cloakroom_redis::StoreError> {
/// let keys = store.raw_keys();
/// if let Some(value) = keys.read("ym_E7kU3pmZtCkc1hePo1Q").await? {
///     println!("{} bytes", value.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RawKeys {
    executor: Executor,
    replication: Option<Replication>,
}

impl RedisStore {
    /// Returns access to keys on the same server that are not the store's own.
    #[must_use]
    pub fn raw_keys(&self) -> RawKeys {
        RawKeys {
            executor: self.executor().clone(),
            replication: self.replication().cloned(),
        }
    }
}

impl RawKeys {
    /// Returns the value of a key (`GET`).
    ///
    /// # Errors
    ///
    /// As the store's `load`; also when the value is not a string.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let read = || raw::get(&self.executor, key);
        self.executor.connection().read(read).await
    }

    /// Returns the value of a key, and sets its time to live (`GETEX`, from Redis 6.2 on).
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn get_and_expire(
        &self,
        key: &str,
        ttl: Duration,
    ) -> Result<Option<Bytes>, StoreError> {
        let read = || raw::get_and_expire(&self.executor, key, ttl);
        self.executor.connection().read(read).await
    }

    /// Removes a key (`DEL`), and waits for replicas if the store does. Returns whether the key existed.
    ///
    /// # Errors
    ///
    /// As the store's `end`.
    pub async fn remove(&self, key: &str) -> Result<bool, StoreError> {
        match &self.replication {
            None => raw::delete(&self.executor, key).await,
            Some(replication) => raw::delete_on_replicas(replication, key).await,
        }
    }
}

impl fmt::Debug for RawKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawKeys")
            .field("connection", self.executor.connection())
            .finish_non_exhaustive()
    }
}
