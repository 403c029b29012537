//! Which sessions a user has: the contract of an index.
//!
//! What must hold, so that "log out everywhere" finds everything: **no live session of a user is
//! outside the user's index.** So an id is entered before its session is stored, and removed after
//! it has ended. What remains of a log-in that broke off is an entry without a session, which harms
//! nobody and is removed when it is old.

use std::future::Future;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::store::StoreError;
use crate::user::UserKey;

/// How long after a deadline, or after an id was issued, an entry without a session is old enough to
/// be removed: longer than a log-in can be under way, and than clocks may differ.
pub const OLD: Duration = Duration::from_secs(5 * 60);

/// How long whoever was to end a session for the limit has for it. Then the next log-in does it.
pub const LEASE: Duration = Duration::from_secs(5);

/// A session that asks to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Its id.
    pub id: SessionId,
    /// Its absolute deadline. A later one that is entered already stays.
    pub deadline: Timestamp,
    /// The time now.
    pub now: Timestamp,
    /// How many sessions the user may have, this one counted, and what to do about one too many.
    pub limit: Option<Limit>,
    /// A session whose place this one takes. It does not count.
    pub replaces: Option<SessionId>,
    /// Entries of which the caller knows that no session is behind them. They are removed.
    pub dead: Vec<SessionId>,
}

/// How many sessions a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many, at least one.
    pub most: u32,
    /// Whether to make room, by ending the oldest.
    pub make_room: bool,
}

/// What came of [`UserIndex::admit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is entered.
    Admitted {
        /// The sessions that the caller must end to hold the limit, and then
        /// [`forget`](UserIndex::forget). They do not count any more, and are still entered.
        over: Vec<SessionId>,
        /// A few entries, whose ids are older than [`OLD`], for the caller to look whether sessions
        /// are behind them. Over many admissions, every entry gets its turn.
        sample: Vec<SessionId>,
    },
    /// The user has as many sessions as it may: these. Nothing was entered.
    Full(Vec<SessionId>),
}

/// Knows which sessions a user has, and what sessions there are at all. Every verb is atomic.
///
/// An implementation removes by itself what is past its deadline by [`OLD`], and keeps nothing for
/// ever. The suite in `cloakroom_core::conformance` checks it.
pub trait UserIndex: Send + Sync {
    /// Enters a session, if the limit lets it.
    ///
    /// With `make_room` it is always entered, and as many of the oldest (by their ids) as are too
    /// many are handed to this caller to be ended, and to no other for [`LEASE`].
    fn admit(
        &self,
        user: &UserKey,
        applicant: &Applicant,
    ) -> impl Future<Output = Result<Admission, StoreError>> + Send;

    /// All that is entered for a user, in no order; also what is to be ended for the limit.
    fn entered(
        &self,
        user: &UserKey,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Removes entries.
    fn forget(
        &self,
        user: &UserKey,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every id under which there is a session or a tombstone, of anybody, in the whole store. What
    /// comes or goes meanwhile may be among them, or not. It may take long.
    fn everything(&self) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Before when no session may have begun: the store's epoch. The beginning of time, if none was
    /// ever begun.
    fn epoch(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Begins an epoch at `at`, and keeps it for `keep`. A later one that has begun stays.
    fn begin_epoch(
        &self,
        at: Timestamp,
        keep: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<I: UserIndex> UserIndex for &I {
    fn admit(
        &self,
        user: &UserKey,
        applicant: &Applicant,
    ) -> impl Future<Output = Result<Admission, StoreError>> + Send {
        (**self).admit(user, applicant)
    }

    fn entered(
        &self,
        user: &UserKey,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).entered(user)
    }

    fn forget(
        &self,
        user: &UserKey,
        ids: &[SessionId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).forget(user, ids)
    }

    fn everything(&self) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).everything()
    }

    fn epoch(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        (**self).epoch()
    }

    fn begin_epoch(
        &self,
        at: Timestamp,
        keep: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).begin_epoch(at, keep)
    }
}

/// What a store without an index, or without a bus, has in their place. Nobody can make one.
#[derive(Clone, Copy, Debug)]
pub enum Nowhere {}

impl UserIndex for Nowhere {
    async fn admit(&self, _: &UserKey, _: &Applicant) -> Result<Admission, StoreError> {
        match *self {}
    }

    async fn entered(&self, _: &UserKey) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn forget(&self, _: &UserKey, _: &[SessionId]) -> Result<(), StoreError> {
        match *self {}
    }

    async fn everything(&self) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn epoch(&self) -> Result<Timestamp, StoreError> {
        match *self {}
    }

    async fn begin_epoch(&self, _: Timestamp, _: Duration) -> Result<(), StoreError> {
        match *self {}
    }
}

impl crate::event::EventBus for Nowhere {
    async fn publish(&self, _: &crate::event::SessionEvent) -> Result<(), StoreError> {
        match *self {}
    }

    fn subscribe(&self) -> crate::event::Subscription {
        match *self {}
    }
}
