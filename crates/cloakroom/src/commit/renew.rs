//! Renewal: create the new session, end the old one at the revision that was copied, and only then
//! answer. Whatever was saved to the old one meanwhile is merged first.
//!
//! Cut off at any point, it leaves the browser with one live session or none: no token of the new
//! one is out before the old one has ended.

use cloakroom_core::event::SessionEvent;
use cloakroom_core::store::Ended;
use cloakroom_core::{Authentication, EndReason, Entries, Limits, SessionId};

use super::create::Entering;
use super::{Committed, Committer, Stored, Tried, gone};
use crate::error::{Cause, SessionError};
use crate::state::{Draft, Live};
use crate::telemetry::log;

impl Committer<'_> {
    /// Carries a session over to a new id and secret, and ends the old one.
    pub(crate) async fn renew(&self, old: &Live, draft: &Draft) -> Result<Committed, SessionError> {
        let rule = self.context.rule(old.record.entries());
        let limits = draft.chosen.unwrap_or_else(|| old.limits(rule));
        let entries = self.dressed(draft, draft.entries.clone());
        let entering = Entering {
            is_limited: draft.signing_in.is_some(),
            replaces: draft.replaces(old.token.id(), old.record.entries()),
            is_told: false,
        };
        let user = Authentication::of(&entries);
        let user = user.as_ref().map(Authentication::user);
        let begun = self.begin(&entries, user, Some(limits), entering).await?;
        match self.retire(old, &begun.live, draft).await {
            Ok(Committed::Stored(stored)) => {
                // Whoever holds the old cookie must not come in by it again.
                let moved = (old.token.id(), old.record.entries());
                if let Err(error) = self.end_old(Some(moved)).await {
                    self.abandon(stored.live);
                    return Err(error);
                }
                self.renewed(old, &stored.live, draft, begun.beside.sample);
                Ok(Committed::Stored(stored))
            }
            Ok(Committed::Gone) => {
                self.abandon(begun.live);
                Ok(gone(old.token.id()))
            }
            Err(error) => {
                self.abandon(begun.live);
                Err(error)
            }
        }
    }

    /// Tells of it, and tidies up.
    fn renewed(&self, old: &Live, new: &Live, draft: &Draft, sample: Vec<SessionId>) {
        let (from, id) = (old.token.id(), new.token.id());
        let user = Authentication::of(new.record.entries()).map(|user| user.user().clone());
        log::renewed(from, id);
        let mut aftermath = self.aftermath();
        if let Some(owner) = self.owner(old) {
            aftermath = aftermath.forget(owner, from);
        }
        if let Some(user) = &user {
            aftermath = aftermath.look_at(user, sample);
        }
        let told = match (&draft.signing_in, user) {
            (Some(_), Some(user)) => {
                log::signed_in(id);
                let from = Some(from);
                SessionEvent::SignedIn { id, user, from }
            }
            (_, user) => SessionEvent::Renewed { id, from, user },
        };
        aftermath.tell(told).begin();
    }

    /// Ends the old session of a renewal at the revision that was copied; what was saved meanwhile
    /// is merged into the new one first.
    async fn retire(
        &self,
        old: &Live,
        new: &Live,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let mut turn = None;
        let mut copied = old.record.clone();
        let mut new = Stored {
            live: new.clone(),
            taken: None,
        };
        for round in 0_u32.. {
            let ended = self
                .end_at(old, Some(copied.revision()), EndReason::Renewed)
                .await?;
            copied = match ended {
                Ended::Ended => return Ok(Committed::Stored(new)),
                Ended::Conflict(fresher) => fresher,
                Ended::AlreadyEnded(_) | Ended::Missing => {
                    return self.start_over(new.live, draft).await;
                }
            };
            if !draft.starts_empty() {
                let merged = self.merge(old.token.id(), draft, &copied)?;
                let rule = self.context.rule(copied.entries());
                let carried = copied.limits().under(rule, old.began());
                let limits = draft.chosen.unwrap_or(carried);
                let entries = self.dressed(draft, merged.entries);
                new.live = self.replace(new.live, entries, limits).await?;
                new.taken = Some(merged.taken);
            }
            if turn.is_none() {
                turn = Some(self.turn(old.token.id()).await?);
            } else {
                self.give_way(round, copied.revision()).await?;
            }
        }
        unreachable!("the loop ends by returning: the budget is finite")
    }

    /// The session that was to be renewed has ended elsewhere. Nothing of it may live on; what this
    /// request itself put in does, as if it had come a moment later.
    async fn start_over(&self, new: Live, draft: &Draft) -> Result<Committed, SessionError> {
        let own = draft.changes.own();
        if own.is_empty() && draft.signing_in.is_none() {
            return Ok(Committed::Gone);
        }
        if draft.signing_in.is_none() {
            // Nobody is signed in any more.
            self.forget_later(&new);
        }
        let own = self.dressed(draft, own);
        let begun = Limits::begin(self.context.rule(&own), self.now());
        let limits = draft.chosen.unwrap_or(begun);
        let live = self.replace(new, own, limits).await?;
        // What was to be taken was the ended session's.
        let taken = Some(None);
        Ok(Committed::Stored(Stored { live, taken }))
    }

    /// Replaces the content of a session that nobody else knows yet.
    async fn replace(
        &self,
        live: Live,
        entries: Entries,
        limits: Limits,
    ) -> Result<Live, SessionError> {
        let digest = *live.record.digest();
        let next = self.next(&live.token, &live.record, entries, digest, Some(limits))?;
        match self.try_update(&live.token, &live.record, &next).await? {
            Tried::Stored => Ok(Live {
                record: next,
                ..live
            }),
            Tried::Conflict(_) | Tried::Gone => Err(Cause::Ended.into()),
        }
    }
}
