//! A read of a key of which this process has no copy.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{CacheError, CacheErrorKind};
use crate::flight::ReadResult;
use crate::hash::KeyHash;
use crate::panics;
use crate::remote::{Fill, Found, Lease, Mode};
use crate::shared::Shared;
use crate::stats::increment;
use crate::telemetry;

/// How often a record is loaded because it was changed while it was loaded.
const MAX_LOADS: u32 = 3;

/// The pauses while another server loads.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// What the backend has replied to a read.
enum Step<V> {
    Done(Option<Arc<V>>),
    /// The caller has this lease, and stores what it loads in this generation, which was current at this time.
    Load(Lease, u64, Instant),
    /// Somebody else loads, for so long.
    Wait(Duration),
    /// A value of another type, to be replaced.
    Undecodable,
}

/// What became of a load.
enum Loaded<V> {
    /// The value is current, or it is not known that it is not.
    Done(ReadResult<V>),
    /// The record was changed meanwhile.
    Changed(ReadResult<V>),
}

impl<K, V> Shared<K, V>
where
    K: Clone + Display + Send + Sync + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads from the backend, and loads what it does not have; with `TakeLease`, whatever it has.
    pub(crate) async fn read(
        self: &Arc<Self>,
        key: K,
        hash: KeyHash,
        mut mode: Mode,
    ) -> ReadResult<V> {
        let give_up = Instant::now() + self.config.load_timeout;
        let mut pause = FIRST_PAUSE;
        let mut loads = 0;
        loop {
            // What is stored for the key may be from before a change.
            if self.pending.contains(hash) {
                break;
            }
            let Ok(step) = self.observe(self.ask(&key, hash, mode).await) else {
                break;
            };
            match step {
                Step::Done(value) => return Ok(value),
                Step::Load(lease, generation, confirmed) => {
                    match self
                        .load_and_fill(&key, hash, &lease, generation, confirmed)
                        .await
                    {
                        Loaded::Done(result) => return result,
                        Loaded::Changed(result) => {
                            loads += 1;
                            if loads == MAX_LOADS {
                                return result;
                            }
                            if mode != Mode::TakeLease {
                                mode = Mode::Normal;
                            }
                        }
                    }
                }
                Step::Wait(left) => {
                    let left = left.min(give_up.saturating_duration_since(Instant::now()));
                    if left.is_zero() {
                        break;
                    }
                    // Somebody else replaces what cannot be decoded.
                    if mode == Mode::IgnoreValue {
                        mode = Mode::Normal;
                    }
                    sleep(pause.min(left)).await;
                    pause = (2 * pause).min(MAX_PAUSE);
                }
                Step::Undecodable => mode = Mode::IgnoreValue,
            }
        }
        self.load_alone(&key, hash).await
    }

    /// Asks the backend for a record, once.
    async fn ask(
        self: &Arc<Self>,
        key: &K,
        hash: KeyHash,
        mode: Mode,
    ) -> Result<Step<V>, StoreError> {
        // Before anything is sent: a change that the read, or the generation, has not seen makes the copy invalid.
        let version = self.local.version(hash);
        let (generation, confirmed) = self.generation().await?;
        let lease = self.leases.next(&self.config);
        let sent = Instant::now();
        let found = self.remote.read(hash, &lease, generation, mode).await?;
        let (json, left, is_stale, has_lease) = match found {
            Found::Valid(json, left) => (json, left, false, false),
            Found::Stale(json, left, has_lease) => (json, left, true, has_lease),
            Found::Leased => return Ok(Step::Load(lease, generation, confirmed)),
            Found::Wait(left) => return Ok(Step::Wait(left)),
        };
        let Some(value) = self.decode(&json) else {
            return Ok(if has_lease {
                Step::Load(lease, generation, confirmed)
            } else {
                Step::Undecodable
            });
        };
        let until = (confirmed + self.config.max_staleness).min(sent + left);
        self.local
            .insert(hash, version, value.clone(), json.len(), until);
        increment(&self.counters.shared);
        telemetry::read(&self.name, if is_stale { "stale" } else { "shared" });
        if is_stale {
            increment(&self.counters.stale);
        }
        if has_lease {
            self.refresh(key.clone(), hash, lease, generation, confirmed);
        }
        Ok(Step::Done(value))
    }

    fn decode(&self, json: &Bytes) -> Option<Option<Arc<V>>> {
        if json.is_empty() {
            return Some(None);
        }
        match panics::convert(|| serde_json::from_slice(json)) {
            Ok(value) => Some(Some(Arc::new(value))),
            Err(error) => {
                telemetry::undecodable(&self.name, &error);
                None
            }
        }
    }

    /// Loads a stale value anew, in the background. If too many requests wait, the next read after the end of the
    /// lease tries again; and likewise if it fails.
    fn refresh(
        self: &Arc<Self>,
        key: K,
        hash: KeyHash,
        lease: Lease,
        generation: u64,
        confirmed: Instant,
    ) {
        let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return;
        };
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let loaded = shared.load_and_fill(&key, hash, &lease, generation, confirmed);
            if let Loaded::Done(Err(error)) = loaded.await {
                telemetry::refresh_failed(&shared.name, &error);
            }
            drop(permit);
        });
    }

    /// Loads a value, and stores it if the lease is still there.
    async fn load_and_fill(
        &self,
        key: &K,
        hash: KeyHash,
        lease: &Lease,
        generation: u64,
        confirmed: Instant,
    ) -> Loaded<V> {
        let (before, began) = (self.local.version(hash), Instant::now());
        let result = self.load(key).await;
        let stored = match &result {
            Ok(value) => self
                .encode(value.as_deref(), generation)
                .unwrap_or_else(|error| {
                    telemetry::not_cached(&self.name, &error);
                    None
                }),
            Err(_) => None,
        };
        let (during, sent) = (self.local.version(hash), Instant::now());
        let fill = match (&result, &stored) {
            (Ok(_), Some(stored)) => Fill::Store(stored),
            (Ok(_), None) => Fill::Remove,
            (Err(_), _) => Fill::GiveBack,
        };
        let filled = self.remote.fill(hash, &lease.token, fill).await;
        // A change before the command was executed has taken the lease away. One after it changes the version. If the
        // outcome is unknown, only what is as old as the load is known.
        let (version, since) = match self.observe(filled) {
            Ok(true) => match self.observe(self.generation().await) {
                Ok((current, _)) if current != generation => return Loaded::Changed(result),
                Ok((_, confirmed)) => (during, sent.min(confirmed)),
                Err(_) => (before, began.min(confirmed)),
            },
            Ok(false) => return Loaded::Changed(result),
            Err(_) => (before, began.min(confirmed)),
        };
        if let (Ok(value), Some(stored)) = (&result, stored) {
            let until = since + self.config.max_staleness;
            let until = until.min(sent + Duration::from_millis(stored.fresh_ms));
            self.local
                .insert(hash, version, value.clone(), stored.json.len(), until);
        }
        Loaded::Done(result)
    }

    /// Loads a value without the backend. It is kept no longer than any copy.
    async fn load_alone(&self, key: &K, hash: KeyHash) -> ReadResult<V> {
        let (version, began) = (self.local.version(hash), Instant::now());
        let result = self.load(key).await;
        if let Ok(value) = &result
            && let Ok(Some(stored)) = self.encode(value.as_deref(), 0)
        {
            let lifetime = Duration::from_millis(stored.fresh_ms);
            let until = began + self.config.max_staleness.min(lifetime);
            self.local
                .insert(hash, version, value.clone(), stored.json.len(), until);
        }
        result
    }

    /// Calls the loader, when its turn comes, within the load timeout.
    async fn load(&self, key: &K) -> ReadResult<V> {
        let until = Instant::now() + self.config.load_timeout;
        let timed_out = || CacheError::new(CacheErrorKind::LoadTimedOut);
        let result = async {
            let turn = timeout_at(until, self.loads.acquire()).await;
            let _turn = turn.map_err(|_| timed_out())?;
            increment(&self.counters.loads);
            let loaded = panics::run(|| (self.loader)(key.clone()));
            let loaded = timeout_at(until, loaded).await;
            let loaded = loaded.map_err(|_| timed_out())?;
            let panicked = || CacheError::new(CacheErrorKind::LoaderFailed);
            loaded.ok_or_else(panicked)?.map_err(CacheError::loader)
        };
        let result = result.await;
        let outcome = match &result {
            Ok(Some(_)) => "loaded",
            Ok(None) => "absent",
            Err(error) => {
                increment(&self.counters.failed_loads);
                telemetry::load_failed(&self.name, error);
                match error.kind() {
                    CacheErrorKind::LoadTimedOut => "timed_out",
                    _ => "failed",
                }
            }
        };
        telemetry::loaded(&self.name, outcome);
        Ok(result?.map(Arc::new))
    }
}
