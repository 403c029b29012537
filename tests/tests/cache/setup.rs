//! A database, and the servers of one app that cache its records.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom_cache::{CacheBackend, Cached, CachedBuilder};
use cloakroom_redis::RedisStore;
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;
use tokio::sync::watch;

/// A time limit that a busy machine keeps.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LONG: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) type Records = Cached<u64, u64>;

pub(crate) enum Setup {
    Memory(CacheBackend),
    Redis(RedisServer),
    Cluster(Cluster),
}

impl Setup {
    pub(crate) fn memory() -> Self {
        Self::Memory(CacheBackend::in_memory())
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    pub(crate) fn cluster() -> Self {
        Self::Cluster(Cluster::start())
    }

    /// The backend of another server of the app.
    pub(crate) async fn backend(&self) -> CacheBackend {
        match self {
            Self::Memory(backend) => backend.clone(),
            Self::Redis(server) => CacheBackend::new(&store(&server.url(), PATIENCE).await),
            Self::Cluster(cluster) => CacheBackend::new(&store(&cluster.url(), PATIENCE).await),
        }
    }

    /// Another server of the app.
    pub(crate) async fn server(&self, database: &Database) -> Records {
        database.cached(lasting(&self.backend().await))
    }
}

/// Options with which nothing expires during a test.
pub(crate) fn lasting(backend: &CacheBackend) -> CachedBuilder<u64, u64> {
    Cached::builder(backend, "record")
        .with_fresh_for(LONG)
        .with_absent_for(LONG)
        .with_load_timeout(PATIENCE)
}

pub(crate) async fn store(url: &str, timeout: Duration) -> RedisStore {
    let builder = RedisStore::builder(url, "shop").with_command_timeout(timeout);
    builder.connect().await.expect("the server is running")
}

/// Numbers by number. A query reads at once, and returns when it may.
#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    rows: Mutex<HashMap<u64, u64>>,
    queries: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    is_down: AtomicBool,
    /// Queries return while it is open.
    is_open: watch::Sender<bool>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            queries: AtomicUsize::default(),
            at_once: AtomicUsize::default(),
            most_at_once: AtomicUsize::default(),
            is_down: AtomicBool::default(),
            is_open: watch::Sender::new(true),
        }
    }
}

impl Database {
    pub(crate) fn with(rows: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let database = Self::default();
        for (key, value) in rows {
            database.set(key, value);
        }
        database
    }

    pub(crate) fn set(&self, key: u64, value: u64) {
        self.0.rows.lock().expect("no panic").insert(key, value);
    }

    pub(crate) fn remove(&self, key: u64) {
        self.0.rows.lock().expect("no panic").remove(&key);
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    pub(crate) fn queries(&self) -> usize {
        self.0.queries.load(Ordering::SeqCst)
    }

    /// How many queries have been under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.0.most_at_once.load(Ordering::SeqCst)
    }

    /// Holds the results of queries back, until [`open`](Self::open).
    pub(crate) fn close(&self) {
        self.0.is_open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.is_open.send_replace(true);
    }

    pub(crate) async fn query(&self, key: u64) -> Result<Option<u64>, std::io::Error> {
        let inner = &*self.0;
        let at_once = inner.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        inner.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let row = inner.rows.lock().expect("no panic").get(&key).copied();
        inner.queries.fetch_add(1, Ordering::SeqCst);
        let mut is_open = inner.is_open.subscribe();
        drop(is_open.wait_for(|&is_open| is_open).await);
        inner.at_once.fetch_sub(1, Ordering::SeqCst);
        if inner.is_down.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("the database is down"));
        }
        Ok(row)
    }

    pub(crate) fn cached(&self, builder: CachedBuilder<u64, u64>) -> Records {
        let database = self.clone();
        let built = builder.build(move |key| {
            let database = database.clone();
            async move { database.query(key).await }
        });
        built.expect("a valid configuration")
    }
}

/// Reads a value that is there.
pub(crate) async fn read(records: &Records, key: u64) -> u64 {
    let value = records.get(&key).await.expect("it can be read");
    *value.expect("it is there")
}

/// Waits until messages of one server reach the other, whose copies live for longer than this takes. It uses keys
/// from 1000 on.
pub(crate) async fn until_messages_arrive(from: &Records, to: &Records, database: &Database) {
    let mut key = 1000;
    within("a message arrives", PATIENCE, async || {
        key += 1;
        database.set(key, 1);
        read(to, key).await;
        database.set(key, 2);
        from.forget(&key).await.expect("it is stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
        read(to, key).await == 2
    })
    .await;
}
