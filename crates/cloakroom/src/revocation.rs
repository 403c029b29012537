//! The time before which sessions are revoked: how all sessions of an app end at once, on every server.
//!
//! The store keeps one timestamp, "revoked before". A session that was created before it is refused,
//! also if its record still exists or was restored from a backup. Every server reads the timestamp again
//! within [`MAX_AGE`], and refuses all sessions when it cannot. So once the timestamp was written and
//! `MAX_AGE` has passed, it holds on every server.
//!
//! It comes from the store's clock. One that is far in the future was set when that clock was wrong. It still
//! applies, and is logged: it may be the only thing that keeps revoked sessions out. Revoking everyone's
//! sessions again replaces it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom_core::admin::MAX_AHEAD;
use cloakroom_core::{Clock, StoreError, Timestamp};
use tokio::time::Instant;
use tracing::Instrument;

use crate::budget::Budget;
use crate::store::DynStore;
use crate::telemetry::log;

/// How long a server relies on the timestamp that it has read.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(8);

/// The age from which requests make the server read it again in the background.
const REFRESH_AGE: Duration = Duration::from_secs(4);

/// What one server knows of the timestamp.
#[derive(Debug, Default)]
pub(crate) struct RevokedBefore {
    known: Mutex<Option<Known>>,
    refreshing: AtomicBool,
    /// Whether it was logged that the timestamp is far in the future.
    reported: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    timestamp: Timestamp,
    /// When the read began: the timestamp was true then, and perhaps no longer when the reply came.
    read_at: Instant,
}

impl RevokedBefore {
    /// Returns the timestamp. Nearly always it is known; after a pause it is read from the store, within
    /// `budget`. A read in the background has `store_timeout` for itself.
    pub(crate) async fn get(
        self: &Arc<Self>,
        store: &Arc<dyn DynStore>,
        clock: &Arc<dyn Clock>,
        store_timeout: Duration,
        budget: &Budget,
    ) -> Result<Timestamp, StoreError> {
        match self.get_now(store, clock, store_timeout) {
            Some(timestamp) => Ok(timestamp),
            None => Box::pin(self.read(&**store, &**clock, budget)).await,
        }
    }

    /// Returns the timestamp if it is known, without waiting.
    pub(crate) fn get_now(
        self: &Arc<Self>,
        store: &Arc<dyn DynStore>,
        clock: &Arc<dyn Clock>,
        store_timeout: Duration,
    ) -> Option<Timestamp> {
        if !store.has_admin() {
            return Some(Timestamp::from_millis(0));
        }
        let known = self.known()?;
        let age = known.read_at.elapsed();
        if age >= MAX_AGE {
            return None;
        }
        if age >= REFRESH_AGE {
            self.refresh_in_background(store, clock, store_timeout);
        }
        Some(known.timestamp)
    }

    /// Reads the timestamp from the store.
    pub(crate) async fn read(
        &self,
        store: &dyn DynStore,
        clock: &dyn Clock,
        budget: &Budget,
    ) -> Result<Timestamp, StoreError> {
        let read_at = Instant::now();
        let timestamp = budget.read(store.revoked_before()).await?;
        let latest_plausible = clock.now().plus(MAX_AHEAD);
        let is_plausible = timestamp <= latest_plausible;
        if !is_plausible && !self.reported.load(Ordering::Relaxed) {
            log::revoked_far_ahead(timestamp.since(clock.now()));
        }
        self.reported.store(!is_plausible, Ordering::Relaxed);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = match *known {
            // Two reads may have overlapped, or the store was restored from a backup: the timestamp never
            // goes back.
            Some(other) if other.timestamp <= latest_plausible => Known {
                timestamp: other.timestamp.max(timestamp),
                read_at: other.read_at.max(read_at),
            },
            // Except from one that a wrong clock had set.
            Some(other) if other.read_at > read_at => other,
            _ => Known { timestamp, read_at },
        };
        *known = Some(latest);
        Ok(latest.timestamp)
    }

    fn known(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the timestamp in a task, unless such a task is running.
    fn refresh_in_background(
        self: &Arc<Self>,
        store: &Arc<dyn DynStore>,
        clock: &Arc<dyn Clock>,
        store_timeout: Duration,
    ) {
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        // Made before the task, which may be dropped before it is ever polled.
        let refreshing = Refreshing(Arc::clone(self));
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let refresh = async move {
            let budget = Budget::new(store_timeout);
            // If it fails, the next request tries again; from `MAX_AGE` on, requests wait for the read.
            drop(refreshing.0.read(&*store, &*clock, &budget).await);
        };
        tokio::spawn(refresh.in_current_span());
    }
}

/// Clears the flag when the task ends, also if it panics or is aborted.
struct Refreshing(Arc<RevokedBefore>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{MemoryStore, SystemClock};
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_refresh_that_is_lost_with_its_runtime_can_be_started_again() {
        let revoked_before = Arc::<RevokedBefore>::default();
        let store: Arc<dyn DynStore> = Arc::new(MemoryStore::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let runtime = Builder::new_current_thread().build().unwrap();
        let limit = Duration::from_secs(1);
        runtime.block_on(async {
            revoked_before.refresh_in_background(&store, &clock, limit);
        });
        let is_refreshing = || revoked_before.refreshing.load(Ordering::Acquire);
        assert!(is_refreshing(), "its task is not polled yet");
        drop(runtime);
        assert!(!is_refreshing());
    }
}
