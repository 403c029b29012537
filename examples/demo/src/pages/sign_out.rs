//! Signing out.

use axum::response::Redirect;
use cloakroom::{Session, SessionError};

use crate::flash::{self, Tone};

/// Ends the session, on every server and for every tab.
pub(crate) async fn sign_out(session: Session) -> Result<Redirect, SessionError> {
    session.sign_out().await?;
    // A new session begins with what is put in after that: a new ticket, nothing of the old.
    flash::say(&session, Tone::Good, "Here is your coat. Good night!")?;
    Ok(Redirect::to("/"))
}
