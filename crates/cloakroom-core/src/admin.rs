//! Operations on all sessions of a store: the contract of an administration interface.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;

/// Operations on all sessions of a store, of any user or none.
///
/// They are what ending all sessions at once needs: the time before which sessions are revoked, which takes
/// effect at once and also applies to sessions that a backup restores, and the ids of all sessions, to remove
/// them. The suite `cloakroom_core::conformance::admin` tests an implementation.
pub trait StoreAdmin: Send + Sync {
    /// Returns the ids of some sessions and tombstones in the store, in no particular order, and where the next page
    /// starts: with `None`, the first ones. Over all pages, each one that is in the store all the time is returned at least
    /// once. A page has about a thousand ids at most, and may have none and still a next page.
    ///
    /// It fails with [`Unavailable`](StoreErrorKind::Unavailable) if the store has changed so that the scan cannot be
    /// continued: start again.
    fn scan_ids(
        &self,
        from: Option<&ScanCursor>,
    ) -> impl Future<Output = Result<ScanPage, StoreError>> + Send;

    /// Returns the time before which all sessions are revoked: sessions created earlier are invalid. The Unix
    /// epoch, if it was never set.
    fn revoked_before(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Revokes all sessions created before `delay` from now, by the store's own clock: those of servers may
    /// be wrong. Remembers that time for `keep`, and returns it.
    ///
    /// If a later time is set already, that one stays and is returned, unless it is more than
    /// [`MAX_AHEAD`] after the store's present time plus `delay`: a clock was wrong when it was set, and it
    /// would keep everybody from signing in. Such a time is replaced.
    ///
    /// A delay of more than [`MAX_AHEAD`] fails with [`Refused`](crate::StoreErrorKind::Refused), and nothing
    /// is set.
    fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;
}

/// A page of [`StoreAdmin::scan_ids`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPage {
    /// Ids of sessions and tombstones.
    pub ids: Vec<SessionId>,
    /// Where the next page starts; `None` if this is the last one.
    pub next: Option<ScanCursor>,
}

/// Where a page of [`StoreAdmin::scan_ids`] starts. Only the store that returned it knows what its text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanCursor(String);

impl ScanCursor {
    /// Creates a cursor, for the implementations.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// Returns the text of the cursor.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the text of the cursor, for the implementations.
    ///
    /// # Errors
    ///
    /// [`Refused`](StoreErrorKind::Refused), if the text is of another form: the cursor is one of another store.
    pub fn parse<T: FromStr>(&self) -> Result<T, StoreError> {
        let parsed = self.0.parse();
        parsed.map_err(|_| {
            let text = "the cursor of the scan is not one of this store";
            StoreError::with_source(StoreErrorKind::Refused, text)
        })
    }
}

/// How far in the future the time before which sessions are revoked may be. A later one was set by a clock that
/// was wrong.
pub const MAX_AHEAD: Duration = Duration::from_secs(60);

/// Returns the time that [`StoreAdmin::set_revoked_before`] has to set, for the implementations: by `now`, the
/// store's clock, and by the time that is set already.
///
/// # Errors
///
/// [`Refused`](StoreErrorKind::Refused), if `delay` is more than [`MAX_AHEAD`].
pub fn next_revoked_before(
    now: Timestamp,
    delay: Duration,
    previous: Option<Timestamp>,
) -> Result<Timestamp, StoreError> {
    if delay > MAX_AHEAD {
        return Err(StoreError::with_source(
            StoreErrorKind::Refused,
            "sessions cannot be revoked from a time that far in the future",
        ));
    }
    let at = now.plus(delay);
    let plausible = previous.filter(|previous| *previous <= at.plus(MAX_AHEAD));
    Ok(plausible.map_or(at, |previous| previous.max(at)))
}

impl<A: StoreAdmin> StoreAdmin for &A {
    fn scan_ids(
        &self,
        from: Option<&ScanCursor>,
    ) -> impl Future<Output = Result<ScanPage, StoreError>> + Send {
        (**self).scan_ids(from)
    }

    fn revoked_before(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        (**self).revoked_before()
    }

    fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        (**self).set_revoked_before(delay, keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_cursor_keeps_its_text_and_one_of_another_store_is_refused() {
        let cursor = ScanCursor::new(17_u64);
        assert_eq!(cursor.as_str(), "17");
        assert_eq!(cursor.parse::<u64>().unwrap(), 17);
        let error = ScanCursor::new("17-3").parse::<u64>().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
    }

    #[test]
    fn revoked_before_moves_forward_only_and_a_time_far_ahead_is_replaced() {
        let next = |seconds, previous| {
            next_revoked_before(at(1_000), Duration::from_secs(seconds), previous)
        };
        assert_eq!(next(0, None).unwrap(), at(1_000));
        assert_eq!(next(60, None).unwrap(), at(1_060));
        let too_far = next_revoked_before(at(1_000), MAX_AHEAD + Duration::from_millis(1), None);
        assert_eq!(too_far.unwrap_err().kind(), StoreErrorKind::Refused);
        assert_eq!(next(5, Some(at(900))).unwrap(), at(1_005));
        assert_eq!(next(5, Some(at(1_065))).unwrap(), at(1_065));
        // It was set by a clock that was wrong.
        assert_eq!(next(5, Some(at(1_066))).unwrap(), at(1_005));
    }
}
