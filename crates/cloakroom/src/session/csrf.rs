//! Tokens that prove that a form or a script of the app itself has sent a request.

use super::Session;
use super::outcome::Reloaded;
use crate::commit::Committed;
use crate::csrf::CsrfSecret;
use crate::error::{Cause, SessionError};
use crate::plan::Lookup;
use crate::state::State;

impl Session {
    /// Returns a CSRF token of the session, for a hidden field of a form, or for a header that scripts send. The
    /// handler that receives it calls [`check_csrf_token`](Self::check_csrf_token).
    ///
    /// First protect the app with a layer such as `tower_http::csrf::CsrfLayer`, which needs no tokens. They are for
    /// apps that have to support browsers without `Sec-Fetch-Site` and `origin`, or whose rules require them.
    ///
    /// The token is masked, so each call returns another text; all of them are valid until the next sign-in, also in
    /// other tabs. The first one of a session stores a secret of 32 bytes in it, at once and with all other edits so
    /// far; a session is created if there is none. So do not call it for pages that every visitor gets.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// async fn form(session: Session) -> Result<String, SessionError> {
    ///     let token = session.csrf_token().await?;
    ///     Ok(format!("<form method=post><input type=hidden name=csrf value={token}>…</form>"))
    /// }
    ///
    /// async fn submit(session: Session, csrf: String) -> Result<(), SessionError> {
    ///     session.check_csrf_token(&csrf).await?;
    ///     // …
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), if the secret has to be stored. Then also
    /// [`NotCreated`](crate::SessionErrorKind::NotCreated) or [`Ended`](crate::SessionErrorKind::Ended), if this
    /// request stores nothing without a sign-in ([`needs_sign_in`](Self::needs_sign_in)).
    pub async fn csrf_token(&self) -> Result<String, SessionError> {
        let rng = &*self.handle.context.rng;
        // Once more if the commit has signed a user in: that has removed the secret.
        for _ in 0..2 {
            if let Some(secret) = self.csrf_secret() {
                return Ok(secret.token(rng)?);
            }
            self.store_csrf_secret(CsrfSecret::draw(rng)?).await?;
        }
        let secret = self.csrf_secret().ok_or(Cause::Ended)?;
        Ok(secret.token(rng)?)
    }

    /// Checks a token that [`csrf_token`](Self::csrf_token) has returned for this session, since its last sign-in. The
    /// comparison takes constant time. It costs no store command; with a near cache, a token that is refused costs one.
    ///
    /// # Errors
    ///
    /// [`CsrfToken`](crate::SessionErrorKind::CsrfToken), whose response is a 403, for every other text. With a near
    /// cache also if the store fails.
    pub async fn check_csrf_token(&self, token: &str) -> Result<(), SessionError> {
        if self.is_csrf_token(token) {
            return Ok(());
        }
        // The record may have come from a cache, from before another server has stored the secret.
        let may_be_stale = self.handle.context.store.has_cache() && self.id().is_some();
        if may_be_stale && self.reload().await? == Reloaded::Live && self.is_csrf_token(token) {
            return Ok(());
        }
        Err(Cause::CsrfToken.into())
    }

    fn is_csrf_token(&self, token: &str) -> bool {
        let secret = self.csrf_secret();
        secret.is_some() && CsrfSecret::in_token(token) == secret
    }

    fn csrf_secret(&self) -> Option<CsrfSecret> {
        let state = self.handle.state();
        state.entries().get(CsrfSecret::KEY).ok().flatten()
    }

    async fn store_csrf_secret(&self, secret: CsrfSecret) -> Result<(), SessionError> {
        self.check_stores_edits()?;
        let insert = move |state: &mut State| {
            state.insert_unless_present(CsrfSecret::KEY, secret)?;
            Ok(Some(()))
        };
        match self.handle.commit_with(insert).await? {
            (_, Committed::Ended) => Err(Cause::Ended.into()),
            _ => self.check_stores_edits(),
        }
    }

    fn check_stores_edits(&self) -> Result<(), SessionError> {
        let state = self.handle.state();
        match state.lookup {
            Lookup::Absent if !state.is_contested() && state.needs_sign_in() => {
                Err(Cause::NotCreated.into())
            }
            _ if state.needs_sign_in() => Err(Cause::Ended.into()),
            _ => Ok(()),
        }
    }
}
