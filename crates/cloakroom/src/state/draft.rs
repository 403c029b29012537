//! What one commit is to store.

use cloakroom_core::migration::Arrival;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::{Authentication, Changes, Entries, Limits, SessionId, Timestamp, UserId};

/// What one commit is to store.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What the edits were made on.
    pub(crate) base: Entries,
    pub(crate) entries: Entries,
    pub(crate) changes: Changes,
    pub(crate) chosen: Option<Limits>,
    pub(crate) signing_in: Option<SigningIn>,
    pub(super) renewing: bool,
    /// How many edits there were, also those that are not to be stored.
    pub(super) edits: usize,
}

/// Somebody is about to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningIn {
    pub(crate) user: UserId,
    pub(crate) at: Timestamp,
    /// Whether the new session begins without what was in the old one.
    pub(crate) starts_empty: bool,
}

/// Where the edits stood.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(super) edits: usize,
    pub(super) entries: Entries,
    pub(super) chosen: Option<Limits>,
    pub(super) renewing: bool,
}

impl Draft {
    /// Whether nothing of the old session goes into the new one.
    pub(crate) fn starts_empty(&self) -> bool {
        let starts_empty = |signing_in: &SigningIn| signing_in.starts_empty;
        self.signing_in.as_ref().is_some_and(starts_empty)
    }

    /// The entries of the session that a creation or a renewal begins: these, and who signs in. Its
    /// secret is new, so nothing is left of the old one's, nor of where that came from.
    pub(crate) fn begins_with(&self, mut entries: Entries) -> Entries {
        entries.remove(Secrets::KEY);
        entries.remove(Arrival::KEY);
        if let Some(SigningIn { user, at, .. }) = &self.signing_in {
            Authentication::new(user.clone(), *at).put_into(&mut entries);
        }
        entries
    }

    /// The session that the new one takes the place of in the user's index.
    pub(crate) fn replaces(&self, old: SessionId, entries: &Entries) -> Option<SessionId> {
        let was = Authentication::of(entries)?;
        let same = |signing_in: &SigningIn| signing_in.user == *was.user();
        self.signing_in.as_ref().is_none_or(same).then_some(old)
    }
}
