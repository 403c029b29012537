//! The input of one commit.

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::renewal::RenewalMark;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::{
    Authentication, Changes, Entries, EntryError, Impersonation, Limits, SessionId, Timestamp,
    UserId,
};

use crate::csrf::CsrfSecret;

/// The input of one commit: the edits so far.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The entries on which the edits were made.
    pub(crate) base: Entries,
    pub(crate) entries: Entries,
    pub(crate) changes: Changes,
    pub(crate) chosen: Option<Limits>,
    pub(crate) signing_in: Option<SigningIn>,
    pub(crate) acting: Option<Acting>,
    pub(super) renewing: bool,
    /// The number of edits, including those that are not stored because the session starts empty.
    pub(super) edits: usize,
}

/// A sign-in that the next commit carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningIn {
    pub(crate) user: UserId,
    pub(crate) at: Timestamp,
    pub(crate) carry_over: CarryOver,
    /// The entries that were given to the sign-in itself. They are always in the new session.
    pub(crate) inserted: Entries,
}

/// An impersonation that the next commit begins or stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acting {
    Begin(Impersonation),
    /// That of this user.
    Stop(UserId),
}

/// What a sign-in carries over from the old session to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarryOver {
    /// Its entries, with the edits of this request.
    Everything,
    /// Only the edits of this request: the entries are another user's.
    OwnEdits,
    Nothing,
}

/// The edits at one moment, to return to.
#[derive(Debug)]
pub(crate) struct Savepoint {
    pub(super) edits: usize,
    pub(crate) entries: Entries,
    pub(super) steps: Steps,
    /// What was edited since, to be undone.
    pub(super) own: Option<OwnEdits>,
}

/// What was edited after a savepoint.
#[derive(Debug)]
pub(crate) struct OwnEdits {
    /// How many edits were logged.
    pub(super) logged: usize,
    pub(super) steps: Steps,
}

/// What the next commit has to do besides storing the edits.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(super) chosen: Option<Limits>,
    pub(super) renewing: bool,
    pub(super) signing_in: Option<SigningIn>,
    pub(super) acting: Option<Acting>,
}

impl Draft {
    /// Whether no data of the old session is carried over into the new one.
    pub(crate) fn starts_empty(&self) -> bool {
        self.carry_over() != CarryOver::Everything
    }

    /// Whether the sign-in wants a session without any earlier data.
    pub(crate) fn discards_data(&self) -> bool {
        self.carry_over() == CarryOver::Nothing
    }

    fn carry_over(&self) -> CarryOver {
        match &self.signing_in {
            Some(signing_in) => signing_in.carry_over,
            None => CarryOver::Everything,
        }
    }

    /// Removes what a sign-in does not carry over, and adds the entries that were given to it.
    /// [`finish_sign_in`](Self::finish_sign_in) has to follow.
    pub(super) fn begin_sign_in(&mut self) {
        let Some(signing_in) = &self.signing_in else {
            return;
        };
        match signing_in.carry_over {
            CarryOver::Everything => {}
            // The entries are the result of replaying the edits.
            CarryOver::OwnEdits => (self.base, self.entries) = Default::default(),
            CarryOver::Nothing => {
                (self.base, self.entries) = Default::default();
                self.changes = Changes::new();
            }
        }
        let inserted = &signing_in.inserted;
        self.changes.put_all(&mut self.entries, inserted);
    }

    /// If another user was signed in, computes the entries by replaying the edits of this request on an
    /// empty session: a value that an update has computed from the other user's data is not carried over. The
    /// app's closures run here, so no lock may be held. They run again if the sign-in joins another one of the same
    /// user, on the data of that user. What was removed was the other user's.
    pub(crate) fn finish_sign_in(&mut self) -> Result<(), EntryError> {
        if self.carry_over() == CarryOver::OwnEdits {
            let nothing = Entries::new();
            self.changes = self.changes.without_removals();
            self.entries = self.changes.replay(&nothing, &nothing)?.entries;
        }
        Ok(())
    }

    /// Returns the entries of the session that a creation or a renewal stores: these, and the user who
    /// signs in or acts as another. Its token is new, so the rotation state and the link to a legacy session are not
    /// carried over. With another user, CSRF tokens from before are not valid any more.
    pub(crate) fn entries_of_new_session(&self, mut entries: Entries) -> Entries {
        entries.remove(Secrets::KEY);
        entries.remove(MigrationMark::KEY);
        entries.remove(RenewalMark::KEY);
        if self.signing_in.is_some() || self.acting.is_some() {
            entries.remove(CsrfSecret::KEY);
        }
        if let Some(SigningIn { user, at, .. }) = &self.signing_in {
            Authentication::new(user.clone(), *at).put_into(&mut entries);
        }
        match &self.acting {
            Some(Acting::Begin(impersonation)) => impersonation.begin(&mut entries),
            Some(Acting::Stop(_)) => Impersonation::stop(&mut entries),
            None => {}
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
