//! Runs a limited number of commands at once.

use std::future::Future;

use cloakroom_core::index::MAX_EVICTED;
use cloakroom_core::{StoreError, StoreErrorKind};
use futures_util::stream::{self, StreamExt};

/// How many sessions end, or events are published, before something else is looked at.
pub(crate) const MAX_GROUP: usize = MAX_EVICTED;

/// How many commands of a group are sent concurrently: so few that other requests are not held up.
const MAX_CONCURRENT: usize = 8;

/// Runs futures, [`MAX_CONCURRENT`] at a time, and returns their results in no particular order. No task is started:
/// where the app keeps all threads busy, tasks would wait for each other.
pub(super) async fn run_concurrently<F: Future>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let running = stream::iter(futures).buffer_unordered(MAX_CONCURRENT);
    running.collect().await
}

/// Writes something for each item, as [`run_concurrently`]. Where writes wait for replicas, one is sent at a time, and
/// those that wait for their turn too long are not sent at all. They are tried again, one after the other, until
/// that fails as well.
pub(super) async fn write_concurrently<T, R, F>(
    items: Vec<T>,
    write: impl Fn(&T) -> F,
) -> Vec<(T, Result<R, StoreError>)>
where
    F: Future<Output = Result<R, StoreError>>,
{
    if items.is_empty() {
        return Vec::new();
    }
    let writes = items.into_iter().map(|item| {
        let write = write(&item);
        async move { (item, write.await) }
    });
    let mut results = run_concurrently(writes).await;
    for (item, result) in &mut results {
        if was_not_sent(result) {
            *result = write(item).await;
            if was_not_sent(result) {
                break;
            }
        }
    }
    results
}

fn was_not_sent<R>(result: &Result<R, StoreError>) -> bool {
    matches!(result, Err(error) if error.kind() == StoreErrorKind::Unavailable)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Mutex;
    use tokio::time::{Duration, sleep, timeout};

    use super::*;

    /// A store of which one write at a time is sent, and the others wait for their turn for a short time.
    struct OneAtATime {
        turn: Mutex<()>,
        sent: AtomicUsize,
    }

    impl OneAtATime {
        async fn write(&self, fails: bool) -> Result<(), StoreError> {
            let unavailable = StoreError::new(StoreErrorKind::Unavailable);
            let turn = timeout(Duration::from_millis(125), self.turn.lock()).await;
            let _turn = turn.map_err(|_| unavailable.clone())?;
            self.sent.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(100)).await;
            if fails { Err(unavailable) } else { Ok(()) }
        }
    }

    async fn write_ten(fails: bool) -> (usize, usize) {
        let store = OneAtATime {
            turn: Mutex::default(),
            sent: AtomicUsize::new(0),
        };
        let results = write_concurrently((0..10).collect(), |_| store.write(fails)).await;
        let written = results.iter().filter(|(_, result)| result.is_ok()).count();
        (written, store.sent.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waited_for_its_turn_in_vain_is_sent_later() {
        assert_eq!(write_ten(false).await, (10, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_store_that_is_unavailable_one_write_is_tried_again() {
        let (written, sent) = write_ten(true).await;
        assert_eq!(written, 0);
        assert!(sent < 10, "{sent} were sent");
    }
}
