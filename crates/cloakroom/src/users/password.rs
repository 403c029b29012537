//! What follows from a change of the password.

use std::sync::Arc;

use super::sessions::{RevokedBy, Sessions};
use crate::error::{Cause, SessionError};
use crate::session::{Saved, Session};

impl Session {
    /// After the user has changed the password: gives this session a new id and a new token, and ends all other sessions of
    /// the user, with [`EndReason::PasswordChanged`](crate::EndReason::PasswordChanged) (ASVS 5.0, 7.4.3). Returns how many
    /// have ended.
    ///
    /// Store the new password first, and let each sign-in read the hash again once its session is stored: one that has
    /// checked the old password may come later (`docs/signing-out.md`). Edits so far are saved; if they include a sign-in
    /// ([`SignIn::on_save`](crate::SignIn::on_save)), the user is the one who signs in. It is not a sign-in:
    /// [`signed_in_at`](Self::signed_in_at) stays. After a reset of the password by mail, where nobody is signed in, use
    /// [`Sessions::revoke_all`] with [`RevokedBy::PasswordChange`].
    ///
    /// ```
    /// use cloakroom::{RecentSignIn, SessionError};
    ///
    /// async fn change_password(RecentSignIn(session): RecentSignIn<10>) -> Result<(), SessionError> {
    ///     // … check the old password, and store the new one. Then:
    ///     session.password_changed().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn) without a signed-in user.
    /// - [`Impersonating`](crate::SessionErrorKind::Impersonating) while the user acts as another one.
    /// - [`Ended`](crate::SessionErrorKind::Ended) if a concurrent request has ended or renewed this session. The others
    ///   are live then.
    /// - As [`Sessions::revoke_others`], after which this session is renewed and others may be live: call it again.
    pub async fn password_changed(&self) -> Result<usize, SessionError> {
        self.require_user()?;
        self.handle.state().check_not_impersonating()?;
        self.renew()?;
        if self.save().await? == Saved::Ended {
            return Err(Cause::Ended.into());
        }
        // Read now: the save may have carried out a sign-in of another user.
        let user = self.require_user()?;
        let id = self.id().ok_or(Cause::Ended)?;
        let sessions = Sessions::new(Arc::clone(&self.handle.context));
        let by = RevokedBy::PasswordChange;
        sessions.end_all_but(&user, Some(id), by).await
    }
}
