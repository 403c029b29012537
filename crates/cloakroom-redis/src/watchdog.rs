//! Watches what becomes of commands, and says when the connection must be made anew. Nothing here
//! waits or connects.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::verdict::Verdict;

/// So many time-outs with no answer between make a connection suspect. fred's own check for
/// unresponsive connections does not see them on a busy one: every write resets it.
const SUSPECT: u32 = 3;

/// Counts time-outs, and lets one cure run at a time.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    timeouts: AtomicU32,
    curing: AtomicBool,
}

impl Watchdog {
    /// The server answered.
    pub(crate) fn saw_answer(&self) {
        // A plain load on the hot path: the line stays shared between cores.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// A command failed. Whether a cure must be started; who gets `true` must start it and call
    /// [`cured`](Self::cured) when it is over, whatever came of it. `stopped` says whether nothing
    /// drives the connection any more.
    #[must_use]
    pub(crate) fn saw_failure(&self, verdict: Verdict, stopped: impl Fn() -> bool) -> bool {
        let suspect = match verdict {
            Verdict::TimedOut => self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= SUSPECT,
            // A failover that left the connection open: another one may lead to the new primary.
            Verdict::NoPrimary => true,
            Verdict::NeverSent => stopped(),
            // fred reconnects by itself.
            Verdict::Unclear | Verdict::ClusterDown => false,
            Verdict::NotReady | Verdict::Final(_) => {
                self.saw_answer();
                false
            }
        };
        suspect && !self.curing.swap(true, Ordering::AcqRel)
    }

    /// A cure is over; the next may start.
    pub(crate) fn cured(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
        self.curing.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(watchdog: &Watchdog, verdict: Verdict) -> bool {
        watchdog.saw_failure(verdict, || false)
    }

    #[test]
    fn three_time_outs_in_a_row_start_one_cure() {
        let watchdog = Watchdog::default();
        assert!(!fails(&watchdog, Verdict::TimedOut));
        assert!(!fails(&watchdog, Verdict::TimedOut));
        watchdog.saw_answer();
        assert!(!fails(&watchdog, Verdict::TimedOut));
        assert!(!fails(&watchdog, Verdict::TimedOut));
        assert!(fails(&watchdog, Verdict::TimedOut));
        assert!(!fails(&watchdog, Verdict::TimedOut), "one at a time");
        watchdog.cured();
        assert!(!fails(&watchdog, Verdict::TimedOut), "it counts anew");
    }

    #[test]
    fn a_replica_and_a_stopped_client_are_cured_at_once() {
        let watchdog = Watchdog::default();
        assert!(!fails(&watchdog, Verdict::NeverSent));
        assert!(fails(&watchdog, Verdict::NoPrimary));
        watchdog.cured();
        assert!(watchdog.saw_failure(Verdict::NeverSent, || true));
    }
}
