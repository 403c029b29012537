//! The history of sessions that several servers change, and what a read may return given that history.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloakroom_core::SessionId;
use cloakroom_core::store::Loaded;

use crate::records::number;

/// A fixed number of slots, each with one session at a time, whose number only grows.
#[derive(Debug)]
pub struct History {
    window: Duration,
    sessions: Vec<Mutex<Tracked>>,
    flush: Mutex<LastFlush>,
}

/// The last flush of all sessions. A slot is locked before this.
#[derive(Debug, Default)]
struct LastFlush {
    is_running: bool,
    finished: Option<Instant>,
}

impl LastFlush {
    /// Whether it may have removed a session whose creation was started at this time.
    fn may_have_removed(&self, created: Instant) -> bool {
        self.is_running || self.finished.is_some_and(|finished| created <= finished)
    }
}

/// One session.
#[derive(Debug)]
struct Tracked {
    id: SessionId,
    began: Instant,
    /// The acknowledged writes: time, server, number.
    written: Vec<(Instant, usize, u64)>,
    numbers: BTreeSet<u64>,
    /// Since when it may be gone.
    may_be_gone: Option<Instant>,
    /// A task is about to replace it.
    claimed: bool,
    /// Since when it must be gone, and the server that ended it; `None` for all servers.
    gone: Option<(Instant, Option<usize>)>,
}

impl Tracked {
    fn new(id: SessionId) -> Self {
        Self {
            id,
            began: Instant::now(),
            written: Vec::new(),
            numbers: BTreeSet::new(),
            may_be_gone: None,
            claimed: false,
            gone: None,
        }
    }
}

impl History {
    /// A history of these sessions, where a read may be as old as `window`.
    #[must_use]
    pub fn new(ids: &[SessionId], window: Duration) -> Self {
        let slot = |id: &SessionId| Mutex::new(Tracked::new(*id));
        Self {
            window,
            sessions: ids.iter().map(slot).collect(),
            flush: Mutex::default(),
        }
    }

    /// The number of slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The session in a slot.
    #[must_use]
    pub fn id(&self, slot: usize) -> SessionId {
        self.slot(slot).id
    }

    /// Whether the caller is the first to see that the session has ended, and must replace it.
    #[must_use]
    pub fn claim(&self, slot: usize, id: SessionId) -> bool {
        let mut slot = self.slot(slot);
        slot.id == id && !std::mem::replace(&mut slot.claimed, true)
    }

    /// Replaces an ended session by a new one, whose creation was started at `created`. A flush since then
    /// may have removed it.
    pub fn replace(&self, slot: usize, new: SessionId, created: Instant) {
        let mut slot = self.slot(slot);
        *slot = Tracked::new(new);
        if self.flush().may_have_removed(created) {
            slot.may_be_gone = Some(created);
        }
    }

    /// Records an acknowledged write.
    ///
    /// # Panics
    ///
    /// When another write with the same number was acknowledged: that update is lost.
    pub fn record_write(&self, slot: usize, id: SessionId, server: usize, number: u64) {
        let mut slot = self.slot(slot);
        if slot.id == id {
            assert!(slot.numbers.insert(number), "{id}: an update is lost");
            slot.written.push((Instant::now(), server, number));
        }
    }

    /// Records that the session is about to be ended.
    pub fn record_end_started(&self, slot: usize, id: SessionId) {
        let mut slot = self.slot(slot);
        if slot.id == id {
            slot.may_be_gone.get_or_insert_with(Instant::now);
        }
    }

    /// Records an acknowledged end of the session.
    pub fn record_end(&self, slot: usize, id: SessionId, server: usize) {
        let mut slot = self.slot(slot);
        if slot.id == id {
            slot.gone.get_or_insert((Instant::now(), Some(server)));
        }
    }

    /// Records that all sessions are about to be flushed, and returns the time.
    #[must_use]
    pub fn record_flush_started(&self) -> Instant {
        // First: a session that is put into a slot from here on may be gone.
        self.flush().is_running = true;
        for slot in 0..self.sessions.len() {
            self.slot(slot).may_be_gone.get_or_insert_with(Instant::now);
        }
        Instant::now()
    }

