//! The cache.

use std::fmt::{self, Display};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::error::{CacheError, CacheErrorKind};
use crate::flight::{Joined, ReadResult, Waiting};
use crate::hash::KeyHash;
use crate::interrupted::Interrupted;
use crate::pending::Change;
use crate::remote::Mode;
use crate::shared::Shared;
use crate::stats::{CacheStats, increment};
use crate::telemetry;

/// Values by key, loaded where they are missing, and shared by all servers of the app. Clones are cheap, and share
/// everything.
///
/// A value is kept in the backend, for all servers, and for a short time as a copy in this process. What is in
/// neither is loaded: once for all servers, also if thousands of requests ask for it at the same moment. Call
/// [`forget`](Self::forget) after the record has changed in the database.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use cloakroom_cache::{CacheBackend, Cached, CacheError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Arc::new(HashMap::from([(7, "Ada".to_owned())]));
/// let backend = CacheBackend::in_memory();
/// let names: Cached<i64, String> = Cached::builder(&backend, "name")
///     .with_fresh_for(Duration::from_secs(60))
///     .build(move |id| {
///         let database = database.clone();
///         async move { Ok::<_, std::io::Error>(database.get(&id).cloned()) }
///     })?;
///
/// assert_eq!(names.get(&7).await?.as_deref(), Some(&"Ada".to_owned()));
/// names.get(&7).await?;
/// assert_eq!(names.stats().loads, 1);
/// # Ok(())
/// # }
/// ```
///
/// # What a read may return
///
/// After `put`, `forget` or `forget_all` has returned `Ok`, no read that begins later on the same server returns an
/// older value. On other servers, that usually takes as long as a message; it never takes longer than
/// [`with_max_staleness`](crate::CachedBuilder::with_max_staleness), also if messages are lost. A load that began
/// before the change cannot undo it, however slow it is. A handler that must not be late even by that reads with
/// [`reload`](Self::reload).
///
/// If the future of one of these three is dropped before it has returned, the change is made in the background, as a
/// `forget` or `forget_all`.
///
/// A failover of Redis may lose the last changes, as it may lose anything; then the old value returns until it expires.
pub struct Cached<K, V> {
    shared: Arc<Shared<K, V>>,
}

