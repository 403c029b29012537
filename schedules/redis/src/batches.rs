//! Callers on several threads, and in several runtimes, whose items are executed in batches.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::task::{wait_for_steps, yield_now};
use tokio::{Outcomes, check, runtime, spawn};

use crate::coalesce::{Batcher, Item};

/// What was executed, in its order, and with which sizes of batches.
#[derive(Clone, Default)]
struct Executed {
    items: Arc<Mutex<Vec<(usize, usize)>>>,
    /// What was taken to be executed.
    taken: Arc<Mutex<Vec<usize>>>,
}

impl Executed {
    fn batcher(&self) -> Arc<Batcher<usize, usize>> {
        let executed = self.clone();
        Arc::new(Batcher::with(move |batch| {
            let executed = executed.clone();
            Box::pin(async move { executed.run(batch).await })
        }))
    }

    /// Returns twice the item.
    async fn run(&self, batch: Vec<Item<usize, usize>>) {
        let size = batch.len();
        self.taken().extend(batch.iter().map(|one| one.item));
        yield_now().await;
        crate::coalesce::execute_in_order(batch, async |items| {
            let mut results = Vec::new();
            for item in items {
                self.lock().push((item, size));
                results.push(2 * item);
            }
            yield_now().await;
            results
        })
        .await;
    }

    fn count(&self, item: usize) -> usize {
        self.lock().iter().filter(|(one, _)| *one == item).count()
    }

    fn largest(&self) -> usize {
        self.lock().iter().map(|(_, size)| *size).max().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(usize, usize)>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> MutexGuard<'_, Vec<usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static SHARED: Outcomes<3> = Outcomes::new([
    "items of several threads are executed together",
    "an item is executed alone",
    "a thread has items in two batches",
]);

/// Each item is executed exactly once, and its caller gets its own result.
pub fn each_item_is_executed_once(schedules: usize) {
    check(schedules, &SHARED, || {
        let executed = Executed::default();
        let batcher = executed.batcher();
        let thread = |number: usize| {
            let batcher = Arc::clone(&batcher);
            // Two callers on one thread, one of which begins later; then a third.
            async move {
                let (first, later) = (10 * number, 10 * number + 1);
                let later = async {
                    yield_now().await;
                    (later, batcher.submit(later).await)
                };
                let first = async { (first, batcher.submit(first).await) };
                let (first, later) = tokio::join!(first, later);
                let last = 10 * number + 2;
                [first, later, (last, batcher.submit(last).await)]
            }
        };
        runtime::block_on(async {
            let threads: Vec<_> = (0..3).map(|number| spawn(thread(number))).collect();
            for thread in threads {
                for (item, result) in thread.await.expect("it runs to its end") {
                    assert_eq!(result, Some(2 * item));
                    assert_eq!(executed.count(item), 1);
                }
            }
        });
        let items = executed.lock();
        SHARED.count_if(
            items.iter().any(|(_, size)| *size > 2),
            "items of several threads are executed together",
        );
        SHARED.count_if(
            items.iter().any(|(_, size)| *size == 1),
            "an item is executed alone",
        );
        let sizes = |item| items.iter().position(|(one, _)| *one == item);
        let apart = sizes(0)
            .zip(sizes(1))
            .is_some_and(|(a, b)| a.abs_diff(b) > 1);
        SHARED.count_if(apart, "a thread has items in two batches");
    });
}

static GONE: Outcomes<3> = Outcomes::new([
    "a caller is gone before its item is executed",
    "a caller is gone after its item was executed",
    "a caller that may leave stays",
]);

/// A caller may leave at any of its steps. The others get their results; what was not taken until then is not executed.
pub fn a_caller_leaves(schedules: usize) {
    check(schedules, &GONE, || {
        let executed = Executed::default();
        let batcher = executed.batcher();
        runtime::block_on(async {
            let leaves = Arc::clone(&batcher);
            let leaves = spawn(async move { leaves.submit(1).await });
            let stays = Arc::clone(&batcher);
            let stays = spawn(async move { (stays.submit(2).await, stays.submit(3).await) });
            wait_for_steps(6).await;
            leaves.abort();
            let left = leaves.await;
            let before = executed.count(1);
            assert_eq!(batcher.submit(4).await, Some(8));
            assert_eq!(stays.await.expect("it runs to its end"), (Some(4), Some(6)));
            assert!(executed.count(1) <= 1);
            GONE.count_if(
                left.is_err() && before == 0,
                "a caller is gone before its item is executed",
            );
            GONE.count_if(
                left.is_err() && before == 1,
                "a caller is gone after its item was executed",
            );
            GONE.count_if(left.is_ok(), "a caller that may leave stays");
        });
    });
}

static NOT_TAKEN: Outcomes<1> = Outcomes::new(["an item is dropped with its caller"]);

