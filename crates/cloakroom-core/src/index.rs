//! Which sessions a user has: the contract of a user index.
//!
//! To sign a user out everywhere, all of the user's sessions must be found. So this invariant holds: **every
//! live session of a user is in the user's index.** An id is added to the index before its session is
//! stored, and removed after the session has ended. A sign-in that fails in between leaves an id without a
//! session, which is harmless and is removed once it is old.

use std::future::Future;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::user::UserKey;

/// How long after its deadline, or after it was issued, an id without a session may be removed from the
/// index. It is longer than a sign-in takes, and than the clocks of servers may differ.
pub const STALE_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long a caller has to end a session that was evicted for the limit. After that, the next sign-in is
/// asked to end it.
pub const LEASE: Duration = Duration::from_secs(5);

/// A session that is to be added to the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddRequest {
    /// The session's id.
    pub id: SessionId,
    /// Its absolute deadline. If the id is in the index already, the later deadline counts.
    pub deadline: Timestamp,
    /// The current time.
    pub now: Timestamp,
    /// How many sessions the user may have, including this one, and what to do if there are more.
    pub limit: Option<Limit>,
    /// A session that this one replaces. It does not count towards the limit.
    pub replaces: Option<SessionId>,
    /// Ids in the index that have no session, as the caller knows. They are removed.
    pub dead: Vec<SessionId>,
}

/// How many sessions a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The maximum, at least one.
    pub most: u32,
    /// Whether to evict the oldest sessions; otherwise, the new session is refused.
    pub evict_oldest: bool,
}

/// The result of [`UserIndex::add`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddOutcome {
    /// The session is in the index.
    Added {
        /// The sessions that the caller must end because of the limit, and then
        /// [`forget`](UserIndex::remove). They no longer count towards it, and are still in the index.
        over: Vec<SessionId>,
        /// A few ids in the index that were issued more than [`STALE_AFTER`] ago. The caller should check whether
        /// their sessions still exist. Over many calls, every old id is returned.
        sample: Vec<SessionId>,
    },
    /// The user has reached the limit, with these sessions. Nothing was added.
    LimitReached(Vec<SessionId>),
}

/// Keeps which sessions each user has. Every method is atomic.
///
/// An implementation removes ids by itself once their deadline was more than [`STALE_AFTER`] ago, so that nothing is
/// kept forever. The suite `cloakroom_core::conformance::index` tests an implementation.
pub trait UserIndex: Send + Sync {
    /// Adds a session to a user's index, if the limit allows it.
    ///
    /// With [`evict_oldest`](Limit::evict_oldest) it is always added. The oldest sessions above the limit, by the
    /// time in their ids, are returned to this caller to be ended, and to no other for [`LEASE`].
    fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> impl Future<Output = Result<AddOutcome, StoreError>> + Send;

    /// Returns all ids in a user's index, in no particular order, including those to be ended for the limit.
    fn list(
        &self,
        user: &UserKey,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Removes ids from a user's index.
    fn remove(
        &self,
        user: &UserKey,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<I: UserIndex> UserIndex for &I {
    fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> impl Future<Output = Result<AddOutcome, StoreError>> + Send {
        (**self).add(user, add_request)
    }

    fn list(
        &self,
        user: &UserKey,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).list(user)
    }

    fn remove(
        &self,
        user: &UserKey,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).remove(user, ids)
    }
}
