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

/// The items of the next batch. While it is not empty, a task exists that will execute it.
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
            tokio::spawn(Batch(Some(Arc::clone(queue))).run(self.execute));
        }
        received.await.ok()
    }
}

/// A batch that is being collected. If it is dropped before it is executed, because the runtime shuts
/// down, it still empties the queue: its callers get an error, and a later runtime can use the queue.
struct Batch<T, R>(Option<Arc<Queue<T, R>>>);

impl<T: Send + 'static, R: Send + 'static> Batch<T, R> {
    async fn run(mut self, execute: Execute<T, R>) {
        // Lets the requests that are ready now submit their items.
        yield_now().await;
        let mut pending = self.take();
        while pending.len() > MAX_BATCH {
            let rest = pending.split_off(MAX_BATCH);
            tokio::spawn(run(mem::replace(&mut pending, rest), execute));
        }
        run(pending, execute).await;
    }
}

impl<T, R> Batch<T, R> {
    fn take(&mut self) -> Vec<Pending<T, R>> {
        let queue = self.0.take();
        queue.map_or_else(Vec::new, |queue| mem::take(&mut *lock(&queue)))
    }
}

impl<T, R> Drop for Batch<T, R> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

async fn run<T, R>(pending: Vec<Pending<T, R>>, execute: Execute<T, R>) {
    let pending = pending.into_iter().map(|one| (one.item, one.result));
    let (items, receivers): (Vec<_>, Vec<_>) = pending.unzip();
    for (receiver, result) in receivers.into_iter().zip(execute(items).await) {
        // The caller may be gone.
        drop(receiver.send(result));
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
