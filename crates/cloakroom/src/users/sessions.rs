//! The handle on the sessions of all users.

use std::collections::HashSet;
use std::sync::Arc;

use cloakroom_core::arrival::Arrival;
use cloakroom_core::event::{SessionEvent, Subscription};
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{Authentication, EndReason, SessionId, StoreError, StoreErrorKind, UserId};

use super::info::SessionInfo;
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::error::{Cause, SessionError};
use crate::session::{LazySession, Session};

/// How often the index of a user is looked through at most, because sessions were renewed meanwhile,
/// or begun. A session that is renewed in the time of each look has been used as often.
const PASSES: usize = 64;

/// The sessions of all users: for handlers, which take it as an argument, and for jobs, which have it
/// from [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// Every command has the layer's budget for itself, and each session that is looked at costs one.
///
/// ```
/// use cloakroom::{EndedBy, Session, SessionError, Sessions};
///
/// /// "Your devices".
/// async fn devices(session: Session, sessions: Sessions) -> Result<String, SessionError> {
///     let user = session.require_user()?;
///     let mut lines = String::new();
///     for found in sessions.of(&user).await? {
///         let mark = if found.is(&session) { " (this one)" } else { "" };
///         lines += &format!("{}{mark}\n", found.id());
///     }
///     Ok(lines)
/// }
///
/// /// "Log out everywhere else".
/// async fn end_others(session: Session, sessions: Sessions) -> Result<String, SessionError> {
///     let ended = sessions.end_others(&session).await?;
///     Ok(format!("{ended} other sessions ended"))
/// }
///
/// /// After the password was reset by mail.
/// async fn password_reset(sessions: Sessions) -> Result<(), SessionError> {
///     sessions.end_all("ada", EndedBy::User).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(super) context: Arc<Context>,
}

/// Who ends sessions. It stands in events, in the log and in what
/// [`Session::watch`](crate::Session::watch) gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The user whose sessions they are.
    User,
    /// An administrator, or a job.
    Admin,
}

impl EndedBy {
    pub(super) const fn reason(self) -> EndReason {
        match self {
            Self::User => EndReason::ByUser,
            Self::Admin => EndReason::ByAdmin,
        }
    }
}

impl LazySession {
    /// The handle on all sessions of the layer that made this one.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.handle.context))
    }
}

impl Sessions {
    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The live sessions of a user, the last used first.
    ///
    /// # Errors
    ///
    /// When the store fails, or keeps no index of users.
    pub async fn of(&self, user: impl Into<UserId>) -> Result<Vec<SessionInfo>, SessionError> {
        let user = user.into();
        let key = self.context.user_key(&user);
        let mut found = Vec::new();
        let mut aftermath = self.committer(&self.budget()).aftermath();
        for id in self.entered(&user).await? {
            match self.load(id).await? {
                Loaded::Record(record) if is_of(&record, &user) => {
                    found.extend(self.live(id, &record).await?);
                }
                Loaded::Tombstone(_) => aftermath = aftermath.forget(key, id),
                Loaded::Nothing if self.context.is_old(id) => {
                    let user = Some(user.clone());
                    let reason = EndReason::Expired;
                    let expired = SessionEvent::Ended { id, user, reason };
                    aftermath = aftermath.forget(key, id).tell(expired);
                }
                // Of somebody else, or about to be begun.
                Loaded::Record(_) | Loaded::Nothing => {}
            }
        }
        aftermath.begin();
        found.sort_by_key(|info| std::cmp::Reverse((info.last_seen(), info.id())));
        Ok(found)
    }

