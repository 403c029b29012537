//! Where limits are counted, and what happens while the store is unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::{Clock, StoreError, SystemClock};
use cloakroom_redis::RedisStore;

use crate::account::{AccountPolicy, AccountState, Denial, Settlement};
use crate::check::{Charge, Check, Reading};
use crate::error::ConfigError;
use crate::hash::Hasher;
use crate::memory::Memory;
use crate::redis::Redis;
use crate::refusals::{Refusals, SHORT_MEMORY};
use crate::telemetry;

/// By default, how many keys are kept in memory.
const DEFAULT_MAX_KEYS: usize = 100_000;

/// The minimum length of a hash key, in bytes.
const MIN_HASH_KEY_LEN: usize = 32;

/// What decides while the store cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// Each server applies its share of the limits in memory: the quota and the burst, divided by the number
    /// of servers, and at least one unit. Counting begins anew. The number must be 1 to 1000.
    Local {
        /// The number of the app's servers.
        servers: u32,
    },
    /// Every request is allowed.
    Allow,
    /// Every request is refused, with 503.
    Deny,
}

impl Fallback {
    pub(crate) fn validate(self, option: &'static str) -> Result<Self, ConfigError> {
        match self {
            Self::Local { servers } if !(1..=1000).contains(&servers) => Err(ConfigError::new(
                option,
                "the number of servers must be 1 to 1000",
            )),
            fallback => Ok(fallback),
        }
    }
}

/// Where limits are counted: in the Redis of a session store, or in memory. Clones share their counters.
///
/// In Redis, all servers of the app share their counters. Commands go over the store's connection, with its
/// timeouts; keys begin with the app's name, contain no address and no account, and always have a TTL.
///
/// ```no_run
/// use cloakroom_limit::Limits;
/// use cloakroom_redis::RedisStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
/// let secret = std::env::var("LIMITS_KEY")?;
/// let limits = Limits::new(&store).with_hash_key(secret)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Limits {
    config: Config,
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Config {
    redis: Option<Redis>,
    hasher: Hasher,
    clock: Arc<dyn Clock>,
    max_keys: usize,
}

#[derive(Debug)]
struct Shared {
    memory: Memory,
    refusals: Refusals,
    is_away: AtomicBool,
}

/// The outcome of a decision, before it is converted for the caller.
pub(crate) enum Decided {
    /// By the store, or in memory; `None` for limits that were not checked.
    Counted(Vec<Option<Reading>>),
    /// The refusal of the limit with this index is remembered.
    Remembered(usize, Duration),
    /// By [`Fallback::Local`].
    Locally(Vec<Check>, Vec<Reading>),
    /// By [`Fallback::Allow`] and [`Fallback::Deny`].
    Allowed,
    Denied,
}

impl Limits {
    /// Counts in the Redis of this store.
    pub fn new(store: &RedisStore) -> Self {
        Self::of(Some(Redis::new(store)))
    }

    /// Counts in memory: for development, tests, and apps on a single server. It keeps at most 100,000 keys
    /// by default; a full memory forgets keys that expire early.
    pub fn in_memory() -> Self {
        Self::of(None)
    }

    fn of(redis: Option<Redis>) -> Self {
        Self::with(Config {
            redis,
            hasher: Hasher::default(),
            clock: Arc::new(SystemClock),
            max_keys: DEFAULT_MAX_KEYS,
        })
    }

    fn with(config: Config) -> Self {
        let shared = Shared {
            memory: Memory::new(Arc::clone(&config.clock), config.max_keys),
            refusals: Refusals::new(config.max_keys),
            is_away: AtomicBool::new(false),
        };
        Self {
            config,
            shared: Arc::new(shared),
        }
    }

    /// Sets the secret with which addresses, accounts and users are hashed. Without it, somebody who can read
    /// Redis can find out the address of a key by trying all addresses. All servers need the same; a change
    /// resets all limits.
    ///
    /// # Errors
    ///
    /// If the key has fewer than 32 bytes.
    pub fn with_hash_key(self, key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        if key.len() < MIN_HASH_KEY_LEN {
            return Err(ConfigError::new(
                "with_hash_key",
                format!("the key must have at least {MIN_HASH_KEY_LEN} bytes"),
            ));
        }
        Ok(Self::with(Config {
            hasher: Hasher::new(key),
            ..self.config
        }))
    }

    /// Sets how many keys are kept in memory at most, for each purpose: counters, accounts, and remembered
    /// refusals. The default is 100,000; at least 16 are kept. A full memory forgets keys that expire early.
    pub fn with_max_keys(self, max_keys: usize) -> Self {
        Self::with(Config {
            max_keys: max_keys.max(16),
            ..self.config
        })
    }

