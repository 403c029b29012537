//! The arithmetic of limits, for one key. It is the same in `scripts/limits.lua`.
//!
//! A level is how much of a limit is used. For GCRA it is the time, in microseconds, until the key is unused
//! again, which passes by itself; for a fixed window it is the count of the window.

use std::time::Duration;

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// The generic cell rate algorithm: `burst` units at once, then one per interval.
    Gcra { interval_us: u64, burst: u32 },
    /// `quota` units from the first request on, until the window ends.
    FixedWindow { window_ms: u64, quota: u32 },
}

/// How much of a limit is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) used: u64,
    /// How long the key lives on, in milliseconds.
    pub(crate) ttl_ms: u64,
}

impl Algorithm {
    /// The highest level.
    pub(crate) fn capacity(self) -> u64 {
        match self {
            Self::Gcra { interval_us, burst } => interval_us * u64::from(burst),
            Self::FixedWindow { quota, .. } => u64::from(quota),
        }
    }

    /// By how much one unit raises the level.
    const fn step(self) -> u64 {
        match self {
            Self::Gcra { interval_us, .. } => interval_us,
            Self::FixedWindow { .. } => 1,
        }
    }

    /// By how much a request of this cost raises the level: at most to the highest one, since more could
    /// never be allowed.
    pub(crate) fn increment(self, cost: u32) -> u64 {
        self.step()
            .saturating_mul(u64::from(cost))
            .min(self.capacity())
    }

    /// The level after the increment, or `None` if it is refused.
    pub(crate) fn raise(self, level: Level, increment: u64) -> Option<Level> {
        let used = level.used + increment;
        if used > self.capacity() {
            return None;
        }
        let ttl_ms = match self {
            Self::Gcra { .. } => used.div_ceil(1000),
            Self::FixedWindow { window_ms, .. } if level.ttl_ms == 0 => window_ms,
            Self::FixedWindow { .. } => level.ttl_ms,
        };
        Some(Level { used, ttl_ms })
    }

    /// How many units are left.
    pub(crate) fn remaining(self, level: Level) -> u32 {
        let left = self.capacity().saturating_sub(level.used) / self.step();
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// The time until more units are available; zero if all are.
    pub(crate) fn reset(self, level: Level) -> Duration {
        match self {
            _ if level.used == 0 => Duration::ZERO,
            Self::Gcra { interval_us, .. } => {
                let next = u64::from(self.remaining(level)) + 1;
                let needed = self.capacity().saturating_sub(next * interval_us);
                Duration::from_micros(level.used.saturating_sub(needed))
            }
            Self::FixedWindow { .. } => Duration::from_millis(level.ttl_ms),
        }
    }

    /// The time until a refused increment is possible.
    pub(crate) fn retry_after(self, level: Level, increment: u64) -> Duration {
        match self {
            Self::Gcra { .. } => {
                let excess = (level.used + increment).saturating_sub(self.capacity());
                Duration::from_micros(excess)
            }
            Self::FixedWindow { .. } => Duration::from_millis(level.ttl_ms),
        }
    }

    /// The share of one of several servers: at least one unit at a time.
    pub(crate) fn divided(self, servers: u32) -> Self {
        match self {
            Self::Gcra { interval_us, burst } => Self::Gcra {
                interval_us: interval_us.saturating_mul(u64::from(servers)),
                burst: (burst / servers).max(1),
            },
            Self::FixedWindow { window_ms, quota } => Self::FixedWindow {
                window_ms,
                quota: (quota / servers).max(1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GCRA: Algorithm = Algorithm::Gcra {
        interval_us: 600_000,
        burst: 20,
    };

    /// The level after some time.
    fn later(algorithm: Algorithm, level: Level, by: Duration) -> Level {
        let whole = |time: u128| u64::try_from(time).expect("a short time");
        let (ms, us) = (whole(by.as_millis()), whole(by.as_micros()));
        match algorithm {
            Algorithm::Gcra { .. } => {
                let used = level.used.saturating_sub(us);
                Level {
                    used,
                    ttl_ms: used.div_ceil(1000),
                }
            }
            Algorithm::FixedWindow { .. } if level.ttl_ms > ms => Level {
                ttl_ms: level.ttl_ms - ms,
                ..level
            },
            Algorithm::FixedWindow { .. } => Level::default(),
        }
    }

    #[test]
    fn a_burst_is_allowed_at_once_and_then_one_per_interval() {
        let mut level = Level::default();
        for left in (0..20).rev() {
            level = GCRA.raise(level, GCRA.increment(1)).unwrap();
            assert_eq!(GCRA.remaining(level), left);
        }
        assert_eq!(GCRA.raise(level, GCRA.increment(1)), None);
        let wait = GCRA.retry_after(level, GCRA.increment(1));
        assert_eq!(wait, Duration::from_millis(600));
        assert_eq!(GCRA.reset(level), wait);
        let almost = later(GCRA, level, wait - Duration::from_micros(1));
        assert_eq!(GCRA.raise(almost, GCRA.increment(1)), None);
        let then = later(GCRA, level, wait);
        assert!(GCRA.raise(then, GCRA.increment(1)).is_some());
    }

    #[test]
    fn a_request_that_costs_more_than_the_capacity_takes_all_of_it() {
        let increment = GCRA.increment(1_000_000);
        assert_eq!(increment, GCRA.capacity());
        let level = GCRA.raise(Level::default(), increment).unwrap();
        assert_eq!(GCRA.remaining(level), 0);
    }

    #[test]
    fn a_share_is_at_least_one_unit() {
        let share = GCRA.divided(4);
        assert_eq!(share.capacity() / share.increment(1), 5);
        assert_eq!(share.increment(1), 4 * GCRA.increment(1));
        let share = GCRA.divided(100);
        assert_eq!(share.capacity(), share.increment(1));
        let window = Algorithm::FixedWindow {
            window_ms: 1000,
            quota: 10,
        };
        assert_eq!(window.divided(3).capacity(), 3);
        assert_eq!(window.divided(30).capacity(), 1);
    }

    proptest! {
        /// Whatever arrives when: in any span of time no more is allowed than the capacity and what
        /// becomes available meanwhile; and what was refused is allowed after the time that was given.
        #[test]
        fn no_more_than_capacity_and_rate_is_allowed(
            requests in prop::collection::vec((0_u64..2000, 1_u32..5), 1..200)
        ) {
            for algorithm in [GCRA, Algorithm::FixedWindow { window_ms: 9_000, quota: 20 }] {
                let (mut level, mut allowed, mut elapsed) = (Level::default(), 0_u64, 0_u64);
                for &(pause, cost) in &requests {
                    elapsed += pause;
                    level = later(algorithm, level, Duration::from_millis(pause));
                    let increment = algorithm.increment(cost);
                    if let Some(raised) = algorithm.raise(level, increment) {
                        level = raised;
                        allowed += u64::from(cost);
                    } else {
                        let wait = algorithm.retry_after(level, increment);
                        let then = later(algorithm, level, wait);
                        prop_assert!(wait > Duration::ZERO);
                        prop_assert!(algorithm.raise(then, increment).is_some());
                    }
                    let bound = match algorithm {
                        Algorithm::Gcra { .. } => 20 + elapsed / 600,
                        Algorithm::FixedWindow { .. } => 20 * (1 + elapsed / 9_000),
                    };
                    prop_assert!(allowed <= bound, "{allowed} after {elapsed} ms");
                }
            }
        }
    }
}
