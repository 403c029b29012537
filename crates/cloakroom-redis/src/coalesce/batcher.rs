//! Collects the items of requests that are ready at the same moment, and executes them as one batch.
//!
//! All threads share one queue, so that a batch contains what requests on all of them need. No thread
//! can hold up the items of another: each thread that adds to the next batch starts a task of its own
//! that executes the batch, in each runtime that it runs. The first of these tasks that runs takes all items, the
//! others find none.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::runtime::{Handle, Id};

use super::response::{BoxFuture, Responder, channel};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, thread_local};

/// Executes a batch, and gives each item its result.
type Execute<T, R> = Arc<dyn Fn(Vec<Item<T, R>>) -> BoxFuture<()> + Send + Sync>;

/// The maximum size of a batch: Redis executes nothing else while it runs a command.
const MAX_BATCH: usize = 64;

/// Merges concurrent items into batches.
pub(crate) struct Batcher<T, R> {
    queue: Arc<Queue<T, R>>,
    execute: Execute<T, R>,
}

/// The items that wait. Their number is bounded by that of the commands in flight.
struct Queue<T, R> {
    /// Different for each queue of the process.
    id: u64,
    pending: Mutex<Pending<T, R>>,
}

/// While there are items, there is a task that will execute them.
struct Pending<T, R> {
    items: Vec<Item<T, R>>,
    /// The number of the next batch.
    batch: u64,
    /// How many tasks have been started that have not run yet.
    tasks: usize,
}

/// An item, and where its result goes.
pub(crate) struct Item<T, R> {
    pub(crate) item: T,
    pub(crate) result: Responder<R>,
}

/// Executes items with a function that returns one result per item, in their order.
pub(crate) async fn execute_in_order<T, R, F>(batch: Vec<Item<T, R>>, execute: F)
where
    F: AsyncFnOnce(Vec<T>) -> Vec<R>,
{
    let (items, callers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.item, one.result)).unzip();
    for (caller, result) in callers.into_iter().zip(execute(items).await) {
        caller.send(result);
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// `execute` returns one result per item, in the order of the items.
    pub(crate) fn new(execute: fn(Vec<T>) -> BoxFuture<Vec<R>>) -> Self {
        Self::with(move |batch| {
            Box::pin(execute_in_order(batch, async move |items| {
                execute(items).await
            }))
        })
    }

    /// `execute` gives each item its result, for instance by parts, so that a slow part does not hold up the others.
    /// An item that is dropped instead has no result.
    pub(crate) fn with(
        execute: impl Fn(Vec<Item<T, R>>) -> BoxFuture<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            queue: Arc::new(Queue::new()),
            execute: Arc::new(execute),
        }
    }

    /// Executes an item in one batch with those of the other requests that are ready now. Returns
    /// `None` if the runtime shuts down before. An item whose caller is gone is not executed.
    ///
    /// The batch is executed by a task of its own, not by the first caller: a caller's future may be
    /// dropped, or held without being polled (as in a `select!`), and would then hold up the others.
    pub(crate) async fn submit(&self, item: T) -> Option<R> {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let (result, response) = channel(waker);
        let runtime = Handle::current().id();
        let needs_task = {
            let mut pending = self.queue.lock();
            pending.items.push(Item { item, result });
            let needs_task = started_by_this_thread(self.queue.id, pending.batch, runtime);
            pending.tasks += usize::from(needs_task);
            needs_task
        };
        if needs_task {
            start(Arc::clone(&self.queue), Arc::clone(&self.execute));
        }
        response.await
    }
}

impl<T, R> Queue<T, R> {
    fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            pending: Mutex::new(Pending {
                items: Vec::new(),
                batch: 0,
                tasks: 0,
            }),
        }
    }

    /// Takes the items of the next batch. If some remain, the task counts for these as well, and goes
    /// on.
    fn take(&self) -> (Vec<Item<T, R>>, Remaining) {
        let mut pending = self.lock();
        pending.batch += 1;
        if pending.items.len() > MAX_BATCH {
            let batch = pending.items.drain(..MAX_BATCH).collect();
            return (batch, Remaining::Some);
        }
        pending.tasks -= 1;
        (mem::take(&mut pending.items), Remaining::None)
    }

    fn lock(&self) -> MutexGuard<'_, Pending<T, R>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether items remain after a batch was taken.
enum Remaining {
    None,
    Some,
}

/// Notes that this thread starts a task for a batch in a runtime. Returns whether it has to: not if it has
/// started one already. A task in another runtime does not count: that runtime may not be driven.
fn started_by_this_thread(queue: u64, batch: u64, runtime: Id) -> bool {
    /// An app has few queues. If two share a place, or two runtimes a thread, a thread may start more tasks
    /// than it needs.
    const PLACES: usize = 16;
    type Started = Option<(u64, u64, Id)>;
    thread_local! {
        static STARTED: [Cell<Started>; PLACES] = const { [const { Cell::new(None) }; PLACES] };
    }
    let place = usize::try_from(queue).unwrap_or(0) % PLACES;
    let task = Some((queue, batch, runtime));
    STARTED.with(|started| started[place].replace(task) != task)
}

/// Starts a task that executes the next batch of a queue, and is counted there already.
fn start<T, R>(queue: Arc<Queue<T, R>>, execute: Execute<T, R>)
where
    T: Send + 'static,
    R: Send + 'static,
{
    tokio::spawn(Batch(Some(queue)).run(execute));
}

/// A batch that is being collected. If it is dropped before it is executed, because the runtime shuts
/// down, its callers get an error, unless another task will execute it; a later runtime can use the
/// queue.
struct Batch<T, R>(Option<Arc<Queue<T, R>>>);

