//! Where errands of one kind meet, to be begun in one round.

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

/// Requests meet those of their own worker thread. With more threads than this, some share a queue.
const QUEUES: usize = 16;

/// What can be begun together with others of its kind.
pub(crate) trait Errand: Send + Sized + 'static {
    /// Begins them all.
    fn begin(errands: Vec<Self>) -> impl Future<Output = ()> + Send;

    /// Tells those who handed them in that nobody begins them: the runtime is shutting down.
    fn give_up(errands: Vec<Self>);
}

/// Where errands of one kind meet.
pub(crate) struct Meeting<E: Errand>([Arc<Mutex<Queue<E>>>; QUEUES]);

/// What the round that was called for is going to begin.
struct Queue<E> {
    is_called: bool,
    errands: Vec<E>,
}

impl<E: Errand> Meeting<E> {
    /// Hands in an errand, to be begun when the other requests that are ready have handed in theirs. It
    /// is begun in a task of its own: a request may be given up, or not be polled for a while.
    pub(crate) fn hand_in(&self, errand: E) {
        let queue = &self.0[queue_of_this_thread()];
        let mut locked = lock(queue);
        locked.errands.push(errand);
        if !mem::replace(&mut locked.is_called, true) {
            let round = Round(Some(Arc::clone(queue)));
            tokio::spawn(round.begin());
        }
    }
}

impl<E: Errand> Default for Meeting<E> {
    fn default() -> Self {
        let queue = || Queue {
            is_called: false,
            errands: Vec::new(),
        };
        Self([(); QUEUES].map(|()| Arc::new(Mutex::new(queue()))))
    }
}

/// A round that was called for, until it has begun.
struct Round<E: Errand>(Option<Arc<Mutex<Queue<E>>>>);

impl<E: Errand> Round<E> {
    async fn begin(mut self) {
        yield_now().await;
        E::begin(self.take()).await;
    }

    fn take(&mut self) -> Vec<E> {
        let Some(queue) = self.0.take() else {
            return Vec::new();
        };
        let mut queue = lock(&queue);
        queue.is_called = false;
        mem::take(&mut queue.errands)
    }
}

impl<E: Errand> Drop for Round<E> {
    fn drop(&mut self) {
        E::give_up(self.take());
    }
}

fn queue_of_this_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static QUEUE: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % QUEUES);
    }
    QUEUE.get()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
