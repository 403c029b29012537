//! Records in the memory of the process: for development, tests and single servers.

use std::collections::HashMap;
use std::fmt;
use std::hash::RandomState;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::record::{Fill, Found, Lease, Mode, Notice, Stored};
use crate::hash::KeyHash;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes the records of all caches take, approximately. A full memory evicts.
const MAX_BYTES: u64 = 64 << 20;

/// What a record takes besides its JSON, approximately.
const PER_RECORD: usize = 256;

/// How many notices wait for a cache. If there are more, it forgets all copies.
const NOTICES: usize = 1024;

/// The records of all caches that share a backend.
#[derive(Debug)]
pub(crate) struct SharedMemory(Mutex<State>);

struct State {
    records: Cache<(Arc<str>, KeyHash), Record, Weight, RandomState, DropWithin>,
    caches: HashMap<Arc<str>, Named>,
}

/// Records contain no values of the app, so they may be dropped under the lock.
type DropWithin = DefaultLifecycle<(Arc<str>, KeyHash), Record>;

/// What there is for each name of a cache.
#[derive(Debug)]
struct Named {
    generation: u64,
    notices: broadcast::Sender<Notice>,
}

#[derive(Clone, Debug)]
struct Record {
    value: Option<Value>,
    /// Who has the lease, and until when.
    holder: Option<(String, Instant)>,
}

#[derive(Clone, Debug)]
struct Value {
    json: Bytes,
    generation: u64,
    fresh_until: Instant,
    until: Instant,
}

impl SharedMemory {
    pub(crate) fn new() -> Self {
        let records = Cache::with(
            16,
            MAX_BYTES,
            Weight,
            RandomState::new(),
            DropWithin::default(),
        );
        Self(Mutex::new(State {
            records,
            caches: HashMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("records", &self.records.len())
            .field("caches", &self.caches)
            .finish()
    }
}

/// The records of one cache.
#[derive(Debug)]
pub(crate) struct Memory {
    shared: Arc<SharedMemory>,
    name: Arc<str>,
}

impl Memory {
    pub(crate) fn new(shared: &Arc<SharedMemory>, name: &str) -> Self {
        let name: Arc<str> = name.into();
        let named = || Named {
            generation: 0,
            notices: broadcast::Sender::new(NOTICES),
        };
        let mut state = shared.lock();
        state.caches.entry(Arc::clone(&name)).or_insert_with(named);
        drop(state);
        Self {
            shared: Arc::clone(shared),
            name,
        }
    }

    /// As `read.lua`.
    pub(crate) fn read(&self, key: KeyHash, lease: &Lease, generation: u64, mode: Mode) -> Found {
        let now = Instant::now();
        let mut state = self.shared.lock();
        let key = (Arc::clone(&self.name), key);
        let record = state.records.get(&key).cloned();
        let value = record.as_ref().and_then(|record| record.value.clone());
        let value = value.filter(|value| now < value.until);
        let held = record
            .and_then(|record| record.holder)
            .and_then(|(_, until)| until.checked_duration_since(now))
            .filter(|left| !left.is_zero() && mode != Mode::TakeLease);
        let usable =
            value.filter(|value| mode != Mode::IgnoreValue && value.generation >= generation);
        let left = |until: Instant| until.saturating_duration_since(now);
        match (usable, held) {
            (Some(value), _) if mode == Mode::Normal && now < value.fresh_until => {
                Found::Valid(value.json, left(value.fresh_until))
            }
            (Some(value), Some(_)) => Found::Stale(value.json, left(value.until), false),
            (None, Some(held)) => Found::Wait(held),
            (value, None) => {
                let found = match &value {
                    Some(value) if mode == Mode::Normal => {
                        Found::Stale(value.json.clone(), left(value.until), true)
                    }
                    _ => Found::Leased,
                };
                let holder = Some((lease.token.clone(), now + lease.ttl));
                state.records.insert(key, Record { value, holder });
                found
            }
        }
    }

    /// As `fill.lua`.
    pub(crate) fn fill(&self, key: KeyHash, token: &str, fill: Fill<'_>) -> bool {
        let mut state = self.shared.lock();
        let key = (Arc::clone(&self.name), key);
        let record = state.records.get(&key);
        let Some(record) = record.filter(|record| {
            let holder = record.holder.as_ref();
            holder.is_some_and(|(holder, _)| holder == token)
        }) else {
            return false;
        };
        match (fill, record.value.clone()) {
            (Fill::Store(stored), _) => state.records.insert(key, Record::new(stored)),
            (Fill::Remove, _) | (Fill::GiveBack, None) => drop(state.records.remove(&key)),
            (Fill::GiveBack, Some(value)) if Instant::now() < value.fresh_until => {
                let (value, holder) = (Some(value), None);
                state.records.insert(key, Record { value, holder });
            }
            (Fill::GiveBack, Some(_)) => {}
        }
        true
    }

    /// As `write.lua`.
    pub(crate) fn write(&self, key: KeyHash, stored: Option<&Stored>) {
        let mut state = self.shared.lock();
        let full_key = (Arc::clone(&self.name), key);
        match stored {
            Some(stored) => state.records.insert(full_key, Record::new(stored)),
            None => drop(state.records.remove(&full_key)),
        }
        self.notify(&state, Notice::Changed(key));
    }

    pub(crate) fn forget_all(&self) -> u64 {
        let mut state = self.shared.lock();
        let named = state.caches.get_mut(&self.name);
        let generation = named.map_or(0, |named| {
            named.generation += 1;
            named.generation
        });
        self.notify(&state, Notice::AllChanged);
        generation
    }

    pub(crate) fn generation(&self) -> u64 {
        let state = self.shared.lock();
        state
            .caches
            .get(&self.name)
            .map_or(0, |named| named.generation)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Notice> {
        let state = self.shared.lock();
        let named = state.caches.get(&self.name);
        named.map_or_else(
            || broadcast::Sender::new(1).subscribe(),
            |named| named.notices.subscribe(),
        )
    }

    fn notify(&self, state: &State, notice: Notice) {
        if let Some(named) = state.caches.get(&self.name) {
            // An error means that there are no receivers.
            drop(named.notices.send(notice));
        }
    }
}

impl Record {
    fn new(stored: &Stored) -> Self {
        let now = Instant::now();
        let after = |ms| now + std::time::Duration::from_millis(ms);
        Self {
            value: Some(Value {
                json: Bytes::copy_from_slice(stored.json.as_bytes()),
                generation: stored.generation,
                fresh_until: after(stored.fresh_ms),
                until: after(stored.fresh_ms.saturating_add(stored.stale_ms)),
            }),
            holder: None,
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<(Arc<str>, KeyHash), Record> for Weight {
    fn weight(&self, _: &(Arc<str>, KeyHash), record: &Record) -> u64 {
        let json = record.value.as_ref().map_or(0, |value| value.json.len());
        (PER_RECORD + json) as u64
    }
}
