//! Tasks: threads of the scheduler.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use shuttle::future as scheduled;

use crate::runtime::Handle;

pub use shuttle::future::yield_now;

/// Lets other tasks run for a while: the schedule chooses how long, up to `most` times.
pub async fn wait_for_steps(most: usize) {
    for _ in 0..crate::choose(most + 1) {
        yield_now().await;
    }
}

/// Starts a task in the current runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Handle::current().spawn(future)
}

pub(crate) fn spawn_in<F>(runtime: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let handle = runtime.clone();
    let task = scheduled::spawn(async move {
        if handle.is_shut_down() {
            return None;
        }
        handle.enter();
        Some(future.await)
    });
    runtime.tasks().push(task.abort_handle());
    JoinHandle(task)
}

/// Waits for a task. Dropping it lets the task continue.
#[derive(Debug)]
pub struct JoinHandle<T>(scheduled::JoinHandle<Option<T>>);

impl<T> JoinHandle<T> {
    /// Drops the task where it waits.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Returns a handle that can only end the task.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.0.abort_handle())
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = Pin::new(&mut self.0).poll(cx);
        task.map(|result| result.ok().flatten().ok_or(JoinError))
    }
}

/// Ends a task.
#[derive(Clone, Debug)]
pub struct AbortHandle(scheduled::AbortHandle);

impl AbortHandle {
    /// Drops the task where it waits.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Returns whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// The task was dropped before its end. One that panics ends the test instead.
#[derive(Debug)]
pub struct JoinError;

impl JoinError {
    /// Returns `false`: a panic ends the test.
    #[must_use]
    pub const fn is_panic(&self) -> bool {
        false
    }

    /// Returns the panic.
    ///
    /// # Panics
    ///
    /// Always: there is none.
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        unreachable!("a panic ends the test")
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was cancelled")
    }
}

impl std::error::Error for JoinError {}
