//! A store in front of the store: sessions used a moment ago, kept in this process.
//!
//! `shelf` holds them, `line` listens to a server for what changes, `trust` knows until when that can be
//! believed, and here is the store that puts them together.

mod line;
mod shelf;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::event::EventBus;
use cloakroom_core::index::UserIndex;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, Revision, SessionId, Store, StoreError, Timestamp, Tombstone};
use fred::types::client::Invalidation;
use fred::types::config::Server;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval};

use self::line::Line;
use self::shelf::Shelf;
use self::trust::Trust;
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::store::RedisStore;

/// How long what was read is remembered at most, heard of or not: it bounds what any mistake can do.
const MOST: Duration = Duration::from_secs(5);

/// So many messages of a server wait to be taken in. More, and everything is forgotten.
const MESSAGES: usize = 1 << 16;

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

/// Sets up a [`NearCache`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct NearCacheBuilder {
    store: RedisStore,
    memory: u64,
    window: Duration,
}

/// What a [`NearCache`] did since it was made, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether sessions are served from memory now.
    pub coherent: bool,
    /// How many reads were answered from memory.
    pub hits: u64,
    /// How many reads went to Redis.
    pub misses: u64,
    /// How many changes of sessions Redis told of, also of sessions that are not remembered.
    pub changes: u64,
    /// How often everything was forgotten: a connection that was made anew, a flushed database.
    pub cleared: u64,
    /// How many sessions are remembered.
    pub sessions: u64,
    /// How many bytes these take, about.
    pub bytes: u64,
}

/// What the store and those that listen share.
struct Shared {
    store: RedisStore,
    connection: Connection,
    shelf: Shelf,
    trust: Trust,
    window: Duration,
    /// What keys begin with.
    tracked: String,
    hits: AtomicU64,
    misses: AtomicU64,
    changes: AtomicU64,
    cleared: AtomicU64,
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
        NearCacheBuilder {
            store,
            memory: 64 << 20,
            window: Duration::from_secs(1),
        }
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
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NearCacheStats {
            coherent: shared.trust.holds(Instant::now()),
            hits: count(&shared.hits),
            misses: count(&shared.misses),
            changes: count(&shared.changes),
            cleared: count(&shared.cleared),
            sessions: shared.shelf.sessions() as u64,
            bytes: shared.shelf.bytes(),
        }
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl NearCacheBuilder {
    /// How many bytes the remembered sessions may take, about: 64 MiB unless told otherwise. A session
    /// takes about its JSON, 96 bytes per entry and 300.
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
        let shared = Arc::new(Shared {
            connection: self.store.connection().clone(),
            tracked: self.store.prefix().beginning(),
            store: self.store,
            shelf: Shelf::new(self.memory),
            trust: Trust::new(),
            window: self.window,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
        });
        let task = tokio::spawn(keep(Arc::clone(&shared)));
        let keeper = task.abort_handle();
        Ok(NearCache(Arc::new(Held { shared, keeper })))
    }
}

impl Shared {
    /// How often a server is asked for a sign of life.
    fn beat(&self) -> Duration {
        self.window / 4
    }

    /// Takes in what a server tells.
    fn hear(&self, message: Result<Invalidation, RecvError>) {
        let Ok(message) = message else {
            // More came than there was room for.
            return self.forget_all();
        };
        let prefix = self.store.prefix();
        for key in message.keys {
            let id = key.as_str().and_then(|key| prefix.id_in(key));
            if let Some(id) = id {
                self.changes.fetch_add(1, Ordering::Relaxed);
                self.shelf.changed(id);
            }
        }
    }

    fn forget_all(&self) {
        self.cleared.fetch_add(1, Ordering::Relaxed);
        self.shelf.clear();
    }

    /// Remembers what this server has written. Its own message cannot be told from one of somebody's who
    /// ended the session in the same instant, so it is believed for no longer than the window.
    fn keep_written(&self, id: SessionId, ticket: shelf::Ticket, what: Loaded, began: Instant) {
        self.shelf
            .keep_written(id, ticket, what, began + self.window);
    }
}

/// Keeps a line to every primary.
async fn keep(shared: Arc<Shared>) {
    let mut lines = JoinSet::new();
    let mut beat = interval(shared.beat());
    loop {
        beat.tick().await;
        let primaries = shared.connection.primaries();
        let clustered = primaries.is_some();
        let servers = primaries.unwrap_or_else(|| vec![Server::new("the server", 0)]);
        if !shared.trust.expect(&servers) {
            continue;
        }
        // What was read from a server that nobody listened to may have changed.
        lines.shutdown().await;
        shared.forget_all();
        for server in servers {
            shared.trust.extend(&server, None);
            let node = clustered.then(|| server.clone());
            let client = shared.connection.client_of(node, MESSAGES);
            lines.spawn(Line::open(Arc::clone(&shared), server, client).listen());
        }
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

    async fn load_recent(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let now = Instant::now();
        if self.shared().trust.holds(now)
            && let Some(found) = self.shared().shelf.get(id, now)
        {
            self.shared().hits.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        self.shared().misses.fetch_add(1, Ordering::Relaxed);
        self.load(id).await
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
