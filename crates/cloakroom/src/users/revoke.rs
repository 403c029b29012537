//! Ends sessions of users.

use std::collections::HashSet;

use cloakroom_core::renewal::RenewalMark;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{Authentication, EndReason, SessionId, StoreError, StoreErrorKind, UserId};

use super::sessions::{RevokedBy, Sessions};
use crate::commit::{
    CommitContext, EndedGroup, MAX_GROUP, MAX_RENEWALS, WorstError, end_by_id, end_group,
};
use crate::error::{Cause, SessionError};
use crate::session::Session;
use crate::store::is_undecodable;

/// How often the index of a user is read at most while all sessions of the user are ended, because sessions
/// were renewed or created meanwhile. One client can renew its session once in each pass.
const MAX_PASSES: usize = 64;

/// How many sessions may fail to end before this stops.
const MAX_FAILED: usize = 1024;

/// What has been done to end all sessions of a user.
#[derive(Default)]
pub(super) struct Progress {
    /// How many live sessions have ended.
    ended: usize,
    /// Whether there may be further sessions: one that had ended before this could end it may have been renewed. Its
    /// successor was added to the index before, so another pass finds it. Also if sessions were ended: an index that
    /// converts entries of an earlier format between two pages may move an id to the page that has been read.
    may_have_more: bool,
    /// The sessions that could not be ended, which are not tried again: at most [`MAX_FAILED`] and a page.
    pub(super) failed: HashSet<SessionId>,
    error: WorstError,
}

impl Progress {
    fn record(&mut self, group: &EndedGroup) {
        self.ended += group.count();
        self.record_uncounted(group);
    }

    /// Records ended sessions that are not the user's own.
    pub(super) fn record_uncounted(&mut self, group: &EndedGroup) {
        for (id, result) in &group.results {
            self.may_have_more |= may_have_successor(result);
            if result.is_err() {
                self.failed.insert(*id);
            }
        }
        self.error.add_all(group.error());
    }

    /// Records a session that is not ended because it cannot be read.
    fn record_failed(&mut self, id: SessionId, error: StoreError) {
        self.failed.insert(id);
        self.error.add(error.into());
    }

    /// Fails once [`MAX_FAILED`] sessions could not be ended.
    pub(super) fn check_failed(&mut self) -> Result<(), SessionError> {
        if self.failed.len() < MAX_FAILED {
            return Ok(());
        }
        self.error.take()
    }
}

impl Sessions {
    /// Ends any session: for administrators. Returns whether it was live. It may belong to any layer that
    /// shares the store's key prefix. A session whose record cannot be read ends as well.
    ///
    /// # Errors
    ///
    /// Fails if the store fails: the session may still be live.
    pub async fn revoke_any(&self, id: SessionId) -> Result<bool, SessionError> {
        let user = match self.load(id).await {
            Ok(Loaded::Record(record)) => Authentication::of(record.entries()),
            // It is ended again: the replicas may not have the tombstone.
            Ok(Loaded::Tombstone(_)) => None,
            Ok(Loaded::Nothing) => return Ok(false),
            // The tombstone replaces whatever is stored.
            Err(error) if is_undecodable(&error) => None,
            Err(error) => return Err(error.into()),
        };
        let user = user.as_ref().map(Authentication::user);
        self.end_one(id, user, RevokedBy::Admin.reason()).await
    }

