//! The time limit of a request for waiting for the store.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use tokio::time::{Instant, sleep};

/// The time that a request may still wait for the store. The time of the handler does not count.
#[derive(Debug)]
pub(crate) struct Budget {
    micros: AtomicU64,
}

impl Budget {
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            micros: AtomicU64::new(as_micros(budget)),
        }
    }

    /// Waits for a command that changes nothing. After a timeout the error is `Unavailable`.
    pub(crate) async fn read<T>(
        &self,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.wait(command)
            .await
            .unwrap_or(Err(StoreError::new(StoreErrorKind::Unavailable)))
    }

    /// Waits for a command that changes something. After a timeout its outcome is unknown; if no time is
    /// left, it is not sent.
    pub(crate) async fn write<T>(
        &self,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.left().is_zero() {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        self.wait(command)
            .await
            .unwrap_or(Err(StoreError::new(StoreErrorKind::OutcomeUnknown)))
    }

    /// Waits for a future; `None` if the time is used up. A future that is ready at its first poll costs no
    /// read of the clock, and no timer.
    pub(crate) async fn wait<T>(&self, event: impl Future<Output = T>) -> Option<T> {
        let left = self.left();
        if left.is_zero() {
            return None;
        }
        let (mut event, mut limit, mut begin) = (pin!(event), pin!(None), None);
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = event.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if begin.is_none() {
                begin = Some(Instant::now());
                limit.set(Some(sleep(left)));
            }
            let limit = limit.as_mut().as_pin_mut();
            limit.map_or(Poll::Pending, |limit| limit.poll(cx).map(|()| None))
        });
        let result = result.await;
        if let Some(begin) = begin {
            self.spend(begin.elapsed());
        }
        result
    }

    /// Restores the full time, for a session that outlives its request.
    pub(crate) fn refill(&self, budget: Duration) {
        self.micros.store(as_micros(budget), Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    fn spend(&self, time: Duration) {
        let spent = as_micros(time);
        let _ = self
            .micros
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(spent))
            });
    }
}

fn as_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use StoreErrorKind::{OutcomeUnknown, Unavailable};
    use tokio::time::sleep;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn kind<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
        result.err().map(|error| error.kind())
    }

    async fn never() -> Result<(), StoreError> {
        pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let budget = Budget::new(millis(1000));
        sleep(millis(5000)).await;
        assert_eq!(budget.wait(sleep(millis(400))).await, Some(()));
        sleep(millis(5000)).await;
        assert_eq!(budget.wait(sleep(millis(400))).await, Some(()));
        let begin = Instant::now();
        assert_eq!(budget.wait(sleep(millis(400))).await, None);
        assert!((millis(199)..=millis(202)).contains(&begin.elapsed()));
        assert_eq!(budget.wait(ready(())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_times_out_as_unavailable_and_a_write_as_unknown() {
        let budget = Budget::new(millis(100));
        assert_eq!(kind(budget.read(never()).await), Some(Unavailable));
        let budget = Budget::new(millis(100));
        assert_eq!(kind(budget.write(never()).await), Some(OutcomeUnknown));
        // No time is left: the command is not sent.
        let send = async { unreachable!("nothing is left to wait for it") };
        assert_eq!(kind::<()>(budget.write(send).await), Some(Unavailable));
        let send = async { unreachable!("nothing is left to wait for it") };
        assert_eq!(kind::<()>(budget.read(send).await), Some(Unavailable));
        budget.refill(millis(100));
        assert_eq!(kind(budget.write(ready(Ok(()))).await), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_store_is_returned() {
        let budget = Budget::new(millis(100));
        let refused = || ready(Err::<(), _>(StoreError::new(StoreErrorKind::Refused)));
        assert_eq!(
            kind(budget.read(refused()).await),
            Some(StoreErrorKind::Refused)
        );
        assert_eq!(
            kind(budget.write(refused()).await),
            Some(StoreErrorKind::Refused)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_waits_each_count() {
        let budget = Budget::new(millis(1000));
        let both = tokio::join!(
            budget.wait(sleep(millis(400))),
            budget.wait(sleep(millis(400)))
        );
        assert_eq!(both, (Some(()), Some(())));
        assert!(budget.left() <= millis(200));
    }

    #[test]
    fn the_longest_time_limit_does_not_overflow() {
        let budget = Budget::new(Duration::MAX);
        budget.spend(Duration::MAX);
        assert!(budget.left().is_zero());
    }
}
