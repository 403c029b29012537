//! The contract of a store: a map from ids to records, with compare-and-swap and TTLs.
//!
//! A store is deliberately simple. What sessions mean (who may load one, when it expires, how edits are
//! merged) is decided above it, in one place. Each method returns an enum rather than a `bool`, so that a
//! caller has to handle every outcome.

mod outcome;
mod unsupported;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::admin::StoreAdmin;
use crate::bus::EventBus;
use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::event::SessionEvent;
use crate::id::{Revision, SessionId};
use crate::index::{AddOutcome, AddRequest, UserIndex};
use crate::record::{Record, Tombstone};
use crate::user::UserKey;

pub use self::outcome::{Created, Ended, Loaded, Touched, Updated, UserCreated};
pub use self::unsupported::Unsupported;

/// How many sessions [`Store::load_many`] loads at most.
pub const MAX_LOADED: usize = 64;

/// Keeps the records of sessions.
///
/// An implementation has these duties:
///
/// - Every method is atomic. If its future is dropped, it has happened either completely or not at all.
/// - Every stored value is removed by itself when its TTL is over.
/// - A command of unknown outcome is not retried.
/// - Every method returns within a time limit of the store.
///
/// The suite in `cloakroom_core::conformance` (feature `conformance`) tests an implementation. The guide
/// "Implementing a store", `docs/implementing-a-store.md` in the repository, explains the contract with a
/// complete example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    label = "does not implement `Store`",
    note = "use `MemoryStore` or `cloakroom_redis::RedisStore`; for a store of your own, see the guide \"Implementing a store\" in the documentation"
)]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Stores a new record, if there is neither a record nor a tombstone under `id`.
    fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Creates a session of a user: [`UserIndex::add`], and then [`create`](Self::create) under the
    /// id of the request, unless other sessions must be ended first. By default these are two commands, and the
    /// caller publishes the event. A store that can do it in one step should, including the event. A store that needs two
    /// may send them together if the token is [fresh](AddRequest::has_fresh_token) and there is no limit. It returns when both
    /// are complete.
    ///
    /// If it fails, the id may be in the index, without a session, even if the error says that the command
    /// was not executed. If the token is fresh, the session may be stored as well, and the caller ends it.
    fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> impl Future<Output = Result<UserCreated, StoreError>> + Send {
        let _ = event;
        add_and_create(self, user, add_request, record, ttl)
    }

    /// Returns the id under which to store a new session of a user. The default is `drawn`, a fresh id that nobody has
    /// seen yet. The method must not do I/O or block.
    ///
    /// A store that keeps its keys on several servers may return an id whose key is on the server of the user's index, so
    /// that [`create_for_user`](Self::create_for_user) is one step. The id must keep the time of `drawn`, its last eight
    /// hexadecimal digits, and most of its other random bits, so that no two sessions get the same one.
    ///
    /// `create_for_user` is also called with ids that `place` has not returned, such as those that are derived from a
    /// token. A store that wraps another one forwards the call.
    fn place(&self, user: &UserKey, drawn: SessionId) -> SessionId {
        let _ = user;
        drawn
    }

    /// Returns what is stored under `id`, never from a cache.
    fn load(&self, id: SessionId) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// Returns what is stored under each of these ids, in their order. There are at most [`MAX_LOADED`]. Each is as
    /// [`load`](Self::load) returns it, but a value that is no text at all may be reported as
    /// [`Nothing`](Loaded::Nothing). A record that cannot be decoded does not fail the others. If the store
    /// cannot be reached, all of them fail.
    ///
    /// By default it loads one after the other. A store that can read several at once should, since lists and
    /// limits of users with many sessions use it. It need not be atomic.
    fn load_many(
        &self,
        ids: &[SessionId],
    ) -> impl Future<Output = Vec<Result<Loaded, StoreError>>> + Send {
        async move {
            let mut loaded = Vec::with_capacity(ids.len());
            for id in ids {
                loaded.push(self.load(*id).await);
            }
            loaded
        }
    }

    /// Returns what a cache in front of the store holds for `id`, not older than the cache's maximum
    /// staleness. It must not do I/O or block. The default is `None`.
    ///
    /// A request tries this first. If it is not the record of a live session with the presented secret, the
    /// request is decided by [`load`](Self::load). Writes compare revisions, so they do not rely on it.
    ///
    /// A store that implements it also implements [`has_cache`](Self::has_cache).
    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        let _ = id;
        None
    }

    /// Returns whether [`peek_cached`](Self::peek_cached) may return anything, so that a session which a request has
    /// found may be older than the stored one. It is always the same. The default is `false`.
    ///
    /// With `true`, a CSRF token that does not match is compared again, with what [`load`](Self::load) returns.
    fn has_cache(&self) -> bool {
        false
    }

    /// Replaces the record under `id` if its revision is `expected`. It never creates a record.
    fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Updated, StoreError>> + Send;

    /// Sets the TTL to `ttl` and last-seen to `seen`, if the revision is `expected`. The revision does not
    /// change.
    ///
    /// Last-seen stays if it is later than `seen`, but by no more than [`Limits::CLOCK_TOLERANCE`]: one that is
    /// still later comes from a clock that was ahead, and is replaced ([`Record::touched`]). The TTL is set in
    /// each case: the session is used.
    ///
    /// [`Limits::CLOCK_TOLERANCE`]: crate::Limits::CLOCK_TOLERANCE
    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> impl Future<Output = Result<Touched, StoreError>> + Send;

    /// Stores `tombstone` under `id` for `keep`, whether or not there is a session. A tombstone that is
    /// there already stays. If `expected` is a revision and there is a record of another revision, nothing
    /// is written.
    ///
    /// A tombstone without a digest should be completed with that of the record that it replaces, in the same step:
    /// [`Secrets::complete`](crate::rotation::Secrets::complete). Otherwise users do not learn why their session was ended by
    /// its id.
    fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> impl Future<Output = Result<Ended, StoreError>> + Send;

    /// Returns the store's user index, if it has one. Without it, users can sign in, but their sessions
    /// cannot be listed, limited or revoked.
    fn index(&self) -> Option<impl UserIndex> {
        None::<Unsupported>
    }

    /// Returns the operations on all sessions of the store, if it has them. Without them, sessions cannot all
    /// be revoked at once.
    fn admin(&self) -> Option<impl StoreAdmin> {
        None::<Unsupported>
    }

    /// Returns the store's event bus, if it has one.
    fn bus(&self) -> Option<impl EventBus> {
        None::<Unsupported>
    }
}

/// The default of [`Store::create_for_user`]: first the index, then the record. It publishes no event.
///
/// # Errors
///
/// Those of [`UserIndex::add`] and [`Store::create`], and
/// [`Unsupported`](StoreErrorKind::Unsupported) if the store has no index.
pub async fn add_and_create<S: Store + ?Sized>(
    store: &S,
    user: &UserKey,
    add_request: &AddRequest,
    record: &Record,
    ttl: Duration,
) -> Result<UserCreated, StoreError> {
    let index = store.index();
    let index = index.ok_or(StoreError::new(StoreErrorKind::Unsupported))?;
    let sample = match index.add(user, add_request).await? {
        AddOutcome::LimitReached(there) => return Ok(UserCreated::LimitReached(there)),
        AddOutcome::Added { over, sample } if !over.is_empty() => {
            return Ok(UserCreated::LimitExceeded { over, sample });
        }
        AddOutcome::Added { sample, .. } => sample,
    };
    Ok(match store.create(add_request.id, record, ttl).await? {
        Created::Created => UserCreated::Created {
            sample,
            published: false,
        },
        Created::Collision => UserCreated::Collision,
    })
}
