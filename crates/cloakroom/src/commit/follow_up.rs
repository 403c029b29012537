//! What follows from a commit in the background: index entries to remove, and events to publish.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, SessionId, Tombstone, UserId, UserKey};
use tracing::Instrument;

use super::index::is_dead;
use crate::budget::Budget;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::telemetry::log;

/// Work for which no request waits. A task runs it, with a budget of its own. If it fails, an index entry
/// without a session remains, which a later sign-in removes, or an event is lost; nothing depends on
/// events for correctness.
#[must_use]
pub(crate) struct FollowUp {
    context: Arc<Context>,
    /// Index entries to remove.
    removed: Vec<(UserKey, SessionId)>,
    /// Index entries of sessions that have ended.
    ended: Vec<(UserKey, SessionId, Tombstone)>,
    /// Index entries to check, and to remove if they have no session.
    sample: Option<(UserId, Vec<SessionId>)>,
    events: Vec<SessionEvent>,
}

impl FollowUp {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            removed: Vec::new(),
            ended: Vec::new(),
            sample: None,
            events: Vec::new(),
        }
    }

    /// Publishes an event to all servers.
    pub(crate) fn publish(mut self, event: SessionEvent) -> Self {
        if self.context.publishes_events && self.context.store.has_bus() {
            self.events.push(event);
        }
        self
    }

    /// Removes an ended session from its user's index.
    pub(crate) fn remove_from_index(mut self, user: UserKey, id: SessionId) -> Self {
        if self.context.store.has_index() {
            self.removed.push((user, id));
        }
        self
    }

    /// Removes a session that was found ended from its user's index, if that end is confirmed: too few replicas
    /// may have it.
    pub(crate) fn end_again(mut self, user: UserKey, id: SessionId, tombstone: Tombstone) -> Self {
        self.ended.push((user, id, tombstone));
        self
    }

    /// Checks whether these index entries have sessions, and removes those that have none.
    pub(super) fn check_sample(mut self, user: &UserId, ids: Vec<SessionId>) -> Self {
        if !ids.is_empty() {
            self.sample = Some((user.clone(), ids));
        }
        self
    }

    /// Starts the task, if there is anything to do.
    pub(crate) fn start(self) {
        let is_empty = self.removed.is_empty() && self.ended.is_empty() && self.sample.is_none();
        if !is_empty || !self.events.is_empty() {
            tokio::spawn(self.run().in_current_span());
        }
    }

    async fn run(mut self) {
        let context = Arc::clone(&self.context);
        let budget = Budget::new(context.budget);
        // First what someone waits for: open pages that show "signed out".
        publish(&context, &budget, &self.events).await;
        self.events.clear();
        self.find_dead(&budget).await;
        self.confirm_ends(&budget).await;
        for (user, id) in &self.removed {
            let removed = budget
                .write(context.store.index_remove(*user, &[*id]))
                .await;
            if let Err(error) = removed {
                log::not_removed_from_index(*id, &error);
            }
        }
        publish(&context, &budget, &self.events).await;
    }

    /// Checks the sample. The end of an expired session is published here: no request has ended it.
    async fn find_dead(&mut self, budget: &Budget) {
        let Some((user, ids)) = self.sample.take() else {
            return;
        };
        let key = self.context.user_key(&user);
        for id in ids {
            if self.removed.contains(&(key, id)) {
                continue;
            }
            let loaded = budget.read(self.context.store.load(id)).await;
            if let Ok(Loaded::Tombstone(tombstone)) = loaded {
                self.ended.push((key, id, tombstone));
                continue;
            }
            if !is_dead(&self.context, id, &loaded) {
                continue;
            }
            self.removed.push((key, id));
            if matches!(loaded, Ok(Loaded::Nothing)) && self.context.publishes_events {
                self.events.push(SessionEvent::Ended {
                    id,
                    user: Some(user.clone()),
                    reason: EndReason::Expired,
                });
            }
        }
    }

    /// Ends what has ended once more, which costs one command and changes nothing. If it succeeds, enough
    /// replicas have the tombstone.
    async fn confirm_ends(&mut self, budget: &Budget) {
        for (user, id, tombstone) in std::mem::take(&mut self.ended) {
            let end = self.context.store.end(id, None, &tombstone, TOMBSTONE_TTL);
            match budget.write(end).await {
                Ok(_) => self.removed.push((user, id)),
                Err(error) => log::not_removed_from_index(id, &error),
            }
        }
    }
}

async fn publish(context: &Context, budget: &Budget, events: &[SessionEvent]) {
    for event in events {
        let published = budget.write(context.store.publish(event)).await;
        if let Err(error) = published {
            context.once.not_published(&error);
        }
    }
}
