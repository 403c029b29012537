//! What a request knows of its session, and what its handler did to it. No I/O, no await.

mod draft;
mod edits;
pub(crate) mod found;

use cloakroom_core::{Authentication, Changes, Entries, Limits, Timestamp};

use crate::error::{Cause, SessionError};
use crate::plan::{CookiePlan, Due, Situation, Standing as Stands};

pub(crate) use self::draft::{CarryOver, Draft, Mark, SigningIn};
pub(crate) use self::edits::check_key;
pub(crate) use self::found::{Found, Live, Standing};

/// The session, as the handler sees and edits it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) standing: Standing,
    /// The entries with the edits on top.
    entries: Entries,
    /// The edits that are not stored yet.
    changes: Changes,
    /// The limits that the handler chose, not stored yet.
    chosen: Option<Limits>,
    renewing: bool,
    /// Who is about to sign in.
    signing_in: Option<SigningIn>,
    /// What the steps carried out so far mean for the browser.
    pub(crate) cookie: CookiePlan,
    /// A step is under way, or was cut off: nobody knows whether it was carried out.
    pub(crate) uncertain: bool,
    /// Somebody ended the session while this request worked on it.
    ended_meanwhile: bool,
    /// The request has found the session by the cookie of another system.
    arrived: bool,
    phase: Phase,
    /// The request is over for this copy: no cookie can be set, so no session can be begun.
    detached: bool,
}

/// How far the request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The handler is at work.
    #[default]
    Handling,
    /// The handler is done, and its edits are being saved.
    Answering,
    /// The answer is out, or the request was cancelled.
    Over,
}

impl State {
    pub(crate) fn new(standing: Standing) -> Self {
        let entries = match &standing {
            Standing::Live(live) => live.record.entries().clone(),
            Standing::Nothing | Standing::Tombstoned => Entries::new(),
        };
        Self {
            standing,
            entries,
            ..Self::default()
        }
    }

    pub(crate) const fn is_detached(&self) -> bool {
        self.detached
    }

    /// Takes in what the request's cookie led to.
    pub(crate) fn begin(&mut self, found: Found) {
        *self = Self {
            phase: self.phase,
            arrived: found.by_old_cookie,
            ..Self::new(found.standing)
        };
    }

    /// A copy of a session that outlives its request.
    pub(crate) fn detached(live: Live) -> Self {
        Self {
            detached: true,
            ..Self::new(Standing::Live(live))
        }
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.standing {
            Standing::Live(live) => Some(live),
            Standing::Nothing | Standing::Tombstoned => None,
        }
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    pub(crate) fn renew(&mut self) -> Result<(), SessionError> {
        self.check_attached()?;
        self.renewing = true;
        Ok(())
    }

    /// Signs a user in with the next commit. If another user is signed in, only this request's edits
    /// go into the new session.
    pub(crate) fn sign_in(
        &mut self,
        mut signing_in: SigningIn,
        limits: Limits,
    ) -> Result<(), SessionError> {
        self.check_attached()?;
        let before = Authentication::of(&self.entries);
        let is_another = before.is_some_and(|before| *before.user() != signing_in.user);
        if is_another && signing_in.carry_over == CarryOver::Everything {
            signing_in.carry_over = CarryOver::OwnEdits;
        }
        self.signing_in = Some(signing_in);
        self.chosen = Some(limits);
        self.renewing = true;
        Ok(())
    }

    pub(crate) fn choose(&mut self, limits: Limits) -> Result<(), SessionError> {
        self.check_attached()?;
        self.chosen = Some(limits);
        Ok(())
    }

    /// The limits of the session as they would be saved now.
    pub(crate) fn chosen(&self) -> Option<Limits> {
        self.chosen
    }

    /// Whether a commit would renew the session, by now.
    pub(crate) fn renews(&self) -> bool {
        self.renewing && self.live().is_some()
    }

    /// Whether edits came to nothing because the session had ended.
    pub(crate) fn lost_edits(&self) -> bool {
        let stale = matches!(self.standing, Standing::Tombstoned) && !self.changes.is_empty();
        self.ended_meanwhile || stale
    }

    /// From now on, edits are errors.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Answering;
    }

    /// From now on, so is saving what was edited before: no cookie could tell of it.
    pub(crate) fn finish(&mut self) {
        self.phase = Phase::Over;
    }

    pub(crate) fn check_not_over(&self) -> Result<(), SessionError> {
        if self.phase == Phase::Over {
            return Err(Cause::Closed.into());
        }
        Ok(())
    }

    /// Forgets what is not stored.
    pub(crate) fn drop_edits(&mut self) -> bool {
        let had_any = !self.changes.is_empty() || self.renewing || self.chosen.is_some();
        *self = Self {
            cookie: self.cookie,
            uncertain: self.uncertain,
            ended_meanwhile: self.ended_meanwhile,
            arrived: self.arrived,
            phase: self.phase,
            detached: self.detached,
            ..Self::new(std::mem::take(&mut self.standing))
        };
        had_any
    }