    /// How many live sessions a user has.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub async fn count(&self, user: impl Into<UserId>) -> Result<usize, SessionError> {
        Ok(self.of(user).await?.len())
    }

    /// A live session, of a user or of nobody; also one of another layer that shares the store's key
    /// prefix.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn find(&self, id: SessionId) -> Result<Option<SessionInfo>, SessionError> {
        match self.load(id).await? {
            Loaded::Record(record) => self.live(id, &record).await,
            Loaded::Tombstone(_) | Loaded::Nothing => Ok(None),
        }
    }

    /// Ends any session: for administrators. Tells whether it was alive. Ids of all layers that share
    /// the store's key prefix count.
    ///
    /// # Errors
    ///
    /// When the store fails: the session may still be alive.
    pub async fn end(&self, id: SessionId) -> Result<bool, SessionError> {
        let Loaded::Record(record) = self.load(id).await? else {
            return Ok(false);
        };
        let user = Authentication::of(record.entries());
        let user = user.as_ref().map(Authentication::user);
        self.end_one(id, user, EndedBy::Admin.reason()).await
    }

    /// Ends one of a user's own sessions: for the button beside a device. A session of somebody
    /// else's stays as it is, whatever id the browser sends. Tells whether it ended.
    ///
    /// # Errors
    ///
    /// When the store fails: the session may still be alive.
    pub async fn end_of(
        &self,
        user: impl Into<UserId>,
        id: SessionId,
    ) -> Result<bool, SessionError> {
        let user = user.into();
        // The index knows whose it is, in this realm.
        match self.entered(&user).await?.contains(&id) {
            true => self.end_one(id, Some(&user), EndedBy::User.reason()).await,
            false => Ok(false),
        }
    }

    /// Ends all sessions of a user but this one (ASVS 5.0, 7.4.3 and 7.5.2): after a change of
    /// password, for instance. Gives how many ended. See [`end_all`](Self::end_all).
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), and as [`end_all`](Self::end_all).
    pub async fn end_others(&self, session: &Session) -> Result<usize, SessionError> {
        let user = session.require_user()?;
        let id = session.id().ok_or(Cause::NotSignedIn)?;
        self.end_all_but(&user, Some(id), EndedBy::User).await
    }

    /// Ends all sessions of a user. Gives how many ended.
    ///
    /// Sessions that were signed in before the call are gone when it returns, on every server, also
    /// if they are renewed meanwhile. A log-in during the call either is refused, or ended at once,
    /// or stands as one that came after it: change the password first, then call this.
    ///
    /// # Errors
    ///
    /// When the store fails, or keeps no index of users. All others have ended then; call it again.
    pub async fn end_all(
        &self,
        user: impl Into<UserId>,
        by: EndedBy,
    ) -> Result<usize, SessionError> {
        self.end_all_but(&user.into(), None, by).await
    }

    /// What happens to sessions from now on, on all servers.
    ///
    /// Delivery is best effort, and no promise rests on it: look at what matters when you hear that
    /// something may have been [missed](cloakroom_core::SessionEvent::Missed), and for accounting
    /// keep a record of your own. A session whose time is over is told as ended when somebody notices:
    /// whoever lists or limits its user's sessions.
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
    /// When the store has no bus.
    pub fn events(&self) -> Result<Subscription, SessionError> {
        let unsupported = || StoreError::new(StoreErrorKind::Unsupported).into();
        self.context.store.subscribe().ok_or_else(unsupported)
    }

    async fn end_all_but(
        &self,
        user: &UserId,
        kept: Option<SessionId>,
        by: EndedBy,
    ) -> Result<usize, SessionError> {
        let mut done: HashSet<_> = kept.into_iter().collect();
        let (mut count, mut failed) = (0, None);
        for _ in 0..PASSES {
            let entered = self.entered(user).await?;
            let new: Vec<_> = entered.into_iter().filter(|id| done.insert(*id)).collect();
            // One that had ended before may have been renewed: its successor was entered before that,
            // so another look finds it.
            if new.is_empty() {
                break;
            }
            for id in new {
                // One that cannot be ended keeps none of the others alive.
                match self.end_one(id, Some(user), by.reason()).await {
                    Ok(ended) => count += usize::from(ended),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Ends one, and tells whether it was alive.
    pub(super) async fn end_one(
        &self,
        id: SessionId,
        user: Option<&UserId>,
        reason: EndReason,
    ) -> Result<bool, SessionError> {
        let budget = self.budget();
        let ended = self.committer(&budget).end_by_id(id, user, reason).await?;
        Ok(ended == Ended::Ended)
    }

    async fn entered(&self, user: &UserId) -> Result<Vec<SessionId>, SessionError> {
        let entered = self.context.store.entered(self.context.user_key(user));
        Ok(self.budget().read(entered).await?)
    }

    /// What cannot be read is no session.
    pub(super) async fn load(&self, id: SessionId) -> Result<Loaded, SessionError> {
        match self.budget().read(self.context.store.load(id)).await {
            Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(Loaded::Nothing),
            loaded => Ok(loaded?),
        }
    }

    async fn live(
        &self,
        id: SessionId,
        record: &cloakroom_core::Record,
    ) -> Result<Option<SessionInfo>, SessionError> {
        let rule = self.context.rule(record.entries());
        let limits = record
            .limits()
            .under(rule, Arrival::began(id, record.entries()));
        let began = self
            .context
            .epoch
            .began(&self.context, &self.budget())
            .await?;
        let over = limits.is_over(self.context.clock.now(), record.seen());
        let is_live = !over && id.created_at() >= began;
        Ok(is_live.then(|| SessionInfo::new(id, record, limits)))
    }

    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.context.budget)
    }

    pub(super) fn committer<'a>(&'a self, budget: &'a Budget) -> Committer<'a> {
        Committer::of(&self.context, budget)
    }
}

fn is_of(record: &cloakroom_core::Record, user: &UserId) -> bool {
    Authentication::of(record.entries()).is_some_and(|found| found.user() == user)
}
