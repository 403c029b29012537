//! What follows from a commit in the background: index entries to remove, and events to publish.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::store::Loaded;
use cloakroom_core::{EndReason, Entries, SessionClient, SessionId, Tombstone, UserId, UserKey};
use tracing::Instrument;

use super::concurrent::{MAX_GROUP, run_concurrently, write_concurrently};
use super::index::is_dead;
use crate::budget::Budget;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::device::client_of;
use crate::store::load_many;
use crate::telemetry::log;
use crate::uncancellable::Uncancellable;

/// Work for which no request waits. A task runs it, with a time limit for each command. Its lists have as many
/// elements as its creator has looked at: at most a few pages of an index. If it fails, an index entry
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
        self.add_event(event);
        self
    }

    fn add_event(&mut self, event: SessionEvent) {
        if publishes_events(&self.context) {
            self.events.push(event);
        }
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
        if !self.is_empty() {
            tokio::spawn(self.run().in_current_span());
        }
    }

    /// Does the work, and waits for it: so a caller that does much in groups does not get ahead of what follows. Only
    /// if it is dropped, a task does the rest.
    pub(crate) async fn finish(self) {
        if !self.is_empty() {
            Uncancellable::new(self.run()).await;
        }
    }

    fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.ended.is_empty()
            && self.sample.is_none()
            && self.events.is_empty()
    }

    async fn run(mut self) {
        // First what someone waits for: open pages that show "signed out".
        self.publish_events().await;
        self.find_dead().await;
        self.confirm_ends().await;
        self.remove().await;
        self.publish_events().await;
    }

    /// Checks the sample. The end of an expired session is published here: no request has ended it.
    async fn find_dead(&mut self) {
        let Some((user, ids)) = self.sample.take() else {
            return;
        };
        let key = self.context.user_key(&user);
        let budget = Budget::new(self.context.budget);
        for (id, loaded) in load_many(&*self.context.store, &budget, &ids).await {
            if self.removed.contains(&(key, id)) {
                continue;
            }
            if let Ok(Loaded::Tombstone(tombstone)) = loaded {
                self.ended.push((key, id, tombstone));
                continue;
            }
            if !is_dead(&self.context, id, &loaded) {
                continue;
            }
            self.removed.push((key, id));
            self.add_event(SessionEvent::Ended {
                id,
                user: Some(user.clone()),
                reason: EndReason::Expired,
                client: None,
            });
        }
    }

    /// Ends what has ended once more, which costs one command and changes nothing. If it succeeds, enough
    /// replicas have the tombstone.
    async fn confirm_ends(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        let end = |(_, id, tombstone): &(UserKey, SessionId, Tombstone)| {
            let (context, id, tombstone) = (Arc::clone(&self.context), *id, tombstone.clone());
            async move {
                let end = context.store.end(id, None, &tombstone, TOMBSTONE_TTL);
                Budget::new(context.budget).write(end).await
            }
        };
        for ((user, id, _), confirmed) in write_concurrently(ended, end).await {
            match confirmed {
                Ok(_) => self.removed.push((user, id)),
                Err(error) => log::not_removed_from_index(id, &error),
            }
        }
    }

    /// Removes index entries, those of one user with one command for each group.
    async fn remove(&mut self) {
        self.removed.sort();
        let removed = std::mem::take(&mut self.removed);
        for of_user in removed.chunk_by(|one, two| one.0 == two.0) {
            let user = of_user[0].0;
            let ids: Vec<_> = of_user.iter().map(|(_, id)| *id).collect();
            for ids in ids.chunks(MAX_GROUP) {
                let remove = self.context.store.index_remove(user, ids);
                if let Err(error) = Budget::new(self.context.budget).write(remove).await {
                    log::not_removed_from_index(ids[0], &error);
                }
            }
        }
    }

    /// Publishes the events, some of them concurrently.
    async fn publish_events(&mut self) {
        let events = std::mem::take(&mut self.events);
        match &events[..] {
            [] => return,
            [event] => return publish(&self.context, event).await,
            _ => {}
        }
        let publishing = events.into_iter().map(|event| {
            let context = Arc::clone(&self.context);
            async move { publish(&context, &event).await }
        });
        Box::pin(run_concurrently(publishing)).await;
    }
}

/// Returns the client of a session for its events, if they are published.
pub(super) fn client_for_event(context: &Context, entries: &Entries) -> Option<SessionClient> {
    if publishes_events(context) {
        client_of(entries)
    } else {
        None
    }
}

fn publishes_events(context: &Context) -> bool {
    context.publishes_events && context.store.has_bus()
}

async fn publish(context: &Context, event: &SessionEvent) {
    let publish = context.store.publish(event);
    if let Err(error) = Budget::new(context.budget).write(publish).await {
        context.once.not_published(&error);
    }
}