/// An item whose caller is gone when the batch is taken is not executed.
pub fn an_item_without_a_caller(schedules: usize) {
    check(schedules, &NOT_TAKEN, || {
        let executed = Executed::default();
        let batcher = executed.batcher();
        runtime::block_on(async {
            // Submitted and dropped in one step, so that no batch can be taken in between.
            let mut gone = Box::pin(batcher.submit(1));
            let polled = poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx))).await;
            let was_taken = executed.count(1) == 1;
            let is_pending = polled.is_pending();
            drop(gone);
            let at_once = executed.count(1);
            assert_eq!(batcher.submit(2).await, Some(4));
            if is_pending && !was_taken {
                NOT_TAKEN.count_if(executed.count(1) == 0, "an item is dropped with its caller");
            }
            assert!(at_once <= executed.count(1));
        });
    });
}

static SHUT_DOWN: Outcomes<5> = Outcomes::new([
    "a caller gets its result although another runtime ends",
    "a batch ends with the runtime that executes it",
    "a caller that has moved gets no result",
    "an item is executed after the end of the runtime of its caller",
    "a caller of the runtime that ends gets its result",
]);

/// A runtime ends at any step. No caller in another one waits forever; one whose batch ends with it gets no result.
pub fn a_runtime_shuts_down(schedules: usize) {
    check(schedules, &SHUT_DOWN, || {
        let executed = Executed::default();
        let batcher = executed.batcher();
        let (ends, stays) = (Runtime::new(), Runtime::new());
        let submit = |runtime: &Runtime, item| {
            let batcher = Arc::clone(&batcher);
            runtime.spawn(async move { batcher.submit(item).await })
        };
        let mut dropped: Vec<_> = (0..2).map(|item| submit(&ends, item)).collect();
        let kept: Vec<_> = (2..4).map(|item| submit(&stays, item)).collect();
        // A caller that begins in the runtime that ends, and goes on in another one.
        let moves = Arc::clone(&batcher);
        let moves = ends.spawn(async move {
            let mut submit = Box::pin(async move { moves.submit(6).await });
            let first = poll_fn(|cx| Poll::Ready(submit.as_mut().poll(cx))).await;
            (first, submit)
        });
        runtime::block_on(async {
            let (first, moved) = moves.await.expect("its runtime goes on");
            wait_for_steps(6).await;
            ends.shutdown().await;
            let moved = match first {
                Poll::Ready(result) => result,
                Poll::Pending => moved.await,
            };
            assert!(moved.is_none_or(|result| result == 12));
            SHUT_DOWN.count_if(moved.is_none(), "a caller that has moved gets no result");
            for (item, kept) in (2..).zip(kept) {
                let result = kept.await.expect("its runtime goes on");
                assert!(result.is_none_or(|result| result == 2 * item));
                assert!(executed.count(item) <= 1);
                let was_taken = executed.taken().contains(&item);
                assert!(
                    result.is_some() || was_taken,
                    "its own task would execute it"
                );
                SHUT_DOWN.count_if(
                    result.is_some(),
                    "a caller gets its result although another runtime ends",
                );
                SHUT_DOWN.count_if(
                    result.is_none(),
                    "a batch ends with the runtime that executes it",
                );
            }
            // A later caller finds a batcher that works.
            assert_eq!(
                submit(&stays, 5).await.expect("its runtime goes on"),
                Some(10)
            );
            for (item, dropped) in dropped.drain(..).enumerate() {
                let result = dropped.await;
                let is_lost = result.is_err();
                SHUT_DOWN.count_if(
                    is_lost && executed.count(item) == 1,
                    "an item is executed after the end of the runtime of its caller",
                );
                SHUT_DOWN.count_if(
                    !is_lost,
                    "a caller of the runtime that ends gets its result",
                );
            }
        });
    });
}

static MANY: Outcomes<1> = Outcomes::new(["a batch is full, and another one follows"]);

/// More items than a batch may have: those that remain are executed, too.
pub fn more_items_than_a_batch_has(schedules: usize) {
    check(schedules, &MANY, || {
        let executed = Executed::default();
        let batcher = executed.batcher();
        let submit = |items: Range<usize>| {
            let batcher = Arc::clone(&batcher);
            spawn(async move {
                let results = join_all(items.clone().map(|item| batcher.submit(item))).await;
                assert!(results.into_iter().eq(items.map(|item| Some(2 * item))));
            })
        };
        runtime::block_on(async {
            for task in [submit(0..97), submit(100..103)] {
                task.await.expect("it runs to its end");
            }
        });
        assert!(executed.largest() <= 64);
        assert_eq!(executed.lock().len(), 100);
        MANY.count_if(
            executed.largest() == 64,
            "a batch is full, and another one follows",
        );
    });
}
