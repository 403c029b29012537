//! Who has signed in to the session, and whom that user acts as.

use cloakroom_core::{Authentication, Impersonation, UserId};

use super::State;
use super::draft::Acting;
use crate::error::{Cause, SessionError};

impl State {
    /// Begins to act as another user with the next commit.
    pub(crate) fn impersonate(&mut self, impersonation: Impersonation) -> Result<(), SessionError> {
        self.check_attached()?;
        // A sign-in that is left to the next save has not happened yet.
        let is_signed_in = self.signing_in.is_none() && self.entries.contains(Authentication::KEY);
        if self.live().is_none() || !is_signed_in {
            return Err(Cause::NotSignedIn.into());
        }
        self.check_not_impersonating()?;
        self.acting = Some(Acting::Begin(impersonation));
        self.renewing = true;
        Ok(())
    }

    /// Stops acting as another user with the next commit. Returns whether there is an impersonation.
    pub(crate) fn stop_impersonating(&mut self) -> Result<bool, SessionError> {
        self.check_attached()?;
        // A sign-in that is left to the next save ends it, with the entries of the new session.
        if self.signing_in.is_some() {
            return Ok(false);
        }
        let Some(user) = self.impersonated() else {
            return Ok(false);
        };
        self.acting = Some(Acting::Stop(user));
        self.renewing = true;
        Ok(true)
    }

    /// Whom the user of the session acts as.
    pub(crate) fn impersonated(&self) -> Option<UserId> {
        if !self.entries.contains(Impersonation::KEY) {
            return None;
        }
        Some(Impersonation::of(&self.entries)?.user().clone())
    }

    /// Who has signed in to the session.
    pub(crate) fn signed_in_user(&self) -> Option<UserId> {
        Some(Authentication::of(&self.entries)?.user().clone())
    }

    pub(crate) fn check_not_impersonating(&self) -> Result<(), SessionError> {
        if self.entries.contains(Impersonation::KEY) {
            return Err(Cause::Impersonating.into());
        }
        Ok(())
    }
}
