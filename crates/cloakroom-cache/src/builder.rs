//! Configures a [`Cached`].

use std::fmt::Display;
use std::hash::RandomState;
use std::marker::PhantomData;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::{Rng as _, SystemRng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::backend::CacheBackend;
use crate::cached::Cached;
use crate::config::{Config, validate_name};
use crate::error::ConfigError;
use crate::flight::Flights;
use crate::local::Local;
use crate::pending::Pending;
use crate::shared::{Generation, Leases, Loader, Shared, Tasks};
use crate::stats::Counters;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Arc, Mutex};

impl<K, V> Cached<K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Returns a builder for a cache with this name, of up to 32 lowercase letters, digits and hyphens. Caches of one name
    /// share their records: on all servers they must have the same types. Give another name when the type changes.
    pub fn builder(backend: &CacheBackend, name: impl Into<String>) -> CachedBuilder<K, V> {
        CachedBuilder {
            backend: backend.clone(),
            name: name.into(),
            config: Config::default(),
            types: PhantomData,
        }
    }
}

/// Configures a [`Cached`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct CachedBuilder<K, V> {
    backend: CacheBackend,
    name: String,
    config: Config,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> CachedBuilder<K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Sets how long a value is used before it is loaded again. The default is 5 minutes; at least 1 ms, at most 7 days.
    pub fn with_fresh_for(mut self, lifetime: Duration) -> Self {
        self.config.fresh_for = lifetime;
        self
    }

    /// Sets how long a value may be used after that, while one request loads it again in the background; and if loading
    /// fails. By default it is not used; at most 7 days.
    pub fn with_stale_for(mut self, lifetime: Duration) -> Self {
        self.config.stale_for = lifetime;
        self
    }

    /// Sets how long it is remembered that a key has no value. By default, such a key is loaded each time. At most 7
    /// days. Call [`Cached::forget`] or [`Cached::put`] when a record is created.
    pub fn with_absent_for(mut self, lifetime: Duration) -> Self {
        self.config.absent_for = lifetime;
        self
    }

    /// Sets by which part of itself a lifetime is randomly lengthened or shortened, so that values that were loaded
    /// together do not expire together. The default is 0.1; 0 to 0.5.
    pub fn with_jitter(mut self, part: f64) -> Self {
        self.config.jitter = part;
        self
    }

    /// Sets how long a server may use its copy before it asks the backend again: the longest time for which it may
    /// return a value that another server has changed. The default is one second; 1 ms to 1 minute.
    pub fn with_max_staleness(mut self, max_staleness: Duration) -> Self {
        self.config.max_staleness = max_staleness;
        self
    }

    /// Sets how long a load may take, including the wait for its turn, and how long to wait for the load of another
    /// server. The default is 3 s; 1 ms to 1 minute.
    pub fn with_load_timeout(mut self, limit: Duration) -> Self {
        self.config.load_timeout = limit;
        self
    }

    /// Sets how many loads of this cache run at once in this process; others wait for their turn. So a database is not
    /// flooded while the backend cannot be reached. The default is 32; at most 1,048,576.
    pub fn with_max_loads(mut self, count: usize) -> Self {
        self.config.max_loads = count;
        self
    }

    /// Sets how many requests may wait for values at once in this process; more fail at once. The default is 10,000; at
    /// most 1,048,576.
    pub fn with_max_waiting(mut self, count: usize) -> Self {
        self.config.max_waiting = count;
        self
    }

    /// Sets how many bytes the copies in this process may take, approximately: a copy counts 256 bytes and the length
    /// of its JSON. The default is 16 MiB.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// Builds the cache, with the function that loads a value from the database; `None` means that there is none.
    ///
    /// # Errors
    ///
    /// If the name or an option is out of bounds, or the operating system has no random numbers.
    pub fn build<F, L, E>(self, loader: L) -> Result<Cached<K, V>, ConfigError>
    where
        L: Fn(K) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        validate_name(&self.name)?;
        self.config.validate()?;
        let mut process = [0; 12];
        SystemRng
            .fill(&mut process)
            .map_err(|error| ConfigError::new("build", error.to_string()))?;
        let loader: Loader<K, V> = Box::new(move |key| {
            let load = loader(key);
            Box::pin(async move { load.await.map_err(Into::into) })
        });
        let Config {
            max_bytes,
            max_loads,
            max_waiting,
            ..
        } = self.config;
        Ok(Cached::from_shared(Shared {
            hasher: self.backend.hasher(&self.name),
            remote: self.backend.remote(&self.name),
            local: Local::new(max_bytes),
            flights: Arc::new(Flights::new(max_waiting)),
            loader,
            loads: Semaphore::new(max_loads),
            waiting: Arc::new(Semaphore::new(max_waiting)),
            pending: Pending::default(),
            counters: Counters::default(),
            leases: Leases {
                process: URL_SAFE_NO_PAD.encode(process),
                next: AtomicU64::new(0),
                random: RandomState::new(),
            },
            generation: Mutex::new(Generation::UNKNOWN),
            tasks: Tasks::default(),
            is_away: AtomicBool::new(false),
            name: self.name,
            config: self.config,
        }))
    }
}