impl<K, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V> Cached<K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn from_shared(shared: Shared<K, V>) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns the value of a key; `None` if there is none.
    ///
    /// Requests for one key share a read, unless it is older than the staleness bound, or one second if that is longer.
    /// The load goes on if the caller is gone, and others can use its result. While the backend cannot be reached,
    /// the value is loaded.
    ///
    /// It takes at most twice the load timeout and five seconds, usually far less: what has to be waited for is the
    /// load, by this or another server, and three commands to the backend.
    ///
    /// # Errors
    ///
    /// If the loader fails or takes too long, or too many requests wait. While a stale value can be used, neither is
    /// an error.
    pub async fn get(&self, key: &K) -> Result<Option<Arc<V>>, CacheError> {
        let shared = &*self.shared;
        let hash = shared.hasher.hash(key);
        if let Some(value) = shared.local.get(hash, Instant::now()) {
            increment(&shared.counters.copies);
            telemetry::read(&shared.name, "copy");
            return Ok(value);
        }
        let _permit = shared.waiting.try_acquire().map_err(|_| overloaded())?;
        let max_age = shared.config.max_age_to_join();
        let waiting = match shared.flights.join(hash, max_age) {
            Joined::Existing(waiting) => waiting,
            Joined::New(waiting, running) => {
                self.shared.start_tasks();
                let (shared, key) = (Arc::clone(&self.shared), key.clone());
                tokio::spawn(async move {
                    let result = shared.read(key, hash, Mode::Normal).await;
                    running.finish(result);
                });
                waiting
            }
            Joined::Full => return Err(overloaded()),
        };
        self.wait(waiting).await
    }

    /// Loads a value, whatever is cached, and stores it: for what must not be late even by the staleness bound, such as
    /// the rights of a user before a sensitive action. Loads of other requests that are under way do not count.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a stale value is not used.
    pub async fn reload(&self, key: &K) -> Result<Option<Arc<V>>, CacheError> {
        let shared = &*self.shared;
        let hash = shared.hasher.hash(key);
        let permit = Arc::clone(&shared.waiting);
        let permit = permit.try_acquire_owned().map_err(|_| overloaded())?;
        self.shared.start_tasks();
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        let task = tokio::spawn(async move {
            shared.invalidate(hash);
            let result = shared.read(key, hash, Mode::TakeLease).await;
            // Again: others have used the old value meanwhile.
            shared.invalidate(hash);
            drop(permit);
            result
        });
        let lost = |_| CacheError::new(CacheErrorKind::LoaderFailed);
        match timeout(self.shared.config.read_timeout(), task).await {
            Ok(result) => result.map_err(lost)?,
            Err(_) => Err(CacheError::new(CacheErrorKind::LoadTimedOut)),
        }
    }

    /// Stores a value, after it was written to the database. Loads that are under way cannot replace it.
    ///
    /// Of two servers that write a record at once, the last `put` counts, whatever the order of their writes to the
    /// database was. Where that can happen, use [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// If the value cannot be encoded or is longer than 1 MiB, and if it cannot be stored. In either case the old value is
    /// forgotten; in the latter as soon as the backend can be reached.
    pub async fn put(&self, key: &K, value: &V) -> Result<(), CacheError> {
        let shared = &self.shared;
        let hash = shared.hasher.hash(key);
        let change = Interrupted::new(shared, Change::Key(hash));
        let result = self.put_value(hash, value).await;
        change.disarm();
        result
    }

    async fn put_value(&self, hash: KeyHash, value: &V) -> Result<(), CacheError> {
        let shared = &self.shared;
        let generation = match shared.observe(shared.generation().await) {
            Ok((generation, _)) => generation,
            Err(error) => {
                shared.invalidate(hash);
                return Err(shared.postpone(Change::Key(hash), error));
            }
        };
        match shared.encode(Some(value), generation) {
            Ok(stored) => self.write(hash, stored.as_ref()).await,
            Err(error) => {
                self.write(hash, None).await?;
                Err(error)
            }
        }
    }

    /// Removes a value from the backend and from all copies, after it was changed or deleted in the database. Loads that
    /// are under way cannot bring the old value back.
    ///
    /// # Errors
    ///
    /// If the change cannot be stored. Then that is tried again in the background until it succeeds, as long as this process
    /// lives; meanwhile this server does not use what the backend has.
    pub async fn forget(&self, key: &K) -> Result<(), CacheError> {
        let hash = self.shared.hasher.hash(key);
        let change = Interrupted::new(&self.shared, Change::Key(hash));
        let result = self.write(hash, None).await;
        change.disarm();
        result
    }

    /// Makes all values of this cache invalid, on all servers. They remain in the backend until they expire, unused.
    ///
    /// # Errors
    ///
    /// As [`forget`](Self::forget).
    pub async fn forget_all(&self) -> Result<(), CacheError> {
        let shared = &self.shared;
        let change = Interrupted::new(shared, Change::All);
        shared.invalidate_all();
        let result = shared.observe(shared.remote.forget_all().await);
        change.disarm();
        if let Ok(generation) = &result {
            shared.begin_generation(*generation);
        }
        // Again: what was read meanwhile may be from before.
        shared.invalidate_all();
        match result {
            Ok(_) => Ok(()),
            Err(error) => Err(shared.postpone(Change::All, error)),
        }
    }

    /// Returns what this cache has done in this process.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.counters.read()
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared<K, V> {
        &self.shared
    }

    async fn write(
        &self,
        hash: KeyHash,
        stored: Option<&crate::remote::Stored>,
    ) -> Result<(), CacheError> {
        let shared = &self.shared;
        shared.invalidate(hash);
        let result = shared.observe(shared.remote.write(hash, stored).await);
        // Again: what was read meanwhile may be from before.
        shared.invalidate(hash);
        result.map_err(|error| shared.postpone(Change::Key(hash), error))
    }

    async fn wait(&self, waiting: Waiting<V>) -> ReadResult<V> {
        let limit = self.shared.config.read_timeout();
        match timeout(limit, waiting.result()).await {
            Ok(result) => result,
            Err(_) => Err(CacheError::new(CacheErrorKind::LoadTimedOut)),
        }
    }
}

fn overloaded() -> CacheError {
    CacheError::new(CacheErrorKind::Overloaded)
}

impl<K, V> fmt::Debug for Cached<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("name", &self.shared.name)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
