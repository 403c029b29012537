//! What follows from a commit, in the background: entries that are removed, and events.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, SessionId, UserId, UserKey};
use tracing::Instrument;

use super::Committer;
use crate::budget::Budget;
use crate::context::Context;
use crate::telemetry::log;

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
    pub(super) fn new(context: &Arc<Context>) -> Self {
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
                log::index_not_tidied(*id, &error);
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
