//! Collects the items of requests that are ready at the same moment, and executes them as one batch.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// A boxed future. The futures of fred have about 7 KiB: one that is held by value is copied at every
/// level of the call chain, so each is boxed where it is made.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Executes a batch. Returns one result per item, in the order of the items.
pub(crate) type Execute<T, R> = fn(Vec<T>) -> BoxFuture<Vec<R>>;

/// The maximum size of a batch: Redis executes nothing else while it runs a command.
const MAX_BATCH: usize = 64;

/// Each worker thread has a queue of its own; with more threads than this, some share one.
const QUEUES: usize = 16;

/// Merges concurrent items into batches.
pub(crate) struct Batcher<T, R> {
    queues: [Arc<Queue<T, R>>; QUEUES],
    execute: Execute<T, R>,
}

/// The items of the next batch. While it is not empty, there is a task that will execute it.
type Queue<T, R> = Mutex<Vec<Pending<T, R>>>;

/// An item, and where its result goes.
struct Pending<T, R> {
    item: T,
    result: oneshot::Sender<R>,
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    pub(crate) fn new(execute: Execute<T, R>) -> Self {
        Self {
            queues: [(); QUEUES].map(|()| Arc::default()),
            execute,
        }
    }

    /// Executes an item in one batch with those of the other requests that are ready now. Returns
    /// `None` if the runtime shuts down before.
    ///
    /// The batch is executed by a task of its own, not by the first caller: a caller's future may be
    /// dropped, or held without being polled (as in a `select!`), and would then hold up the others.
    pub(crate) async fn submit(&self, item: T) -> Option<R> {
        let (result, received) = oneshot::channel();
        let queue = &self.queues[queue_of_this_thread()];
        let is_first = {
            let mut pending = lock(queue);
            pending.push(Pending { item, result });
            pending.len() == 1
        };
        if is_first {
            start(Arc::clone(queue), self.execute);
        }
        received.await.ok()
    }
}

/// Starts the task that executes the next batch of a queue.
fn start<T, R>(queue: Arc<Queue<T, R>>, execute: Execute<T, R>)
where
    T: Send + 'static,
    R: Send + 'static,
{
    tokio::spawn(Batch(Some(queue)).run(execute));
}

/// A batch that is being collected. If it is dropped before it is executed, because the runtime shuts
/// down, it still empties the queue: its callers get an error, and a later runtime can use the queue.
struct Batch<T, R>(Option<Arc<Queue<T, R>>>);

impl<T: Send + 'static, R: Send + 'static> Batch<T, R> {
    async fn run(mut self, execute: Execute<T, R>) {
        // Lets the requests that are ready now submit their items.
        yield_now().await;
        let Some(queue) = self.0.take() else {
            return;
        };
        let (batch, is_last) = {
            let mut pending = lock(&queue);
            let length = pending.len().min(MAX_BATCH);
            let batch: Vec<_> = pending.drain(..length).collect();
            (batch, pending.is_empty())
        };
        if !is_last {
            start(queue, execute);
        }
        let (items, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|one| (one.item, one.result)).unzip();
        for (caller, result) in callers.into_iter().zip(execute(items).await) {
            // The caller may be gone.
            drop(caller.send(result));
        }
    }
}

impl<T, R> Drop for Batch<T, R> {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            let pending = mem::take(&mut *lock(queue));
            // Wakes the callers, after the lock is released.
            drop(pending);
        }
    }
}

fn queue_of_this_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static QUEUE: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % QUEUES);
    }
    QUEUE.get()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    /// Returns for each item the item and the size of its batch.
    fn with_size(items: Vec<usize>) -> BoxFuture<Vec<(usize, usize)>> {
        let size = items.len();
        Box::pin(async move { items.into_iter().map(|item| (item, size)).collect() })
    }

    #[tokio::test]
    async fn items_are_merged_up_to_the_maximum_and_each_gets_its_result() {
        let batcher = Arc::new(Batcher::new(with_size));
        let mut tasks = JoinSet::new();
        for item in 0..150 {
            let batcher = Arc::clone(&batcher);
            tasks.spawn(async move { (item, batcher.submit(item).await) });
        }
        let mut sizes = [0; 150];
        while let Some(result) = tasks.join_next().await {
            let (item, Some((returned, size))) = result.unwrap() else {
                panic!("the runtime is not shutting down");
            };
            assert_eq!(item, returned);
            sizes[item] = size;
        }
        assert!(sizes.iter().all(|&size| size <= MAX_BATCH));
        assert_eq!(sizes.iter().filter(|&&size| size == MAX_BATCH).count(), 128);
    }

    #[tokio::test]
    async fn a_caller_that_is_not_polled_does_not_hold_up_others() {
        let batcher = Batcher::new(with_size);
        let mut held = Box::pin(batcher.submit(1));
        let first = std::future::poll_fn(|cx| Poll::Ready(held.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        assert_eq!(batcher.submit(2).await, Some((2, 2)));
        assert_eq!(held.await, Some((1, 2)));
    }

    #[test]
    fn a_runtime_that_shuts_down_leaves_a_usable_batcher() {
        let batcher = Arc::new(Batcher::new(with_size));
        let runtime = || Builder::new_current_thread().build().unwrap();
        let first = runtime();
        let submitted = Arc::clone(&batcher);
        first.block_on(async move {
            let mut submit = Box::pin(submitted.submit(1));
            let poll = std::future::poll_fn(|cx| Poll::Ready(submit.as_mut().poll(cx)));
            assert!(poll.await.is_pending());
        });
        drop(first);
        let result = runtime().block_on(batcher.submit(2));
        assert_eq!(result, Some((2, 1)));
    }
}
