//! Messages that are shown once, on the page after the redirect.

use cloakroom::{Key, Session, SessionError};
use serde::{Deserialize, Serialize};

const FLASH: Key<Flash> = Key::new("flash");

/// A message that is shown once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flash {
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

/// How a message is meant.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Good,
    Bad,
}

/// Leaves a message for the next page.
pub(crate) fn say(
    session: &Session,
    tone: Tone,
    text: impl Into<String>,
) -> Result<(), SessionError> {
    let text = text.into();
    session.insert(FLASH, Flash { tone, text })
}

/// Takes the message that was left.
pub(crate) fn take(session: &Session) -> Result<Option<Flash>, SessionError> {
    session.take(FLASH)
}

/// The same, for a page of which a script may fetch a list: `?list` leaves the message to the page.
pub(crate) fn take_for_page(
    session: &Session,
    query: Option<&str>,
) -> Result<Option<Flash>, SessionError> {
    match query {
        Some("list") => Ok(None),
        _ => take(session),
    }
}
