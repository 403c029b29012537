//! When a session expires, as pure arithmetic: no clock is read here.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// One day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The timeouts of a session: after the last use (idle), and after creation (absolute).
///
/// Both always apply, and the server enforces both (ASVS 5.0, 7.3.1 and 7.3.2). The default is an
/// idle timeout of one day and an absolute timeout of thirty days.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_core::Expiry;
///
/// let expiry = Expiry::idle(Duration::from_secs(30 * 60)).absolute(Duration::from_secs(12 * 3600));
/// assert_eq!(expiry.idle_timeout(), Duration::from_secs(1800));
/// assert!(expiry.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    idle: Duration,
    absolute: Duration,
}

impl Expiry {
    /// The shortest timeout that can be set.
    pub const MIN: Duration = Duration::from_secs(1);

    /// The longest absolute timeout that can be set: 400 days, the limit that browsers apply to a
    /// cookie's lifetime (RFC 6265bis, section 5.5).
    pub const MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);

    /// Sets the idle timeout: a session expires when it has not been used for this long. The absolute
    /// timeout is thirty days; change it with [`absolute`](Self::absolute), which is necessary for a longer
    /// idle timeout: one that never takes effect is refused.
    #[must_use]
    pub const fn idle(idle: Duration) -> Self {
        Self {
            idle,
            absolute: Duration::from_secs(30 * DAY.as_secs()),
        }
    }

    /// Sets the absolute timeout: a session expires this long after it was created. Activity does not
    /// extend it.
    #[must_use]
    pub const fn absolute(self, absolute: Duration) -> Self {
        Self { absolute, ..self }
    }

    /// The timeouts of NIST SP 800-63B-4 for authenticator assurance level 1 (section 2.1.3): absolute
    /// thirty days. No idle timeout is required, so it is thirty days as well.
    #[must_use]
    pub const fn aal1() -> Self {
        Self::idle(Duration::from_secs(30 * DAY.as_secs()))
    }

    /// The timeouts of NIST SP 800-63B-4 for authenticator assurance level 2 (section 2.2.3): idle one
    /// hour, absolute one day.
    #[must_use]
    pub const fn aal2() -> Self {
        Self::idle(Duration::from_secs(60 * 60)).absolute(DAY)
    }

    /// The timeouts of NIST SP 800-63B-4 for authenticator assurance level 3 (section 2.3.3): idle
    /// fifteen minutes, absolute twelve hours.
    #[must_use]
    pub const fn aal3() -> Self {
        Self::idle(Duration::from_secs(15 * 60)).absolute(Duration::from_secs(12 * 60 * 60))
    }

    /// Returns the idle timeout.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    /// Returns the absolute timeout.
    #[must_use]
    pub const fn absolute_timeout(&self) -> Duration {
        self.absolute
    }

    /// Checks that these timeouts are within the limits, and that both can take effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cloakroom_core::Expiry;
    ///
    /// let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    /// // The session would end on day 30, so an idle timeout of 90 days cannot be meant.
    /// assert!(Expiry::idle(days(90)).validate().is_err());
    /// assert!(Expiry::idle(days(90)).absolute(days(90)).validate().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// If one is under a second ([`MIN`](Self::MIN)), the absolute one over 400 days ([`MAX`](Self::MAX)), or
    /// the idle one longer than the absolute one.
    pub fn validate(&self) -> Result<(), ExpiryError> {
        let too_short = self.idle < Self::MIN || self.absolute < Self::MIN;
        if too_short || self.absolute > Self::MAX || self.idle > self.absolute {
            return Err(ExpiryError { expiry: *self });
        }
        Ok(())
    }
}

impl Default for Expiry {
    fn default() -> Self {
        Self::idle(DAY)
    }
}

