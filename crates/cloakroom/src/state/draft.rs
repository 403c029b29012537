//! What one commit is to store.

use cloakroom_core::arrival::Arrival;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::{
    Authentication, Changes, Entries, EntryError, Limits, SessionId, Timestamp, UserId,
};

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

/// A user is about to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningIn {
    pub(crate) user: UserId,
    pub(crate) at: Timestamp,
    pub(crate) carry_over: CarryOver,
    /// The entries that were given to the sign-in itself. They are always in the new session.
    pub(crate) inserted: Entries,
}

/// What of the old session goes into the one that a sign-in creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarryOver {
    /// Its entries, with this request's edits.
    Everything,
    /// This request's edits alone: the entries are another user's.
    OwnEdits,
    Nothing,
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
    /// Whether no entry of the old session goes into the new one.
    pub(crate) fn starts_empty(&self) -> bool {
        let carry_over = self.carry_over();
        carry_over != CarryOver::Everything
    }

    fn carry_over(&self) -> CarryOver {
        let signing_in = self.signing_in.as_ref();
        signing_in.map_or(CarryOver::Everything, |signing_in| signing_in.carry_over)
    }

    /// Leaves out what a sign-in does not carry over, and puts in the entries that were given to it.
    /// [`finish_sign_in`](Self::finish_sign_in) has to follow.
    pub(super) fn begin_sign_in(&mut self) {
        let Some(signing_in) = &self.signing_in else {
            return;
        };
        match signing_in.carry_over {
            CarryOver::Everything => {}
            // The entries follow from a replay of the edits.
            CarryOver::OwnEdits => (self.base, self.entries) = Default::default(),
            CarryOver::Nothing => {
                (self.base, self.entries) = Default::default();
                self.changes = Changes::new();
            }
        }
        let inserted = &signing_in.inserted;
        for entry in inserted.keys().filter_map(|key| inserted.entry(key)) {
            self.changes.put(&mut self.entries, entry.clone());
        }
    }

    /// Where another user was signed in, makes the entries by running this request's edits again,
    /// on an empty session: what an update has computed from the other user's value is not kept, and
    /// neither is the closure, which must not run on that user's entries later. The app's closures
    /// run here, so no lock may be held.
    pub(crate) fn finish_sign_in(&mut self) -> Result<(), EntryError> {
        if self.carry_over() != CarryOver::OwnEdits {
            return Ok(());
        }
        let nothing = Entries::new();
        let own = self.changes.replay(&nothing, &nothing)?.entries;
        self.changes = Changes::new();
        for entry in own.keys().filter_map(|key| own.entry(key)) {
            self.changes.put(&mut self.entries, entry.clone());
        }
        Ok(())
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
