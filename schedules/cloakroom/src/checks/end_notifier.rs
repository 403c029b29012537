//! Watchers of sessions that come and leave while sessions end.

use std::sync::Arc;

use cloakroom_core::bus::EventBus;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::{EndReason, MemoryStore, SessionId, Store, SystemRng, Timestamp, Token};
use tokio::runtime::Runtime;
use tokio::task::{wait_for_steps, yield_now};
use tokio::{Outcomes, check, runtime, spawn};

use crate::end_notifier::EndNotifier;

static WATCHERS: Outcomes<3> = Outcomes::new([
    "a watcher leaves before the end of its session",
    "a watcher is notified",
    "a watcher that may leave is notified before",
]);

fn new_id() -> SessionId {
    let now = Timestamp::from_millis(1_800_000_000_000);
    Token::issue(now, &SystemRng)
        .expect("there is randomness")
        .id()
}

async fn publish(store: &MemoryStore, id: SessionId) {
    let (reason, user) = (EndReason::SignedOut, None);
    let event = SessionEvent::Ended {
        id,
        reason,
        user,
        client: None,
    };
    let bus = store.bus().expect("it has one");
    bus.publish(&event).await.expect("it is in memory");
}

/// A watcher that was registered before the end of its session is notified, although others come and leave meanwhile. When the last
/// one has left, nothing is kept.
pub fn watchers_come_and_leave(schedules: usize) {
    check(schedules, &WATCHERS, || {
        runtime::block_on(async {
            let (notifier, store) = (Arc::new(EndNotifier::default()), MemoryStore::new());
            let id = new_id();
            let mut stays = notifier.register(&store, id);
            let watch = || {
                let (notifier, store) = (Arc::clone(&notifier), store.clone());
                spawn(async move { notifier.register(&store, id).wait().await })
            };
            let leaving = [watch(), watch()];
            let publishing = {
                let store = store.clone();
                spawn(async move {
                    yield_now().await;
                    publish(&store, id).await;
                })
            };
            wait_for_steps(6).await;
            for one in &leaving {
                one.abort();
            }
            assert_eq!(stays.wait().await, Some(EndReason::SignedOut));
            WATCHERS.count("a watcher is notified");
            drop(stays);
            for one in leaving {
                let left = one.await;
                WATCHERS.count_if(
                    left.is_err(),
                    "a watcher leaves before the end of its session",
                );
                WATCHERS.count_if(left.is_ok(), "a watcher that may leave is notified before");
            }
            publishing.await.expect("it runs to its end");
            let kept = format!("{notifier:?}");
            assert!(kept.contains("sessions: {}"), "{kept}");
        });
    });
}

static RUNTIMES: Outcomes<1> = Outcomes::new(["the task of the first watcher has ended"]);

/// The task that reads the events ends with the runtime of the first watcher. The next watcher starts another one.
pub fn the_first_runtime_ends(schedules: usize) {
    check(schedules, &RUNTIMES, || {
        let (notifier, store) = (Arc::new(EndNotifier::default()), MemoryStore::new());
        let first = Runtime::new();
        let register = |runtime: &Runtime, id| {
            let (notifier, store) = (Arc::clone(&notifier), store.clone());
            runtime.spawn(async move { notifier.register(&store, id) })
        };
        runtime::block_on(async {
            let id = new_id();
            let registered = register(&first, new_id()).await;
            let second = register(&Runtime::new(), id);
            first.shutdown_background();
            let mut second = second.await.expect("its runtime goes on");
            // As a watcher does before it waits, again and again.
            loop {
                notifier.ensure_subscribed(&store);
                publish(&store, id).await;
                let notified =
                    tokio::time::timeout(tokio::time::Duration::from_secs(1), second.wait());
                let pass = async {
                    for _ in 0..3 {
                        yield_now().await;
                    }
                    tokio::time::advance(tokio::time::Duration::from_secs(1));
                };
                let (notified, ()) = tokio::join!(notified, pass);
                if let Ok(reason) = notified {
                    assert_eq!(reason, Some(EndReason::SignedOut));
                    break;
                }
                RUNTIMES.count("the task of the first watcher has ended");
            }
            drop(registered);
        });
    });
}
