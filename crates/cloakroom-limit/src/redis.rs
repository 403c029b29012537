//! Counters in Redis: every decision is one script.

use std::sync::LazyLock;
use std::time::Instant;

use cloakroom_core::{StoreError, StoreErrorKind};
use cloakroom_redis::{AppScript, AppScripts, RedisStore, ScriptReply};

use crate::account::{AccountPolicy, AccountState, Denial, Settlement};
use crate::algorithm::{Algorithm, Level};
use crate::check::{Charge, Check, Reading};

static LIMITS: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("scripts/limits.lua")));
static REFUND: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("scripts/refund.lua")));
static ATTEMPT: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("scripts/attempt.lua")));
static SETTLE: LazyLock<AppScript> =
    LazyLock::new(|| AppScript::new(include_str!("scripts/settle.lua")));

/// Counters on the connection of a session store.
#[derive(Clone, Debug)]
pub(crate) struct Redis {
    scripts: AppScripts,
}

impl Redis {
    pub(crate) fn new(store: &RedisStore) -> Self {
        Self {
            scripts: store.app_scripts(),
        }
    }

    /// Charges all limits, or none if one refuses; `None` for limits that were not checked.
    ///
    /// In a cluster, limits of different subjects are on different nodes, and are checked one after the other.
    /// If one refuses, what the others have charged is given back: no limit is ever exceeded, but in between
    /// a request may find less than there is.
    pub(crate) async fn check(&self, checks: &[Check]) -> Result<Vec<Option<Reading>>, StoreError> {
        let is_clustered = self.scripts.is_clustered();
        match self.check_groups(checks, is_clustered).await {
            // The reply to the one script has shown that the server is in cluster mode, and nothing was charged.
            Err(error)
                if error.kind() == StoreErrorKind::Refused
                    && !is_clustered
                    && self.scripts.is_clustered() =>
            {
                Box::pin(self.check_groups(checks, true)).await
            }
            result => result,
        }
    }

