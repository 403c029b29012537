//! Notifies watchers of ended sessions: one subscription to the store's events for the whole process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::bus::Subscription;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::{EndReason, SessionId};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::store::DynStore;

/// Reads the events of the store, and passes each end to the watchers of that session.
#[derive(Debug, Default)]
pub(crate) struct EndNotifier {
    watchers: Arc<Mutex<Watchers>>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Watchers {
    sessions: HashMap<SessionId, watch::Sender<Option<EndReason>>>,
    /// How often events may have been missed.
    missed: watch::Sender<u64>,
}

/// One watcher of one session. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Registration {
    id: SessionId,
    watchers: Arc<Mutex<Watchers>>,
    ended: watch::Receiver<Option<EndReason>>,
    missed: watch::Receiver<u64>,
}

/// After events may have been missed, all watchers read their sessions again, spread over this time.
const SPREAD: Duration = Duration::from_millis(512);

impl EndNotifier {
    /// Registers a watcher for a session. The first registration subscribes to the store's events.
    pub(crate) fn register(&self, store: &dyn DynStore, id: SessionId) -> Registration {
        self.ensure_subscribed(store);
        let mut watchers = lock(&self.watchers);
        let ended = watchers.sessions.entry(id).or_default().subscribe();
        let missed = watchers.missed.subscribe();
        drop(watchers);
        Registration {
            id,
            watchers: Arc::clone(&self.watchers),
            ended,
            missed,
        }
    }

    fn ensure_subscribed(&self, store: &dyn DynStore) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(AbortHandle::is_finished)
            && let Some(events) = store.subscribe()
        {
            let notifying = tokio::spawn(notify(events, Arc::clone(&self.watchers)));
            *task = Some(notifying.abort_handle());
        }
    }
}

impl Drop for EndNotifier {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.abort();
        }
    }
}

impl Registration {
    /// Waits until a new event says that the session has ended, and returns the reason; or until events
    /// may have been missed, and then for a random moment, so that not all watchers read at once.
    pub(crate) async fn wait(&mut self) -> Option<EndReason> {
        let Self { ended, missed, .. } = self;
        tokio::select! {
            biased;
            // The senders live as long as this registration, so these are never errors.
            _ = ended.changed() => return *ended.borrow_and_update(),
            _ = missed.changed() => {}
        }
        let random = u32::from(self.id.as_bytes()[15]);
        sleep(SPREAD * random / 256).await;
        None
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut watchers = lock(&self.watchers);
        if let Some(sender) = watchers.sessions.get(&self.id)
            // The receiver of this registration still exists.
            && sender.receiver_count() <= 1
        {
            watchers.sessions.remove(&self.id);
        }
    }
}

async fn notify(mut events: Subscription, watchers: Arc<Mutex<Watchers>>) {
    while let Some(event) = events.next().await {
        let watchers = lock(&watchers);
        if event == SessionEvent::Missed {
            watchers.missed.send_modify(|count| *count += 1);
        }
        if let Some((id, reason)) = event.ended()
            && let Some(sender) = watchers.sessions.get(&id)
        {
            sender.send_replace(Some(reason));
        }
    }
}

fn lock(watchers: &Mutex<Watchers>) -> MutexGuard<'_, Watchers> {
    watchers.lock().unwrap_or_else(PoisonError::into_inner)
}
