//! A future that, once polled, runs to its end even if it is dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle as Runtime;

/// Runs where it is awaited. Only if it is dropped before its end, a task runs the rest.
#[must_use = "nothing is done until this is awaited"]
pub(crate) struct Uncancellable<T: Send + 'static> {
    /// `None` once the work has finished or panicked.
    work: Option<Work<T>>,
    is_started: bool,
    runtime: Runtime,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> Uncancellable<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            is_started: false,
            runtime: Runtime::current(),
        }
    }
}

impl<T: Send + 'static> Future for Uncancellable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut work = self.work.take().expect("it is not polled after its end");
        self.is_started = true;
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Uncancellable<T> {
    fn drop(&mut self) {
        if let (Some(work), true) = (self.work.take(), self.is_started) {
            // Where the runtime is shutting down, the work is dropped with the new task.
            drop(self.runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::sync::Notify;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    /// Counts its beginning and its end; in between it waits to be let go on.
    fn work(steps: &Arc<AtomicU32>, go_on: &Arc<Notify>) -> Uncancellable<u32> {
        let (steps, go_on) = (Arc::clone(steps), Arc::clone(go_on));
        Uncancellable::new(async move {
            steps.fetch_add(1, Ordering::Relaxed);
            go_on.notified().await;
            steps.fetch_add(1, Ordering::Relaxed) + 1
        })
    }

    async fn both_are_done(steps: &AtomicU32) {
        let done = async {
            while steps.load(Ordering::Relaxed) < 2 {
                yield_now().await;
            }
        };
        let done = timeout(Duration::from_secs(10), done).await;
        done.expect("the work goes on");
    }

    #[tokio::test]
    async fn it_runs_where_it_is_awaited() {
        let (steps, go_on) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
        go_on.notify_one();
        assert_eq!(work(&steps, &go_on).await, 2);
    }

    #[tokio::test]
    async fn dropped_on_the_way_it_runs_to_its_end() {
        let (steps, go_on) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
        let mut cut_off = Box::pin(work(&steps, &go_on));
        assert_eq!(cut_off.as_mut().now_or_never(), None);
        drop(cut_off);
        go_on.notify_one();
        both_are_done(&steps).await;
    }

    #[tokio::test]
    async fn it_is_dropped_elsewhere_and_runs_on_in_its_runtime() {
        let (steps, go_on) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
        let mut cut_off = Box::pin(work(&steps, &go_on));
        assert_eq!(cut_off.as_mut().now_or_never(), None);
        let dropping = std::thread::spawn(move || drop(cut_off));
        dropping.join().expect("no runtime is needed to drop it");
        go_on.notify_one();
        both_are_done(&steps).await;
    }

    #[tokio::test]
    async fn never_awaited_it_never_begins() {
        let (steps, go_on) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
        drop(work(&steps, &go_on));
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(steps.load(Ordering::Relaxed), 0);
        assert_eq!(Arc::strong_count(&steps), 1);
    }
}
