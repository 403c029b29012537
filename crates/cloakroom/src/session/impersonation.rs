//! Acting as another user, to see what that user sees.

use cloakroom_core::{Impersonation, UserId};

use super::Session;
use crate::commit::Committed;
use crate::error::{Cause, SessionError};
use crate::state::State;

impl Session {
    /// Makes the signed-in user act as another user: "sign in as this customer", for an administrator. Check that
    /// the administrator may do that, and as that user, before.
    ///
    /// Until [`stop_impersonating`](Self::stop_impersonating):
    ///
    /// - [`user`](Self::user) and [`require_user`](Self::require_user) return the impersonated user, and
    ///   [`impersonator`](Self::impersonator) the administrator.
    /// - It never counts as a sign-in: [`signed_in_at`](Self::signed_in_at) is `None`, and
    ///   [`require_recent_sign_in`](Self::require_recent_sign_in) fails, however recently the administrator has signed
    ///   in.
    /// - The session is the administrator's: in the administrator's list of devices and limit, and not in the user's.
    /// - The entries of the session are set aside, and it starts without any. What is stored meanwhile is removed at
    ///   the end, when the entries come back.
    ///
    /// The session gets a new id and a new token (ASVS 5.0, 7.2.4), and keeps its deadlines. It ends, for the
    /// administrator as well, with a sign-out, and when all sessions of either user are revoked
    /// ([`Sessions::revoke_all`](crate::Sessions::revoke_all), [`password_changed`](Self::password_changed)): then
    /// with [`EndReason::ImpersonationRevoked`](crate::EndReason::ImpersonationRevoked). A sign-in ends the
    /// impersonation, and carries over nothing but the edits of its request.
    ///
    /// Servers of a release before this method take such a session for the administrator's own. Deploy
    /// it everywhere before you use it.
    ///
    /// ```
    /// use cloakroom::{Permitted, SessionError};
    /// # use cloakroom::{Permission, Session};
    /// # #[derive(Clone, Default)]
    /// # struct Support;
    /// # impl Permission for Support {
    /// #     async fn is_granted(&self, _: &Session) -> Result<bool, SessionError> { Ok(true) }
    /// # }
    ///
    /// async fn act_as(support: Permitted<Support>, customer: i64) -> Result<(), SessionError> {
    ///     support.session.impersonate(customer).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn) without a signed-in user whose session is stored.
    /// - [`Impersonating`](crate::SessionErrorKind::Impersonating) during an impersonation: they do not nest.
    /// - [`Ended`](crate::SessionErrorKind::Ended) if a concurrent request has ended or renewed the session, or all
    ///   sessions of one of the users are being revoked.
    /// - As [`save`](Self::save).
    pub async fn impersonate(&self, user: impl Into<UserId>) -> Result<(), SessionError> {
        let impersonation = Impersonation::new(user.into(), self.handle.now());
        let begin = move |state: &mut State| state.impersonate(impersonation).map(Some);
        let (_, committed) = self.handle.run_uncancellable(begin).await?;
        check_not_ended(&committed)
    }

    /// Stops acting as another user: the session has a new id, the administrator is its user again, and its
    /// entries are those from before. Returns whether there was an impersonation. It does nothing, and returns `false`, if a
    /// sign-in is left to the next save ([`SignIn::on_save`](crate::SignIn::on_save)): that ends the impersonation.
    ///
    /// # Errors
    ///
    /// [`Ended`](crate::SessionErrorKind::Ended) if a concurrent request has ended or renewed the session;
    /// otherwise as [`save`](Self::save).
    pub async fn stop_impersonating(&self) -> Result<bool, SessionError> {
        let stop = |state: &mut State| Ok(state.stop_impersonating()?.then_some(()));
        let (stopped, committed) = self.handle.run_uncancellable(stop).await?;
        check_not_ended(&committed)?;
        Ok(stopped.is_some())
    }

    /// Returns the user who is signed in and acts as [`user`](Self::user); `None` if there is no impersonation.
    ///
    /// ```
    /// use cloakroom::Session;
    ///
    /// fn banner(session: &Session) -> Option<String> {
    ///     let (user, by) = (session.user()?, session.impersonator()?);
    ///     Some(format!("{by} acts as {user}"))
    /// }
    /// ```
    #[must_use]
    pub fn impersonator(&self) -> Option<UserId> {
        let state = self.handle.state();
        state.impersonated()?;
        state.signed_in_user()
    }
}

fn check_not_ended(committed: &Committed) -> Result<(), SessionError> {
    match committed {
        Committed::Ended => Err(Cause::Ended.into()),
        _ => Ok(()),
    }
}
