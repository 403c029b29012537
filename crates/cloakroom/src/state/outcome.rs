//! What the steps of a request change in what it knows of its session.

use cloakroom_core::{Authentication, Changes, Entries, Timestamp};

use super::State;
use super::draft::{Draft, OwnEdits, Savepoint, Steps};
use super::found::Live;
use crate::plan::{CookiePlan, Lookup};

impl State {
    /// Records that a commit has stored a draft. A [`rebase`](Self::rebase) has to follow, which combines
    /// what was stored with edits that were made during the commit.
    pub(crate) fn stored(&mut self, draft: &Draft) {
        // There are fewer changes than in the draft if an error response has discarded them meanwhile.
        let stored = draft.edits.min(self.changes.len());
        let stored = self.changes.take_first(stored);
        self.keep_until_unlocked(stored);
        if self.chosen == draft.chosen {
            self.chosen = None;
        }
        self.renewing &= !draft.renewing;
        if self.signing_in == draft.signing_in {
            self.signing_in = None;
        }
        if self.acting == draft.acting {
            self.acting = None;
        }
    }

    /// The edits that are not stored, and the entries on which they were made.
    pub(crate) fn unstored(&self) -> (Changes, Entries) {
        let base = self.live().map(|live| live.record.entries().clone());
        (self.changes.clone(), base.unwrap_or_default())
    }

    /// Replaces the record by a fresher one, and the entries by the result of replaying the edits of
    /// [`unstored`](Self::unstored) on it. Returns `false`, and changes nothing, if the handler has made
    /// another edit since.
    pub(crate) fn rebase(&mut self, unstored: &Changes, live: &Live, entries: Entries) -> bool {
        if self.changes.len() != unstored.len() {
            return false;
        }
        self.lookup = Lookup::Live(live.clone());
        self.entries = entries;
        true
    }

    /// Gives up on a step of unknown outcome, in a detached session: its edits may be stored, so they are
    /// not tried again. Within a request nothing changes: the request fails.
    pub(crate) fn resolve_uncertainty(&mut self) {
        if self.detached && std::mem::take(&mut self.uncertain) {
            self.discard_edits();
        }
    }

    /// Replaces the record by a fresher one, and discards the edits, which cannot be replayed on it.
    pub(crate) fn reset_to(&mut self, live: Live) {
        self.lookup = Lookup::Live(live);
        self.discard_edits();
    }

    /// A savepoint of the edits, for [`undo_edits`](Self::undo_edits) and [`undo_steps`](Self::undo_steps).
    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint {
            edits: self.changes.len(),
            entries: self.entries.clone(),
            steps: self.steps(),
            own: None,
        }
    }

    /// Records in a savepoint what was edited since. What follows is someone else's.
    pub(crate) fn end_savepoint(&self, savepoint: &mut Savepoint) {
        savepoint.own = Some(OwnEdits {
            logged: self.changes.len().saturating_sub(savepoint.edits),
            steps: self.steps(),
        });
    }

    /// Undoes a sign-in or an impersonation that was begun between the savepoint and [its end](Self::end_savepoint),
    /// unless another task of the request has begun one since. A sign-in from before that has to be stored with the
    /// session stays.
    pub(crate) fn undo_steps(&mut self, savepoint: &Savepoint) {
        let Some(own) = &savepoint.own else {
            return;
        };
        let (before, after) = (&savepoint.steps, &own.steps);
        let is_own = (&self.signing_in, &self.acting) == (&after.signing_in, &after.acting);
        let was_set = (&before.signing_in, &before.acting) != (&after.signing_in, &after.acting);
        if is_own && was_set {
            self.signing_in.clone_from(&before.signing_in);
            self.acting.clone_from(&before.acting);
            self.renewing = before.renewing;
            if self.chosen == after.chosen {
                self.chosen = before.chosen;
            }
        }
    }

    /// Returns the edits that other tasks of the request have made since the savepoint ended; `None` if nothing was
    /// edited before that, or the edits were discarded meanwhile.
    pub(crate) fn edits_since(&self, savepoint: &Savepoint) -> Option<Changes> {
        let logged = savepoint.own.as_ref()?.logged;
        let until = savepoint.edits + logged;
        // The clone's first edits are also in the log, so no closure is dropped here.
        (logged > 0 && self.changes.len() >= until).then(|| self.changes.clone().split_off(until))
    }

    /// Undoes the edits between the savepoint and its end. `entries` is the result of replaying those of
    /// [`edits_since`](Self::edits_since) on the entries of the savepoint. Returns `false`, and changes nothing, if
    /// there is another edit since.
    pub(crate) fn undo_edits(
        &mut self,
        savepoint: &Savepoint,
        since: &Changes,
        entries: Entries,
    ) -> bool {
        let logged = savepoint.own.as_ref().map_or(0, |own| own.logged);
        if self.changes.len() != savepoint.edits + logged + since.len() {
            return false;
        }
        let mut undone = self.changes.split_off(savepoint.edits);
        self.changes.append(undone.split_off(logged));
        self.keep_until_unlocked(undone);
        self.entries = entries;
        true
    }

    fn steps(&self) -> Steps {
        Steps {
            chosen: self.chosen,
            renewing: self.renewing,
            signing_in: self.signing_in.clone(),
            acting: self.acting.clone(),
        }
    }

    /// Records that last-seen was updated.
    pub(crate) fn touched(&mut self, at: Timestamp) {
        if let Lookup::Live(live) = &mut self.lookup {
            live.record = live.record.clone().touched(at);
        }
    }

    /// Records that the session was ended by someone else. The handler keeps its own edits only: if it
    /// creates a new session, no data of the ended one is in it.
    pub(crate) fn mark_ended(&mut self) {
        let record = self.live().map(|live| &live.record);
        self.had_user |= record.is_some_and(|it| it.entries().contains(Authentication::KEY));
        self.entries = self.changes.own();
        self.note_ended_token();
        self.lookup = Lookup::Ended;
        self.uncertain = false;
        self.ended_concurrently = true;
    }

    /// Records that this request has ended the session. Further edits create a new one.
    pub(crate) fn destroyed(&mut self) {
        self.note_ended_token();
        self.lookup = if self.detached {
            Lookup::Ended
        } else {
            Lookup::Absent
        };
        self.uncertain = false;
        self.discard_edits();
        self.was_destroyed = true;
        self.pending_cookie = CookiePlan::Remove;
    }

    /// Records the token of the session that ends now, so that it can be looked up and ended again.
    fn note_ended_token(&mut self) {
        if let Some(live) = self.live() {
            self.ended = Some(live.token.clone());
        }
    }

    /// Records that the other sessions of the request have ended.
    pub(crate) fn others_ended(&mut self) {
        self.others.clear();
        self.removes_all_cookies = true;
    }
}
