//! Notifies watchers of ended sessions: one subscription to the store's events for the whole process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use cloakroom_core::bus::Subscription;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::{EndReason, SessionId};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::store::DynStore;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reads the events of the store, and passes each end to the watchers of that session.
#[derive(Debug, Default)]
pub(crate) struct EndNotifier {
    watchers: Arc<Mutex<Watchers>>,
    task: Mutex<Option<AbortHandle>>,
}

/// There is an entry for each session that is watched, so there are at most as many as watchers.
#[derive(Debug, Default)]
struct Watchers {
    sessions: HashMap<SessionId, Watched>,
    /// How often events may have been missed.
    missed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Watched {
    ended: watch::Sender<Option<EndReason>>,
    /// The number of registrations. The channel's own count of receivers does not do: several registrations that are
    /// dropped at once would all be counted still, and none of them would remove the entry.
    registrations: usize,
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
        let watched = watchers.sessions.entry(id).or_default();
        watched.registrations += 1;
        let ended = watched.ended.subscribe();
        let missed = watchers.missed.subscribe();
        drop(watchers);
        Registration {
            id,
            watchers: Arc::clone(&self.watchers),
            ended,
            missed,
        }
    }

    /// Subscribes, unless a task does so. Where that task has ended with its runtime, another one takes over.
    pub(crate) fn ensure_subscribed(&self, store: &dyn DynStore) {
        if self.is_subscribed() {
            return;
        }
        // The store may be the app's, so it is not called under the lock.
        let Some(events) = store.subscribe() else {
            return;
        };
        let mut task = self.lock_task();
        // Another registration may have been faster.
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let notifying = tokio::spawn(notify(events, Arc::clone(&self.watchers)));
            *task = Some(notifying.abort_handle());
        }
    }

    fn is_subscribed(&self) -> bool {
        let task = self.lock_task();
        task.as_ref().is_some_and(|task| !task.is_finished())
    }

    fn lock_task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EndNotifier {
    fn drop(&mut self) {
        let task = self.lock_task();
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
        if let Entry::Occupied(mut watched) = watchers.sessions.entry(self.id) {
            watched.get_mut().registrations -= 1;
            if watched.get().registrations == 0 {
                watched.remove();
            }
        }
    }
}

async fn notify(mut events: Subscription, watchers: Arc<Mutex<Watchers>>) {
    while let Some(event) = events.next().await {
        // Wakers run after the lock is released: they may be the app's.
        if event == SessionEvent::Missed {
            let missed = lock(&watchers).missed.clone();
            missed.send_modify(|count| *count += 1);
        }
        if let Some((id, reason)) = event.ended() {
            let watched = lock(&watchers).sessions.get(&id).map(|it| it.ended.clone());
            if let Some(ended) = watched {
                ended.send_replace(Some(reason));
            }
        }
    }
}

fn lock(watchers: &Mutex<Watchers>) -> MutexGuard<'_, Watchers> {
    watchers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use cloakroom_core::{EventBus, MemoryStore, Store, SystemRng, Timestamp, Token, UserId};

    use super::*;

    fn new_id() -> SessionId {
        let issued = Token::issue(Timestamp::from_millis(1_764_374_400_000), &SystemRng);
        issued.expect("randomness").id()
    }

    fn count(notifier: &EndNotifier) -> usize {
        lock(&notifier.watchers).sessions.len()
    }

    #[tokio::test]
    async fn watchers_that_are_dropped_at_once_leave_nothing_behind() {
        const WATCHERS: usize = 4;
        const ROUNDS: usize = 5000;
        let (notifier, store) = (EndNotifier::default(), MemoryStore::new());
        let barrier = Barrier::new(WATCHERS + 1);
        let next: [Mutex<Option<Registration>>; WATCHERS] = Default::default();
        // Checked at the end: a panic in between would leave the threads waiting.
        let left = std::thread::scope(|scope| {
            for registration in &next {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        barrier.wait();
                        let taken = registration.lock().unwrap().take();
                        drop(taken);
                        barrier.wait();
                    }
                });
            }
            let mut left = 0;
            for _ in 0..ROUNDS {
                let id = new_id();
                for registration in &next {
                    *registration.lock().unwrap() = Some(notifier.register(&store, id));
                }
                barrier.wait();
                barrier.wait();
                left = count(&notifier);
            }
            left
        });
        assert_eq!(left, 0);
    }

    /// Of several that are dropped at once, the receivers of some still exist while another one is removed.
    #[tokio::test]
    async fn a_receiver_that_is_not_dropped_yet_does_not_count_as_a_watcher() {
        let (notifier, store) = (EndNotifier::default(), MemoryStore::new());
        let [first, second] = {
            let id = new_id();
            [(); 2].map(|()| notifier.register(&store, id))
        };
        let receivers = [first.ended.clone(), second.ended.clone()];
        drop((first, second));
        assert_eq!(count(&notifier), 0);
        drop(receivers);
    }

    #[tokio::test]
    async fn a_watcher_that_stays_is_notified_after_others_were_dropped() {
        let (notifier, store) = (EndNotifier::default(), MemoryStore::new());
        let id = new_id();
        let mut stays = notifier.register(&store, id);
        drop([(); 3].map(|()| notifier.register(&store, id)));
        assert_eq!(count(&notifier), 1);
        publish(&store, id).await;
        assert_eq!(stays.wait().await, Some(EndReason::SignedOut));
        drop(stays);
        assert_eq!(count(&notifier), 0);
    }

    /// The task that reads the events belongs to the runtime of the first watcher, which may be gone.
    #[test]
    fn a_watcher_in_another_runtime_is_notified_after_the_first_runtime_is_gone() {
        let (notifier, store) = (EndNotifier::default(), MemoryStore::new());
        let runtime = || {
            let builder = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            builder.expect("a runtime starts")
        };
        let first = runtime();
        let mut registration = first.block_on(async { notifier.register(&store, new_id()) });
        drop(first);
        runtime().block_on(async {
            let id = new_id();
            let mut second = notifier.register(&store, id);
            publish(&store, id).await;
            assert_eq!(second.wait().await, Some(EndReason::SignedOut));
        });
        // Without a further registration, a watcher that goes on waiting subscribes again.
        runtime().block_on(async {
            notifier.ensure_subscribed(&store);
            publish(&store, registration.id).await;
            assert_eq!(registration.wait().await, Some(EndReason::SignedOut));
        });
    }

    #[tokio::test]
    async fn a_panic_under_the_lock_does_not_stop_later_watchers() {
        let (notifier, store) = (EndNotifier::default(), MemoryStore::new());
        let watchers = Arc::clone(&notifier.watchers);
        let poisoned = std::thread::spawn(move || {
            let _locked = watchers.lock();
            panic!("while the watchers are locked");
        });
        assert!(poisoned.join().is_err() && notifier.watchers.is_poisoned());
        let id = new_id();
        let mut registration = notifier.register(&store, id);
        publish(&store, id).await;
        assert_eq!(registration.wait().await, Some(EndReason::SignedOut));
    }

    async fn publish(store: &MemoryStore, id: SessionId) {
        let bus = store.bus().expect("it has one");
        let event = SessionEvent::Ended {
            id,
            reason: EndReason::SignedOut,
            user: Some(UserId::from("ada")),
            client: None,
        };
        bus.publish(&event).await.expect("it is in memory");
    }
}
