//! What a request knows of its session, and the edits of its handler. No I/O, no `async`.

mod acting;
mod draft;
mod edits;
pub(crate) mod found;
mod outcome;

use cloakroom_core::{
    Authentication, Changes, EndReason, Entries, Limits, StoreError, StoreErrorKind, Token,
};

use crate::cookie::withheld::EditsDiscarded;
use crate::error::{Cause, SessionError, SessionErrorKind};
use crate::plan::{CookiePlan, Due, Lookup, Situation};

pub(crate) use self::draft::{Acting, CarryOver, Draft, Savepoint, SigningIn};
pub(crate) use self::edits::check_key;
pub(crate) use self::found::{Found, Live, limits_of};

/// The session, as the handler sees and edits it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) lookup: Lookup<Live>,
    /// The entries with the edits applied.
    entries: Entries,
    /// The edits that are not stored yet.
    changes: Changes,
    /// The limits that the handler chose, not stored yet.
    chosen: Option<Limits>,
    renewing: bool,
    /// The sign-in of the next commit.
    signing_in: Option<SigningIn>,
    /// The impersonation that the next commit begins or stops.
    acting: Option<Acting>,
    /// What the response has to do to the cookie because of the steps that have succeeded.
    pub(crate) pending_cookie: CookiePlan,
    /// A step is in progress, or was cancelled, or its outcome is unknown: it may have been stored.
    pub(crate) uncertain: bool,
    /// The session was ended by someone else during this request.
    ended_concurrently: bool,
    /// A user was signed in to the session when it was ended by someone else.
    had_user: bool,
    /// The session was found by another cookie than the one that responses set.
    needs_cookie: bool,
    /// Other live sessions that the request has presented.
    others: Vec<Live>,
    /// Sessions of several cookies have ended, so their cookies are removed in every known scope.
    removes_all_cookies: bool,
    /// The token of the session that has ended during this request.
    ended: Option<Token>,
    /// No session was found, and the browser may hold a cookie that it did not send: only a sign-in creates
    /// a session.
    pub(crate) withheld: Option<EditsDiscarded>,
    /// This request has ended the session.
    was_destroyed: bool,
    /// Why the session of the request's token had ended before, if that is known to be the client's.
    ended_reason: Option<EndReason>,
    /// The app has tried to end the session, and that has failed or is not complete.
    unfinished_end: Option<SessionError>,
    phase: Phase,
    /// Edits that were removed. What the closures of updates have captured is the app's, and is not dropped
    /// while the state is locked: [`take_removed`](Self::take_removed).
    removed: Changes,
    /// This copy outlives its request: no cookie can be set, so no session can be created.
    detached: bool,
}

/// The phase of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The handler is running.
    #[default]
    Handling,
    /// The handler has finished, and its edits are being saved.
    Committing,
    /// The response was returned, or the request was cancelled.
    Finished,
}

impl State {
    pub(crate) fn new(lookup: Lookup<Live>) -> Self {
        let entries = match &lookup {
            Lookup::Live(live) => live.record.entries().clone(),
            Lookup::Absent | Lookup::Ended => Entries::new(),
        };
        Self {
            lookup,
            entries,
            ..Self::default()
        }
    }

    pub(crate) const fn is_detached(&self) -> bool {
        self.detached
    }

    /// Applies the result of the load. Nothing can be edited before, so the rest is as it was at the start.
    pub(crate) fn loaded(&mut self, found: Found) {
        if !matches!(found.lookup, Lookup::Absent) {
            self.withheld = None;
        }
        if let Lookup::Live(live) = &found.lookup {
            self.entries = live.record.entries().clone();
        }
        self.lookup = found.lookup;
        self.needs_cookie = found.needs_cookie;
        self.others = found.others;
        self.ended_reason = found.reason;
    }