    /// Sets the clock of the counters in memory, for tests. Redis always uses its own.
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self::with(Config {
            clock: Arc::new(clock),
            ..self.config
        })
    }

    pub(crate) fn hash(&self, kind: &str, value: &[u8]) -> String {
        self.config.hasher.hash(kind, value)
    }

    /// Applies limits to a request, of which there is at least one.
    pub(crate) async fn decide(&self, checks: &[Check], fallback: Fallback) -> Decided {
        let Shared {
            memory, refusals, ..
        } = &*self.shared;
        let Some(redis) = &self.config.redis else {
            let readings = memory.check(checks);
            return Decided::Counted(readings.into_iter().map(Some).collect());
        };
        for (index, check) in checks
            .iter()
            .enumerate()
            .filter(|(_, check)| check.is_enforced)
        {
            if let Some(wait) = refusals.find(&check.key, check.increment) {
                return Decided::Remembered(index, wait);
            }
        }
        let began = Instant::now();
        match self.observe(redis.check(checks).await) {
            Ok(readings) => {
                let is_single = checks.iter().all(|check| check.tag() == checks[0].tag());
                for (check, reading) in checks.iter().zip(&readings) {
                    if let Some(reading) = reading
                        && check.is_enforced
                        && !reading.is_allowed
                    {
                        let wait = check.algorithm.retry_after(reading.level, check.increment);
                        // In a cluster, limits of other subjects may give back what they have charged.
                        let wait = if is_single {
                            wait
                        } else {
                            wait.min(SHORT_MEMORY)
                        };
                        refusals.remember(&check.key, check.increment, began, wait);
                    }
                }
                Decided::Counted(readings)
            }
            Err(_) => self.fall_back(checks, fallback),
        }
    }

    fn fall_back(&self, checks: &[Check], fallback: Fallback) -> Decided {
        match fallback {
            Fallback::Local { servers } => {
                telemetry::fallback("local");
                let shares: Vec<_> = checks.iter().map(|check| check.divided(servers)).collect();
                let readings = self.shared.memory.check(&shares);
                Decided::Locally(shares, readings)
            }
            Fallback::Allow => {
                telemetry::fallback("allow");
                Decided::Allowed
            }
            Fallback::Deny => {
                telemetry::fallback("deny");
                Decided::Denied
            }
        }
    }

    /// Gives back what was charged. If that fails, it becomes available with time.
    pub(crate) async fn refund(&self, charges: &[Charge]) {
        let charges = charges.iter().filter(|charge| !charge.has_expired());
        let (local, stored): (Vec<_>, Vec<_>) = charges
            .cloned()
            .partition(|charge| charge.is_local || self.config.redis.is_none());
        self.shared.memory.refund(&local);
        if let (Some(redis), false) = (&self.config.redis, stored.is_empty()) {
            if let Err(error) = self.observe(redis.refund(&stored).await) {
                telemetry::refund_failed(&error);
            }
            // What was refused because of the charge is possible again.
            for charge in &stored {
                self.shared.refusals.forget(&charge.check.key);
            }
        }
    }

    /// Takes an attempt to sign in. `is_local` of the result says whether the store knows of it.
    ///
    /// # Errors
    ///
    /// The store's error, if no local fallback is configured.
    pub(crate) async fn take(
        &self,
        account: &str,
        device: Option<&Check>,
        policy: &AccountPolicy,
        fallback: Fallback,
    ) -> Result<TakeReply, StoreError> {
        let memory = &self.shared.memory;
        let Some(redis) = &self.config.redis else {
            let result = memory.take(account, device, policy);
            return Ok(TakeReply {
                result,
                is_local: true,
            });
        };
        let key = device.map_or(account, |check| &check.key);
        if let Some(denial) = self.shared.refusals.find_denial(key) {
            let result = Err((denial, AccountState::default()));
            return Ok(TakeReply {
                result,
                is_local: false,
            });
        }
        let began = Instant::now();
        match self.observe(redis.take(account, device, policy).await) {
            Ok(result) => {
                match result {
                    Ok(state) => memory.learn(account, state, policy),
                    Err((denial, state)) => {
                        memory.learn(account, state, policy);
                        self.shared.refusals.remember_denial(key, denial, began);
                    }
                }
                Ok(TakeReply {
                    result,
                    is_local: false,
                })
            }
            Err(error) => match fallback {
                Fallback::Local { servers } => {
                    telemetry::fallback("local");
                    let result = memory.take(account, device, &policy.divided(servers));
                    Ok(TakeReply {
                        result,
                        is_local: true,
                    })
                }
                Fallback::Allow | Fallback::Deny => {
                    telemetry::fallback("deny");
                    Err(error)
                }
            },
        }
    }

    /// Records how an attempt ended, wherever it was taken. Returns the failures in a row with this attempt,
    /// as far as they are known.
    pub(crate) async fn settle(
        &self,
        account: &str,
        device: Option<&Check>,
        settlement: Settlement,
        policy: &AccountPolicy,
        is_local: bool,
    ) -> Result<u32, StoreError> {
        let shared = &*self.shared;
        let here = shared.memory.settle(account, device, settlement, policy);
        shared
            .refusals
            .forget(device.map_or(account, |check| &check.key));
        match &self.config.redis {
            None => Ok(here),
            // The store knows nothing of the attempt.
            Some(_) if is_local && settlement == Settlement::Cancelled => Ok(here),
            Some(redis) => self.observe(redis.settle(account, device, settlement, policy).await),
        }
    }

    /// Logs when the store is lost and when it is back.
    fn observe<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let is_away = &self.shared.is_away;
        match &result {
            Ok(_) if is_away.load(Ordering::Relaxed) => {
                if is_away.swap(false, Ordering::Relaxed) {
                    telemetry::store_back();
                }
            }
            Ok(_) => {}
            Err(error) => {
                if !is_away.swap(true, Ordering::Relaxed) {
                    telemetry::store_lost(error);
                }
            }
        }
        result
    }
}

/// The reply to an attempt.
#[derive(Debug)]
pub(crate) struct TakeReply {
    pub(crate) result: Result<AccountState, (Denial, AccountState)>,
    /// Whether it was taken in memory only.
    pub(crate) is_local: bool,
}
