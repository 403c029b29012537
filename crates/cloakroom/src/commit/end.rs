//! Ending sessions.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::Ended;
use cloakroom_core::{
    Authentication, EndReason, Revision, SessionId, StoreError, StoreErrorKind, Tombstone, UserId,
};
use tracing::Instrument;

use super::Committer;
use super::follow_up::Aftermath;
use super::migrate::ended_with;
use crate::budget::Budget;
use crate::context::TOMBSTONE_TTL;
use crate::error::SessionError;
use crate::state::Live;
use crate::store::has_ended;
use crate::telemetry::log;

impl Committer<'_> {
    /// Ends a session, whatever was saved meanwhile.
    pub(crate) async fn end(&self, live: &Live, reason: EndReason) -> Result<Ended, SessionError> {
        let id = live.token.id();
        let ended = self.end_at(live, None, reason).await;
        if has_ended(&ended) {
            let user = Authentication::of(live.record.entries());
            self.ended(id, user.as_ref().map(Authentication::user), reason);
        }
        if let Err(error) = &ended {
            log::end_failed(id, error);
        }
        Ok(ended?)
    }

    /// Ends a session of which no more is known than its id and, perhaps, whose it is: so also one
    /// that is just being begun. Tells whether it was alive.
    pub(crate) async fn end_by_id(
        &self,
        id: SessionId,
        user: Option<&UserId>,
        reason: EndReason,
    ) -> Result<Ended, SessionError> {
        let old = self.end_origin_of(id).await?;
        let tombstone = Tombstone::new(None, self.now(), reason);
        let store = &self.context.store;
        let end = store.end(id, None, &tombstone, TOMBSTONE_TTL);
        let ended = self.budget.write(end).await;
        if has_ended(&ended) {
            self.ended(id, user, reason);
        } else if let (Ok(_), Some(user)) = (&ended, user) {
            // Nothing was there, and for a minute nothing can come.
            self.aftermath()
                .forget(self.context.user_key(user), id)
                .begin();
        }
        if let Err(error) = &ended {
            log::end_failed(id, error);
        }
        Ok(ended_with(old, ended?))
    }

    pub(super) async fn end_at(
        &self,
        live: &Live,
        expected: Option<Revision>,
        reason: EndReason,
    ) -> Result<Ended, StoreError> {
        // Of a session with several secrets, whoever presents the id learns that it is over.
        let digest = Some(*live.record.digest());
        let digest = digest.filter(|_| !Secrets::are_several(live.record.entries()));
        let tombstone = Tombstone::new(digest, self.now(), reason);
        let end = self
            .context
            .store
            .end(live.token.id(), expected, &tombstone, TOMBSTONE_TTL);
        self.budget.write(end).await
    }

    /// Takes back a new session that is not to be given out. Nobody holds its token, so nobody need
    /// wait: a task of its own does it, with a budget of its own.
    pub(super) fn abandon(&self, new: Live) {
        let context = Arc::clone(self.context);
        let task = async move {
            let budget = Budget::new(context.budget);
            let committer = Committer::of(&context, &budget);
            let ended = committer.end_at(&new, None, EndReason::Abandoned).await;
            // On fewer replicas than asked for: it has ended all the same.
            let failed = |error: &StoreError| error.kind() != StoreErrorKind::NotReplicated;
            match ended.err().filter(failed) {
                Some(error) => log::abandoned(new.token.id(), &error),
                None => committer.forget_later(&new),
            }
        };
        tokio::spawn(task.in_current_span());
    }

    /// Removes a session's entry, now that no session can be behind it.
    pub(super) fn forget_later(&self, live: &Live) {
        if let Some(owner) = self.owner(live) {
            self.aftermath().forget(owner, live.token.id()).begin();
        }
    }

    pub(crate) fn aftermath(&self) -> Aftermath {
        Aftermath::new(self.context)
    }

    fn ended(&self, id: SessionId, user: Option<&UserId>, reason: EndReason) {
        log::ended(id, reason);
        let mut aftermath = self.aftermath().tell(SessionEvent::Ended {
            id,
            user: user.cloned(),
            reason,
        });
        if let Some(user) = user {
            aftermath = aftermath.forget(self.context.user_key(user), id);
        }
        aftermath.begin();
    }
}
