//! Watches what becomes of commands: says when the connection must be made anew, and whether the
//! server is known to be down. Nothing here waits or connects.

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
    down: AtomicBool,
}

/// What a cure is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Make the connection anew.
    Reconnect,
    /// The same, until the server answers again. Until then it is known to be down.
    UntilItAnswers,
}

impl Watchdog {
    /// Whether the server is known to be down: commands would only wait for their time-outs.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// The server answered.
    pub(crate) fn saw_answer(&self) {
        // A plain load on the hot path: the line stays shared between cores.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// A command failed. The cure that must be started, if any; who gets one must start it and call
    /// [`cured`](Self::cured) when it is over, whatever came of it. `stopped` says whether nothing
    /// drives the connection any more.
    #[must_use]
    pub(crate) fn saw_failure(&self, verdict: Verdict, stopped: impl Fn() -> bool) -> Option<Cure> {
        let cure = match verdict {
            Verdict::TimedOut => {
                let timeouts = self.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
                (timeouts >= SUSPECT).then_some(Cure::UntilItAnswers)
            }
            // A failover that left the connection open: another one may lead to the new primary.
            Verdict::NoPrimary => Some(Cure::Reconnect),
            Verdict::NeverSent => stopped().then_some(Cure::UntilItAnswers),
            // fred reconnects by itself.
            Verdict::Unclear | Verdict::ClusterDown => None,
            Verdict::NotReady | Verdict::Final(_) => {
                self.saw_answer();
                None
            }
        };
        let cure = cure.filter(|_| !self.curing.swap(true, Ordering::AcqRel))?;
        if cure == Cure::UntilItAnswers {
            self.down.store(true, Ordering::Relaxed);
        }
        Some(cure)
    }

    /// The server answers again.
    pub(crate) fn is_up(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
        self.down.store(false, Ordering::Relaxed);
    }

    /// A cure is over; the next may start.
    pub(crate) fn cured(&self) {
        self.is_up();
        self.curing.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(watchdog: &Watchdog, verdict: Verdict) -> Option<Cure> {
        watchdog.saw_failure(verdict, || false)
    }

    #[test]
    fn three_time_outs_in_a_row_start_one_cure_and_mean_that_the_server_is_down() {
        let watchdog = Watchdog::default();
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None);
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None);
        watchdog.saw_answer();
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None);
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None);
        assert!(!watchdog.is_down());
        let third = fails(&watchdog, Verdict::TimedOut);
        assert_eq!(third, Some(Cure::UntilItAnswers));
        assert!(watchdog.is_down());
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None, "one at a time");
        watchdog.cured();
        assert!(!watchdog.is_down());
        assert_eq!(fails(&watchdog, Verdict::TimedOut), None, "it counts anew");
    }

    #[test]
    fn a_replica_and_a_stopped_client_are_cured_at_once() {
        let watchdog = Watchdog::default();
        assert_eq!(fails(&watchdog, Verdict::NeverSent), None);
        assert_eq!(fails(&watchdog, Verdict::NoPrimary), Some(Cure::Reconnect));
        assert!(!watchdog.is_down(), "a replica answers");
        watchdog.cured();
        let stopped = watchdog.saw_failure(Verdict::NeverSent, || true);
        assert_eq!(stopped, Some(Cure::UntilItAnswers));
    }
}
