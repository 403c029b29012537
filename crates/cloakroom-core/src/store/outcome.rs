//! The results of a store's methods.

use crate::id::SessionId;
use crate::record::{Record, Tombstone};

/// The result of [`Store::create`](super::Store::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The record is stored.
    Created,
    /// There is a record or a tombstone under this id already. It was not changed.
    Collision,
}

/// The result of [`Store::create_for_user`](super::Store::create_for_user).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserCreated {
    /// The session is in its user's index, and stored.
    Created {
        /// Ids to check, as in [`AddOutcome::Added`](crate::index::AddOutcome::Added).
        sample: Vec<SessionId>,
        /// Whether the event was published in the same step. Otherwise, the caller publishes it.
        published: bool,
    },
    /// The id is in the index. There is a record or a tombstone under it already, most likely because the
    /// session was ended concurrently. It was not changed.
    Collision,
    /// The id is in the index, and the session is not stored: because of the limit, the caller must end
    /// other sessions first.
    LimitExceeded {
        /// The sessions to end, as in [`AddOutcome::Added`](crate::index::AddOutcome::Added).
        over: Vec<SessionId>,
        /// Ids to check.
        sample: Vec<SessionId>,
    },
    /// The user has reached the limit, with these sessions. Nothing was added or stored.
    LimitReached(Vec<SessionId>),
}

/// The result of [`Store::load`](super::Store::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// A live session.
    Record(Record),
    /// A session that ended a short while ago.
    Tombstone(Tombstone),
    /// Nothing is stored under the id.
    Nothing,
}

/// The result of [`Store::update`](super::Store::update).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The record is stored.
    Updated,
    /// Another commit came first; this is the stored record. Nothing was written.
    Conflict(Record),
    /// The session has ended. Nothing was written.
    Ended(Tombstone),
    /// There is no such session. Nothing was written.
    Missing,
}

/// The result of [`Store::touch`](super::Store::touch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The TTL is updated, and last-seen unless it is later.
    Touched,
    /// Another commit or the end of the session came first. Nothing was written.
    Superseded,
}

/// The result of [`Store::end`](super::Store::end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The session was live, and has ended.
    Ended,
    /// There is a tombstone already. It was not changed.
    AlreadyEnded(Tombstone),
    /// Nothing was stored under the id; now there is the tombstone.
    Missing,
    /// The revision is not the expected one; this is the stored record. Nothing was written.
    Conflict(Record),
}
