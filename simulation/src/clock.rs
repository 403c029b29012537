//! Virtual time.

use std::time::Duration;

use cloakroom::{Clock, Timestamp};
use tokio::time::Instant;

/// When every simulation begins, so that ids and the trace do not depend on the real time: 1 January 2026.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A clock that follows the time of tokio's runtime, ahead of the right time or behind it.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    start: Instant,
    begin: Timestamp,
    ahead_millis: i64,
}

impl SimClock {
    /// Creates the right clock, which shows `begin` now.
    #[must_use]
    pub fn start(begin: Timestamp) -> Self {
        Self {
            start: Instant::now(),
            begin,
            ahead_millis: 0,
        }
    }

    /// Returns a clock that is ahead of this one by so many milliseconds, or behind it if the number is negative.
    #[must_use]
    pub const fn ahead_by(mut self, millis: i64) -> Self {
        self.ahead_millis = millis;
        self
    }

    /// Returns the milliseconds since the start, by the right clock.
    #[must_use]
    pub fn elapsed(&self) -> u64 {
        as_millis(self.start.elapsed())
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let right = self.begin.as_millis() + self.elapsed();
        Timestamp::from_millis(right.saturating_add_signed(self.ahead_millis))
    }
}

pub(crate) fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
