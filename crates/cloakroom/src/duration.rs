//! Durations in larger units than seconds.

use std::time::Duration;

/// Returns a duration of whole minutes: `Expiry::idle(minutes(30))`.
#[must_use]
pub const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes.saturating_mul(60))
}

/// Returns a duration of whole hours.
#[must_use]
pub const fn hours(hours: u64) -> Duration {
    minutes(hours.saturating_mul(60))
}

/// Returns a duration of whole days, of 24 hours each.
#[must_use]
pub const fn days(days: u64) -> Duration {
    hours(days.saturating_mul(24))
}
