//! Saves, renews and ends a session, and sets how long it lives.

use std::time::SystemTime;

use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, Expiry, Limits, SessionId};

use super::Session;
use super::outcome::{Destroyed, Reloaded, Saved};
use crate::commit::{self, CommitContext, Committed, WorstError};
use crate::error::{Cause, SessionError, SessionErrorKind};
use crate::migration::LegacyEnded;
use crate::plan::{CookiePlan, Lookup};
use crate::state::{Live, State};

impl Session {
    /// Returns the public id, or `None` until the session is stored for the first time. It is safe to log.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.handle.state();
        state.live().map(|live| live.token.id())
    }

    /// Returns when the session was created, migrated, or last renewed.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        Some(self.handle.state().live()?.began().into())
    }

    /// Returns when the session was last used before this request. It is updated at most once in a tenth of
    /// the idle timeout.
    #[must_use]
    pub fn last_seen(&self) -> Option<SystemTime> {
        let state = self.handle.state();
        Some(state.live()?.record.last_seen().into())
    }

    /// Returns when the session expires if it is not used again, counted from
    /// [`last_seen`](Self::last_seen).
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let state = self.handle.state();
        let live = state.live()?;
        let limits = self.limits_of(&state)?;
        Some(limits.expires_at(live.record.last_seen()).into())
    }

    /// Returns the absolute deadline: when the session expires even if it is used.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        Some(self.limits_of(&self.handle.state())?.deadline().into())
    }

    /// Saves the edits so far immediately, instead of when the handler has finished.
    ///
    /// [`Saved::Ended`] says that they were discarded, since the session has ended: during this request, or up
    /// to about a minute before it.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or the time limit of the request is reached. After
    /// [`OutcomeUnknown`](crate::SessionErrorKind::OutcomeUnknown) the edits may be saved or not; nothing
    /// more is saved in this request, and its response is an error.
    pub async fn save(&self) -> Result<Saved, SessionError> {
        Ok(match self.handle.commit().await? {
            Committed::Stored(_) => Saved::Stored,
            Committed::Unchanged => self.unchanged(),
            Committed::Maintained(_) => Saved::Unchanged,
            Committed::Ended => Saved::Ended,
        })
    }

    /// What is saved if there was nothing to store.
    fn unchanged(&self) -> Saved {
        let state = self.handle.state();
        if state.discarded().is_some() {
            Saved::Discarded
        } else if state.lost_edits() {
            Saved::Ended
        } else {
            Saved::Unchanged
        }
    }

    /// Returns whether this request stores nothing unless it signs a user in, whatever it edits:
    ///
    /// - its session ended a short while ago, and the browser may have a better cookie by now;
    /// - it has presented several live sessions, and it is unknown which is the user's;
    /// - the browser may hold a cookie that it did not send ([`EditsDiscarded`](crate::EditsDiscarded)).
    ///
    /// [`destroy`](Self::destroy) may still have something to end then. It costs no store command.
    #[must_use]
    pub fn needs_sign_in(&self) -> bool {
        self.handle.state().needs_sign_in()
    }

    /// Reads the session from the store again, and replays the edits that are not saved yet. It costs one
    /// command, also with a near cache in front of the store: for actions that must not rely on data that
    /// may be slightly stale.
    ///
    /// ```
    /// use cloakroom::{Reloaded, Session, SessionError};
    ///
    /// async fn pay(session: Session) -> Result<&'static str, SessionError> {
    ///     match session.reload().await? {
    ///         Reloaded::Live => Ok("paid"),
    ///         Reloaded::Ended => Ok("please sign in again"),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or the time limit of the request is reached; or if an update finds a value
    /// of another type: the edits that are not saved are discarded then.
    pub async fn reload(&self) -> Result<Reloaded, SessionError> {
        self.handle.reload().await
    }

    /// Gives the session a new id and a new token when it is saved, and ends the old one. Data and deadlines
    /// are carried over, unless [`reset_expiry`](Self::reset_expiry) restarts them. Call it whenever the
    /// rights of a session change (ASVS 5.0, 7.2.4), to prevent session fixation.
    /// [`sign_in`](Self::sign_in) does it by itself.
    ///
    /// If another request has ended the session in the meantime, or renewed it, nothing is created, the edits
    /// of this request are discarded, and no cookie is set: the browser has a better one by now, or is about
    /// to receive it. The response has [`EndedConcurrently`](crate::EndedConcurrently) in its extensions.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// async fn second_factor(session: Session) -> Result<(), SessionError> {
    ///     // … after the code was checked:
    ///     session.renew()?;
    ///     session.insert("factors", 2)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the response has been sent.
    pub fn renew(&self) -> Result<(), SessionError> {
        self.handle.state().renew()
    }

    /// Ends the session immediately. Once this returns, its token is invalid on every server, whatever
    /// happens to the rest of the request. The response removes the cookie.
    ///
    /// If another request has renewed the session in the meantime, the session in which it continues is ended.
    /// If the request has presented several live sessions, in cookies of several paths for instance, all of
    /// them end.
    ///
    /// Edits after it create a new session, for a farewell message for instance.
    ///
    /// # Errors
    ///
    /// Fails if the store fails: the session may still be live, and the cookie is kept. With
    /// [`NotReplicated`](crate::SessionErrorKind::NotReplicated) the session has ended and the cookie is
    /// removed, but a failover could bring the session back.
    ///
    /// A handler that ignores such an error would tell users that they have signed out, although they have not.
    /// So if the session may still be live when the handler has finished, and its response is not a 5xx, the
    /// layer replaces that by the [error response](crate::SessionLayerBuilder::with_error_response). The same
    /// applies if this future was dropped before it has completed.
    pub async fn destroy(&self) -> Result<Destroyed, SessionError> {
        self.end(EndReason::Destroyed).await
    }

    pub(super) async fn end(&self, reason: EndReason) -> Result<Destroyed, SessionError> {
        self.handle.state().end_begins();
        let ended = self.end_all_presented(reason).await;
        let mut state = self.handle.state();
        if let Err(error) = &ended
            && error.kind() == SessionErrorKind::NotReplicated
        {
            // Another error would say that a session may be live. So all have ended, on fewer replicas than required: some of
            // them perhaps before this request, and then the browser may have a better cookie by now. It is removed
            // nevertheless: a failover could bring its session back.
            state.destroyed();
        }
        state.end_completes(ended.as_ref().err());
        drop(state);
        ended
    }

    /// Ends the session, and the other ones that the request has presented.
    async fn end_all_presented(&self, reason: EndReason) -> Result<Destroyed, SessionError> {
        let _lock = self.handle.lock_commits().await?;
        let others = self.handle.destroy_others(reason).await;
        let live = self.handle.state().live().cloned();
        let (renewed, destroyed) = match live {
            Some(live) => {
                let renewed = self.end_renewed(&live, reason).await;
                (renewed, self.end_live(&live, reason).await)
            }
            None => (Ok(false), self.end_absent(reason).await),
        };
        let ended = match (others, renewed, destroyed) {
            (Ok(false), Ok(false), Ok(destroyed)) => destroyed,
            (Ok(_), Ok(_), Ok(_)) => Destroyed::Ended,
            (others, renewed, destroyed) => {
                // An error of one that has ended must not hide that another one may still be live.
                let mut worst = WorstError::default();
                worst.add_all(others.err());
                worst.add_all(renewed.err());
                worst.add_all(destroyed.err());
                return worst.take().map(|()| Destroyed::Ended);
            }
        };
        Ok(ended)
    }

    /// Ends what the sessions of the request's further tokens continue in, if they were renewed. Usually there are no
    /// such tokens.
    async fn end_renewed(&self, live: &Live, reason: EndReason) -> Result<bool, SessionError> {
        let mut tokens = self.handle.presented_tokens();
        if tokens.len() < 2 {
            // It is that of the live session, which this request may have renewed.
            return Ok(false);
        }
        tokens.retain(|token| token.id() != live.id());
        let cx = self.handle.commit_context();
        Box::pin(commit::end_again(&cx, &tokens, reason)).await
    }

    async fn end_live(&self, live: &Live, reason: EndReason) -> Result<Destroyed, SessionError> {
        let cx = self.handle.commit_context();
        // The legacy session first: if that fails, the app can try again.
        let migrated = (live.id(), live.record.entries());
        let legacy = commit::end_legacy(&cx, Some(migrated)).await?;
        let ended = commit::end_with_successor(&cx, live.id(), &live.record, reason).await?;
        let ended = commit::combine(legacy, ended);
        let mut state = self.handle.state();
        if ended == Ended::Ended {
            state.destroyed();
            return Ok(Destroyed::Ended);
        }
        // The cookie is not removed: the browser may have a better one by now.
        state.discard_edits();
        state.mark_ended();
        Ok(Destroyed::AlreadyEnded)
    }

    /// Without a session there may still be a legacy cookie: its session must not be migrated again. And a
    /// session that was renewed continues in another.
    async fn end_absent(&self, reason: EndReason) -> Result<Destroyed, SessionError> {
        let cx = self.handle.commit_context();
        let legacy = commit::end_legacy(&cx, None).await?;
        if self.end_again(&cx, reason).await? {
            self.handle.state().destroyed();
            return Ok(Destroyed::Ended);
        }
        let mut state = self.handle.state();
        state.discard_edits();
        Ok(match (legacy, &state.lookup) {
            (LegacyEnded::Ended, _) => Destroyed::Ended,
            (_, Lookup::Ended) => Destroyed::AlreadyEnded,
            (_, Lookup::Absent | Lookup::Live(_)) => Destroyed::NoSession,
        })
    }

    /// Ends what has become of the sessions that have ended already, and returns whether something was live.
    async fn end_again(
        &self,
        cx: &CommitContext<'_>,
        reason: EndReason,
    ) -> Result<bool, SessionError> {
        let had_ended = {
            let state = self.handle.state();
            matches!(state.lookup, Lookup::Ended) || state.pending_cookie == CookiePlan::Remove
        };
        if !had_ended {
            return Ok(false);
        }
        let tokens = self.handle.all_ended_tokens();
        Box::pin(commit::end_again(cx, &tokens, reason)).await
    }

    /// Sets timeouts for this session only, counted from now: for "remember me", or for public computers.
    /// Its cookie becomes persistent until the absolute deadline. Later changes of the layer's expiry do
    /// not affect the session. Without a renewal, the deadline is at most the layer's longest expiry after
    /// the session's creation.
    ///
    /// # Errors
    ///
    /// Fails if the timeouts are invalid, or longer than the layer allows
    /// ([`with_max_expiry`](crate::SessionLayerBuilder::with_max_expiry)); or if the response has been
    /// sent.
    pub fn set_expiry(&self, expiry: Expiry) -> Result<(), SessionError> {
        let limits = self.choose(expiry)?;
        self.handle.state().choose(limits)
    }

    pub(super) fn choose(&self, expiry: Expiry) -> Result<Limits, SessionError> {
        expiry.validate()?;
        if expiry.absolute_timeout() > self.handle.context.longest {
            return Err(Cause::LongestExpiry.into());
        }
        Ok(Limits::chosen(expiry, self.handle.now()))
    }

    /// Gives the session the layer's timeouts again, and its cookie the layer's lifetime. Together with
    /// [`renew`](Self::renew) they count from now. Without a renewal the absolute deadline is the layer's
    /// timeout after the session's creation, since activity must not extend it (ASVS 5.0, 7.3.2).
    ///
    /// # Errors
    ///
    /// Fails if the response has been sent.
    pub fn reset_expiry(&self) -> Result<(), SessionError> {
        let now = self.handle.now();
        let mut state = self.handle.state();
        let rule = self.handle.context.rule(state.entries());
        state.choose(Limits::begin(rule, now))
    }

    fn limits_of(&self, state: &State) -> Option<Limits> {
        let live = state.live()?;
        let rule = self.handle.context.rule(live.record.entries());
        let stored = live.limits(rule);
        Some(state.chosen().unwrap_or(stored))
    }
}