    /// A copy of a session that outlives its request.
    pub(crate) fn detached(live: Live) -> Self {
        Self {
            detached: true,
            ..Self::new(Lookup::Live(live))
        }
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.lookup {
            Lookup::Live(live) => Some(live),
            Lookup::Absent | Lookup::Ended => None,
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

    /// Signs a user in with the next commit. If another user is signed in, only the edits of this request
    /// are carried over into the new session.
    pub(crate) fn sign_in(
        &mut self,
        mut signing_in: SigningIn,
        limits: Limits,
    ) -> Result<(), SessionError> {
        self.check_attached()?;
        if let Some(previous) = Authentication::of(&self.entries)
            && (*previous.user() != signing_in.user || self.impersonated().is_some())
            && signing_in.carry_over == CarryOver::Everything
        {
            signing_in.carry_over = CarryOver::OwnEdits;
        }
        self.acting = None;
        self.signing_in = Some(signing_in);
        self.chosen = Some(limits);
        self.renewing = true;
        Ok(())
    }

    /// Whether this request has ended the session.
    pub(crate) const fn was_destroyed(&self) -> bool {
        self.was_destroyed
    }

    /// Whether a user was signed in to the session when someone else ended it during this request.
    pub(crate) const fn had_user(&self) -> bool {
        self.had_user
    }

    /// Why the client's session has ended; `None` while there is one, and if its data continue in another.
    pub(crate) fn ended_reason(&self) -> Option<EndReason> {
        let reason = self.ended_reason.filter(|_| self.live().is_none())?;
        (!matches!(reason, EndReason::Renewed | EndReason::Abandoned)).then_some(reason)
    }

    pub(crate) fn choose(&mut self, limits: Limits) -> Result<(), SessionError> {
        self.check_attached()?;
        self.chosen = Some(limits);
        Ok(())
    }

    /// The limits that the handler chose, if the next commit stores them.
    pub(crate) fn chosen(&self) -> Option<Limits> {
        self.chosen
    }

    /// Whether the next commit has several steps: it renews the session, or signs a user in.
    pub(crate) fn commits_in_steps(&self) -> bool {
        self.signing_in.is_some() || (self.renewing && self.live().is_some())
    }

    /// Whether nothing is stored without a sign-in, whatever the handler edits.
    pub(crate) fn needs_sign_in(&self) -> bool {
        let is_withheld = matches!(self.lookup, Lookup::Absent) && self.withheld.is_some();
        self.is_stale() || is_withheld
    }

    fn is_stale(&self) -> bool {
        matches!(self.lookup, Lookup::Ended) || self.is_contested()
    }

    /// Whether edits were discarded because the session had ended.
    pub(crate) fn lost_edits(&self) -> bool {
        let stale = self.is_stale();
        self.ended_concurrently || (stale && !self.changes.is_empty())
    }

    /// Why edits are not stored: this request may not create a session. `None` if it may, or there are no
    /// edits.
    pub(crate) fn discarded(&self) -> Option<EditsDiscarded> {
        let is_absent = matches!(self.lookup, Lookup::Absent);
        self.withheld
            .filter(|_| is_absent && !self.entries.is_empty())
    }

    /// Returns the stored session, for a call that needs one.
    pub(crate) fn stored_session(&self) -> Result<Live, SessionError> {
        match (self.live(), self.withheld) {
            (Some(live), _) => Ok(live.clone()),
            (None, Some(_)) => Err(Cause::NotCreated.into()),
            (None, None) => Err(Cause::NotPersisted.into()),
        }
    }

    /// Makes further edits errors: the handler has finished.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Committing;
    }

    /// Makes saving an error as well: the response was returned, so no cookie can be set. Edits that were not
    /// saved are not needed any more; the closure of one may have captured the session, which would keep itself in
    /// memory.
    pub(crate) fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.remove_changes();
    }

    pub(crate) fn check_not_finished(&self) -> Result<(), SessionError> {
        if self.phase == Phase::Finished {
            return Err(Cause::ResponseSent.into());
        }
        Ok(())
    }

    /// Discards everything that is not stored. Returns whether there was anything.
    pub(crate) fn discard_edits(&mut self) -> bool {
        let had_any = !self.changes.is_empty() || self.renewing || self.chosen.is_some();
        self.remove_changes();
        *self = Self {
            unfinished_end: self.unfinished_end.take(),
            removed: std::mem::take(&mut self.removed),
            pending_cookie: self.pending_cookie,
            uncertain: self.uncertain,
            ended_concurrently: self.ended_concurrently,
            had_user: self.had_user,
            needs_cookie: self.needs_cookie,
            others: std::mem::take(&mut self.others),
            removes_all_cookies: self.removes_all_cookies,
            ended: self.ended.take(),
            ended_reason: self.ended_reason,
            was_destroyed: self.was_destroyed,
            withheld: self.withheld,
            phase: self.phase,
            detached: self.detached,
            ..Self::new(std::mem::take(&mut self.lookup))
        };
        had_any
    }

