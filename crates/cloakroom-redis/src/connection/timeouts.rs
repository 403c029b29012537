//! Timeouts and intervals of a connection.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds of the interval of probes. Each costs a command, and no balancer is known to forget a
/// connection sooner.
const PROBE_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);

/// The bounds of the times for TCP, which systems round to seconds.
const TCP_TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// Timeouts and intervals of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a command, from the call to the reply.
    pub(crate) command: Duration,
    /// How much longer a reply may take because it waits for replicas.
    pub(crate) acks: Duration,
    /// For opening a connection, and again for its handshake.
    pub(crate) connect: Duration,
    /// How often the connection is probed with `PING`.
    pub(crate) probe: Duration,
    /// How long a connection is idle before TCP checks it; `None` never.
    pub(crate) tcp_keepalive: Option<Duration>,
    /// How long sent bytes may remain unacknowledged; `None` is the system's default.
    pub(crate) tcp_user: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_millis(250),
            acks: Duration::ZERO,
            connect: Duration::from_millis(500),
            probe: Duration::from_secs(2),
            tcp_keepalive: None,
            tcp_user: None,
        }
    }
}

impl Timeouts {
    /// The same, for a connection on which replies wait for replicas.
    pub(crate) const fn with_acks(mut self, within: Duration) -> Self {
        self.acks = within;
        self
    }

    /// # Errors
    ///
    /// Names the option whose value is out of bounds.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        if !PROBE_INTERVALS.contains(&self.probe) {
            return Err("`with_probe_interval`: must be between 100 ms and an hour");
        }
        let is_out = |time: Option<Duration>| time.is_some_and(|time| !TCP_TIMES.contains(&time));
        if is_out(self.tcp_keepalive) {
            return Err("`with_tcp_keepalive`: must be between a second and a day");
        }
        if is_out(self.tcp_user) {
            return Err("`with_tcp_user_timeout`: must be between a second and a day");
        }
        Ok(())
    }

    /// The longest time that a reply may take.
    pub(crate) const fn reply(&self) -> Duration {
        self.command.saturating_add(self.acks)
    }
}