    /// Ends one of a user's own sessions: for "sign out this device". A session of another user is not
    /// ended, whatever id the browser sends. Returns whether the session has ended.
    ///
    /// # Errors
    ///
    /// Fails if the store fails; or with [`Unavailable`](crate::SessionErrorKind::Unavailable) if the session was
    /// renewed 64 times meanwhile. The session may still be live: call it again.
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
            let contains = self
                .context
                .store
                .index_contains(self.context.user_key(&user), id);
            let is_own = self.budget().read(contains).await?;
            if is_own && self.end_one(id, Some(&user), reason).await? {
                return Ok(true);
            }
            let chain = self.chain_from(id).await?;
            let last = chain[chain.len() - 1];
            if last == id {
                return Ok(false);
            }
            id = last;
        }
        Err(still_renewed())
    }

    /// Ends all sessions of a user except this one (ASVS 5.0, 7.4.3 and 7.5.2): after a change of the
    /// password, for instance. Returns how many have ended. See [`revoke_all`](Self::revoke_all).
    ///
    /// If a concurrent request has renewed this session, the session in which it continues is kept. Sessions whose
    /// records cannot be read end.
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
    /// Sessions in which someone [impersonates](Session::impersonate) the user end as well, with
    /// [`EndReason::ImpersonationRevoked`]. They are not the user's, and do not count.
    ///
    /// Sessions are ended in groups of 64, and their number is not limited: of a user with very many, it takes
    /// long. If the future is dropped, those that have ended stay ended. It stops when about a
    /// thousand could not be ended.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or keeps no index of users; or with
    /// [`Unavailable`](crate::SessionErrorKind::Unavailable) if sessions were renewed or created while
    /// it read the index, each of 64 times. All sessions that could be ended have ended then; call it again.
    pub async fn revoke_all(
        &self,
        user: impl Into<UserId>,
        by: RevokedBy,
    ) -> Result<usize, SessionError> {
        self.end_all_but(&user.into(), None, by).await
    }

    pub(super) async fn end_all_but(
        &self,
        user: &UserId,
        kept: Option<SessionId>,
        by: RevokedBy,
    ) -> Result<usize, SessionError> {
        let mut progress = Progress::default();
        for _ in 0..MAX_PASSES {
            progress.may_have_more = false;
            self.end_all_once(user, kept, by, &mut progress).await?;
            self.end_impersonations_once(user, kept, &mut progress)
                .await?;
            if !progress.may_have_more {
                return progress.error.take().map(|()| progress.ended);
            }
        }
        progress.error.take()?;
        Err(still_renewed())
    }

    /// Ends the sessions in a user's index, group by group, and removes them from it.
    async fn end_all_once(
        &self,
        user: &UserId,
        kept: Option<SessionId>,
        by: RevokedBy,
        progress: &mut Progress,
    ) -> Result<(), SessionError> {
        let mut pages = self.pages(user, None);
        while let Some(mut ids) = pages.next().await? {
            ids.retain(|id| !progress.failed.contains(id));
            if let Some(kept) = kept {
                ids = self.without_continuations(ids, kept, progress).await?;
                progress.check_failed()?;
            }
            for ids in ids.chunks(MAX_GROUP) {
                let sessions = ids.iter().map(|id| (*id, Some(user.clone()))).collect();
                let group = end_group(&self.context, sessions, by.reason()).await;
                progress.record(&group);
                group.follow_up.finish().await;
                progress.check_failed()?;
            }
        }
        Ok(())
    }

    /// Removes a session from a list of ids, and those in which it continues: the chain of its renewals, and a
    /// session that a renewal which is in progress has created. While the store does not respond, any of them may be
    /// such a session, so it is removed, and counts as one that could not be ended. One whose record cannot be decoded
    /// is left to be ended: nobody could tell whose it is, now or later.
    pub(super) async fn without_continuations(
        &self,
        mut ids: Vec<SessionId>,
        kept: SessionId,
        progress: &mut Progress,
    ) -> Result<Vec<SessionId>, SessionError> {
        ids.retain(|id| *id != kept);
        if ids.is_empty() {
            return Ok(ids);
        }
        let chain = self.chain_from(kept).await?;
        ids.retain(|id| !chain.contains(id));
        let mut others = Vec::new();
        for (id, loaded) in self.load_many(&ids).await {
            let from = match loaded {
                Ok(Loaded::Record(record)) => RenewalMark::of(record.entries()),
                Ok(Loaded::Tombstone(_)) => None,
                // About to be stored, perhaps by a renewal of the kept session. If by a sign-in, that counts as
                // one after this.
                Ok(Loaded::Nothing) => continue,
                Err(error) if is_undecodable(&error) => None,
                Err(error) => {
                    progress.record_failed(id, error);
                    continue;
                }
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
        while chain.len() <= MAX_RENEWALS {
            let successor = match self.load(chain[chain.len() - 1]).await {
                Ok(Loaded::Tombstone(tombstone)) => tombstone.successor(),
                Ok(Loaded::Record(_) | Loaded::Nothing) => None,
                Err(error) if is_undecodable(&error) => None,
                Err(error) => return Err(error.into()),
            };
            match successor {
                Some(successor) => chain.push(successor),
                None => break,
            }
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
}

/// There were new sessions each time.
fn still_renewed() -> SessionError {
    let why = "sessions were renewed or created again and again while they were to be ended";
    StoreError::with_source(StoreErrorKind::Unavailable, why).into()
}

/// Whether a session that was to be ended may go on under another id. One that has ended for another reason than a
/// renewal does not; it is still in the index, if it could not be removed.
fn may_have_successor(ended: &Result<Ended, SessionError>) -> bool {
    match ended {
        Ok(Ended::AlreadyEnded(tombstone)) => tombstone.reason() == EndReason::Renewed,
        Ok(Ended::Ended | Ended::Missing | Ended::Conflict(_)) => true,
        Err(_) => false,
    }
}