    /// The situation of the session, for [`plan`](crate::plan::plan). `due` returns the maintenance that
    /// a live session needs.
    pub(crate) fn situation(&self, due: impl FnOnce(&Live) -> Due) -> Situation {
        let (lookup, changed, due) = match &self.lookup {
            Lookup::Absent => {
                // Edits alone would set one more cookie beside those of the live sessions.
                let creates = !self.is_contested() || self.renewing;
                let changed = creates && !self.entries.is_empty();
                (Lookup::Absent, changed, Due::Nothing)
            }
            Lookup::Ended => (Lookup::Ended, !self.entries.is_empty(), Due::Nothing),
            Lookup::Live(live) => {
                let changed = !self.changes.is_empty() && &self.entries != live.record.entries();
                let due = match due(live) {
                    // The cookie has to change first: the presented token is about to be replaced.
                    due @ (Due::PromoteSecret | Due::OfferSecret) => due,
                    _ if self.needs_cookie => Due::SetCookie,
                    due => due,
                };
                (Lookup::Live(()), changed, due)
            }
        };
        Situation {
            lookup,
            changed: changed || self.signing_in.is_some(),
            withheld: self.withheld.is_some(),
            renewing: self.renewing,
            signing_in: self.signing_in.is_some(),
            expiry_chosen: self.chosen.is_some(),
            due,
            pending: self.pending_cookie,
        }
    }

    /// The draft of a commit: all edits so far. It is complete after [`Draft::finish_sign_in`].
    pub(crate) fn draft(&self) -> Draft {
        let base = self.live().map(|live| live.record.entries().clone());
        let mut draft = Draft {
            base: base.unwrap_or_default(),
            entries: self.entries.clone(),
            changes: self.changes.clone(),
            chosen: self.chosen,
            signing_in: self.signing_in.clone(),
            acting: self.acting.clone(),
            renewing: self.renewing,
            edits: self.changes.len(),
        };
        draft.begin_sign_in();
        draft
    }

    /// Whether the request has presented several live sessions, and it is unknown which is the user's.
    pub(crate) fn is_contested(&self) -> bool {
        matches!(self.lookup, Lookup::Absent) && !self.others.is_empty()
    }

    /// The live sessions that the request has presented besides the one that is used.
    pub(crate) fn others(&self) -> &[Live] {
        &self.others
    }

    /// Whether cookies of this request's sessions are removed in every known scope.
    pub(crate) fn removes_all_cookies(&self) -> bool {
        self.removes_all_cookies
    }

    /// The token of the session that has ended during this request.
    pub(crate) fn ended_token(&self) -> Option<&Token> {
        self.ended.as_ref()
    }

    /// Records that the app ends the session. If that fails, or is cancelled, a response that does not say so
    /// would be wrong.
    pub(crate) fn end_begins(&mut self) {
        let unknown = StoreError::new(StoreErrorKind::OutcomeUnknown);
        self.unfinished_end = Some(unknown.into());
    }

    /// Records the result of ending the session. With fewer replicas than required it has ended.
    pub(crate) fn end_completes(&mut self, error: Option<&SessionError>) {
        self.unfinished_end = error
            .filter(|error| error.kind() != SessionErrorKind::NotReplicated)
            .cloned();
    }

    /// Why the session could not be ended, if the app has tried.
    pub(crate) fn unfinished_end(&self) -> Option<&SessionError> {
        self.unfinished_end.as_ref()
    }

    /// Returns the edits that were removed, if any, to be dropped when the state is not locked.
    pub(crate) fn take_removed(&mut self) -> Option<Changes> {
        (!self.removed.is_empty()).then(|| std::mem::take(&mut self.removed))
    }

    fn keep_until_unlocked(&mut self, changes: Changes) {
        self.removed.append(changes);
    }

    fn remove_changes(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        self.keep_until_unlocked(changes);
    }

    fn check_attached(&self) -> Result<(), SessionError> {
        if self.detached {
            return Err(Cause::Detached.into());
        }
        self.check_open()
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.phase != Phase::Handling {
            return Err(Cause::ResponseSent.into());
        }
        Ok(())
    }
}
