//! Renewal: create the new session, end the old one at the revision that was copied, and only then
//! answer. Whatever was saved to the old one meanwhile is merged first.
//!
//! Cut off at any point, it leaves the browser with one live session or none: no token of the new
//! one is out before the old one has ended.

use std::sync::Arc;

use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, Entries, Limits, StoreError, StoreErrorKind};
use tracing::Instrument;

use super::{Committed, Committer, Stored, Tried, gone};
use crate::budget::Budget;
use crate::error::{Cause, SessionError};
use crate::event;
use crate::state::{Draft, Live};

impl Committer<'_> {
    /// Carries a session over to a new id and secret, and ends the old one.
    pub(crate) async fn renew(&self, old: &Live, draft: &Draft) -> Result<Committed, SessionError> {
        let limits = draft
            .chosen
            .unwrap_or_else(|| old.limits(self.context.expiry));
        let new = self.begin(&draft.entries, Some(limits)).await?;
        match self.retire(old, &new, draft).await {
            Ok(Committed::Stored(stored)) => {
                event::renewed(old.token.id(), stored.live.token.id());
                Ok(Committed::Stored(stored))
            }
            Ok(Committed::Gone) => {
                self.abandon(new);
                Ok(gone(old.token.id()))
            }
            Err(error) => {
                self.abandon(new);
                Err(error)
            }
        }
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
            let merged = self.merge(old.token.id(), draft, &copied)?;
            let carried = copied
                .limits()
                .under(self.context.expiry, old.token.id().created_at());
            let limits = draft.chosen.unwrap_or(carried);
            new.live = self.replace(new.live, merged.entries, limits).await?;
            new.taken = Some(merged.taken);
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
        if own.is_empty() {
            return Ok(Committed::Gone);
        }
        let begun = Limits::begin(self.context.expiry, self.now());
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
        let next = self.next(&live.token, &live.record, entries, Some(limits))?;
        match self.try_update(&live.token, &live.record, &next).await? {
            Tried::Stored => Ok(Live {
                record: next,
                ..live
            }),
            Tried::Conflict(_) | Tried::Gone => Err(Cause::Ended.into()),
        }
    }

    /// Takes back a new session that is not to be given out. Nobody holds its token, so nobody need
    /// wait: a task of its own does it, with a budget of its own.
    pub(super) fn abandon(&self, new: Live) {
        let context = Arc::clone(self.context);
        let task = async move {
            let committer = Committer {
                context: &context,
                budget: &Budget::new(context.budget),
            };
            let ended = committer.end_at(&new, None, EndReason::Abandoned).await;
            // On fewer replicas than asked for: it has ended all the same.
            let failed = |error: &StoreError| error.kind() != StoreErrorKind::NotReplicated;
            if let Some(error) = ended.err().filter(failed) {
                event::abandoned(new.token.id(), &error);
            }
        };
        tokio::spawn(task.in_current_span());
    }
}
