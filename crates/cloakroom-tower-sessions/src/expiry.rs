//! Conversions between the expiry of tower-sessions and of Cloakroom.

use std::time::SystemTime;

use cloakroom::{Expiry, days};
use time::{Duration, OffsetDateTime};

/// Converts `OnInactivity`. The absolute timeout, which tower-sessions does not have, is thirty days, or the
/// idle timeout if that is longer.
pub(crate) fn idle(idle: Duration) -> Expiry {
    let idle = unsigned(idle);
    Expiry::idle(idle).absolute(idle.max(days(30)))
}

/// Converts `AtDateTime`.
pub(crate) fn until(at: OffsetDateTime, now: OffsetDateTime) -> Expiry {
    let left = unsigned(at - now);
    Expiry::idle(left).absolute(left)
}

/// Converts the time at which a session expires. If it is not known, the result is two weeks from now, the
/// default of tower-sessions.
pub(crate) fn date(at: Option<SystemTime>) -> OffsetDateTime {
    match at {
        Some(at) => at.into(),
        None => OffsetDateTime::now_utc().saturating_add(Duration::weeks(2)),
    }
}

/// Converts a negative duration to zero, which is not a valid timeout.
fn unsigned(duration: Duration) -> std::time::Duration {
    duration.try_into().unwrap_or_default()
}
