//! Runtimes: where tasks are spawned, and with which they end.

use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shuttle::future::AbortHandle;

use crate::task::{JoinHandle, spawn_in};

shuttle::thread_local! {
    /// The runtime of the task or thread. Outside of a runtime, tests run in one of their own.
    static CURRENT: RefCell<Option<Handle>> = RefCell::new(None);
}

/// Identifies a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u64);

/// Refers to a runtime.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Id,
    is_shut_down: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// There is no runtime.
#[derive(Debug)]
pub struct TryCurrentError;

impl Handle {
    /// Returns the runtime of this task.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with(|current| current.borrow_mut().get_or_insert_with(Self::new).clone())
    }

    /// Returns the runtime of this task.
    ///
    /// # Errors
    ///
    /// Never: each task has one.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        Ok(Self::current())
    }

    /// Starts a task in this runtime. After its end, the future is dropped.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_in(self, future)
    }

    /// Returns what identifies the runtime.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.id
    }

    fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Inner {
            id: Id(IDS.fetch_add(1, Ordering::Relaxed)),
            is_shut_down: AtomicBool::new(false),
            tasks: Mutex::default(),
        }))
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.is_shut_down.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self) {
        CURRENT.with(|current| *current.borrow_mut() = Some(self.clone()));
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runtime of its own, which can be shut down.
#[derive(Debug)]
pub struct Runtime(Handle);

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime {
    /// Returns a new runtime.
    #[must_use]
    pub fn new() -> Self {
        Self(Handle::new())
    }

    /// Starts a task in this runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Ends the runtime, and returns when all its tasks have ended.
    pub async fn shutdown(self) {
        let tasks = self.abort_all();
        while tasks.iter().any(|task| !task.is_finished()) {
            crate::task::yield_now().await;
        }
    }

    /// Ends the runtime. Its tasks are dropped at later steps, where they wait then.
    pub fn shutdown_background(self) {
        drop(self.abort_all());
    }

    fn abort_all(&self) -> Vec<AbortHandle> {
        self.0.0.is_shut_down.store(true, Ordering::Relaxed);
        let tasks = std::mem::take(&mut *self.0.tasks());
        for task in &tasks {
            task.abort();
        }
        tasks
    }
}

/// Waits until all tasks of this runtime have ended, also those that they start.
pub async fn all_tasks_end() {
    let runtime = Handle::current();
    while runtime.tasks().iter().any(|task| !task.is_finished()) {
        crate::task::yield_now().await;
    }
}

/// Runs a future on this thread, in the runtime of this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    shuttle::future::block_on(future)
}
