//! A store in front of the store: sessions used a moment ago, kept in this process.
//!
//! `shelf` holds them, `listener` hears from one server what changes, `keeper` sees that every primary has
//! one, `trust` knows until when that can be believed, `shared` is what these and the store have in common,
//! and here is the store.

mod builder;
mod keeper;
mod listener;
mod shared;
mod shelf;
mod stats;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::EventBus;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{Applicant, UserIndex};
use cloakroom_core::store::{Created, Ended, Entered, Loaded, Touched, Updated};
use cloakroom_core::{
    Record, Revision, SessionId, Store, StoreError, Timestamp, Tombstone, UserKey,
};
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use self::builder::NearCacheBuilder;
use self::shared::{MOST, Shared};
pub use self::stats::NearCacheStats;
use self::stats::count;
use crate::store::RedisStore;

/// Serves sessions that were used a moment ago from this process, without a command to Redis.
///
/// A request that reads a remembered session costs no command, and one that writes it costs one. Redis
/// itself tells which sessions change (`CLIENT TRACKING`, on one more connection per primary), whoever
/// changes them, and they are forgotten.
///
/// # What it promises
///
/// - A request sees no state of its session that is older than the window: one second unless told
///   otherwise. Nearly always it sees what was stored a millisecond ago. The window is what it may take to
///   find a connection that went silent; while it is not known to be well, every session is read from
///   Redis.
/// - So a log-out on another server takes effect here within the window, and a log-out on this one at
///   once.
/// - No update is lost, and no ended session comes back: every write is compared with what is stored, as
///   without a cache.
/// - What this process wrote, it sees at once.
/// - [`load`](Store::load) never answers from memory, and `Session::fresh` asks it, for actions that
///   must not rest on what was true a second ago.
///
/// ```no_run
/// use cloakroom_redis::{NearCache, RedisStore};
///
/// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::connect("redis://127.0.0.1").await?;
/// let store = NearCache::new(store);
/// # Ok(())
/// # }
/// ```
///
/// Its Redis user needs more rights: `+client|tracking +client|trackinginfo`. Clones share what is
/// remembered; when the last goes, the connections are closed.
#[derive(Clone)]
pub struct NearCache(Arc<Held>);

/// What the clones share, and the task that keeps the lines. The task ends with the last clone.
struct Held {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

impl NearCache {
    /// A near cache of 64 MiB and a window of one second.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, in which it listens.
    #[must_use]
    pub fn new(store: RedisStore) -> Self {
        let builder = Self::builder(store);
        builder.build().expect("the defaults can be kept")
    }

    /// A near cache that is told more.
    pub fn builder(store: RedisStore) -> NearCacheBuilder {
        NearCacheBuilder::new(store)
    }

    /// The store behind.
    #[must_use]
    pub fn store(&self) -> &RedisStore {
        &self.shared().store
    }

    /// What it did, and what it holds: for dashboards and health checks.
    #[must_use]
    pub fn stats(&self) -> NearCacheStats {
        let shared = self.shared();
        let counters = &shared.counters;
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NearCacheStats {
            coherent: shared.trust.holds(Instant::now()),
            hits: so_far(&counters.hits),
            misses: so_far(&counters.misses),
            changes: so_far(&counters.changes),
            cleared: so_far(&counters.cleared),
            sessions: shared.shelf.sessions() as u64,
            bytes: shared.shelf.bytes(),
        }
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Store for NearCache {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let began = Instant::now();
        let (ticket, _) = self.shared().shelf.begin_write(id);
        let created = self.shared().store.create(id, record, ttl).await?;
        if created == Created::Created {
            let record = Loaded::Record(record.clone());
            self.shared().keep_written(id, ticket, record, began);
        }
        Ok(created)
    }

    async fn enter(
        &self,
        user: &UserKey,
        applicant: &Applicant,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> Result<Entered, StoreError> {
        let began = Instant::now();
        let id = applicant.id;
        let (ticket, _) = self.shared().shelf.begin_write(id);
        let store = &self.shared().store;
        let entered = store.enter(user, applicant, record, ttl, event).await?;
        if matches!(entered, Entered::Created { .. }) {
            let record = Loaded::Record(record.clone());
            self.shared().keep_written(id, ticket, record, began);
        }
        Ok(entered)
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let began = Instant::now();
        let ticket = self.shared().shelf.ticket(id);
        let loaded = self.shared().store.load(id).await?;
        if self.shared().trust.holds(began) {
            let until = began + MOST;
            self.shared()
                .shelf
                .keep_read(id, ticket, loaded.clone(), until);
        }
        Ok(loaded)
    }

    fn remembered(&self, id: SessionId) -> Option<Loaded> {
        let (shared, now) = (self.shared(), Instant::now());
        let is_believed = shared.trust.holds(now);
        let found = is_believed.then(|| shared.shelf.get(id, now)).flatten();
        count(match found {
            Some(_) => &shared.counters.hits,
            None => &shared.counters.misses,
        });
        found
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let began = Instant::now();
        let (ticket, _) = self.shared().shelf.begin_write(id);
        let updated = self
            .shared()
            .store
            .update(id, expected, record, ttl)
            .await?;
        let found = match &updated {
            Updated::Updated => {
                let record = Loaded::Record(record.clone());
                self.shared().keep_written(id, ticket, record, began);
                return Ok(updated);
            }
            Updated::Conflict(record) => Loaded::Record(record.clone()),
            Updated::Ended(tombstone) => Loaded::Tombstone(tombstone.clone()),
            Updated::Missing => Loaded::Nothing,
        };
        let until = began + MOST;
        self.shared().shelf.keep_read(id, ticket, found, until);
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
        let (ticket, before) = self.shared().shelf.begin_write(id);
        let touched = self.shared().store.touch(id, expected, seen, ttl).await?;
        let before = before.filter(|record| record.revision() == expected);
        if let (Touched::Touched, Some(record)) = (touched, before) {
            let record = Loaded::Record(record.touched(seen));
            self.shared().keep_written(id, ticket, record, began);
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
        let (ticket, _) = self.shared().shelf.begin_write(id);
        let store = &self.shared().store;
        let ended = store.end(id, expected, tombstone, keep).await?;
        if ended == Ended::Ended {
            let tombstone = Loaded::Tombstone(tombstone.clone());
            self.shared().keep_written(id, ticket, tombstone, began);
        }
        Ok(ended)
    }

    fn index(&self) -> Option<impl UserIndex> {
        self.shared().store.index()
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        self.shared().store.admin()
    }

    fn bus(&self) -> Option<impl EventBus> {
        self.shared().store.bus()
    }
}

impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("store", &self.shared().store)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
