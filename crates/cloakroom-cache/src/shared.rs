//! What the clones of a cache share.

use std::fmt::Display;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;

use cloakroom_core::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::{Config, MAX_VALUE_LEN};
use crate::error::{CacheError, CacheErrorKind};
use crate::flight::Flights;
use crate::hash::{KeyHash, KeyHasher};
use crate::local::Local;
use crate::panics;
use crate::pending::{Change, Pending};
use crate::remote::{Lease, Notice, Remote, Stored};
use crate::stats::Counters;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::telemetry;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) type Loader<K, V> =
    Box<dyn Fn(K) -> BoxFuture<Result<Option<V>, BoxError>> + Send + Sync>;

/// What the clones of a cache share.
pub(crate) struct Shared<K, V> {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) hasher: KeyHasher,
    pub(crate) remote: Remote,
    pub(crate) local: Local<V>,
    pub(crate) flights: Arc<Flights<V>>,
    pub(crate) loader: Loader<K, V>,
    /// Calls of the loader that may run at once.
    pub(crate) loads: Semaphore,
    /// Requests that may wait.
    pub(crate) waiting: Arc<Semaphore>,
    pub(crate) pending: Pending,
    pub(crate) counters: Counters,
    pub(crate) leases: Leases,
    pub(crate) generation: Mutex<Generation>,
    pub(crate) tasks: Tasks,
    pub(crate) is_away: AtomicBool,
}

/// The generation that the backend had at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    /// `None` if it was never asked for.
    pub(crate) confirmed: Option<Instant>,
    /// It may have changed by then.
    pub(crate) doubted: Option<Instant>,
}

impl Generation {
    pub(crate) const UNKNOWN: Self = Self {
        number: 0,
        confirmed: None,
        doubted: None,
    };

    /// Returns since when it is known, if it is.
    fn since(&self) -> Option<Instant> {
        self.confirmed
            .filter(|&confirmed| self.doubted.is_none_or(|doubted| doubted < confirmed))
    }

    /// It may have changed by then.
    fn doubt(&mut self, now: Instant) {
        self.doubted = self.doubted.max(Some(now));
    }
}

/// The tasks of this process: they end with the cache, and are started again if their runtime has ended.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    listener: Mutex<Option<AbortHandle>>,
    sender: Mutex<Option<AbortHandle>>,
}

/// Makes tokens that no other process makes, and random numbers for the jitter.
#[derive(Debug)]
pub(crate) struct Leases {
    pub(crate) process: String,
    pub(crate) next: AtomicU64,
    pub(crate) random: RandomState,
}

impl Leases {
    pub(crate) fn next(&self, config: &Config) -> Lease {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Lease {
            token: format!("{}-{number}", self.process),
            ttl: config.lease(),
        }
    }

    /// Returns a number from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a jitter needs no precision")]
    fn random(&self) -> f64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.random.hash_one(number) as f64 / u64::MAX as f64
    }
}

