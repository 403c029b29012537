//! Which sessions a user has: the contract of a user index.
//!
//! To sign a user out everywhere, all of the user's sessions must be found. So this invariant holds: **every
//! live session whose token anybody has is in its user's index.** An id is added to the index before its session is
//! stored, or, if its token is [fresh](AddRequest::has_fresh_token), before the sign-in succeeds; it is removed after the
//! session has ended. A sign-in that fails in between leaves an id without a session, which is harmless and is removed
//! once it is old, or a session that nobody can use, which is rolled back, or expires if the server is killed.
//!
//! A user can have very many sessions, and a store serves other users as well. So **no call does work that
//! grows with the size of an index**, apart from the logarithm of a search: each returns and changes a limited number
//! of ids, and its caller calls again where there may be more.

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

/// How many ids [`UserIndex::list`] returns at most.
pub const MAX_PAGE: usize = 256;

/// How many sessions a caller of [`UserIndex::add`] or [`UserIndex::evict`] has to end at most.
pub const MAX_EVICTED: usize = 64;

/// How many ids [`AddOutcome::LimitReached`] contains at most.
pub const MAX_COUNTED: usize = 128;

/// How many ids the sample of [`AddOutcome::Added`] contains at most.
pub const MAX_SAMPLE: usize = 16;

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
    /// Ids in the index that have no session, as the caller knows. They are removed. At most
    /// [`MAX_COUNTED`].
    pub dead: Vec<SessionId>,
    /// Whether nobody has the session's token before the sign-in has succeeded. That is so for a random one, and not
    /// for one that is derived from the token of another session. If it is, and there is no limit,
    /// [`Store::create_for_user`](crate::Store::create_for_user) may store the session while it adds the id.
    pub has_fresh_token: bool,
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
        /// [`remove`](UserIndex::remove). They no longer count towards it, and are still in the index. At most
        /// [`MAX_EVICTED`]; if there are as many, there may be more, which [`UserIndex::evict`] returns.
        over: Vec<SessionId>,
        /// A few ids in the index that were issued more than [`STALE_AFTER`] ago, at most [`MAX_SAMPLE`], and none for
        /// most calls. The caller should check whether their sessions still exist. Over many calls, every old id is
        /// returned, and so often that an index has a limited share of ids without a session: on average at least
        /// two for each id that is added, as far as there are old ones.
        sample: Vec<SessionId>,
    },
    /// The user has reached the limit, and nothing was added. These are the sessions that count, for the caller to
    /// check whether they still exist: all of them, or of more than [`MAX_COUNTED`] the oldest and others that vary
    /// between calls.
    LimitReached(Vec<SessionId>),
}

/// Keeps which sessions each user has. Every method is atomic.
///
/// An implementation removes ids by itself once their deadline was more than [`STALE_AFTER`] ago, a few with each
/// id that is added, so that nothing is kept forever. The suite `cloakroom_core::conformance::index` tests an
/// implementation.
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

    /// Returns the oldest sessions above the limit `most`, at most [`MAX_EVICTED`], to be ended by the caller as those
    /// of [`AddOutcome::Added`]. It adds nothing. `replaces` is a session that the caller is replacing, which does
    /// not count. None is left if the result is empty.
    fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Returns ids in a user's index, including those to be ended for the limit: the first ones, or those that
    /// follow `after`, the last id of the page before. Fewer than [`MAX_PAGE`] are the last ones.
    ///
    /// The order is that of creation, the newest first, by the time in the ids. Ids to be ended for the limit may
    /// come last, and those of the same millisecond in any order. Every id that is in the index all the time is in one of
    /// the pages. If `after` is not in the index any more, the next page may repeat ids of the same millisecond.
    fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Returns whether an id is in a user's index.
    fn contains(
        &self,
        user: &UserKey,
        id: SessionId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes ids from a user's index, at most [`MAX_PAGE`].
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

    fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).evict(user, now, most, replaces)
    }

    fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).list(user, after)
    }

    fn contains(
        &self,
        user: &UserKey,
        id: SessionId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        (**self).contains(user, id)
    }

    fn remove(
        &self,
        user: &UserKey,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).remove(user, ids)
    }
}
