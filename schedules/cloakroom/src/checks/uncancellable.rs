//! Work in several steps whose caller may leave at any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::all_tasks_end;
use tokio::sync::Mutex;
use tokio::task::{wait_for_steps, yield_now};
use tokio::{Outcomes, check, runtime, spawn};

use crate::uncancellable::Uncancellable;

static CALLERS: Outcomes<4> = Outcomes::new([
    "the caller leaves before the first step",
    "the caller leaves between two steps",
    "the caller leaves while the work waits for a lock",
    "the caller stays",
]);

/// The work runs from its first step to its last one, once; or, if its caller leaves before the first step, not at all.
pub fn a_caller_leaves(schedules: usize) {
    check(schedules, &CALLERS, || {
        runtime::block_on(async {
            let lock = Arc::new(Mutex::new(()));
            let steps = Arc::new(AtomicU64::new(0));
            let work = {
                let (lock, steps) = (Arc::clone(&lock), Arc::clone(&steps));
                async move {
                    steps.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                    steps.fetch_add(1, Ordering::Relaxed);
                    let _lock = lock.lock().await;
                    steps.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                    steps.fetch_add(1, Ordering::Relaxed)
                }
            };
            let other = spawn(async move {
                let _lock = lock.lock().await;
                yield_now().await;
            });
            let caller = spawn(Uncancellable::new(work));
            wait_for_steps(6).await;
            caller.abort();
            let left = caller.await.is_err();
            let at_once = steps.load(Ordering::Relaxed);
            all_tasks_end().await;
            let at_the_end = steps.load(Ordering::Relaxed);
            let has_begun = !left || at_once > 0;
            assert_eq!(at_the_end, if has_begun { 4 } else { 0 });
            other.await.expect("it runs to its end");
            CALLERS.count_if(
                left && at_once == 0,
                "the caller leaves before the first step",
            );
            CALLERS.count_if(left && at_once == 1, "the caller leaves between two steps");
            CALLERS.count_if(
                left && at_once == 2,
                "the caller leaves while the work waits for a lock",
            );
            CALLERS.count_if(!left, "the caller stays");
        });
    });
}
