//! Lists, counts and ends the sessions of users.

use std::collections::HashSet;
use std::sync::Arc;

use cloakroom_core::bus::Subscription;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::renewal::RenewalMark;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Record, SessionId, StoreError, StoreErrorKind, UserId,
};

use super::info::SessionInfo;
use crate::budget::Budget;
use crate::commit::{CommitContext, FollowUp, MAX_RENEWALS, end_by_id};
use crate::context::Context;
use crate::error::{Cause, SessionError};
use crate::load::{Liveness, check};
use crate::session::{LazySession, Session};
use crate::state::limits_of;

/// How often the index of a user is read at most while all sessions of the user are ended, because sessions
/// were renewed or created meanwhile. One client can renew its session once in each pass.
const MAX_PASSES: usize = 64;

/// The sessions of all users: for handlers, which take it as an argument, and for jobs, which get it from
/// [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// Each store command has the layer's time limit for itself. Each session that is read costs one command,
/// and one that is linked with a legacy session ([`Migration::side_by_side`](crate::Migration::side_by_side)) a read of
/// the legacy store as well.
///
/// ```
/// use cloakroom::{RevokedBy, Session, SessionError, Sessions};
///
/// /// The page "Your devices".
/// async fn devices(session: Session, sessions: Sessions) -> Result<String, SessionError> {
///     let user = session.require_user()?;
///     let mut lines = String::new();
///     for found in sessions.list(&user).await? {
///         let mark = if found.is_current(&session) { " (this one)" } else { "" };
///         lines += &format!("{}{mark}\n", found.id());
///     }
///     Ok(lines)
/// }
///
/// /// "Log out everywhere else".
/// async fn revoke_others(session: Session, sessions: Sessions) -> Result<String, SessionError> {
///     let ended = sessions.revoke_others(&session).await?;
///     Ok(format!("{ended} other sessions ended"))
/// }
///
/// /// After the password was reset by mail.
/// async fn password_reset(sessions: Sessions) -> Result<(), SessionError> {
///     sessions.revoke_all("ada", RevokedBy::User).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(super) context: Arc<Context>,
}

/// Who ends sessions: part of the reason in events, in the log, and of
/// [`Session::watch`](crate::Session::watch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedBy {
    /// The user whose sessions they are.
    User,
    /// An administrator, or a job.
    Admin,
}

impl RevokedBy {
    pub(super) const fn reason(self) -> EndReason {
        match self {
            Self::User => EndReason::RevokedByUser,
            Self::Admin => EndReason::RevokedByAdmin,
        }
    }
}

impl LazySession {
    /// Returns the sessions of all users of this layer.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.handle.context))
    }
}

impl Sessions {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Returns the live sessions of a user, the most recently used first.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or keeps no index of users; or if the legacy store fails, for a linked
    /// session.
    pub async fn list(&self, user: impl Into<UserId>) -> Result<Vec<SessionInfo>, SessionError> {
        let user = user.into();
        let key = self.context.user_key(&user);
        let mut found = Vec::new();
        let mut follow_up = FollowUp::new(&self.context);
        for id in self.indexed(&user).await? {
            match self.load(id).await? {
                Loaded::Record(record) if is_of(&record, &user) => {
                    found.extend(self.info_if_live(id, record).await?);
                }
                Loaded::Tombstone(tombstone) => {
                    follow_up = follow_up.end_again(key, id, tombstone);
                }
                Loaded::Nothing if self.context.is_old(id) => {
                    follow_up = follow_up.remove_from_index(key, id);
                    follow_up = follow_up.publish(SessionEvent::Ended {
                        id,
                        user: Some(user.clone()),
                        reason: EndReason::Expired,
                    });
                }
                // Of another user, or about to be created.
                Loaded::Record(_) | Loaded::Nothing => {}
            }
        }
        follow_up.start();
        found.sort_by_key(|info| std::cmp::Reverse((info.last_seen(), info.id())));
        Ok(found)
    }

    /// Returns the number of live sessions of a user.
    ///
    /// # Errors
    ///
    /// As for [`of`](Self::list).
    pub async fn count(&self, user: impl Into<UserId>) -> Result<usize, SessionError> {
        Ok(self.list(user).await?.len())
    }

