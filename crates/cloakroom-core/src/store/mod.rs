//! The contract of a store: a map from ids to records with compare-and-swap and time limits.
//!
//! A store is deliberately dumb. All that sessions mean (who may load one, when it is over, how
//! edits merge) lives above it, once. No outcome is a bare `bool`: each verb has an enum that the
//! caller must match whole.

mod error;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::{EventBus, SessionEvent};
use crate::id::{Revision, SessionId};
use crate::index::{Admission, Applicant, Nowhere, UserIndex};
use crate::record::{Record, Tombstone};
use crate::user::UserKey;

pub use self::error::{StoreError, StoreErrorKind};

/// What came of [`Store::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The record is stored.
    Created,
    /// Something is there under this id, live or a tombstone; it is as it was.
    Collision,
}

/// What came of [`Store::enter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The session is entered for its user, and stored.
    Created {
        /// Entries to be looked at, as in [`Admission::Admitted`].
        sample: Vec<SessionId>,
        /// Whether the event was published with it. Otherwise the caller does that.
        told: bool,
    },
    /// It is entered. Something is there under its id, most likely the tombstone of somebody who has
    /// ended it meanwhile; that is as it was.
    Collision,
    /// It is entered, and not stored: first the caller must end some, to hold the limit.
    Over {
        /// These, as in [`Admission::Admitted`].
        over: Vec<SessionId>,
        /// Entries to be looked at.
        sample: Vec<SessionId>,
    },
    /// The user has as many sessions as it may: these. Nothing was entered or stored.
    Full(Vec<SessionId>),
}

/// What [`Store::load`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A live session.
    Record(Record),
    /// A session that ended a short while ago.
    Tombstone(Tombstone),
    /// Nothing.
    Nothing,
}

/// What came of [`Store::update`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The record is stored.
    Updated,
    /// Somebody else committed first; this is the record that is there now.
    Conflict(Record),
    /// The session ended; nothing was written.
    Ended(Tombstone),
    /// There is no such session; nothing was written.
    Missing,
}

/// What came of [`Store::touch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The use is written down.
    Touched,
    /// Another commit, a later touch or an ending was there; nothing was written.
    Superseded,
}

/// What came of [`Store::end`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A live session was there, and is ended.
    Ended,
    /// A tombstone was there; it is as it was.
    AlreadyEnded(Tombstone),
    /// Nothing was there; now there is the tombstone.
    Missing,
    /// The revision is not the one expected; this is the record that is there now, untouched.
    Conflict(Record),
}

/// Keeps records. Every verb is atomic, and every value that it stores goes by itself when its
/// `ttl` is over: there is nothing to sweep from outside.
///
/// A verb may be cancelled by dropping its future; it then either happened whole or not at all.
/// Implementations must not retry a command whose outcome they do not know, and should answer
/// within a time limit of their own. The suite in `cloakroom_core::conformance` (feature
/// `conformance`) checks an implementation.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Stores a new record, if nothing is there under `id`, not even a tombstone.
    fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Begins a session of a user: [`UserIndex::admit`], and then, if no other session must be ended
    /// first, [`create`](Self::create) under the applicant's id. A store that can do both in one step
    /// does, and publishes the event with it. If an error says that nothing was carried out, the entry
    /// may stand all the same; there is no session behind it.
    fn enter(
        &self,
        user: &UserKey,
        applicant: &Applicant,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> impl Future<Output = Result<Entered, StoreError>> + Send {
        let _ = event;
        admit_and_create(self, user, applicant, record, ttl)
    }

    /// Finds what is there under `id`. Never answers from a cache.
    fn load(&self, id: SessionId) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// What a cache in front of the store has at hand of what was there under `id` a moment ago: at most
    /// as long ago as that cache promises. It asks nobody, and must not block. By default, nothing.
    ///
    /// A request begins with this, and with [`load`](Self::load) if it gives nothing; whatever decides
    /// over a session afterwards asks again or compares revisions.
    fn remembered(&self, id: SessionId) -> Option<Loaded> {
        let _ = id;
        None
    }

    /// Replaces the record under `id`, if its revision is `expected`. Never creates.
    fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Updated, StoreError>> + Send;

    /// Moves last-seen to `seen` and the TTL to `ttl`, if the revision is `expected` and last-seen
    /// is earlier. The revision stays.
    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> impl Future<Output = Result<Touched, StoreError>> + Send;

    /// Puts `tombstone` under `id` for `keep`, whether or not a session is there; unless `expected`
    /// names a revision and a live record of another one is there. A tombstone that is there stays.
    fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> impl Future<Output = Result<Ended, StoreError>> + Send;

    /// The store's index of whose session is whose, if it keeps one. Without one, sessions can be
    /// signed in, but not be listed, limited or ended by their user.
    fn index(&self) -> Option<impl UserIndex> {
        None::<Nowhere>
    }

    /// The store's bus for events, if it has one.
    fn bus(&self) -> Option<impl EventBus> {
        None::<Nowhere>
    }
}

/// What [`Store::enter`] does by default: one step after the other, and the event is left to the caller.
///
/// # Errors
///
/// Those of the two steps; also if the store has no index.
pub async fn admit_and_create<S: Store + ?Sized>(
    store: &S,
    user: &UserKey,
    applicant: &Applicant,
    record: &Record,
    ttl: Duration,
) -> Result<Entered, StoreError> {
    let index = store.index();
    let index = index.ok_or(StoreError::new(StoreErrorKind::Unsupported))?;
    let sample = match index.admit(user, applicant).await? {
        Admission::Full(there) => return Ok(Entered::Full(there)),
        Admission::Admitted { over, sample } if !over.is_empty() => {
            return Ok(Entered::Over { over, sample });
        }
        Admission::Admitted { sample, .. } => sample,
    };
    Ok(match store.create(applicant.id, record, ttl).await? {
        Created::Created => Entered::Created {
            sample,
            told: false,
        },
        Created::Collision => Entered::Collision,
    })
}

impl<S: Store> Store for Arc<S> {
    fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send {
        (**self).create(id, record, ttl)
    }

    fn enter(
        &self,
        user: &UserKey,
        applicant: &Applicant,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> impl Future<Output = Result<Entered, StoreError>> + Send {
        (**self).enter(user, applicant, record, ttl, event)
    }

    fn load(&self, id: SessionId) -> impl Future<Output = Result<Loaded, StoreError>> + Send {
        (**self).load(id)
    }

    fn remembered(&self, id: SessionId) -> Option<Loaded> {
        (**self).remembered(id)
    }

    fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Updated, StoreError>> + Send {
        (**self).update(id, expected, record, ttl)
    }

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> impl Future<Output = Result<Touched, StoreError>> + Send {
        (**self).touch(id, expected, seen, ttl)
    }

    fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> impl Future<Output = Result<Ended, StoreError>> + Send {
        (**self).end(id, expected, tombstone, keep)
    }

    fn index(&self) -> Option<impl UserIndex> {
        (**self).index()
    }

    fn bus(&self) -> Option<impl EventBus> {
        (**self).bus()
    }
}