impl<K, V> Shared<K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Returns the generation, and since when it is known: no longer than half of the staleness bound, so that copies can
    /// be used for the other half.
    pub(crate) async fn generation(&self) -> Result<(u64, Instant), StoreError> {
        let known = *self.lock_generation();
        let sent = Instant::now();
        if let Some(confirmed) = known.since()
            && sent < confirmed + self.config.max_staleness / 2
        {
            return Ok((known.number, confirmed));
        }
        let number = self.remote.generation().await?;
        self.set_generation(number, sent);
        Ok((number, sent))
    }

    /// Remembers a generation. An older reply must not replace it.
    pub(crate) fn set_generation(&self, number: u64, confirmed: Instant) {
        let has_changed = {
            let mut known = self.lock_generation();
            if known.confirmed.is_some_and(|before| confirmed < before) {
                return;
            }
            let has_changed = known.number != number && known.confirmed.is_some();
            known.number = number;
            known.confirmed = Some(confirmed);
            has_changed
        };
        if has_changed {
            self.invalidate_all();
        }
    }

    /// Remembers a generation that this server has begun. It replaces what was asked for meanwhile; but when the reply
    /// comes, another server may have begun the next one. So the next read asks.
    pub(crate) fn begin_generation(&self, number: u64) {
        let now = Instant::now();
        self.set_generation(number, now);
        self.lock_generation().doubt(now);
    }

    fn lock_generation(&self) -> MutexGuard<'_, Generation> {
        self.generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes a value; `None` if it is not to be cached. The text of an absent value is empty.
    pub(crate) fn encode(
        &self,
        value: Option<&V>,
        generation: u64,
    ) -> Result<Option<Stored>, CacheError> {
        let lifetime = self.config.lifetime(value.is_some(), self.leases.random());
        let Some((fresh_ms, stale_ms)) = lifetime else {
            return Ok(None);
        };
        let json = match value {
            Some(value) => {
                panics::convert(|| serde_json::to_string(value)).map_err(CacheError::value)?
            }
            None => String::new(),
        };
        if json.len() > MAX_VALUE_LEN {
            return Err(CacheError::new(CacheErrorKind::InvalidValue));
        }
        Ok(Some(Stored {
            json,
            generation,
            fresh_ms,
            stale_ms,
        }))
    }

    /// Makes what this process knows of a key invalid.
    pub(crate) fn invalidate(&self, key: KeyHash) {
        self.local.invalidate(key);
        self.flights.detach(key);
    }

    /// The same for all keys.
    pub(crate) fn invalidate_all(&self) {
        self.local.clear();
        self.flights.detach_all();
    }

    /// Logs when the store is lost and when it is back.
    pub(crate) fn observe<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match &result {
            Ok(_) if self.is_away.load(Ordering::Relaxed) => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    telemetry::store_back(&self.name);
                }
            }
            Ok(_) => {}
            Err(error) => {
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    telemetry::store_lost(&self.name, error);
                }
            }
        }
        result
    }

    /// Starts the tasks that are needed and do not run.
    pub(crate) fn start_tasks(self: &Arc<Self>) {
        start(&self.tasks.listener, || {
            let mut notices = self.remote.subscribe();
            let shared = Arc::downgrade(self);
            async move {
                while let Some(notice) = notices.next().await {
                    let Some(shared) = shared.upgrade() else {
                        return;
                    };
                    match notice {
                        Notice::Changed(key) => shared.invalidate(key),
                        Notice::AllChanged => {
                            shared.lock_generation().doubt(Instant::now());
                            shared.invalidate_all();
                        }
                    }
                }
            }
        });
        if !self.pending.is_empty() {
            self.send_pending();
        }
    }

    /// Sends changes that could not be stored, until all are.
    pub(crate) fn send_pending(self: &Arc<Self>) {
        start(&self.tasks.sender, || {
            let shared = Arc::downgrade(self);
            async move {
                loop {
                    tokio::time::sleep(RESEND_INTERVAL).await;
                    let Some(shared) = shared.upgrade() else {
                        return;
                    };
                    while let Some((change, number)) = shared.pending.next() {
                        if shared.send(change).await.is_err() {
                            break;
                        }
                        shared.pending.remove(change, number);
                    }
                    if end(&shared.tasks.sender, || shared.pending.is_empty()) {
                        return;
                    }
                }
            }
        });
    }

    /// Tells the backend of a change.
    async fn send(&self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Key(key) => {
                let result = self.remote.write(key, None).await;
                self.invalidate(key);
                self.observe(result)
            }
            Change::All => {
                let generation = self.observe(self.remote.forget_all().await)?;
                self.begin_generation(generation);
                self.invalidate_all();
                Ok(())
            }
        }
    }

    /// Remembers a change that could not be stored, and returns the error for the caller.
    pub(crate) fn postpone(self: &Arc<Self>, change: Change, error: StoreError) -> CacheError {
        telemetry::change_not_stored(&self.name, &error);
        self.pending.add(change);
        self.send_pending();
        CacheError::store(error)
    }
}

/// How often changes are sent again.
const RESEND_INTERVAL: std::time::Duration = std::time::Duration::from_millis(500);

/// Starts a task, unless it runs.
fn start<F>(slot: &Mutex<Option<AbortHandle>>, task: impl FnOnce() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_none_or(AbortHandle::is_finished) {
        *slot = Some(tokio::spawn(task()).abort_handle());
    }
}

/// Lets a task end if it has nothing to do: what is added later starts another one, even while this one returns.
fn end(slot: &Mutex<Option<AbortHandle>>, is_done: impl FnOnce() -> bool) -> bool {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let is_done = is_done();
    if is_done {
        *slot = None;
    }
    is_done
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for slot in [&mut self.listener, &mut self.sender] {
            let slot = slot.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = slot {
                task.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn a_task_that_has_found_nothing_to_do_is_replaced_although_it_has_not_returned() {
        let (slot, started) = (Mutex::new(None), AtomicUsize::new(0));
        let begin = || {
            start(&slot, || {
                started.fetch_add(1, Ordering::Relaxed);
                std::future::pending()
            });
            started.load(Ordering::Relaxed)
        };
        assert_eq!((begin(), begin()), (1, 1));
        assert!(!end(&slot, || false));
        assert_eq!(begin(), 1, "it goes on");
        assert!(end(&slot, || true));
        assert_eq!((begin(), begin()), (2, 2));
    }

    #[tokio::test]
    async fn after_a_generation_was_begun_it_is_asked_for() {
        let cached =
            crate::Cached::<u64, u64>::builder(&crate::CacheBackend::in_memory(), "record")
                .build(|_| async { Ok::<_, std::io::Error>(None) })
                .unwrap();
        let shared = cached.shared();
        shared.generation().await.unwrap();
        assert!(shared.lock_generation().since().is_some());
        cached.forget_all().await.unwrap();
        let known = *shared.lock_generation();
        assert_eq!((known.number, known.since()), (1, None));
        // One that was asked for before does not count.
        shared.set_generation(
            0,
            known.confirmed.unwrap() - std::time::Duration::from_nanos(1),
        );
        assert_eq!(shared.lock_generation().number, 1);
    }
}