    /// Returns a live session by its id, of a user or anonymous; also one of another layer that shares the
    /// store's key prefix.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn find(&self, id: SessionId) -> Result<Option<SessionInfo>, SessionError> {
        match self.load(id).await? {
            Loaded::Record(record) => self.info_if_live(id, record).await,
            Loaded::Tombstone(_) | Loaded::Nothing => Ok(None),
        }
    }

    /// Ends any session: for administrators. Returns whether it was live. It may belong to any layer that
    /// shares the store's key prefix.
    ///
    /// # Errors
    ///
    /// Fails if the store fails: the session may still be live.
    pub async fn revoke_any(&self, id: SessionId) -> Result<bool, SessionError> {
        let user = match self.load(id).await? {
            Loaded::Record(record) => Authentication::of(record.entries()),
            // It is ended again: the replicas may not have the tombstone.
            Loaded::Tombstone(_) => None,
            Loaded::Nothing => return Ok(false),
        };
        let user = user.as_ref().map(Authentication::user);
        self.end_one(id, user, RevokedBy::Admin.reason()).await
    }

    /// Ends one of a user's own sessions: for "sign out this device". A session of another user is not
    /// ended, whatever id the browser sends. Returns whether the session has ended.
    ///
    /// # Errors
    ///
    /// Fails if the store fails: the session may still be live.
    pub async fn revoke(
        &self,
        user: impl Into<UserId>,
        id: SessionId,
    ) -> Result<bool, SessionError> {
        let user = user.into();
        let reason = RevokedBy::User.reason();
        let mut id = id;
        // It may have been renewed since the user saw it in a list, and again while this ends it.
        for _ in 0..MAX_PASSES {
            // The index decides whose session it is, in this realm.
            let is_own = self.indexed(&user).await?.contains(&id);
            if is_own && self.end_one(id, Some(&user), reason).await? {
                return Ok(true);
            }
            let chain = self.chain_from(id).await?;
            let last = chain[chain.len() - 1];
            if last == id {
                break;
            }
            id = last;
        }
        Ok(false)
    }

    /// Ends all sessions of a user except this one (ASVS 5.0, 7.4.3 and 7.5.2): after a change of the
    /// password, for instance. Returns how many have ended. See [`revoke_all`](Self::revoke_all).
    ///
    /// If a concurrent request has renewed this session, the session in which it continues is kept.
    ///
    /// # Errors
    ///
    /// Fails with [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), and as for
    /// [`revoke_all`](Self::revoke_all).
    pub async fn revoke_others(&self, session: &Session) -> Result<usize, SessionError> {
        let user = session.require_user()?;
        let id = session.id().ok_or(Cause::NotSignedIn)?;
        self.end_all_but(&user, Some(id), RevokedBy::User).await
    }

    /// Ends all sessions of a user. Returns how many have ended.
    ///
    /// When it returns, the sessions that were signed in before the call have ended on every server, also
    /// if they were renewed meanwhile. A sign-in during the call is refused, or its session ends, or it
    /// counts as later than the call: change the password first, then call this.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or keeps no index of users. All sessions that could be ended have ended
    /// then; call it again.
    pub async fn revoke_all(
        &self,
        user: impl Into<UserId>,
        by: RevokedBy,
    ) -> Result<usize, SessionError> {
        self.end_all_but(&user.into(), None, by).await
    }

    /// Subscribes to the session events of all servers, from now on.
    ///
    /// Delivery is best effort, and nothing depends on it for correctness: after
    /// [`Missed`](cloakroom_core::SessionEvent::Missed), read the state that matters, and for accounting
    /// keep records of your own. The end of an expired session is published when it is noticed: by a list
    /// or a limit of its user's sessions.
    ///
    /// ```
    /// use cloakroom::{SessionError, SessionEvent, Sessions};
    ///
    /// async fn watch_for_theft(sessions: Sessions) -> Result<(), SessionError> {
    ///     let mut events = sessions.events()?;
    ///     while let Some(event) = events.next().await {
    ///         if let SessionEvent::Ended { id, user, reason, .. } = event {
    ///             println!("{id} of {user:?}: {reason}");
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the store has no event bus.
    pub fn events(&self) -> Result<Subscription, SessionError> {
        match self.context.store.subscribe() {
            Some(subscription) => Ok(subscription),
            None => Err(StoreError::new(StoreErrorKind::Unsupported).into()),
        }
    }

    async fn end_all_but(
        &self,
        user: &UserId,
        kept: Option<SessionId>,
        by: RevokedBy,
    ) -> Result<usize, SessionError> {
        let mut done = HashSet::new();
        let (mut count, mut failed) = (0, None);
        for _ in 0..MAX_PASSES {
            let mut new = self.indexed(user).await?;
            if let Some(kept) = kept {
                new = self.without_continuations(new, kept).await?;
            }
            new.retain(|id| done.insert(*id));
            // A session that had ended before this could end it may have been renewed: its successor was
            // added to the index before, so another pass finds it.
            if new.is_empty() {
                break;
            }
            for id in new {
                // One that cannot be ended must not keep the others alive.
                match self.end_one(id, Some(user), by.reason()).await {
                    Ok(ended) => count += usize::from(ended),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Removes a session from a list of ids, and those in which it continues: the chain of its renewals, and a
    /// session that a renewal which is in progress has created.
    async fn without_continuations(
        &self,
        mut ids: Vec<SessionId>,
        kept: SessionId,
    ) -> Result<Vec<SessionId>, SessionError> {
        ids.retain(|id| *id != kept);
        if ids.is_empty() {
            return Ok(ids);
        }
        let chain = self.chain_from(kept).await?;
        let mut others = Vec::new();
        for id in ids {
            if chain.contains(&id) {
                continue;
            }
            let from = match self.load(id).await? {
                Loaded::Record(record) => RenewalMark::of(record.entries()),
                Loaded::Tombstone(_) => None,
                // About to be stored, perhaps by a renewal of the kept session. If by a sign-in, that counts as
                // one after this.
                Loaded::Nothing => continue,
            };
            if !from.is_some_and(|mark| chain.contains(&mark.from())) {
                others.push(id);
            }
        }
        Ok(others)
    }

    /// Returns a session, and those that its tombstone and theirs name.
    async fn chain_from(&self, id: SessionId) -> Result<Vec<SessionId>, SessionError> {
        let mut chain = vec![id];
        while let Loaded::Tombstone(tombstone) = self.load(chain[chain.len() - 1]).await?
            && let Some(successor) = tombstone.successor()
            && chain.len() <= MAX_RENEWALS
        {
            chain.push(successor);
        }
        Ok(chain)
    }

    /// Ends one session, and returns whether it was live.
    pub(super) async fn end_one(
        &self,
        id: SessionId,
        user: Option<&UserId>,
        reason: EndReason,
    ) -> Result<bool, SessionError> {
        let budget = self.budget();
        let cx = CommitContext::without_request(&self.context, &budget);
        let ended = end_by_id(&cx, id, user, reason).await?;
        Ok(ended == Ended::Ended)
    }

    /// The ids in a user's index.
    async fn indexed(&self, user: &UserId) -> Result<Vec<SessionId>, SessionError> {
        let ids = self.context.store.index_list(self.context.user_key(user));
        Ok(self.budget().read(ids).await?)
    }

    /// Reads a session. A record that cannot be decoded counts as missing.
    pub(super) async fn load(&self, id: SessionId) -> Result<Loaded, SessionError> {
        match self.budget().read(self.context.store.load(id)).await {
            Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(Loaded::Nothing),
            loaded => Ok(loaded?),
        }
    }

    async fn info_if_live(
        &self,
        id: SessionId,
        record: Record,
    ) -> Result<Option<SessionInfo>, SessionError> {
        let budget = self.budget();
        let Liveness::Live { record, .. } = check(&self.context, id, record, &budget).await? else {
            return Ok(None);
        };
        let limits = limits_of(id, &record, self.context.rule(record.entries()));
        Ok(Some(SessionInfo::new(id, &record, limits)))
    }

    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.context.budget)
    }
}

fn is_of(record: &Record, user: &UserId) -> bool {
    Authentication::of(record.entries()).is_some_and(|found| found.user() == user)
}
