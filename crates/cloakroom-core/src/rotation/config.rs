//! How often secrets are replaced.

use std::time::Duration;

/// How often the secret of a session is replaced.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_core::rotation::Rotation;
///
/// let rotation = Rotation::every(Duration::from_secs(15 * 60));
/// assert_eq!(rotation.grace_period(), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    every: Duration,
    grace: Duration,
}

impl Rotation {
    /// Replaces a secret when a request presents it and it is older than `every`. The grace period is one
    /// minute; change it with [`grace`](Self::grace).
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self {
            every,
            grace: Duration::from_secs(60),
        }
    }

    /// Sets how long the previous secret stays valid after the new one was presented first. The default is
    /// one minute. `SessionLayer` refuses less than [`Limits::CLOCK_TOLERANCE`], five seconds: with servers
    /// whose clocks differ, a request that is not late would count as reuse.
    ///
    /// [`Limits::CLOCK_TOLERANCE`]: crate::Limits::CLOCK_TOLERANCE
    #[must_use]
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Returns the age at which a secret is replaced.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.every
    }

    /// Returns how long the previous secret stays valid.
    #[must_use]
    pub const fn grace_period(&self) -> Duration {
        self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_grace_period_are_those_that_were_set() {
        let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
        let rotation = Rotation::every(minute * 3).grace(second * 7);
        assert_eq!(rotation.interval(), minute * 3);
        assert_eq!(rotation.grace_period(), second * 7);
        assert_eq!(Rotation::every(second).grace_period(), minute);
    }
}
