//! How long a session lives, in the words of both sides.

use std::time::SystemTime;

use cloakroom::{Expiry, days};
use time::{Duration, OffsetDateTime};

/// "Ends when it was not used for so long". Theirs knows no other end; ours keeps one, thirty days
/// after the session began, or as late as the idle timeout asks for.
pub(crate) fn idle(idle: Duration) -> Expiry {
    let idle = unsigned(idle);
    Expiry::idle(idle).absolute(idle.max(days(30)))
}

/// "Ends then, used or not."
pub(crate) fn until(at: OffsetDateTime, now: OffsetDateTime) -> Expiry {
    let left = unsigned(at - now);
    Expiry::idle(left).absolute(left)
}

/// When a session ends, as their record wants it; two weeks from now where that is not known.
pub(crate) fn date(at: Option<SystemTime>) -> OffsetDateTime {
    match at {
        Some(at) => at.into(),
        None => OffsetDateTime::now_utc().saturating_add(Duration::weeks(2)),
    }
}

/// Less than nothing is nothing, which no session can be given.
fn unsigned(duration: Duration) -> std::time::Duration {
    duration.try_into().unwrap_or_default()
}
