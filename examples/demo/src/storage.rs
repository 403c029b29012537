//! The session store: memory or Redis.

use std::time::Duration;

use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder, StoreError};
use cloakroom_limit::Limits;
use cloakroom_redis::{ConnectError, Health, RedisStore};
use tokio::sync::watch;
use tokio::time::sleep;

/// How often the store is checked for the notice on open pages.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// After so many failed checks in a row, open pages show the notice. One failure may be a short delay.
const FAILURES_BEFORE_NOTICE: u32 = 2;

/// The session store.
#[derive(Clone)]
pub(crate) enum Storage {
    Memory(MemoryStore),
    Redis(RedisStore),
}

impl Storage {
    /// Connects to the Redis at `url`, or uses memory without one. A command may take a quarter of the time that a
    /// request waits, and connecting half of it, as by default.
    pub(crate) async fn open(url: Option<&str>, timeout: Duration) -> Result<Self, ConnectError> {
        let Some(url) = url else {
            return Ok(Self::Memory(MemoryStore::new()));
        };
        let store = RedisStore::builder(url, "demo")
            .with_command_timeout(timeout / 4)
            .with_connect_timeout(timeout / 2);
        Ok(Self::Redis(store.connect().await?))
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

    /// Checks in the background whether the store responds, for as long as there is a receiver. There is one
    /// check at a time, however many pages are open.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        let (responds, receiver) = watch::channel(true);
        // Memory always responds.
        if let Self::Redis(store) = self {
            tokio::spawn(check(store.clone(), responds));
        }
        receiver
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

async fn check(store: RedisStore, responds: watch::Sender<bool>) {
    let mut failures = 0_u32;
    while !responds.is_closed() {
        sleep(CHECK_INTERVAL).await;
        failures = match store.ping().await {
            Ok(_) => 0,
            Err(_) => failures.saturating_add(1),
        };
        let now = failures < FAILURES_BEFORE_NOTICE;
        responds.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}