    /// What there is to do, for [`plan`](crate::plan::plan).
    pub(crate) fn situation(&self, due: impl FnOnce(&Live) -> Due) -> Situation {
        let (standing, changed, due) = match &self.standing {
            Standing::Nothing => (Stands::Nothing, !self.entries.is_empty(), Due::default()),
            Standing::Tombstoned => (Stands::Tombstoned, !self.entries.is_empty(), Due::default()),
            Standing::Live(live) => {
                let changed = !self.changes.is_empty() && &self.entries != live.record.entries();
                let due = match self.arrived {
                    true => Due::Arrival,
                    false => due(live),
                };
                (Stands::Live, changed, due)
            }
        };
        Situation {
            standing,
            changed: changed || self.signing_in.is_some(),
            renewing: self.renewing,
            expiry_chosen: self.chosen.is_some(),
            due,
            owed: self.cookie,
        }
    }

    /// What a commit is to store, of all that was edited so far. It is complete after
    /// [`Draft::finish_sign_in`].
    pub(crate) fn draft(&self) -> Draft {
        let base = self.live().map(|live| live.record.entries().clone());
        let mut draft = Draft {
            base: base.unwrap_or_default(),
            entries: self.entries.clone(),
            changes: self.changes.clone(),
            chosen: self.chosen,
            signing_in: self.signing_in.clone(),
            renewing: self.renewing,
            edits: self.changes.len(),
        };
        draft.begin_sign_in();
        draft
    }

    /// Takes in that a commit has stored this. What is stored, and edits made beside it, are put
    /// together by a rebase, which has to follow.
    pub(crate) fn stored(&mut self, draft: &Draft) {
        // Fewer, if an answer that failed has dropped the edits in the meantime.
        let stored = draft.edits.min(self.changes.len());
        self.changes.forget_first(stored);
        if self.chosen == draft.chosen {
            self.chosen = None;
        }
        self.renewing &= !draft.renewing;
        if self.signing_in == draft.signing_in {
            self.signing_in = None;
        }
    }

    /// The edits that are not stored, and what they were made on.
    pub(crate) fn unstored(&self) -> (Changes, Entries) {
        let base = self.live().map(|live| live.record.entries().clone());
        (self.changes.clone(), base.unwrap_or_default())
    }

    /// Takes in a fresher record, and the entries that the edits of `unstored` make of it; `false` if
    /// there was another edit since.
    pub(crate) fn rebase(&mut self, unstored: &Changes, live: &Live, entries: Entries) -> bool {
        if self.changes.len() != unstored.len() {
            return false;
        }
        self.standing = Standing::Live(live.clone());
        self.entries = entries;
        true
    }

    /// Leaves a step of unknown outcome behind: its edits may be stored, so they are not tried again.
    /// Within a request it stays: that is not answered with success any more.
    pub(crate) fn settle(&mut self) {
        if self.detached && std::mem::take(&mut self.uncertain) {
            self.drop_edits();
        }
    }

    /// Takes in a fresher record, and gives up the edits: they do not fit on it.
    pub(crate) fn give_up_on(&mut self, live: Live) {
        self.standing = Standing::Live(live);
        self.drop_edits();
    }

    /// Where the edits stand, to come back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            edits: self.changes.len(),
            entries: self.entries.clone(),
            chosen: self.chosen,
            renewing: self.renewing,
        }
    }

    /// Takes back the one edit since the mark; not if there were others beside it. Whoever was about
    /// to sign in since then does not.
    pub(crate) fn take_back(&mut self, mark: Mark) {
        if self.signing_in.take().is_some() {
            (self.chosen, self.renewing) = (mark.chosen, mark.renewing);
        }
        if self.changes.len() == mark.edits + 1 {
            self.changes.truncate(mark.edits);
            self.entries = mark.entries;
        }
    }

    /// Takes in that the use was written down.
    pub(crate) fn touched(&mut self, at: Timestamp) {
        if let Standing::Live(live) = &mut self.standing {
            live.record = live.record.clone().touched(at);
        }
    }

    /// Takes in that the session ended elsewhere. Of what the handler sees only what it put in itself
    /// stays: should it begin a new session, nothing of the ended one is in it.
    pub(crate) fn gone(&mut self) {
        self.entries = self.changes.own();
        self.standing = Standing::Tombstoned;
        self.uncertain = false;
        self.ended_meanwhile = true;
    }

    /// Takes in that this request ended the session. What follows begins a new one.
    pub(crate) fn destroyed(&mut self) {
        self.standing = if self.detached {
            Standing::Tombstoned
        } else {
            Standing::Nothing
        };
        self.uncertain = false;
        self.drop_edits();
        self.cookie = CookiePlan::TakeBack;
    }

    fn check_attached(&self) -> Result<(), SessionError> {
        if self.detached {
            return Err(Cause::Detached.into());
        }
        self.check_open()
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.phase != Phase::Handling {
            return Err(Cause::Closed.into());
        }
        Ok(())
    }
}