impl<T: Send + 'static, R: Send + 'static> Batch<T, R> {
    async fn run(mut self, execute: Execute<T, R>) {
        // Lets the requests that are ready now submit their items.
        yield_to_others().await;
        let Some(queue) = self.0.take() else {
            return;
        };
        let (mut batch, remaining) = queue.take();
        if matches!(remaining, Remaining::Some) {
            start(queue, Arc::clone(&execute));
        }
        batch.retain(|one| !one.result.is_closed());
        if !batch.is_empty() {
            execute(batch).await;
        }
    }
}

impl<T, R> Drop for Batch<T, R> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else {
            return;
        };
        let items = {
            let mut pending = queue.lock();
            pending.tasks -= 1;
            // A thread that has started this task must start another one.
            pending.batch += 1;
            if pending.tasks == 0 {
                mem::take(&mut pending.items)
            } else {
                Vec::new()
            }
        };
        // Wakes the callers, after the lock is released.
        drop(items);
    }
}

/// Lets the tasks that are ready on this thread run first. Unlike with `tokio::task::yield_now`, another
/// thread may continue this task: a task that blocks this thread does not hold it up.
async fn yield_to_others() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    /// Generous, for a busy machine.
    const LIMIT: Duration = Duration::from_secs(20);

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

    /// Also with more threads than there are places for queues that threads have to themselves.
    #[tokio::test(flavor = "multi_thread", worker_threads = 20)]
    async fn threads_that_block_do_not_hold_up_the_items_of_others() {
        const BLOCKED: usize = 18;
        let batcher = Arc::new(Batcher::new(with_size));
        let (submitted, mut blocked) = mpsc::unbounded_channel();
        let release = Arc::new(Barrier::new(BLOCKED + 1));
        let mut held = JoinSet::new();
        for item in 0..BLOCKED {
            let (batcher, submitted) = (Arc::clone(&batcher), submitted.clone());
            let release = Arc::clone(&release);
            held.spawn(async move {
                let mut submit = Box::pin(batcher.submit(item));
                let first = poll_fn(|cx| Poll::Ready(submit.as_mut().poll(cx))).await;
                submitted.send(()).unwrap();
                release.wait();
                // Another thread may have executed it already.
                match first {
                    Poll::Ready(result) => result,
                    Poll::Pending => submit.await,
                }
            });
        }
        for _ in 0..BLOCKED {
            blocked.recv().await;
        }
        let free = Arc::clone(&batcher);
        let free = tokio::spawn(async move { free.submit(BLOCKED).await });
        let result = timeout(LIMIT, free).await;
        release.wait();
        let result = result.expect("it is not held up").unwrap();
        assert!(matches!(result, Some((BLOCKED, _))), "{result:?}");
        while let Some(result) = held.join_next().await {
            assert!(result.unwrap().is_some());
        }
    }

    /// The task that executes a batch is not bound to the thread that has started it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_blocks_its_thread_does_not_hold_up_the_items_of_that_thread() {
        let batcher = Arc::new(Batcher::new(with_size));
        for _ in 0..200 {
            let batcher = Arc::clone(&batcher);
            let (executed, wait) = std::sync::mpsc::channel();
            let is_executed = tokio::spawn(async move {
                // Ready on this thread when the batch waits for the tasks that are.
                let blocks = tokio::spawn(async move { wait.recv_timeout(LIMIT).is_ok() });
                assert_eq!(batcher.submit(1).await, Some((1, 1)));
                let _ = executed.send(());
                blocks.await.unwrap()
            });
            assert!(is_executed.await.unwrap(), "it is held up");
        }
    }

    #[tokio::test]
    async fn an_item_whose_caller_is_gone_is_not_executed() {
        let batcher = Batcher::new(with_size);
        let mut gone = Box::pin(batcher.submit(1));
        assert!(
            poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        drop(gone);
        assert_eq!(batcher.submit(2).await, Some((2, 1)));
    }

    /// One runtime does not fail what another one has submitted.
    #[test]
    fn a_runtime_that_shuts_down_leaves_the_items_of_another() {
        let batcher = Arc::new(Batcher::new(with_size));
        let runtime = || Builder::new_current_thread().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let submit = |runtime: &Runtime, item| {
            let batcher = Arc::clone(&batcher);
            let mut submit = Box::pin(async move { batcher.submit(item).await });
            let poll = poll_fn(|cx| Poll::Ready(submit.as_mut().poll(cx)));
            assert!(runtime.block_on(poll).is_pending());
            submit
        };
        let held = submit(&first, 1);
        let kept = thread::scope(|scope| {
            let thread = scope.spawn(|| submit(&second, 2));
            thread.join().unwrap()
        });
        drop(first);
        assert_eq!(second.block_on(kept), Some((2, 2)));
        assert_eq!(second.block_on(held), Some((1, 2)));
    }

    /// Two runtimes on one thread: the first exists, and runs only in its `block_on`.
    #[test]
    fn a_runtime_that_is_not_driven_does_not_hold_up_another() {
        let batcher = Batcher::new(with_size);
        let runtime = || Builder::new_current_thread().enable_time().build().unwrap();
        let (idle, driven) = (runtime(), runtime());
        let mut held = Box::pin(batcher.submit(1));
        let poll = poll_fn(|cx| Poll::Ready(held.as_mut().poll(cx)));
        assert!(idle.block_on(poll).is_pending());
        let result = driven.block_on(async { timeout(LIMIT, batcher.submit(2)).await });
        assert_eq!(result.expect("it is not held up"), Some((2, 2)));
        assert_eq!(idle.block_on(held), Some((1, 2)));
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
