//! Observes the results of commands: decides when a connection is checked, and whether the server counts
//! as down. It does no I/O and never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::classify::ErrorClass;

/// What is known about a connection from the results of its commands, and the right to recover it.
///
/// Both "a recovery is running" and "the server is down" hold until a time that the recovery extends. If
/// its task is lost with its runtime, or is not polled any more, they end by themselves.
#[derive(Debug)]
pub(crate) struct Watchdog {
    began: Instant,
    /// For how long a recovery holds after each extension.
    lease: Duration,
    /// Until when a recovery is running, in nanoseconds since `began`; zero if none is.
    recovering: AtomicU64,
    /// Until when the server counts as down, likewise.
    down: AtomicU64,
    /// How many commands got no reply, because of a timeout or a lost connection.
    losses: AtomicU64,
}

/// What a recovery has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Find out whether the connection still works, and replace it if it does not.
    Check,
    /// Replace the connection: it works, but may lead to the wrong server.
    Replace,
    /// Replace the connection at once: nothing drives it any more.
    Revive,
}

/// The right to run a recovery: there is one at a time. It has to be extended.
#[derive(Debug)]
pub(crate) struct Lease {
    until: u64,
}

impl Watchdog {
    /// `lease` is for how long a recovery may go without being extended.
    pub(crate) fn new(lease: Duration) -> Self {
        Self {
            began: Instant::now(),
            lease,
            recovering: AtomicU64::new(0),
            down: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        }
    }

    /// Whether the server counts as down: commands would only wait for their timeouts.
    pub(crate) fn is_down(&self) -> bool {
        // In the usual case without a look at the clock.
        let until = self.down.load(Ordering::Relaxed);
        until != 0 && self.now() < until
    }

    /// How many commands have got no reply so far.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Records that a command failed. Returns what the recovery should do, if one is needed: the caller
    /// starts it with [`start`](Self::start). `is_stopped` says whether the task that drives the client
    /// has ended.
    pub(crate) fn record_failure(
        &self,
        class: ErrorClass,
        is_stopped: impl FnOnce() -> bool,
    ) -> Option<Recovery> {
        match class {
            ErrorClass::TimedOut | ErrorClass::Unclear => {
                self.losses.fetch_add(1, Ordering::Relaxed);
                Some(Recovery::Check)
            }
            // After a failover that left the connection open, a new one may reach the new primary.
            ErrorClass::NoPrimary => Some(Recovery::Replace),
            ErrorClass::NeverSent => is_stopped().then_some(Recovery::Revive),
            // After `CLUSTERDOWN` fred reconnects on its own. All others are replies of a server that works.
            ErrorClass::ClusterDown | ErrorClass::NotReady | ErrorClass::Final(_) => None,
        }
    }

    /// Starts a recovery, unless one is running.
    pub(crate) fn start(&self) -> Option<Lease> {
        let now = self.now();
        let current = self.recovering.load(Ordering::Acquire);
        if current > now {
            return None;
        }
        // Later than any lease before it, so that a lease is recognized by its end.
        let until = now.saturating_add(nanos(self.lease)).max(current + 1);
        let started = self.replace(current, until);
        started.then_some(Lease { until })
    }

    /// Extends a recovery. Returns `false` if it was late, and another one has started since.
    pub(crate) fn extend(&self, lease: &mut Lease) -> bool {
        let until = self.now().saturating_add(nanos(self.lease));
        let until = until.max(lease.until + 1);
        if !self.replace(lease.until, until) {
            return false;
        }
        lease.until = until;
        if self.down.load(Ordering::Relaxed) != 0 {
            self.down.store(until, Ordering::Relaxed);
        }
        true
    }

    /// Records that the server does not reply: it counts as down until the recovery ends.
    pub(crate) fn server_lost(&self, lease: &Lease) {
        self.down.store(lease.until, Ordering::Relaxed);
    }

    /// Records that the server replies again.
    pub(crate) fn server_found(&self, lease: &Lease) {
        if self.recovering.load(Ordering::Acquire) == lease.until {
            self.down.store(0, Ordering::Relaxed);
        }
    }

    /// Ends a recovery, with or without success: the next one may start.
    pub(crate) fn end(&self, lease: &Lease) {
        self.server_found(lease);
        self.replace(lease.until, 0);
    }

    fn replace(&self, current: u64, new: u64) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        self.recovering
            .compare_exchange(current, new, success, failure)
            .is_ok()
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn fails(watchdog: &Watchdog, class: ErrorClass) -> Option<Recovery> {
        watchdog.record_failure(class, || false)
    }

    #[test]
    fn a_missing_reply_is_a_loss_and_has_the_connection_checked() {
        let watchdog = Watchdog::new(HOUR);
        for (count, class) in [(1, ErrorClass::TimedOut), (2, ErrorClass::Unclear)] {
            assert_eq!(fails(&watchdog, class), Some(Recovery::Check));
            assert_eq!(watchdog.losses(), count);
        }
        assert_eq!(fails(&watchdog, ErrorClass::NotReady), None);
        assert_eq!(fails(&watchdog, ErrorClass::NeverSent), None);
        assert_eq!(watchdog.losses(), 2);
    }

    #[test]
    fn a_replica_is_replaced_and_a_stopped_client_is_revived() {
        let watchdog = Watchdog::new(HOUR);
        let replica = fails(&watchdog, ErrorClass::NoPrimary);
        assert_eq!(replica, Some(Recovery::Replace));
        let stopped = watchdog.record_failure(ErrorClass::NeverSent, || true);
        assert_eq!(stopped, Some(Recovery::Revive));
        assert!(!watchdog.is_down());
    }

    #[test]
    fn one_recovery_runs_at_a_time_and_its_end_ends_the_outage() {
        let watchdog = Watchdog::new(HOUR);
        let mut lease = watchdog.start().expect("none is running");
        assert!(watchdog.start().is_none());
        assert!(!watchdog.is_down());
        watchdog.server_lost(&lease);
        assert!(watchdog.extend(&mut lease) && watchdog.is_down());
        watchdog.end(&lease);
        assert!(!watchdog.is_down());
        assert!(watchdog.start().is_some());
    }

    #[test]
    fn a_recovery_that_is_not_extended_loses_its_right_and_the_outage_passes() {
        let watchdog = Watchdog::new(Duration::ZERO);
        let mut lost = watchdog.start().expect("none is running");
        watchdog.server_lost(&lost);
        assert!(!watchdog.is_down(), "nobody keeps it down");
        let lease = watchdog.start().expect("the other is not extended");
        assert!(!watchdog.extend(&mut lost), "another has started");
        // What is late ends nothing.
        watchdog.server_lost(&lease);
        watchdog.end(&lost);
        assert_ne!(watchdog.down.load(Ordering::Relaxed), 0);
        watchdog.end(&lease);
        assert_eq!(watchdog.down.load(Ordering::Relaxed), 0);
    }
}
