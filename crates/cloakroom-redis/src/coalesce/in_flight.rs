//! Counts the commands in flight on a connection.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The number of commands in flight, including those that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct InFlight(AtomicUsize);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more command, until the guard is dropped.
    pub(crate) fn start(&self) -> InFlightGuard<'_> {
        let is_only = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        InFlightGuard {
            count: &self.0,
            is_only,
        }
    }
}

/// A command in flight.
#[derive(Debug)]
pub(crate) struct InFlightGuard<'a> {
    count: &'a AtomicUsize,
    /// Whether no other command was in flight.
    pub(crate) is_only: bool,
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
