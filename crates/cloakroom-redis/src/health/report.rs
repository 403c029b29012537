//! The state of a server, as the app sees it.

use std::time::Duration;

use super::info::version_numbers;
use super::warning::Warning;

/// The state of a server: the result of [`RedisStore::health`](crate::RedisStore::health).
///
/// In a cluster it combines all primaries that the store is connected to: the warnings of all, the
/// memory of the fullest, the oldest version, the highest latency, the fewest replicas, the oldest
/// snapshot, and the sums of keys.
#[derive(Clone, Debug)]
pub struct Health {
    pub(super) server: ServerKind,
    pub(super) version: String,
    pub(super) mode: ServerMode,
    pub(super) role: Role,
    pub(super) memory: Memory,
    pub(super) evicted_keys: u64,
    pub(super) expired_keys: u64,
    pub(super) persistence: Persistence,
    pub(super) connected_replicas: u64,
    pub(super) latency: Duration,
    pub(super) warnings: Vec<Warning>,
}

/// The server software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// Redis, or any server that does not identify itself otherwise.
    Redis,
    /// Valkey.
    Valkey,
}

/// The mode in which a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerMode {
    /// A single server, with or without replicas and sentinels.
    Standalone,
    /// A node of a cluster.
    Cluster,
    /// A sentinel, which cannot store sessions.
    Sentinel,
}

/// The role of a server in replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It accepts writes.
    Primary,
    /// It copies a primary, and rejects writes.
    Replica,
}

/// Bytes in use, and their limit.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) used: u64,
    pub(super) peak: u64,
    pub(super) limit: Option<u64>,
    pub(super) eviction_policy: String,
}

/// The state of what is written to disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persistence {
    pub(super) aof: bool,
    pub(super) saved: bool,
    pub(super) last_save_age: Option<Duration>,
    pub(super) last_save_ok: bool,
    pub(super) last_aof_write_ok: bool,
}

impl Health {
    /// Returns what endangers sessions, each with what to do about it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns how long the server took to reply.
    #[must_use]
    pub const fn latency(&self) -> Duration {
        self.latency
    }

    /// Returns the server software.
    #[must_use]
    pub const fn server(&self) -> ServerKind {
        self.server
    }

    /// Returns the version, for instance `7.0.15`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the mode in which the server runs.
    #[must_use]
    pub const fn mode(&self) -> ServerMode {
        self.mode
    }

    /// Returns whether the server is a primary or a replica.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns the memory in use, in bytes.
    #[must_use]
    pub const fn memory_used(&self) -> u64 {
        self.memory.used
    }

    /// Returns the peak of the memory in use since the server started, in bytes.
    #[must_use]
    pub const fn memory_peak(&self) -> u64 {
        self.memory.peak
    }

    /// Returns `maxmemory` in bytes, or `None` if the server has no limit.
    #[must_use]
    pub const fn memory_limit(&self) -> Option<u64> {
        self.memory.limit
    }

    /// Returns `maxmemory-policy`: what happens at the limit, for instance `noeviction`.
    #[must_use]
    pub fn eviction_policy(&self) -> &str {
        &self.memory.eviction_policy
    }

    /// Returns how many keys of any app were evicted for lack of memory since the server started.
    #[must_use]
    pub const fn evicted_keys(&self) -> u64 {
        self.evicted_keys
    }

    /// Returns how many keys have expired since the server started.
    #[must_use]
    pub const fn expired_keys(&self) -> u64 {
        self.expired_keys
    }

    /// Returns whether the append-only file is enabled (`appendonly yes`).
    #[must_use]
    pub const fn is_aof_on(&self) -> bool {
        self.persistence.aof
    }

    /// Returns whether a snapshot was saved since the server started.
    #[must_use]
    pub const fn has_saved(&self) -> bool {
        self.persistence.saved
    }

    /// Returns how long ago the last snapshot was saved, in whole seconds of the server's clock, or
    /// `None` if none was saved since the server started.
    #[must_use]
    pub const fn last_save_age(&self) -> Option<Duration> {
        self.persistence.last_save_age
    }

    /// Returns whether the last snapshot was saved. It is `true` before the first attempt.
    #[must_use]
    pub const fn is_last_save_ok(&self) -> bool {
        self.persistence.last_save_ok
    }

    /// Returns whether the last write and the last rewrite of the append-only file succeeded. It is
    /// `true` if the file is disabled.
    #[must_use]
    pub const fn is_last_aof_write_ok(&self) -> bool {
        self.persistence.last_aof_write_ok
    }

    /// Returns how many replicas are connected.
    #[must_use]
    pub const fn connected_replicas(&self) -> u64 {
        self.connected_replicas
    }

    /// Adds what `INFO` does not contain: the latency, the commands that the user may not send, and those that
    /// the server does not have.
    pub(crate) fn with_findings(
        mut self,
        latency: Duration,
        forbidden: Vec<String>,
        unknown: Vec<String>,
    ) -> Self {
        self.latency = latency;
        if !forbidden.is_empty() {
            self.warnings.push(Warning::MissingRights(forbidden));
        }
        if !unknown.is_empty() {
            self.warnings.push(Warning::Unsupported(unknown));
        }
        self
    }

    pub(crate) fn with_warning(mut self, warning: Warning) -> Self {
        self.warnings.push(warning);
        self
    }

    /// Combines two primaries of a cluster, see [`Health`].
    pub(crate) fn merge(self, other: Self) -> Self {
        let older = version_numbers(&other.version) < version_numbers(&self.version);
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
    /// For comparison: the use in millionths of the limit, or in bytes if there is no limit.
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
