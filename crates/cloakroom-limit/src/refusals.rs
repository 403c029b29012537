//! Refusals that are remembered, so that an attack does not reach the store.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::account::Denial;
use crate::bounded::BoundedMap;

/// Refusals that something else than time can lift are remembered no longer than this.
pub(crate) const SHORT_MEMORY: Duration = Duration::from_secs(1);

/// Keys that the store has refused, until it would allow them: an attack does not reach it.
#[derive(Debug)]
pub(crate) struct Refusals {
    began: Instant,
    map: Mutex<BoundedMap<Refusal>>,
}

#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// A request that raises the level by this, or by more.
    Request(u64),
    /// An attempt to sign in, and when that was.
    Attempt { denial: Denial, at_ms: u64 },
}

impl Refusals {
    pub(crate) fn new(max_keys: usize) -> Self {
        Self {
            began: Instant::now(),
            map: Mutex::new(BoundedMap::new(max_keys)),
        }
    }

    pub(crate) fn find(&self, key: &str, increment: u64) -> Option<Duration> {
        match self.get(key)? {
            (Refusal::Request(refused), wait) if refused <= increment => Some(wait),
            _ => None,
        }
    }

    pub(crate) fn find_denial(&self, key: &str) -> Option<Denial> {
        match self.get(key)? {
            (Refusal::Attempt { denial, at_ms }, _) => {
                let now = self.since_start(Instant::now());
                Some(denial.after(now.saturating_sub(at_ms)))
            }
            (Refusal::Request(_), _) => None,
        }
    }

    pub(crate) fn remember(&self, key: &str, increment: u64, began: Instant, wait: Duration) {
        self.insert(key, Refusal::Request(increment), began, wait);
    }

    pub(crate) fn remember_denial(&self, key: &str, denial: Denial, began: Instant) {
        let wait = match denial {
            Denial::Delayed(wait) | Denial::Device(wait) => Duration::from_millis(wait),
            Denial::Stopped => SHORT_MEMORY,
        };
        let at_ms = self.since_start(began);
        // A success on another server may lift it.
        let wait = wait.min(SHORT_MEMORY);
        self.insert(key, Refusal::Attempt { denial, at_ms }, began, wait);
    }

    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn get(&self, key: &str) -> Option<(Refusal, Duration)> {
        let now = self.since_start(Instant::now());
        let map = self.lock();
        let (refusal, ttl) = map.get(key, now)?;
        Some((*refusal, Duration::from_millis(ttl)))
    }

    /// Remembers a refusal until `wait` after `began`, a moment before the store has refused.
    fn insert(&self, key: &str, refusal: Refusal, began: Instant, wait: Duration) {
        let now = self.since_start(Instant::now());
        let until = self.since_start(began).saturating_add(millis(wait));
        if until > now {
            self.lock().insert(key, refusal, until - now, now);
        }
    }

    fn since_start(&self, instant: Instant) -> u64 {
        millis(instant.saturating_duration_since(self.began))
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<Refusal>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
