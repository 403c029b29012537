//! What endangers sessions, and what to do about it.

use std::fmt;

use super::{Health, Role, ServerKind};

/// The oldest Redis that the tests run on. Also, an older one does not tell a user's rights to a
/// script, and hides the code of an error inside one. Every Valkey is newer.
pub(super) const OLDEST: [u64; 2] = [7, 0];

/// Something that endangers sessions. Its text is one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// At its memory limit, the server throws sessions away, by this policy. Every session has a time
    /// to live, so the `volatile` policies do it as well.
    EvictsSessions(String),
    /// Nothing that was written since the server started is on disk: no append-only file, and no
    /// snapshot yet.
    NotPersisted,
    /// The last snapshot could not be saved.
    SnapshotFailed,
    /// The append-only file could not be written to, or not be rewritten, the last time.
    AofFailed,
    /// The server's version, older than what this crate is tested with.
    OldServer(String),
    /// The server is a replica, and refuses writes.
    Replica,
    /// Commands that the user may not send on keys of the store's prefix.
    MissingRights(Vec<String>),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvictsSessions(policy) => write!(
                f,
                "at its memory limit the server throws sessions away (maxmemory-policy {policy}): \
                 set maxmemory-policy noeviction, and a maxmemory that holds all sessions"
            ),
            Self::NotPersisted => f.write_str(
                "nothing written since the server started is on disk, and a restart signs everybody \
                 out: set appendonly yes, or save snapshots",
            ),
            Self::SnapshotFailed => f.write_str(
                "the last snapshot could not be saved: read the server's log, and see to its disk and \
                 its memory",
            ),
            Self::AofFailed => f.write_str(
                "the append-only file could not be written: read the server's log, and see to its \
                 disk; until then the server may refuse writes",
            ),
            Self::OldServer(version) => write!(
                f,
                "the server is of version {version}: use Redis {}.{} or newer, or Valkey",
                OLDEST[0], OLDEST[1]
            ),
            Self::Replica => f.write_str(
                "the server is a replica, and refuses writes: connect to its primary, or through \
                 sentinels",
            ),
            Self::MissingRights(commands) => write!(
                f,
                "the user may not send {} on the store's keys: give it the rights that the front page \
                 of cloakroom-redis tells, with this store's prefix",
                commands.join(", ")
            ),
        }
    }
}

/// What of the server's own account is to be warned of.
pub(super) fn of(health: &Health) -> Vec<Warning> {
    let memory = &health.memory;
    let persistence = health.persistence;
    let evicts = ["allkeys-", "volatile-"]
        .iter()
        .any(|start| memory.eviction_policy.starts_with(start));
    let old = health.server == ServerKind::Redis && numbers(&health.version) < OLDEST;
    let all = [
        (health.role == Role::Replica, Warning::Replica),
        (
            evicts && memory.limit.is_some(),
            Warning::EvictsSessions(memory.eviction_policy.clone()),
        ),
        (
            !persistence.aof && !persistence.saved,
            Warning::NotPersisted,
        ),
        (!persistence.last_save_ok, Warning::SnapshotFailed),
        (!persistence.last_aof_write_ok, Warning::AofFailed),
        (old, Warning::OldServer(health.version.clone())),
    ];
    all.into_iter()
        .filter_map(|(holds, warning)| holds.then_some(warning))
        .collect()
}

/// The first two numbers of a version; what is none counts as 0.
pub(super) fn numbers(version: &str) -> [u64; 2] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}
