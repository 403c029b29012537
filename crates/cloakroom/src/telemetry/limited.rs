//! Log events that are not logged for every request that meets a problem.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloakroom_core::{EntryError, SessionId, StoreError};
use tracing::{error, warn};

use super::log::{TARGET, display_chain, label};
use super::metrics;
use crate::error::{SessionError, SessionErrorKind};

/// Events that are logged once, and not for every request that meets the problem.
#[derive(Debug, Default)]
pub(crate) struct Once {
    mounted_twice: AtomicBool,
    not_published: AtomicBool,
    outside_cookie_path: AtomicBool,
    outside_cookie_domain: AtomicBool,
    cookie_refused: AtomicBool,
    /// Entries that were not of the requested type, and have been logged: their keys and the types.
    mismatches: Mutex<HashSet<(Box<str>, &'static str)>>,
    /// Sessions that could not be read or migrated, and have been logged.
    logged: Mutex<HashSet<SessionId>>,
}

impl Once {
    /// Upper bound of each set; when it is reached, the set is emptied.
    const MAX_LOGGED: usize = 1024;

    pub(crate) fn mounted_twice(&self, cookie: &str) {
        if !self.mounted_twice.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "session layer mounted twice; the inner one does nothing"
            );
        }
    }

    pub(crate) fn outside_cookie_path(&self, cookie: &str) {
        if !self.outside_cookie_path.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "page outside of the cookie's path; the session's changes are discarded; logged once"
            );
        }
    }

    pub(crate) fn outside_cookie_domain(&self, cookie: &str) {
        if !self.outside_cookie_domain.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "host outside of the cookie's Domain; browsers refuse the cookie unless a proxy replaced Host; logged once"
            );
        }
    }

    pub(crate) fn cookie_refused(&self, cookie: &str) {
        if !self.cookie_refused.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, cookie,
                "browser refuses the cookie by its Domain or as Secure; the session's changes are discarded; logged once"
            );
        }
    }

    pub(crate) fn not_published(&self, error: &StoreError) {
        metrics::failed("publish", label(&error.clone().into()));
        if !self.not_published.swap(true, Ordering::Relaxed) {
            warn!(
                target: TARGET, error = display_chain(error),
                "failed to publish an event to the other servers; logged once"
            );
        }
    }

    pub(crate) fn migration_failed(&self, id: SessionId, reason: &'static str) {
        metrics::load("migration_failed");
        if self.is_first(id) {
            error!(
                target: TARGET, session = %id, reason,
                "legacy session cannot be migrated; treated as missing, and kept"
            );
        }
    }

    pub(crate) fn unreadable(&self, id: SessionId, error: &StoreError) {
        metrics::load("unreadable");
        self.unreadable_in_list(id, error);
    }

    /// The same, where the session is not that of a request.
    pub(crate) fn unreadable_in_list(&self, id: SessionId, error: &StoreError) {
        if self.is_first(id) {
            error!(
                target: TARGET, session = %id, error = display_chain(error),
                "stored session cannot be read; treated as missing, and kept"
            );
        }
    }

    pub(crate) fn mismatch(&self, error: &EntryError, is_absent: bool) {
        let (key, type_name) = (error.key(), error.type_name());
        if !insert_bounded(&self.mismatches, (key.into(), type_name)) {
            return;
        }
        warn!(
            target: TARGET, key, type_name, is_absent, error = display_chain(error),
            "stored value is not of the requested type; logged once"
        );
    }

    fn is_first(&self, id: SessionId) -> bool {
        insert_bounded(&self.logged, id)
    }
}

/// Inserts a member into a set of bounded size. Returns whether it was not there yet.
fn insert_bounded<T: Eq + Hash>(set: &Mutex<HashSet<T>>, member: T) -> bool {
    let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
    if set.len() >= Once::MAX_LOGGED {
        set.clear();
    }
    set.insert(member)
}

/// Failures of requests. Those that an outage of the store causes are logged once in ten seconds, with the
/// number of those that were not logged.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    load: Throttle,
    save: Throttle,
}

impl Failures {
    pub(crate) fn load(&self, error: &SessionError) {
        metrics::failed("load", label(error));
        if let Some(suppressed) = passes(&self.load, error) {
            error!(
                target: TARGET, error = display_chain(error), suppressed,
                "failed to load the session"
            );
        }
    }

    pub(crate) fn save(&self, error: &SessionError) {
        if error.is_refusal() {
            return;
        }
        metrics::failed("save", label(error));
        if let Some(suppressed) = passes(&self.save, error) {
            error!(
                target: TARGET, error = display_chain(error), suppressed,
                "failed to save the session"
            );
        }
    }
}

/// Returns the number of suppressed events, if the failure is to be logged.
fn passes(throttle: &Throttle, error: &SessionError) -> Option<u64> {
    match error.kind() {
        SessionErrorKind::Unavailable
        | SessionErrorKind::OutcomeUnknown
        | SessionErrorKind::NotReplicated => throttle.passes(Instant::now()),
        _ => Some(0),
    }
}

/// How long an event is not repeated after it was logged.
const INTERVAL: Duration = Duration::from_secs(10);

/// Allows one event per ten seconds, and counts those that were not logged.
#[derive(Debug, Default)]
struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Returns how many events were suppressed since the last one that was logged, if this one is to be
    /// logged, and `None` if it is suppressed.
    fn passes(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |last| now.saturating_duration_since(last) < INTERVAL;
        if state.last.is_some_and(is_recent) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_per_interval_with_the_number_of_suppressed_ones() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.passes(start), Some(0));
        for tenth in 1..100 {
            let now = start + Duration::from_millis(100 * tenth);
            assert_eq!(throttle.passes(now), None);
        }
        assert_eq!(throttle.passes(start + INTERVAL), Some(99));
        assert_eq!(throttle.passes(start + INTERVAL), None);
        assert_eq!(throttle.passes(start + INTERVAL * 3), Some(1));
    }
}
