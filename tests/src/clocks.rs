//! Clocks that differ from that of another server.

use std::time::Duration;

use cloakroom_core::{Clock, SystemClock, Timestamp};
use tokio::time::Instant;

/// The clock of Tokio's runtime, which a test can pause, ahead of the right time by a fixed duration.
#[derive(Clone, Debug)]
pub struct TokioClock {
    start: Instant,
    at: Timestamp,
}

impl TokioClock {
    /// The right time. Clones agree.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            at: SystemClock.now(),
        }
    }

    /// A clock that is ahead of this one.
    #[must_use]
    pub fn ahead_by(&self, ahead: Duration) -> Self {
        Self {
            start: self.start,
            at: self.at.plus(ahead),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.at.plus(self.start.elapsed())
    }
}

/// The system's clock, ahead by a fixed duration.
#[derive(Clone, Copy, Debug)]
pub struct AheadClock(pub Duration);

impl Clock for AheadClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}
