//! Starts several commands at once, so that fred writes them to the socket together.

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
}
