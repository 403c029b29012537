//! Signing out.

use axum::response::Redirect;
use cloakroom::{Session, SessionError};

use crate::flash::{self, Kind};

/// Ends the session, on every server and in every tab.
pub(crate) async fn sign_out(session: Session) -> Result<Redirect, SessionError> {
    session.sign_out().await?;
    // An insert after that creates a new, empty session for the message.
    flash::set(&session, Kind::Success, "You are signed out.")?;
    Ok(Redirect::to("/"))
}
