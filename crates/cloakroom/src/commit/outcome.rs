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

/// Of the errors of several ends, the one to report: the first after which a session may still be live, or else the
/// first.
#[derive(Debug, Default)]
pub(crate) struct WorstError(Option<SessionError>);

impl WorstError {
    pub(crate) fn add(&mut self, error: SessionError) {
        let may_be_live = |error: &SessionError| error.kind() != SessionErrorKind::NotReplicated;
        match &self.0 {
            Some(known) if may_be_live(known) || !may_be_live(&error) => {}
            Some(_) | None => self.0 = Some(error),
        }
    }

    pub(crate) fn add_all(&mut self, errors: impl IntoIterator<Item = SessionError>) {
        for error in errors {
            self.add(error);
        }
    }

    /// Returns the error as a result, and forgets it.
    pub(crate) fn take(&mut self) -> Result<(), SessionError> {
        self.0.take().map_or(Ok(()), Err)
    }
}

/// The results of ending several sessions.
#[derive(Default)]
pub(super) struct EndResults {
    was_live: bool,
    error: WorstError,
}

impl EndResults {
    /// Adds a result: whether the session was live.
    pub(super) fn add(&mut self, result: Result<bool, SessionError>) {
        match result {
            Ok(was_live) => self.was_live |= was_live,
            Err(error) => self.error.add(error),
        }
    }

    /// Returns whether one of them was live.
    ///
    /// # Errors
    ///
    /// Fails with the [worst error](WorstError).
    pub(super) fn was_live(mut self) -> Result<bool, SessionError> {
        self.error.take().map(|()| self.was_live)
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::StoreErrorKind::{NotReplicated, OutOfMemory, OutcomeUnknown};
    use cloakroom_core::{StoreError, StoreErrorKind};

    use super::*;

    fn worst(kinds: &[StoreErrorKind]) -> Option<SessionErrorKind> {
        let mut worst = WorstError::default();
        worst.add_all(kinds.iter().map(|kind| StoreError::new(*kind).into()));
        worst.take().err().map(|error| error.kind())
    }

    #[test]
    fn the_first_error_after_which_a_session_may_be_live_is_reported() {
        let unknown = Some(SessionErrorKind::OutcomeUnknown);
        assert_eq!(worst(&[]), None);
        assert_eq!(
            worst(&[NotReplicated, OutcomeUnknown, OutOfMemory]),
            unknown
        );
        assert_eq!(worst(&[OutcomeUnknown, NotReplicated]), unknown);
        assert_eq!(
            worst(&[NotReplicated]),
            Some(SessionErrorKind::NotReplicated)
        );
    }
}
