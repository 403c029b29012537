//! Lists, counts and ends the sessions of users.

use std::sync::Arc;

use cloakroom_core::bus::Subscription;
use cloakroom_core::index::MAX_PAGE;
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Record, SessionId, StoreError, StoreErrorKind, UserId};

use super::info::{SessionInfo, SessionPage};
use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::load::{Liveness, check};
use crate::session::LazySession;
use crate::state::limits_of;

/// The sessions of all users: for handlers, which take it as an argument, and for jobs, which get it from
/// [`SessionLayer::sessions`](crate::SessionLayer::sessions).
///
/// Each store command has the layer's time limit for itself. Up to 64 sessions are read with one command,
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
/// /// "Sign out everywhere else".
/// async fn revoke_others(session: Session, sessions: Sessions) -> Result<String, SessionError> {
///     let ended = sessions.revoke_others(&session).await?;
///     Ok(format!("{ended} other sessions ended"))
/// }
///
/// /// After the password was reset by mail.
/// async fn password_reset(sessions: Sessions) -> Result<(), SessionError> {
///     sessions.revoke_all("ada", RevokedBy::PasswordChange).await?;
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
    /// The user, with a change or a reset of the password.
    PasswordChange,
}

impl RevokedBy {
    pub(super) const fn reason(self) -> EndReason {
        match self {
            Self::User => EndReason::RevokedByUser,
            Self::Admin => EndReason::RevokedByAdmin,
            Self::PasswordChange => EndReason::PasswordChanged,
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
    /// How many sessions of one user [`list`](Self::list) considers.
    pub const MAX_LISTED: usize = 1024;

    pub(crate) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Returns the live sessions of a user, the most recently used first.
    ///
    /// It considers the [`MAX_LISTED`](Self::MAX_LISTED) sessions that were created last. Of a user with more than
    /// that, [`list_page`](Self::list_page) returns all, and [`count`](Self::count) their number. A session whose record
    /// cannot be read is left out, and an error is logged; `list_page` returns its id.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or keeps no index of users; or if the legacy store fails, for a linked
    /// session.
    pub async fn list(&self, user: impl Into<UserId>) -> Result<Vec<SessionInfo>, SessionError> {
        let user = user.into();
        let mut found = Vec::new();
        let mut pages = self.pages(&user, None);
        for _ in 0..Self::MAX_LISTED / MAX_PAGE {
            let Some(ids) = pages.next().await? else {
                break;
            };
            found.extend(self.live_among(&user, &ids).await?.sessions);
        }
        found.sort_by_key(|info| std::cmp::Reverse((info.last_seen(), info.id())));
        Ok(found)
    }

    /// Returns a page of the live sessions of a user, at most 256, the most recently created first: the first page,
    /// or the one after a session that an earlier page named as its [`next`](SessionPage::next). A page may be empty
    /// and not the last one.
    ///
    /// ```
    /// use cloakroom::{SessionError, SessionInfo, Sessions};
    ///
    /// /// A job that looks at all sessions of a user, however many there are.
    /// async fn inspect(sessions: Sessions) -> Result<(), SessionError> {
    ///     let mut after = None;
    ///     loop {
    ///         let page = sessions.list_page("ada", after).await?;
    ///         println!("{:?}", page.sessions.iter().map(SessionInfo::created_at).max());
    ///         after = page.next;
    ///         if after.is_none() {
    ///             return Ok(());
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`list`](Self::list).
    pub async fn list_page(
        &self,
        user: impl Into<UserId>,
        after: Option<SessionId>,
    ) -> Result<SessionPage, SessionError> {
        let user = user.into();
        let mut pages = self.pages(&user, after);
        let ids = pages.next().await?.unwrap_or_default();
        let found = self.live_among(&user, &ids).await?;
        Ok(SessionPage {
            sessions: found.sessions,
            unreadable: found.unreadable,
            next: pages.next_after(),
        })
    }

    /// Returns the number of live sessions of a user. Those whose records cannot be read do not count.
    ///
    /// It reads all of them, page by page: of a user with very many, it takes long.
    ///
    /// # Errors
    ///
    /// As for [`list`](Self::list).
    pub async fn count(&self, user: impl Into<UserId>) -> Result<usize, SessionError> {
        let user = user.into();
        let mut count = 0;
        let mut pages = self.pages(&user, None);
        while let Some(ids) = pages.next().await? {
            count += self.live_among(&user, &ids).await?.sessions.len();
        }
        Ok(count)
    }

    /// Returns a live session by its id, of a user or anonymous; also one of another layer that shares the
    /// store's key prefix.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn find(&self, id: SessionId) -> Result<Option<SessionInfo>, SessionError> {
        match self.load(id).await {
            Ok(Loaded::Record(record)) => self.info_if_live(id, record).await,
            Ok(Loaded::Tombstone(_) | Loaded::Nothing) => Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Subscribes to the session events of all servers, from now on.
    ///
    /// Delivery is best effort, and nothing depends on it for correctness: after
    /// [`Missed`](cloakroom_core::SessionEvent::Missed), read the state that matters, and for accounting
    /// keep records of your own. The end of an expired session is published when it is noticed: by a list
    /// or a limit of its user's sessions.
    ///
    /// An event is a hint and no proof: in Redis, every user with the right to publish on the app's channel can send one.
    /// Before acting on it, read the session. [`Session::watch`](crate::Session::watch) does.
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

    /// Reads a session.
    pub(super) async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.budget().read(self.context.store.load(id)).await
    }

    pub(super) async fn info_if_live(
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
