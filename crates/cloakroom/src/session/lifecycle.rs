//! Beginning, saving, renewing and ending.

use std::time::SystemTime;

use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, Expiry, Limits, SessionId};

use super::Session;
use super::outcome::{Destroyed, Reloaded, Saved};
use crate::commit::migrate::ended_with;
use crate::error::{Cause, SessionError, SessionErrorKind};
use crate::migration::OldEnded;
use crate::plan::Step;
use crate::state::{Standing, State};

impl Session {
    /// The session's public id; `None` until it is stored for the first time. Safe to log.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.handle.state();
        state.live().map(|live| live.token.id())
    }

    /// When the session began, moved in, or was last renewed.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        Some(self.handle.state().live()?.began().into())
    }

    /// When the session was last used before this request, as far as that was written down: uses
    /// within a tenth of the idle timeout are not.
    #[must_use]
    pub fn last_seen(&self) -> Option<SystemTime> {
        let state = self.handle.state();
        Some(state.live()?.record.seen().into())
    }

    /// When the session ends if it is not used again, counted from what was last written down.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let state = self.handle.state();
        let live = state.live()?;
        let limits = self.limits_of(&state)?;
        Some(limits.expires_at(live.record.seen()).into())
    }

    /// When the session ends, used or not.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        Some(self.limits_of(&self.handle.state())?.deadline().into())
    }

    /// Saves the edits so far now, instead of when the handler is done.
    ///
    /// # Errors
    ///
    /// When the store fails, or the request's budget is spent. With
    /// [`OutcomeUnknown`](crate::SessionErrorKind::OutcomeUnknown), perhaps it was saved; nothing
    /// more is saved in this request then, and it is not answered with success.
    pub async fn save(&self) -> Result<Saved, SessionError> {
        let done = self.handle.commit().await?;
        Ok(match done.step {
            _ if done.gone => Saved::Ended,
            Step::Nothing | Step::Touch | Step::Upkeep | Step::Look => Saved::Unchanged,
            Step::Create | Step::Update | Step::Renew => Saved::Stored,
        })
    }

    /// Makes sure that the session is alive, and that what this request sees of it is what is stored now;
    /// edits not saved yet stay on top. It costs one command, also where a near cache is in front of the
    /// store: for actions that must not rest on what was true a moment ago.
    ///
    /// ```
    /// use cloakroom::{Reloaded, Session, SessionError};
    ///
    /// async fn pay(session: Session) -> Result<&'static str, SessionError> {
    ///     match session.fresh().await? {
    ///         Reloaded::Live => Ok("paid"),
    ///         Reloaded::Ended => Ok("please sign in again"),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the store fails, or the request's budget is spent. When an update meets a value of another
    /// type: the edits not saved yet are dropped then.
    pub async fn fresh(&self) -> Result<Reloaded, SessionError> {
        self.handle.reload().await
    }

    /// Gives the session a new id and a new secret when it is saved, and ends the old one; data and
    /// deadlines carry over, unless [`reset_expiry`](Self::reset_expiry) gives it a new life. Call it
    /// whenever the rights of a session change (ASVS 5.0, 7.2.4), or an id that an attacker had
    /// planted would have them. Signing in does it by itself: [`sign_in`](Self::sign_in).
    ///
    /// On a session that has ended, it begins a new one, with what this request puts in.
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
    /// When the answer has been sent.
    pub fn renew(&self) -> Result<(), SessionError> {
        self.handle.state().renew()
    }

    /// Ends the session, then and there: when this returns, no server knows it any more, whatever
    /// becomes of the rest of the request. The removal of the cookie goes out with the answer.
    ///
    /// Afterwards the same request can begin a new session by editing: a farewell message.
    ///
    /// # Errors
    ///
    /// When the store fails: the session may still be alive, and the cookie stays. With
    /// [`NotReplicated`](crate::SessionErrorKind::NotReplicated) the session has ended and the cookie
    /// goes, but a failover could bring the session back.
    pub async fn destroy(&self) -> Result<Destroyed, SessionError> {
        self.end(EndReason::Destroyed).await
    }

    pub(super) async fn end(&self, reason: EndReason) -> Result<Destroyed, SessionError> {
        let _alone = self.handle.alone().await?;
        let live = self.handle.state().live().cloned();
        let committer = self.handle.committer();
        let Some(live) = live else {
            // The old cookie of a session that ended here must not begin it again.
            let old = committer.end_old(None).await?;
            let mut state = self.handle.state();
            state.drop_edits();
            return Ok(match (old, &state.standing) {
                (OldEnded::Ended, _) => Destroyed::Ended,
                (_, Standing::Tombstoned) => Destroyed::AlreadyOver,
                (_, Standing::Nothing | Standing::Live(_)) => Destroyed::NoSession,
            });
        };
        // First where it came from: if that fails, it can be tried again.
        let moved = (live.token.id(), live.record.entries());
        let old = committer.end_old(Some(moved)).await?;
        let ended = committer.end(&live, reason).await;
        let mut state = self.handle.state();
        match ended.map(|ended| ended_with(old, ended)) {
            Ok(Ended::Ended) => {
                state.destroyed();
                Ok(Destroyed::Ended)
            }
            Ok(_) => {
                // The cookie is stale: by now the browser may hold a better one.
                state.drop_edits();
                state.gone();
                Ok(Destroyed::AlreadyOver)
            }
            Err(error) => {
                if error.kind() == SessionErrorKind::NotReplicated {
                    state.destroyed();
                }
                Err(error)
            }
        }
    }

    /// Chooses timeouts for this session alone, counted from now: "remember me", or a short life on
    /// a public computer. Its cookie becomes persistent, to the absolute deadline. A later change of
    /// the layer's expiry does not touch the session. Without a renewal, the deadline lies no
    /// further than the layer's longest expiry after the session began.
    ///
    /// # Errors
    ///
    /// When the timeouts cannot be kept, or are longer than the layer allows
    /// ([`with_max_expiry`](crate::SessionLayerBuilder::with_max_expiry)); or the answer has been
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

    /// Gives the session the layer's own timeouts again, and its cookie the layer's own lifetime.
    /// Together with [`renew`](Self::renew) they count from now: signing in begins a new life.
    /// Without a renewal the absolute deadline stays where the layer's rule has it, since no
    /// activity may move it (ASVS 5.0, 7.3.2).
    ///
    /// # Errors
    ///
    /// When the answer has been sent.
    pub fn reset_expiry(&self) -> Result<(), SessionError> {
        let mut state = self.handle.state();
        let rule = self.handle.context.rule(state.entries());
        state.choose(Limits::begin(rule, self.handle.now()))
    }

    fn limits_of(&self, state: &State) -> Option<Limits> {
        let live = state.live()?;
        let rule = self.handle.context.rule(live.record.entries());
        let stored = live.limits(rule);
        Some(state.chosen().unwrap_or(stored))
    }
}
