//! How long one request may wait for the store, in all.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use tokio::time::{Instant, timeout};

/// What a request has left to spend on waiting. The handler's own work costs nothing.
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

    /// Waits for a command that changes nothing: too late is as good as never.
    pub(crate) async fn read<T>(
        &self,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.wait(command)
            .await
            .unwrap_or(Err(StoreError::new(StoreErrorKind::Unavailable)))
    }

    /// Waits for a command that changes something: too late may be after the fact.
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

    /// Waits for anything; `None` once the budget is spent.
    pub(crate) async fn wait<T>(&self, event: impl Future<Output = T>) -> Option<T> {
        let left = self.left();
        if left.is_zero() {
            return None;
        }
        let begin = Instant::now();
        let result = timeout(left, event).await;
        self.spend(begin.elapsed());
        result.ok()
    }

    /// Starts anew, for a handle that outlives its request.
    pub(crate) fn refill(&self, budget: Duration) {
        self.micros.store(as_micros(budget), Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    fn spend(&self, time: Duration) {
        let spent = as_micros(time);
        let subtract = |left: u64| Some(left.saturating_sub(spent));
        let _ = self
            .micros
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }
}

fn as_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
