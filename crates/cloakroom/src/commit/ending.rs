//! Ending sessions, and what follows from that: entries that are removed, and who is told.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Revision, SessionId, StoreError, StoreErrorKind, Tombstone, UserId,
    UserKey,
};
use tracing::Instrument;

use super::Committer;
use super::arrival::ended_with;
use crate::budget::Budget;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::error::SessionError;
use crate::event;
use crate::state::Live;
use crate::store::has_ended;

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
            event::end_failed(id, error);
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
            event::end_failed(id, error);
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
                Some(error) => event::abandoned(new.token.id(), &error),
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
        event::ended(id, reason);
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

/// What follows from a step that was carried out, and nobody waits for: a task of its own does it,
/// with a budget of its own. If it fails, an entry without a session is left, which harms nobody, or
/// an event is lost, on which nothing rests.
#[must_use]
pub(crate) struct Aftermath {
    context: Arc<Context>,
    forgotten: Vec<(UserKey, SessionId)>,
    looked_at: Option<(UserKey, UserId, Vec<SessionId>)>,
    told: Vec<SessionEvent>,
}

impl Aftermath {
    fn new(context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            forgotten: Vec::new(),
            looked_at: None,
            told: Vec::new(),
        }
    }

    /// Tells all servers.
    pub(crate) fn tell(mut self, event: SessionEvent) -> Self {
        if self.context.tells && self.context.store.has_bus() {
            self.told.push(event);
        }
        self
    }

    /// Removes the entry of a session that has ended.
    pub(crate) fn forget(mut self, user: UserKey, id: SessionId) -> Self {
        if self.context.store.has_index() {
            self.forgotten.push((user, id));
        }
        self
    }

    /// Looks whether sessions are behind these entries, and removes those where none can be.
    pub(super) fn look_at(mut self, user: &UserId, ids: Vec<SessionId>) -> Self {
        if !ids.is_empty() {
            self.looked_at = Some((self.context.user_key(user), user.clone(), ids));
        }
        self
    }

    pub(crate) fn begin(self) {
        let idle = self.forgotten.is_empty() && self.told.is_empty() && self.looked_at.is_none();
        if !idle {
            tokio::spawn(self.carry_out().in_current_span());
        }
    }

    async fn carry_out(mut self) {
        let context = Arc::clone(&self.context);
        let budget = Budget::new(context.budget);
        // First who waits for it: pages turn to "signed out".
        publish(&context, &budget, &self.told).await;
        self.told.clear();
        self.look(&budget).await;
        for (user, id) in &self.forgotten {
            let forgotten = budget.write(context.store.forget(*user, &[*id])).await;
            if let Err(error) = forgotten {
                event::index_not_tidied(*id, &error);
            }
        }
        publish(&context, &budget, &self.told).await;
    }

    /// Looks at the sample. What has expired is told by who finds it out.
    async fn look(&mut self, budget: &Budget) {
        let Some((key, user, ids)) = self.looked_at.take() else {
            return;
        };
        let context = Arc::clone(&self.context);
        let committer = Committer::of(&context, budget);
        for id in ids {
            let entry = (key, id);
            if self.forgotten.contains(&entry) {
                continue;
            }
            let loaded = budget.read(context.store.load(id)).await;
            if !committer.is_dead(id, &loaded) {
                continue;
            }
            self.forgotten.push(entry);
            if matches!(loaded, Ok(Loaded::Nothing)) && context.tells {
                self.told.push(SessionEvent::Ended {
                    id,
                    user: Some(user.clone()),
                    reason: EndReason::Expired,
                });
            }
        }
    }
}

async fn publish(context: &Context, budget: &Budget, told: &[SessionEvent]) {
    for event in told {
        let published = budget.write(context.store.publish(event)).await;
        if let Err(error) = published {
            context.once.not_published(&error);
        }
    }
}
