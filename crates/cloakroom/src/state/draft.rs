//! The input of one commit.

use cloakroom_core::migration::Arrival;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::{Authentication, Changes, Entries, Limits, SessionId, Timestamp, UserId};

/// The input of one commit: the edits so far.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The entries on which the edits were made.
    pub(crate) base: Entries,
    pub(crate) entries: Entries,
    pub(crate) changes: Changes,
    pub(crate) chosen: Option<Limits>,
    pub(crate) signing_in: Option<SigningIn>,
    pub(super) renewing: bool,
    /// The number of edits, including those that are not stored because the session starts empty.
    pub(super) edits: usize,
}

/// A sign-in that the next commit carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningIn {
    pub(crate) user: UserId,
    pub(crate) at: Timestamp,
    /// Whether the data of the old session is not carried over.
    pub(crate) starts_empty: bool,
}

/// The edits at one moment, to return to.
#[derive(Debug)]
pub(crate) struct Savepoint {
    pub(super) edits: usize,
    pub(super) entries: Entries,
    pub(super) chosen: Option<Limits>,
    pub(super) renewing: bool,
}

impl Draft {
    /// Whether no data of the old session is carried over into the new one.
    pub(crate) fn starts_empty(&self) -> bool {
        match &self.signing_in {
            Some(signing_in) => signing_in.starts_empty,
            None => false,
        }
    }

    /// Returns the entries of the session that a creation or a renewal stores: these, and the user who
    /// signs in. Its token is new, so the rotation state and the link to a legacy session are not
    /// carried over.
    pub(crate) fn entries_of_new_session(&self, mut entries: Entries) -> Entries {
        entries.remove(Secrets::KEY);
        entries.remove(Arrival::KEY);
        if let Some(SigningIn { user, at, .. }) = &self.signing_in {
            Authentication::new(user.clone(), *at).put_into(&mut entries);
        }
        entries
    }

    /// Returns `old` if the new session takes its place in the user's index: if it has the same user.
    pub(crate) fn replaces(&self, old: SessionId, entries: &Entries) -> Option<SessionId> {
        let previous = Authentication::of(entries)?;
        match &self.signing_in {
            Some(signing_in) if signing_in.user != *previous.user() => None,
            _ => Some(old),
        }
    }
}
