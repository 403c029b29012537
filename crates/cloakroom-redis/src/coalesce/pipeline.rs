//! Several futures in one task: commands that are started at once, so that fred writes them to the socket together, and
//! those for several nodes.

use std::future::{poll_fn, ready};
use std::mem;
use std::task::{Context, Poll};

use super::response::BoxFuture;

/// Polls each future once, without letting another task run in between. Returns the futures, from which
/// the callers get their results: each polls its own future with its own waker.
pub(crate) async fn start_all<T: Send + 'static>(
    mut futures: Vec<BoxFuture<T>>,
) -> Vec<BoxFuture<T>> {
    poll_fn(|cx| {
        let futures = mem::take(&mut futures).into_iter();
        Poll::Ready(futures.map(|future| start(future, cx)).collect())
    })
    .await
}

fn start<T: Send + 'static>(mut future: BoxFuture<T>, cx: &mut Context<'_>) -> BoxFuture<T> {
    match future.as_mut().poll(cx) {
        Poll::Ready(result) => Box::pin(ready(result)),
        Poll::Pending => future,
    }
}

/// Waits until all futures are complete. None of them waits for another one.
pub(crate) async fn complete_all(mut futures: Vec<BoxFuture<()>>) {
    poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_future_that_was_started_continues_in_another_task() {
        let (sender, receiver) = oneshot::channel();
        let waits: BoxFuture<u8> = Box::pin(async move { receiver.await.unwrap() });
        let mut started = start_all(vec![waits, Box::pin(ready(2))]).await;
        assert_eq!(started.pop().unwrap().await, 2);
        let moved = tokio::spawn(started.pop().unwrap());
        tokio::task::yield_now().await;
        sender.send(1).unwrap();
        let result = timeout(Duration::from_secs(5), moved).await;
        assert_eq!(result.expect("it is woken").unwrap(), 1);
    }

    #[tokio::test]
    async fn a_future_that_does_not_complete_holds_up_no_other() {
        let (sender, receiver) = oneshot::channel::<()>();
        let (report, reported) = oneshot::channel();
        let waits: BoxFuture<()> = Box::pin(async move { receiver.await.unwrap() });
        let reports: BoxFuture<()> = Box::pin(async move {
            tokio::task::yield_now().await;
            report.send(()).unwrap();
        });
        let all = tokio::spawn(complete_all(vec![waits, reports]));
        timeout(Duration::from_secs(20), reported)
            .await
            .expect("it is not held up")
            .unwrap();
        assert!(!all.is_finished());
        sender.send(()).unwrap();
        timeout(Duration::from_secs(20), all)
            .await
            .expect("all are complete")
            .unwrap();
    }
}