/// Timeouts that are too short or too long, or an idle timeout that is longer than the absolute one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryError {
    expiry: Expiry,
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Expiry { idle, absolute } = self.expiry;
        write!(
            f,
            "invalid session timeouts (idle {idle:?}, absolute {absolute:?}): "
        )?;
        f.write_str(if idle < Expiry::MIN || absolute < Expiry::MIN {
            "both must be at least 1s"
        } else if absolute > Expiry::MAX {
            "the absolute one must be at most 400 days"
        } else {
            "the idle one is longer than the absolute one, so it would never take effect: set the absolute \
             one with `Expiry::absolute`"
        })
    }
}

impl Error for ExpiryError {}

/// The idle timeout and the deadline of one session, as its record holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    idle: Duration,
    deadline: Timestamp,
    chosen: bool,
}

impl Limits {
    /// How much the clocks of servers may differ before one of them takes a session for expired that
    /// another has just used. It is added to the idle timeout, except in the store's own TTL, which is
    /// relative.
    pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

    /// Creates the limits of a session that is created now, with the timeouts of the session layer.
    #[must_use]
    pub fn begin(expiry: Expiry, now: Timestamp) -> Self {
        let idle = expiry.idle.min(Expiry::MAX);
        Self::from_parts(idle, now.plus(expiry.absolute), false)
    }

    /// Creates the limits of a session that is created now, with timeouts chosen for this session
    /// ("remember me"). Later changes of the layer's timeouts do not affect it.
    #[must_use]
    pub fn chosen(expiry: Expiry, now: Timestamp) -> Self {
        Self {
            chosen: true,
            ..Self::begin(expiry, now)
        }
    }

    /// Creates limits as a record holds them. The idle timeout is rounded down to whole milliseconds and
    /// capped at 48 bits of them.
    #[must_use]
    pub fn from_parts(idle: Duration, deadline: Timestamp, chosen: bool) -> Self {
        let idle = Timestamp::from_millis(0).plus(idle);
        Self {
            idle: Duration::from_millis(idle.as_millis()),
            deadline,
            chosen,
        }
    }

    /// Returns the limits under the layer's current timeouts, for a session that was created at
    /// `created`: the idle timeout of `rule`, and the earlier one of the two deadlines. So a stricter
    /// configuration takes effect at once. Limits that were chosen for the session stay as they are.
    #[must_use]
    pub fn clamped_to(self, rule: Expiry, created: Timestamp) -> Self {
        if self.chosen {
            return self;
        }
        let present = Self::begin(rule, created);
        Self {
            deadline: self.deadline.min(present.deadline),
            ..present
        }
    }

    /// Returns these limits with a deadline no later than `latest`.
    #[must_use]
    pub fn capped_at(self, latest: Timestamp) -> Self {
        Self {
            deadline: self.deadline.min(latest),
            ..self
        }
    }

    /// Returns the idle timeout.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// Returns the absolute deadline.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Returns whether the limits were chosen for this session.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Returns the TTL of a session that is used now: the idle timeout, or the time to the deadline if
    /// that is shorter. `None` if the deadline has passed; never zero, which is not a valid TTL.
    #[must_use]
    pub fn ttl(&self, now: Timestamp) -> Option<Duration> {
        let ttl = self.idle.min(self.deadline.since(now));
        (!ttl.is_zero()).then_some(ttl)
    }

    /// Returns when a session expires that was last used at `seen`.
    #[must_use]
    pub fn expires_at(&self, seen: Timestamp) -> Timestamp {
        self.deadline.min(seen.plus(self.idle))
    }

    /// Returns whether a session that was last used at `seen` has expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp, seen: Timestamp) -> bool {
        now >= self.deadline || now.since(seen) >= self.idle + Self::CLOCK_TOLERANCE
    }

    /// Returns whether last-seen should be updated: only if it is at least a tenth of the idle timeout
    /// old, or comes from a clock that was ahead by more than [`CLOCK_TOLERANCE`](Self::CLOCK_TOLERANCE). So
    /// an unused session expires after 0.9 to 1.0 of its idle timeout.
    #[must_use]
    pub fn touch_due(&self, now: Timestamp, seen: Timestamp) -> bool {
        now.since(seen) >= self.idle / 10 || seen.since(now) > Self::CLOCK_TOLERANCE
    }
}
