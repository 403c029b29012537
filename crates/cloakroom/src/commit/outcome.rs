//! The results of commits.

use cloakroom_core::entries::Entry;

use crate::error::{SessionError, SessionErrorKind};
use crate::state::Live;

/// The result of a commit.
#[derive(Debug)]
pub(crate) enum Committed {
    /// Nothing had to be stored.
    Unchanged,
    /// Nothing of the app's had to be stored; the library has updated its own entries, or has verified
    /// that the session is live.
    Maintained(Stored),
    /// The edits are stored.
    Stored(Stored),
    /// The session was ended by someone else; nothing is stored.
    Ended,
}

/// What is stored after a commit.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) live: Live,
    /// If the edits had to be replayed: the value that a `take_once` has found then.
    pub(crate) taken: Option<Option<Entry>>,
}

/// The results of ending several sessions.
#[derive(Default)]
pub(super) struct EndResults {
    was_live: bool,
    not_replicated: Option<SessionError>,
    failed: Option<SessionError>,
}

impl EndResults {
    /// Adds a result: whether the session was live.
    pub(super) fn add(&mut self, result: Result<bool, SessionError>) {
        match result {
            Ok(was_live) => self.was_live |= was_live,
            Err(error) if error.kind() == SessionErrorKind::NotReplicated => {
                self.not_replicated = Some(error);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// Returns whether one of them was live.
    ///
    /// # Errors
    ///
    /// Fails with the error of one that could not be ended: first one after which it may still be live.
    pub(super) fn was_live(self) -> Result<bool, SessionError> {
        match self.failed.or(self.not_replicated) {
            Some(error) => Err(error),
            None => Ok(self.was_live),
        }
    }
}
