//! Warnings about what endangers sessions.

use std::fmt;

/// The oldest Redis that the tests run with. In older ones, scripts cannot check a user's rights, and the
/// code of an error inside a script is hidden in its text. Every Valkey is newer.
pub(super) const OLDEST_REDIS: [u64; 2] = [7, 0];

/// Something that endangers sessions. Its text is one line that says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// At its memory limit the server evicts sessions, by this policy. Every session has a time to live,
    /// so the `volatile` policies evict them as well.
    EvictsSessions(String),
    /// Nothing that was written since the server started is on disk: the append-only file is disabled,
    /// and there is no snapshot yet.
    NotPersisted,
    /// The last snapshot could not be saved.
    SnapshotFailed,
    /// The last write or the last rewrite of the append-only file failed.
    AofFailed,
    /// The server's version is older than those that this crate is tested with.
    OldServer(String),
    /// The server is a replica, and rejects writes.
    Replica,
    /// The user may not send these commands on keys with the store's prefix.
    MissingRights(Vec<String>),
    /// The server does not have these commands, because they were renamed or removed; or its Lua does not have
    /// the library `cmsgpack`.
    Unsupported(Vec<String>),
    /// The server is in cluster mode, and the URL is not that of a cluster. With one shard, or behind a proxy,
    /// everything works, but nothing is merged.
    ClusterMode,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvictsSessions(policy) => write!(
                f,
                "at its memory limit the server evicts sessions (maxmemory-policy {policy}): set \
                 maxmemory-policy noeviction, and a maxmemory that is large enough for all sessions"
            ),
            Self::NotPersisted => f.write_str(
                "nothing written since the server started is on disk, so a restart signs out all \
                 users: set appendonly yes, or save snapshots",
            ),
            Self::SnapshotFailed => f.write_str(
                "the last snapshot could not be saved: check the server's log, disk and memory",
            ),
            Self::AofFailed => f.write_str(
                "the append-only file could not be written: check the server's log and disk; until \
                 then the server may reject writes",
            ),
            Self::OldServer(version) => write!(
                f,
                "the server has version {version}: use Redis {}.{} or newer, or Valkey",
                OLDEST_REDIS[0], OLDEST_REDIS[1]
            ),
            Self::Replica => f.write_str(
                "the server is a replica and rejects writes: connect to its primary, or use sentinels",
            ),
            Self::MissingRights(commands) => write!(
                f,
                "the user may not send {} on the store's keys: grant it the rights listed in the \
                 documentation of cloakroom-redis, for this store's prefix",
                commands.join(", ")
            ),
            Self::Unsupported(names) => write!(
                f,
                "the server does not have {}: do not rename or remove commands, and use Redis or Valkey",
                names.join(", ")
            ),
            Self::ClusterMode => f.write_str(
                "the server is in cluster mode: use a redis-cluster URL; with this one every command has one \
                 key, and slots that move to another node are not found",
            ),
        }
    }
}