    /// Charges limits: with one script, or in a cluster with one for each subject.
    async fn check_groups(
        &self,
        checks: &[Check],
        is_clustered: bool,
    ) -> Result<Vec<Option<Reading>>, StoreError> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, check) in checks.iter().enumerate() {
            let with_same =
                |group: &&mut Vec<usize>| !is_clustered || checks[group[0]].tag() == check.tag();
            match groups.iter_mut().find(with_same) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        let mut readings = vec![None; checks.len()];
        let mut charges = Vec::new();
        for group in &groups {
            let began = Instant::now();
            let asked: Vec<&Check> = group.iter().map(|&index| &checks[index]).collect();
            let found = self.check_group(&asked).await?;
            let refuses =
                |(check, reading): (&&Check, &Reading)| check.is_enforced && !reading.is_allowed;
            let is_refused = asked.iter().zip(&found).any(refuses);
            for (&index, reading) in group.iter().zip(found) {
                readings[index] = Some(reading);
                if reading.is_allowed && !is_refused && groups.len() > 1 {
                    charges.push(Charge::of(&checks[index], reading, began, false));
                }
            }
            if is_refused {
                if !charges.is_empty() {
                    self.refund(&charges).await?;
                    readings.iter_mut().zip(checks).for_each(uncharge(&charges));
                }
                break;
            }
        }
        Ok(readings)
    }

    async fn check_group(&self, checks: &[&Check]) -> Result<Vec<Reading>, StoreError> {
        let mut args = Vec::with_capacity(5 * checks.len());
        for check in checks {
            let window = match check.algorithm {
                Algorithm::Gcra { .. } => 0,
                Algorithm::FixedWindow { window_ms, .. } => window_ms,
            };
            args.push(kind(check).to_owned());
            args.push(check.increment.to_string());
            args.push(check.algorithm.capacity().to_string());
            args.push(window.to_string());
            args.push(u8::from(check.is_enforced).to_string());
        }
        let keys: Vec<_> = checks.iter().map(|check| self.key(&check.key)).collect();
        let numbers = numbers(self.scripts.run(&LIMITS, &keys, &args).await?)?;
        if numbers.len() != 3 * checks.len() {
            return Err(unexpected());
        }
        let parts = numbers.chunks_exact(3);
        Ok(parts
            .map(|part| Reading {
                is_allowed: part[0] == 1,
                level: Level {
                    used: part[1],
                    ttl_ms: part[2],
                },
            })
            .collect())
    }

    /// Gives back what was charged, unless it has expired.
    pub(crate) async fn refund(&self, charges: &[Charge]) -> Result<(), StoreError> {
        for Charge { check, ttl_ms, .. } in charges.iter().filter(|charge| !charge.has_expired()) {
            let args = [
                kind(check).to_owned(),
                check.increment.to_string(),
                ttl_ms.to_string(),
            ];
            self.scripts
                .run(&REFUND, &[self.key(&check.key)], &args)
                .await?;
        }
        Ok(())
    }

    /// Takes an attempt to sign in, as [`Memory::take`](crate::memory::Memory::take).
    pub(crate) async fn take(
        &self,
        account: &str,
        device: Option<&Check>,
        policy: &AccountPolicy,
    ) -> Result<Result<AccountState, (Denial, AccountState)>, StoreError> {
        let args = [
            u64::from(policy.free),
            policy.first_delay_ms,
            policy.max_delay_ms,
            u64::from(policy.unknown_stop),
            u64::from(policy.stop),
            policy.forget_ms,
            policy.keep_ms,
            policy.device.increment(1),
            policy.device.capacity(),
        ]
        .map(|number| number.to_string());
        let keys = self.keys(account, device);
        let reply = numbers(self.scripts.run(&ATTEMPT, &keys, &args).await?)?;
        let &[decided, wait, level, streak, last_ms] = &reply[..] else {
            return Err(unexpected());
        };
        let small = |number: u64| u32::try_from(number).map_err(|_| unexpected());
        let state = AccountState {
            level: small(level)?,
            streak: small(streak)?,
            last_ms,
        };
        Ok(match decided {
            0 => Ok(state),
            1 => Err((Denial::Delayed(wait), state)),
            2 => Err((Denial::Device(wait), state)),
            3 => Err((Denial::Stopped, state)),
            _ => return Err(unexpected()),
        })
    }

    /// Records how an attempt ended. Returns the failures in a row, with this attempt.
    pub(crate) async fn settle(
        &self,
        account: &str,
        device: Option<&Check>,
        settlement: Settlement,
        policy: &AccountPolicy,
    ) -> Result<u32, StoreError> {
        let operation = match settlement {
            Settlement::Success => "s",
            Settlement::Cancelled => "c",
            Settlement::Lifted => "l",
        };
        let args = [
            operation.to_owned(),
            policy.keep_ms.to_string(),
            policy.device.increment(1).to_string(),
        ];
        let keys = self.keys(account, device);
        match self.scripts.run(&SETTLE, &keys, &args).await? {
            ScriptReply::Integer(streak) => u32::try_from(streak).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    fn key(&self, name: &str) -> String {
        self.scripts.key(name)
    }

    fn keys(&self, account: &str, device: Option<&Check>) -> Vec<String> {
        let device = device.map(|check| check.key.as_str());
        let names = [account].into_iter().chain(device);
        names.map(|name| self.key(name)).collect()
    }
}

const fn kind(check: &Check) -> &'static str {
    match check.algorithm {
        Algorithm::Gcra { .. } => "g",
        Algorithm::FixedWindow { .. } => "w",
    }
}

/// Shows readings as they are after a refund.
fn uncharge(charges: &[Charge]) -> impl FnMut((&mut Option<Reading>, &Check)) {
    |(reading, check)| {
        let is_charged = charges.iter().any(|charge| charge.check.key == check.key);
        if let (Some(reading), true) = (reading, is_charged) {
            reading.level.used = reading.level.used.saturating_sub(check.increment);
        }
    }
}

fn numbers(reply: ScriptReply) -> Result<Vec<u64>, StoreError> {
    let ScriptReply::List(replies) = reply else {
        return Err(unexpected());
    };
    let number = |reply| match reply {
        ScriptReply::Integer(number) => u64::try_from(number).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    };
    replies.into_iter().map(number).collect()
}

fn unexpected() -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable)
}
