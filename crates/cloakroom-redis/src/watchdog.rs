//! Observes the results of commands: decides when to reconnect, and whether the server is down. It
//! does no I/O and never waits.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::classify::ErrorClass;

/// After this many consecutive timeouts the connection is considered broken. fred's own check for
/// unresponsive connections does not find busy ones: every write resets it.
const MAX_TIMEOUTS: u32 = 3;

/// Counts timeouts, and allows one recovery at a time.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    timeouts: AtomicU32,
    recovering: AtomicBool,
    down: AtomicBool,
}

/// What a recovery has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Reconnect once.
    Reconnect,
    /// Reconnect until the server responds. Until then it is considered down.
    UntilResponsive,
}

impl Watchdog {
    /// Whether the server is considered down: commands would only wait for their timeouts.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Records that the server replied.
    pub(crate) fn record_success(&self) {
        // On the hot path a load, not a store: the cache line stays shared between cores.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// Records that a command failed. Returns the recovery to start, if any: the caller must start it,
    /// and call [`recovery_finished`](Self::recovery_finished) when it ends, with or without success.
    /// `is_stopped` says whether the task that drives the client has ended.
    #[must_use]
    pub(crate) fn record_failure(
        &self,
        class: ErrorClass,
        is_stopped: impl Fn() -> bool,
    ) -> Option<Recovery> {
        let recovery = match class {
            ErrorClass::TimedOut => {
                let timeouts = self.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
                (timeouts >= MAX_TIMEOUTS).then_some(Recovery::UntilResponsive)
            }
            // After a failover that left the connection open, a new one may reach the new primary.
            ErrorClass::NoPrimary => Some(Recovery::Reconnect),
            ErrorClass::NeverSent => is_stopped().then_some(Recovery::UntilResponsive),
            // fred reconnects on its own.
            ErrorClass::Unclear | ErrorClass::ClusterDown => None,
            ErrorClass::NotReady | ErrorClass::Final(_) => {
                self.record_success();
                None
            }
        };
        let recovery = recovery.filter(|_| !self.recovering.swap(true, Ordering::AcqRel))?;
        if recovery == Recovery::UntilResponsive {
            self.down.store(true, Ordering::Relaxed);
        }
        Some(recovery)
    }

    /// Records that the server is not down any more.
    pub(crate) fn server_recovered(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
        self.down.store(false, Ordering::Relaxed);
    }

    /// Records that a recovery has ended: the next one may start.
    pub(crate) fn recovery_finished(&self) {
        self.server_recovered();
        self.recovering.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(watchdog: &Watchdog, class: ErrorClass) -> Option<Recovery> {
        watchdog.record_failure(class, || false)
    }

    #[test]
    fn three_consecutive_timeouts_start_one_recovery_and_mark_the_server_down() {
        let watchdog = Watchdog::default();
        assert_eq!(fails(&watchdog, ErrorClass::TimedOut), None);
        assert_eq!(fails(&watchdog, ErrorClass::TimedOut), None);
        watchdog.record_success();
        assert_eq!(fails(&watchdog, ErrorClass::TimedOut), None);
        assert_eq!(fails(&watchdog, ErrorClass::TimedOut), None);
        assert!(!watchdog.is_down());
        let third = fails(&watchdog, ErrorClass::TimedOut);
        assert_eq!(third, Some(Recovery::UntilResponsive));
        assert!(watchdog.is_down());
        assert_eq!(
            fails(&watchdog, ErrorClass::TimedOut),
            None,
            "one at a time"
        );
        watchdog.recovery_finished();
        assert!(!watchdog.is_down());
        assert_eq!(
            fails(&watchdog, ErrorClass::TimedOut),
            None,
            "it counts from zero"
        );
    }

    #[test]
    fn a_replica_and_a_stopped_client_start_a_recovery_at_once() {
        let watchdog = Watchdog::default();
        assert_eq!(fails(&watchdog, ErrorClass::NeverSent), None);
        assert_eq!(
            fails(&watchdog, ErrorClass::NoPrimary),
            Some(Recovery::Reconnect)
        );
        assert!(!watchdog.is_down(), "a replica replies");
        watchdog.recovery_finished();
        let stopped = watchdog.record_failure(ErrorClass::NeverSent, || true);
        assert_eq!(stopped, Some(Recovery::UntilResponsive));
    }
}