    /// Records a flush: older sessions are gone, and those created during the flush may be.
    pub fn record_flush(&self, since: Instant) {
        *self.flush() = LastFlush {
            is_running: false,
            finished: Some(Instant::now()),
        };
        for slot in 0..self.sessions.len() {
            let mut slot = self.slot(slot);
            if slot.began < since {
                slot.gone = slot.gone.or(Some((Instant::now(), None)));
            } else {
                slot.may_be_gone = slot.may_be_gone.or(Some(since));
            }
        }
    }

    /// Checks what a request on `server`, started at `began`, read of a session.
    ///
    /// # Panics
    ///
    /// When the history does not allow it.
    pub fn check(&self, slot: usize, id: SessionId, server: usize, began: Instant, saw: &Loaded) {
        let slot = self.slot(slot);
        if slot.id != id {
            return;
        }
        let outside_window = |at: Instant, by: Option<usize>| {
            let window = if by == Some(server) {
                Duration::ZERO
            } else {
                self.window
            };
            at + window <= began
        };
        match saw {
            Loaded::Record(record) => {
                let over = slot.gone.is_some_and(|(at, by)| outside_window(at, by));
                assert!(!over, "{id}: alive, {:?} after its end", since(slot.gone));
                let number = number(record);
                for &(at, by, newer) in &slot.written {
                    let missed = newer > number && outside_window(at, Some(by));
                    assert!(
                        !missed,
                        "{id}: {number} seen at {server}, and {newer} was written at {by} {:?} before",
                        began - at
                    );
                }
            }
            Loaded::Tombstone(_) | Loaded::Nothing => {
                assert!(slot.may_be_gone.is_some(), "{id}: gone, but never ended");
            }
        }
    }

    /// The acknowledged numbers of a session, and whether it must still exist.
    #[must_use]
    pub fn acknowledged(&self, slot: usize) -> (SessionId, BTreeSet<u64>, bool) {
        let slot = self.slot(slot);
        let there = slot.may_be_gone.is_none() && slot.gone.is_none();
        (slot.id, slot.numbers.clone(), there)
    }

    fn flush(&self) -> MutexGuard<'_, LastFlush> {
        self.flush.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, slot: usize) -> MutexGuard<'_, Tracked> {
        let slot = self.sessions[slot].lock();
        slot.unwrap_or_else(PoisonError::into_inner)
    }
}

fn since(gone: Option<(Instant, Option<usize>)>) -> Option<Duration> {
    gone.map(|(at, _)| at.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::session;

    const WINDOW: Duration = Duration::from_secs(1);

    fn history() -> (History, SessionId) {
        let (id, _) = session(1);
        (History::new(&[id], WINDOW), id)
    }

    /// Whether the history allows that a session is gone.
    fn may_be_gone(history: &History, id: SessionId) -> bool {
        let check = || history.check(0, id, 0, Instant::now(), &Loaded::Nothing);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_ok()
    }

    #[test]
    fn a_session_that_is_replaced_during_a_flush_may_be_gone() {
        let (history, id) = history();
        assert!(!may_be_gone(&history, id));
        let since = history.record_flush_started();
        assert!(may_be_gone(&history, id));
        let (new, _) = session(1);
        history.replace(0, new, Instant::now());
        assert!(may_be_gone(&history, new));
        history.record_flush(since);
        assert!(may_be_gone(&history, new));
    }

    #[test]
    fn a_session_that_was_created_before_a_flush_and_recorded_after_it_may_be_gone() {
        let (history, _) = history();
        let (new, _) = session(1);
        let created = Instant::now();
        let since = history.record_flush_started();
        history.record_flush(since);
        history.replace(0, new, created);
        assert!(may_be_gone(&history, new));
        let (newer, _) = session(1);
        history.replace(0, newer, Instant::now());
        assert!(!may_be_gone(&history, newer));
    }
}
