//! Counters in memory: for development, tests and single servers, and while the store is unavailable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Clock, SystemClock};

use crate::account::{AccountPolicy, AccountState, Denial, Settlement};
use crate::algorithm::{Algorithm, Level};
use crate::bounded::BoundedMap;
use crate::check::{Charge, Check, Reading};

/// Counters of at most a fixed number of keys, and as many accounts.
#[derive(Debug)]
pub(crate) struct Memory {
    clock: Arc<dyn Clock>,
    counters: Mutex<Counters>,
    accounts: Mutex<BoundedMap<AccountState>>,
}

#[derive(Debug)]
struct Counters(BoundedMap<Counter>);

/// The level of a key at the time when it was written.
#[derive(Clone, Copy, Debug)]
struct Counter {
    level: Level,
    at_ms: u64,
}

impl Memory {
    pub(crate) fn new(clock: Arc<dyn Clock>, max_keys: usize) -> Self {
        Self {
            clock,
            counters: Mutex::new(Counters(BoundedMap::new(max_keys))),
            accounts: Mutex::new(BoundedMap::new(max_keys)),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    /// Charges all limits, or none if one refuses.
    pub(crate) fn check(&self, checks: &[Check]) -> Vec<Reading> {
        let now = self.now();
        let mut counters = lock(&self.counters);
        let mut readings = Vec::with_capacity(checks.len());
        let mut raised = Vec::with_capacity(checks.len());
        let mut is_refused = false;
        for check in checks {
            let level = counters.level(check, now);
            let after = check.algorithm.raise(level, check.increment);
            is_refused |= after.is_none() && check.is_enforced;
            readings.push(Reading {
                is_allowed: after.is_some(),
                level,
            });
            raised.push(after);
        }
        if !is_refused {
            for ((check, after), reading) in checks.iter().zip(raised).zip(&mut readings) {
                if let Some(after) = after {
                    counters.set(&check.key, after, now);
                    reading.level = after;
                }
            }
        }
        readings
    }

    /// Gives back what was charged.
    pub(crate) fn refund(&self, charges: &[Charge]) {
        let now = self.now();
        let mut counters = lock(&self.counters);
        for Charge { check, ttl_ms, .. } in charges {
            let mut level = counters.level(check, now);
            let is_same = match check.algorithm {
                Algorithm::Gcra { .. } => true,
                // Otherwise another window has begun.
                Algorithm::FixedWindow { .. } => level.ttl_ms <= *ttl_ms,
            };
            if is_same {
                level.used = level.used.saturating_sub(check.increment);
                counters.set(&check.key, level, now);
            }
        }
    }

    /// Takes an attempt to sign in. `device` is the key of a known browser's counter. Returns the state
    /// with the attempt, or the reason why it was not taken and the state.
    pub(crate) fn take(
        &self,
        account: &str,
        device: Option<&Check>,
        policy: &AccountPolicy,
    ) -> Result<AccountState, (Denial, AccountState)> {
        let now = self.now();
        let mut accounts = lock(&self.accounts);
        let state = accounts.get(account, now).map(|(state, _)| *state);
        let state = state.unwrap_or_default().at(policy, now);
        let taken = match device {
            None => state.take(policy, now),
            Some(check) => state.take_known(policy).and_then(|taken| {
                let reading = self.check(std::slice::from_ref(check))[0];
                if reading.is_allowed {
                    return Ok(taken);
                }
                let wait = check.algorithm.retry_after(reading.level, check.increment);
                let wait = wait.as_micros().div_ceil(1000);
                Err(Denial::Device(u64::try_from(wait).unwrap_or(u64::MAX)))
            }),
        };
        let taken = taken.map_err(|denial| (denial, state))?;
        accounts.insert(account, taken, policy.keep_ms, now);
        Ok(taken)
    }

    /// Records how an attempt ended. Returns the failures in a row, with this attempt.
    pub(crate) fn settle(
        &self,
        account: &str,
        device: Option<&Check>,
        settlement: Settlement,
        policy: &AccountPolicy,
    ) -> u32 {
        let now = self.now();
        let mut accounts = lock(&self.accounts);
        let state = accounts.get(account, now).map(|(state, _)| *state);
        let state = state.unwrap_or_default();
        match state.settle(settlement, device.is_some()) {
            Some(left) => accounts.insert(account, left, policy.keep_ms, now),
            None => accounts.remove(account),
        }
        if let Some(check) = device {
            let mut counters = lock(&self.counters);
            let mut level = counters.level(check, now);
            match settlement {
                Settlement::Cancelled => level.used = level.used.saturating_sub(check.increment),
                Settlement::Success | Settlement::Lifted => level = Level::default(),
            }
            counters.set(&check.key, level, now);
        }
        state.streak
    }

    /// Learns what the store knows of an account, so that it goes on from there while the store is unavailable.
    pub(crate) fn learn(&self, account: &str, state: AccountState, policy: &AccountPolicy) {
        let now = self.now();
        let mut accounts = lock(&self.accounts);
        if state.level == 0 && state.streak == 0 {
            accounts.remove(account);
        } else {
            accounts.insert(account, state, policy.keep_ms, now);
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock), 100_000)
    }
}

impl Counters {
    /// The level of a key by now: no more than the capacity, in case the limit was lowered.
    fn level(&self, check: &Check, now: u64) -> Level {
        let Some((counter, ttl_ms)) = self.0.get(&check.key, now) else {
            return Level::default();
        };
        match check.algorithm {
            Algorithm::Gcra { .. } => {
                let passed = now.saturating_sub(counter.at_ms).saturating_mul(1000);
                let used = counter.level.used.saturating_sub(passed);
                let used = used.min(check.algorithm.capacity());
                Level { used, ttl_ms }
            }
            Algorithm::FixedWindow { window_ms, .. } => Level {
                used: counter.level.used,
                ttl_ms: ttl_ms.min(window_ms),
            },
        }
    }

    fn set(&mut self, key: &str, mut level: Level, now: u64) {
        if level.used == 0 {
            return self.0.remove(key);
        }
        level.ttl_ms = level.ttl_ms.max(1);
        let counter = Counter { level, at_ms: now };
        self.0.insert(key, counter, level.ttl_ms, now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
