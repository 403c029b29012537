//! Flash messages: shown once, on the page after the redirect.

use cloakroom::{Key, Session, SessionError};
use serde::{Deserialize, Serialize};

const FLASH: Key<Flash> = Key::new("flash");

/// A message that is shown once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flash {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What a message reports.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Success,
    Error,
}

/// Stores a message for the next page.
pub(crate) fn set(
    session: &Session,
    kind: Kind,
    text: impl Into<String>,
) -> Result<(), SessionError> {
    let text = text.into();
    session.insert(FLASH, Flash { kind, text })
}

/// Returns the stored message, and removes it.
pub(crate) fn take(session: &Session) -> Result<Option<Flash>, SessionError> {
    session.take(FLASH)
}

/// Does the same, except when a script fetches the list of a page with `?list`: the message is for the
/// page itself.
pub(crate) fn take_for_page(
    session: &Session,
    query: Option<&str>,
) -> Result<Option<Flash>, SessionError> {
    match query {
        Some("list") => Ok(None),
        _ => take(session),
    }
}
