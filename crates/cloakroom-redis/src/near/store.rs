//! The near cache: a store that wraps [`RedisStore`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::EventBus;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, UserIndex};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{
    Record, Revision, SessionId, Store, StoreError, Timestamp, Tombstone, UserKey,
};
use tokio::time::Instant;

use super::shared::{MAX_AGE, SharedCache};
use super::stats::{NearCacheStats, increment};
use super::supervisor::Supervisor;
use crate::store::RedisStore;

/// Serves recently used sessions from an in-process cache, without a command to Redis.
///
/// A request that reads a cached session sends no command, and one that writes it sends one. Redis
/// reports which sessions change (`CLIENT TRACKING`, on one more connection per primary), no matter who
/// changes them, and these are removed from the cache.
///
/// # Consistency
///
/// - A request sees no state of its session that is older than the staleness bound, which is one second
///   by default. In practice it sees what was stored a millisecond ago: the bound is the time that it may take
///   to notice that a connection has failed. While a connection is not known to work, every session
///   is read from Redis.
/// - So a sign-out on another server takes effect within the staleness bound, and a sign-out on
///   this one immediately.
/// - No update is lost, and no ended session comes back: every write is compared with what is stored, as
///   without a cache.
/// - The process sees its own writes immediately.
/// - [`load`](Store::load) never uses the cache, and neither does `Session::reload`, which is for actions
///   that must not use stale data.
///
/// ```no_run
/// use cloakroom_redis::{NearCache, RedisStore};
///
/// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
/// let store = NearCache::new(store);
/// # Ok(())
/// # }
/// ```
///
/// Its Redis user needs two more rights: `+client|tracking +client|trackinginfo`. Clones share the cache;
/// dropping the last one closes the connections.
#[derive(Clone)]
pub struct NearCache(Arc<Inner>);

/// What the clones share. Dropping it ends the task that keeps the connections.
struct Inner {
    cache: Arc<SharedCache>,
    supervisor: Supervisor,
}

impl NearCache {
    pub(super) fn from_parts(cache: Arc<SharedCache>, supervisor: Supervisor) -> Self {
        Self(Arc::new(Inner { cache, supervisor }))
    }

    /// Returns the wrapped store.
    #[must_use]
    pub fn store(&self) -> &RedisStore {
        &self.cache().store
    }

    /// Returns statistics, for dashboards and health checks.
    #[must_use]
    pub fn stats(&self) -> NearCacheStats {
        let cache = self.cache();
        let counters = &cache.counters;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NearCacheStats {
            coherent: cache.validity.is_valid(Instant::now()),
            hits: value(&counters.hits),
            misses: value(&counters.misses),
            changes: value(&counters.changes),
            cleared: value(&counters.cleared),
            sessions: cache.sessions.len() as u64,
            bytes: cache.sessions.bytes(),
        }
    }

    fn cache(&self) -> &SharedCache {
        &self.0.cache
    }
}

/// A new session is not cached until it is read: with several servers, the next request may reach another one, and
/// many sessions of clients without cookies are never read.
impl Store for NearCache {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.cache().sessions.begin_write(id);
        self.cache().store.create(id, record, ttl).await
    }

    async fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> Result<UserCreated, StoreError> {
        self.cache().sessions.begin_write(add_request.id);
        let store = &self.cache().store;
        store
            .create_for_user(user, add_request, record, ttl, event)
            .await
    }

    fn place(&self, user: &UserKey, drawn: SessionId) -> SessionId {
        self.cache().store.place(user, drawn)
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let began = Instant::now();
        let version = self.cache().sessions.version(id);
        let loaded = self.cache().store.load(id).await?;
        if self.cache().validity.is_valid(began) {
            let (session, until) = (loaded.clone(), began + MAX_AGE);
            self.cache()
                .sessions
                .insert_read(id, version, session, until);
        } else {
            self.0.supervisor.resume(&self.0.cache);
        }
        Ok(loaded)
    }

    /// Neither uses nor fills the cache: lists of a user's sessions would fill it with sessions that no request uses.
    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        self.cache().store.load_many(ids).await
    }

    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        let (cache, now) = (self.cache(), Instant::now());
        let found = if cache.validity.is_valid(now) {
            cache.sessions.get(id, now)
        } else {
            None
        };
        increment(match found {
            Some(_) => &cache.counters.hits,
            None => &cache.counters.misses,
        });
        found
    }

    fn has_cache(&self) -> bool {
        true
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let began = Instant::now();
        let (version, _) = self.cache().sessions.begin_write(id);
        let updated = self.cache().store.update(id, expected, record, ttl).await?;
        let found = match &updated {
            Updated::Updated => {
                let record = Loaded::Record(record.clone());
                self.cache().insert_written(id, version, record, began);
                return Ok(updated);
            }
            Updated::Conflict(record) => Loaded::Record(record.clone()),
            Updated::Ended(tombstone) => Loaded::Tombstone(tombstone.clone()),
            Updated::Missing => Loaded::Nothing,
        };
        let until = began + MAX_AGE;
        self.cache().sessions.insert_read(id, version, found, until);
        Ok(updated)
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let began = Instant::now();
        let (version, before) = self.cache().sessions.begin_write(id);
        let touched = self.cache().store.touch(id, expected, seen, ttl).await?;
        if touched == Touched::Touched {
            match before_touch(before, expected) {
                Some(record) => {
                    let record = Loaded::Record(record.touched(seen));
                    self.cache().insert_written(id, version, record, began);
                }
                None => self.cache().sessions.forget_written(id),
            }
        }
        Ok(touched)
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let began = Instant::now();
        let (version, _) = self.cache().sessions.begin_write(id);
        let store = &self.cache().store;
        let ended = store.end(id, expected, tombstone, keep).await?;
        if ended == Ended::Ended {
            if is_stored_as_given(tombstone) {
                let tombstone = Loaded::Tombstone(tombstone.clone());
                self.cache().insert_written(id, version, tombstone, began);
            } else {
                self.cache().sessions.forget_written(id);
            }
        }
        Ok(ended)
    }

    fn index(&self) -> Option<impl UserIndex> {
        self.cache().store.index()
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        self.cache().store.admin()
    }

    fn bus(&self) -> Option<impl EventBus> {
        self.cache().store.bus()
    }
}

/// The record that was touched, if it is the one that was cached: a cached record of another revision is stale.
fn before_touch(cached: Option<Record>, touched: Revision) -> Option<Record> {
    cached.filter(|record| record.revision() == touched)
}

/// Whether a tombstone is stored as it is: one without a digest may be completed with that of the record.
fn is_stored_as_given(tombstone: &Tombstone) -> bool {
    tombstone.digest().is_some() || !tombstone.secrets().is_empty()
}

impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("store", &self.cache().store)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Clock, Entries, Expiry, Limits, Realm, SystemClock, SystemRng, Token};

    use super::*;

    #[test]
    fn a_stale_record_is_not_cached_again_by_a_touch() {
        let now = SystemClock.now();
        let token = Token::issue(now, &SystemRng).expect("the system has randomness");
        let (digest, limits) = (
            Realm::new("test").digest(&token),
            Limits::begin(Expiry::default(), now),
        );
        let [stale, touched] = [1, 2].map(Revision::from_bits);
        let record = Record::new(stale, now, limits, digest, Entries::new());
        assert_eq!(before_touch(Some(record.clone()), touched), None);
        assert_eq!(before_touch(Some(record.clone()), stale), Some(record));
        assert_eq!(before_touch(None, touched), None);
    }
}
