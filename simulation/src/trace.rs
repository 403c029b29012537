//! What has happened in a history, as text: each command of the store and each request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom::SessionId;

/// Numbers of sessions, in the order in which they were first seen, and the lines of the trace, if it is recorded.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sessions: BTreeMap<SessionId, u32>,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Creates a trace that records lines, or only numbers sessions.
    #[must_use]
    pub fn new(records: bool) -> Self {
        let lines = records.then(Vec::new);
        Self(Mutex::new(Inner {
            lines,
            ..Inner::default()
        }))
    }

    /// Returns the number of a session.
    #[must_use]
    pub fn session(&self, id: SessionId) -> u32 {
        let mut inner = self.lock();
        let next = u32::try_from(inner.sessions.len()).unwrap_or(u32::MAX);
        *inner.sessions.entry(id).or_insert(next)
    }

    /// Adds a line, if the trace is recorded. The text is not made otherwise.
    pub fn add(&self, millis: u64, text: impl FnOnce() -> String) {
        if self.lock().lines.is_none() {
            return;
        }
        let text = text();
        if let Some(lines) = &mut self.lock().lines {
            lines.push(format!("{:>7}.{:03} {text}", millis / 1000, millis % 1000));
        }
    }

    /// Returns the recorded lines, and leaves none.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        let mut inner = self.lock();
        inner.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
