//! What a server tells of itself, and what of it endangers sessions.

mod reading;
mod warning;

use std::time::Duration;

#[cfg(feature = "near-cache")]
pub(crate) use self::reading::Told;
pub use self::warning::Warning;

/// How a server is that answers: what [`RedisStore::check`](crate::RedisStore::check) found.
///
/// In a cluster it is the worst of all primaries that the store is connected to: every warning of any,
/// the memory of the fullest, the oldest version, the slowest answer, the fewest replicas, the oldest
/// snapshot, and keys added up.
#[derive(Clone, Debug)]
pub struct Health {
    server: ServerKind,
    version: String,
    mode: ServerMode,
    role: Role,
    memory: Memory,
    evicted_keys: u64,
    expired_keys: u64,
    persistence: Persistence,
    connected_replicas: u64,
    latency: Duration,
    warnings: Vec<Warning>,
}

/// What program a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// Redis, or one that tells nothing else.
    Redis,
    /// Valkey.
    Valkey,
}

/// How a server was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerMode {
    /// A server of its own, also one with replicas and sentinels.
    Standalone,
    /// A node of a cluster.
    Cluster,
    /// A sentinel, which keeps no sessions.
    Sentinel,
}

/// What a server is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It copies a primary, and refuses writes.
    Replica,
}

/// Bytes in use, and what bounds them.
#[derive(Clone, Debug)]
struct Memory {
    used: u64,
    peak: u64,
    limit: Option<u64>,
    eviction_policy: String,
}

/// What is written to disk.
#[derive(Clone, Copy, Debug)]
struct Persistence {
    aof: bool,
    saved: bool,
    last_save_age: Option<Duration>,
    last_save_ok: bool,
    last_aof_write_ok: bool,
}

impl Health {
    /// What is the matter, each with what to do. Empty when nothing is.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How long the server took to answer.
    #[must_use]
    pub const fn latency(&self) -> Duration {
        self.latency
    }

    /// What program it is.
    #[must_use]
    pub const fn server(&self) -> ServerKind {
        self.server
    }

    /// Its version, for instance `7.0.15`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How it was set up.
    #[must_use]
    pub const fn mode(&self) -> ServerMode {
        self.mode
    }

    /// Whether it is a primary.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub const fn memory_used(&self) -> u64 {
        self.memory.used
    }

    /// The most memory that was in use since the server started, in bytes.
    #[must_use]
    pub const fn memory_peak(&self) -> u64 {
        self.memory.peak
    }

    /// `maxmemory`, in bytes; `None` if the server sets itself no limit.
    #[must_use]
    pub const fn memory_limit(&self) -> Option<u64> {
        self.memory.limit
    }

    /// `maxmemory-policy`: what happens at the limit, for instance `noeviction`.
    #[must_use]
    pub fn eviction_policy(&self) -> &str {
        &self.memory.eviction_policy
    }

    /// How many keys it threw away for lack of memory since it started, whosever they were.
    #[must_use]
    pub const fn evicted_keys(&self) -> u64 {
        self.evicted_keys
    }

    /// How many keys reached the end of their time since it started.
    #[must_use]
    pub const fn expired_keys(&self) -> u64 {
        self.expired_keys
    }

    /// Whether writes are appended to a file (`appendonly yes`).
    #[must_use]
    pub const fn is_aof_on(&self) -> bool {
        self.persistence.aof
    }

    /// Whether a snapshot was saved since the server started.
    #[must_use]
    pub const fn has_saved(&self) -> bool {
        self.persistence.saved
    }

    /// How long ago the last snapshot was saved, by the server's clock, which tells whole seconds;
    /// `None` if none was saved since the server started.
    #[must_use]
    pub const fn last_save_age(&self) -> Option<Duration> {
        self.persistence.last_save_age
    }

    /// Whether the last snapshot was saved, or none was tried yet.
    #[must_use]
    pub const fn is_last_save_ok(&self) -> bool {
        self.persistence.last_save_ok
    }

    /// Whether the append-only file could be written to and rewritten the last time, or is off.
    #[must_use]
    pub const fn is_last_aof_write_ok(&self) -> bool {
        self.persistence.last_aof_write_ok
    }

    /// How many replicas are connected.
    #[must_use]
    pub const fn connected_replicas(&self) -> u64 {
        self.connected_replicas
    }

    /// Adds what only the one who asked knows: how long it took, and what it may not send.
    pub(crate) fn asked(mut self, latency: Duration, forbidden: Vec<String>) -> Self {
        self.latency = latency;
        if !forbidden.is_empty() {
            self.warnings.push(Warning::MissingRights(forbidden));
        }
        self
    }

    /// The worst of two primaries of a cluster.
    pub(crate) fn joined(self, other: Self) -> Self {
        let older = warning::numbers(&other.version) < warning::numbers(&self.version);
        let fuller = other.memory.fullness() > self.memory.fullness();
        let mut warnings = self.warnings;
        for warning in other.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Self {
            server: if older { other.server } else { self.server },
            version: if older { other.version } else { self.version },
            mode: self.mode,
            role: match self.role {
                Role::Primary => other.role,
                Role::Replica => Role::Replica,
            },
            memory: if fuller { other.memory } else { self.memory },
            evicted_keys: self.evicted_keys.saturating_add(other.evicted_keys),
            expired_keys: self.expired_keys.saturating_add(other.expired_keys),
            persistence: self.persistence.worst(other.persistence),
            connected_replicas: self.connected_replicas.min(other.connected_replicas),
            latency: self.latency.max(other.latency),
            warnings,
        }
    }
}

impl Memory {
    /// In use, of a million of the limit; and in bytes, where there is none.
    fn fullness(&self) -> (u64, u64) {
        let share = self.limit.map(|limit| {
            let share = u128::from(self.used) * 1_000_000 / u128::from(limit.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        });
        (share.unwrap_or(0), self.used)
    }
}

impl Persistence {
    fn worst(self, other: Self) -> Self {
        Self {
            aof: self.aof && other.aof,
            saved: self.saved && other.saved,
            last_save_age: self
                .last_save_age
                .zip(other.last_save_age)
                .map(|(one, another)| one.max(another)),
            last_save_ok: self.last_save_ok && other.last_save_ok,
            last_aof_write_ok: self.last_aof_write_ok && other.last_aof_write_ok,
        }
    }
}
