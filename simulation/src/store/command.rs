//! The commands of a store as values, so that they can be delayed, and repeated after a failover.

use std::time::Duration;

use cloakroom::{Entries, MemoryStore, SessionId, Store, StoreError, Timestamp};
use cloakroom_core::admin::{ScanCursor, ScanPage};
use cloakroom_core::index::{AddOutcome, AddRequest};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{Record, Revision, StoreAdmin, Tombstone, UserIndex, UserKey};
use futures_util::FutureExt;

use super::broken::Broken;

#[derive(Clone, Debug)]
pub(super) enum Command {
    Create(SessionId, Record, Duration),
    CreateForUser(UserKey, AddRequest, Record, Duration),
    Load(SessionId),
    LoadMany(Vec<SessionId>),
    Update(SessionId, Revision, Record, Duration),
    Touch(SessionId, Revision, Timestamp, Duration),
    End(SessionId, Option<Revision>, Tombstone, Duration),
    Add(UserKey, AddRequest),
    Evict(UserKey, Timestamp, u32, Option<SessionId>),
    List(UserKey, Option<SessionId>),
    Contains(UserKey, SessionId),
    Remove(UserKey, Vec<SessionId>),
    ScanIds(Option<ScanCursor>),
    RevokedBefore,
    SetRevokedBefore(Duration, Duration),
}

/// The reply of the server.
#[derive(Debug)]
pub(super) enum Reply {
    Created(Created),
    UserCreated(UserCreated),
    Loaded(Loaded),
    LoadedMany(Vec<Result<Loaded, StoreError>>),
    Updated(Updated),
    Touched(Touched),
    Ended(Ended),
    Added(AddOutcome),
    Ids(Vec<SessionId>),
    Contains(bool),
    Removed,
    Scanned(ScanPage),
    Time(Timestamp),
}

impl Command {
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::CreateForUser(..) => "create_for_user",
            Self::Load(_) => "load",
            Self::LoadMany(_) => "load_many",
            Self::Update(..) => "update",
            Self::Touch(..) => "touch",
            Self::End(..) => "end",
            Self::Add(..) => "add",
            Self::Evict(..) => "evict",
            Self::List(..) => "list",
            Self::Contains(..) => "contains",
            Self::Remove(..) => "remove",
            Self::ScanIds(_) => "scan_ids",
            Self::RevokedBefore => "revoked_before",
            Self::SetRevokedBefore(..) => "set_revoked_before",
        }
    }

    /// The session that it is about, if it is one.
    pub(super) fn id(&self) -> Option<SessionId> {
        match self {
            Self::Create(id, ..)
            | Self::Load(id)
            | Self::Update(id, ..)
            | Self::Touch(id, ..)
            | Self::End(id, ..)
            | Self::Contains(_, id) => Some(*id),
            Self::CreateForUser(_, request, ..) | Self::Add(_, request) => Some(request.id),
            _ => None,
        }
    }

    pub(super) const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Load(_)
                | Self::LoadMany(_)
                | Self::List(..)
                | Self::Contains(..)
                | Self::ScanIds(_)
                | Self::RevokedBefore
        )
    }

    /// Whether its reply waits for the replica, as in `RedisStore` with `with_replica_acks`.
    pub(super) const fn waits_for_replica(&self) -> bool {
        matches!(
            self,
            Self::Create(..) | Self::CreateForUser(..) | Self::End(..)
        )
    }

    /// Runs the command on a store in memory, whose futures are always ready.
    pub(super) fn run(
        &self,
        store: &MemoryStore,
        broken: Option<Broken>,
    ) -> Result<Reply, StoreError> {
        match self {
            Self::Create(id, record, ttl) => {
                ready(store.create(*id, record, *ttl)).map(Reply::Created)
            }
            Self::CreateForUser(user, request, record, ttl) => {
                let request = &Broken::added(broken, request);
                let created = ready(store.create_for_user(user, request, record, *ttl, None))?;
                Broken::forget(broken, store, user, request.id);
                Ok(Reply::UserCreated(match created {
                    UserCreated::LimitExceeded { over, sample } => UserCreated::LimitExceeded {
                        over: Broken::evicted(broken, store, user, request.id, over),
                        sample,
                    },
                    other => other,
                }))
            }
            Self::Load(id) => {
                let loaded = ready(store.load(*id))?;
                Ok(Reply::Loaded(Broken::loaded(broken, loaded)))
            }
            Self::LoadMany(ids) => {
                let loaded = store.load_many(ids).now_or_never();
                Ok(Reply::LoadedMany(loaded.expect("memory does not wait")))
            }
            Self::Update(id, expected, record, ttl) => {
                let expected = Broken::expected(broken, store, *id, *expected);
                let updated = ready(store.update(*id, expected, record, *ttl))?;
                Ok(Reply::Updated(Broken::updated(broken, record, updated)))
            }
            Self::Touch(id, expected, seen, ttl) => {
                ready(store.touch(*id, *expected, *seen, *ttl)).map(Reply::Touched)
            }
            Self::End(id, expected, tombstone, keep) => {
                let keep = Broken::keep(broken, *keep);
                ready(store.end(*id, *expected, tombstone, keep)).map(Reply::Ended)
            }
            _ => self.run_on_index(store, broken),
        }
    }

    fn run_on_index(
        &self,
        store: &MemoryStore,
        broken: Option<Broken>,
    ) -> Result<Reply, StoreError> {
        match self {
            Self::Add(user, request) => {
                let request = &Broken::added(broken, request);
                let added = ready(store.add(user, request))?;
                Broken::forget(broken, store, user, request.id);
                Ok(Reply::Added(match added {
                    AddOutcome::Added { over, sample } => AddOutcome::Added {
                        over: Broken::evicted(broken, store, user, request.id, over),
                        sample,
                    },
                    other @ AddOutcome::LimitReached(_) => other,
                }))
            }
            Self::Evict(user, now, most, replaces) => {
                let most = Broken::most(broken, *most);
                ready(store.evict(user, *now, most, *replaces)).map(Reply::Ids)
            }
            Self::List(user, after) => ready(UserIndex::list(store, user, *after)).map(Reply::Ids),
            Self::Contains(user, id) => ready(store.contains(user, *id)).map(Reply::Contains),
            Self::Remove(user, ids) => ready(store.remove(user, ids)).map(|()| Reply::Removed),
            Self::ScanIds(from) => ready(store.scan_ids(from.as_ref())).map(Reply::Scanned),
            Self::RevokedBefore => ready(store.revoked_before()).map(Reply::Time),
            Self::SetRevokedBefore(delay, keep) => {
                ready(store.set_revoked_before(*delay, *keep)).map(Reply::Time)
            }
            _ => unreachable!("the other commands are about sessions"),
        }
    }
}

fn ready<T>(command: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    command.now_or_never().expect("memory does not wait")
}

/// A record with other entries, and the same revision.
pub(super) fn with_entries(record: &Record, entries: Entries) -> Record {
    Record::new(
        record.revision(),
        record.last_seen(),
        record.limits(),
        *record.digest(),
        entries,
    )
}
