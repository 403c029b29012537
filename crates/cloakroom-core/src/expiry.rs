//! When a session is over, as pure arithmetic: no clock is read here.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a session lives without use (idle), and how long at most (absolute).
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
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// The longest absolute timeout that can be set: 400 days, to which browsers cut a cookie's
    /// life (RFC 6265bis, section 5.5).
    pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

    /// A session ends when it was not used for this long; and thirty days after it began, unless
    /// [`absolute`](Self::absolute) says otherwise.
    #[must_use]
    pub const fn idle(idle: Duration) -> Self {
        Self {
            idle,
            absolute: Duration::from_secs(30 * DAY.as_secs()),
        }
    }

    /// A session ends this long after it began, used or not. No activity moves this deadline.
    #[must_use]
    pub const fn absolute(self, absolute: Duration) -> Self {
        Self { absolute, ..self }
    }

    /// What NIST SP 800-63B-4 says for authenticator assurance level 1 (section 2.1.3): thirty days at
    /// most, and no idle timeout is asked for; so both are thirty days.
    #[must_use]
    pub const fn aal1() -> Self {
        Self::idle(Duration::from_secs(30 * DAY.as_secs()))
    }

    /// What NIST SP 800-63B-4 says for authenticator assurance level 2 (section 2.2.3): an hour
    /// without use, a day at most.
    #[must_use]
    pub const fn aal2() -> Self {
        Self::idle(Duration::from_secs(60 * 60)).absolute(DAY)
    }

    /// What NIST SP 800-63B-4 says for authenticator assurance level 3 (section 2.3.3): fifteen
    /// minutes without use, twelve hours at most.
    #[must_use]
    pub const fn aal3() -> Self {
        Self::idle(Duration::from_secs(15 * 60)).absolute(Duration::from_secs(12 * 60 * 60))
    }

    /// The idle timeout.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    /// The absolute timeout.
    #[must_use]
    pub const fn absolute_timeout(&self) -> Duration {
        self.absolute
    }

    /// Tells whether these timeouts can be kept.
    ///
    /// # Errors
    ///
    /// When one is under a second, or the absolute one over 400 days.
    pub fn validate(&self) -> Result<(), ExpiryError> {
        let too_short = self.idle < Self::SHORTEST || self.absolute < Self::SHORTEST;
        if too_short || self.absolute > Self::LONGEST {
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

/// Timeouts that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryError {
    expiry: Expiry,
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an idle timeout of {:?} with an absolute timeout of {:?} cannot be kept: \
             both must be at least 1s, and the absolute one at most 400 days",
            self.expiry.idle, self.expiry.absolute
        )
    }
}

impl Error for ExpiryError {}

/// The limits of one session's life, as its record holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    idle: Duration,
    deadline: Timestamp,
    chosen: bool,
}

impl Limits {
    /// By how much the clocks of servers may differ before one takes a session for idle too long
    /// that another has just used. The store's own TTL, which is relative, knows no such slack.
    pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

    /// A life that begins now, by the rule of the whole app.
    #[must_use]
    pub fn begin(expiry: Expiry, now: Timestamp) -> Self {
        let idle = expiry.idle.min(Expiry::LONGEST);
        Self::from_parts(idle, now.plus(expiry.absolute), false)
    }

    /// A life that begins now, by a rule chosen for this session ("remember me"); a later change of
    /// the app's rule does not touch it.
    #[must_use]
    pub fn chosen(expiry: Expiry, now: Timestamp) -> Self {
        Self {
            chosen: true,
            ..Self::begin(expiry, now)
        }
    }

    /// Limits as a record holds them: the idle timeout in 48 bits of whole milliseconds.
    #[must_use]
    pub fn from_parts(idle: Duration, deadline: Timestamp, chosen: bool) -> Self {
        let idle = Timestamp::from_millis(0).plus(idle);
        Self {
            idle: Duration::from_millis(idle.as_millis()),
            deadline,
            chosen,
        }
    }

    /// These limits under the app's present rule, for a session that was created at `created`: the
    /// rule's idle timeout, and the earlier deadline. So a stricter configuration takes effect at
    /// once. Limits that were chosen for the session stay.
    #[must_use]
    pub fn under(self, rule: Expiry, created: Timestamp) -> Self {
        if self.chosen {
            return self;
        }
        let present = Self::begin(rule, created);
        Self {
            deadline: self.deadline.min(present.deadline),
            ..present
        }
    }

    /// These limits, with a deadline no later than `latest`.
    #[must_use]
    pub fn until(self, latest: Timestamp) -> Self {
        Self {
            deadline: self.deadline.min(latest),
            ..self
        }
    }

    /// How long the session lives without use.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// When the session is over, used or not.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Whether the limits were chosen for this session.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// The TTL for a session used now: the idle timeout, or what is left to the deadline. `None`
    /// once that has passed; never zero, which no store can keep.
    #[must_use]
    pub fn ttl(&self, now: Timestamp) -> Option<Duration> {
        let ttl = self.idle.min(self.deadline.since(now));
        (!ttl.is_zero()).then_some(ttl)
    }

    /// When a session that was used at `seen` and not since is over.
    #[must_use]
    pub fn expires_at(&self, seen: Timestamp) -> Timestamp {
        self.deadline.min(seen.plus(self.idle))
    }

    /// Whether a session last used at `seen` is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp, seen: Timestamp) -> bool {
        now >= self.deadline || now.since(seen) >= self.idle + Self::CLOCK_TOLERANCE
    }

    /// Whether a use now should be written down: only when at least a tenth of the idle timeout
    /// lies behind the last one that was. So a session lives 0.9 to 1.0 of its idle timeout.
    #[must_use]
    pub fn touch_due(&self, now: Timestamp, seen: Timestamp) -> bool {
        now.since(seen) >= self.idle / 10
    }
}
