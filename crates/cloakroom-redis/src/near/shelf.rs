//! What is remembered of sessions, and how it is kept from being put back after it was taken away.

use std::hash::RandomState;
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::store::Loaded;
use cloakroom_core::{Record, SessionId};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

/// So many slots share all ids. Two sessions of one slot only cost each other a place on the shelf.
const SLOTS: usize = 4096;

/// More than the changes that a slot can see while one command is under way.
const ALL_CHANGED: u64 = 1 << 32;

/// What one entry of a session takes in memory beside its text: where its key and its value stand, and
/// what the allocator adds if the text is its own.
const PER_ENTRY: usize = 80;

/// What one session takes besides: its place in the cache's tables, room in its list, and what the
/// allocator adds.
const PER_SESSION: usize = 256;

/// The remembered sessions, bounded in bytes.
pub(super) struct Shelf {
    kept: Cache<SessionId, Arc<Kept>, Weight, RandomState>,
    /// Whoever puts something on the shelf does so under its slot's lock, and only if nothing changed
    /// since it was asked for.
    slots: Box<[Mutex<Slot>]>,
}

/// How often anything changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// By what Redis told.
    heard: u64,
    /// By writes of this server: as one begins and as it is kept.
    written: u64,
}

/// A session as it was found, or written.
struct Kept {
    what: Loaded,
    until: Instant,
    /// It was written by this server, and Redis has yet to tell so.
    echo_due: AtomicBool,
}

/// The state of a slot at the time when something was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(Slot);

impl Shelf {
    pub(super) fn new(bytes: u64) -> Self {
        let estimated_sessions = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).max(16);
        Self {
            kept: Cache::with(
                estimated_sessions,
                bytes,
                Weight,
                RandomState::new(),
                DefaultLifecycle::default(),
            ),
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
        }
    }

    /// What is remembered of a session, if it is not too long ago.
    pub(super) fn get(&self, id: SessionId, now: Instant) -> Option<Loaded> {
        let kept = self.kept.get(&id)?;
        (now < kept.until).then(|| kept.what.clone())
    }

    /// To be taken before something is asked of the server.
    pub(super) fn ticket(&self, id: SessionId) -> Ticket {
        Ticket(*self.slot(id))
    }

    /// Remembers what a read found, unless something changed since the ticket was taken.
    pub(super) fn keep_read(&self, id: SessionId, ticket: Ticket, what: Loaded, until: Instant) {
        let slot = self.slot(id);
        if *slot == ticket.0 && what != Loaded::Nothing {
            self.put(id, what, until, false);
        }
    }

    /// Forgets a session that is about to be written: what is remembered, and the record of it.
    pub(super) fn begin_write(&self, id: SessionId) -> (Ticket, Option<Record>) {
        let mut slot = self.slot(id);
        slot.written += 1;
        let before = self.kept.remove(&id).map(|(_, kept)| kept.what.clone());
        let record = match before {
            Some(Loaded::Record(record)) => Some(record),
            _ => None,
        };
        (Ticket(*slot), record)
    }

    /// Remembers what this server has just written. Redis tells of the write too, as of anybody's: once,
    /// before or after its answer. That message must not take away what it is about.
    ///
    /// Of writes that overlap, nobody here knows which came last.
    pub(super) fn keep_written(&self, id: SessionId, ticket: Ticket, what: Loaded, until: Instant) {
        let mut slot = self.slot(id);
        let alone = slot.written == ticket.0.written;
        let heard = slot.heard - ticket.0.heard;
        // What is being read meanwhile may be older.
        slot.written += 1;
        match heard {
            0 if alone => self.put(id, what, until, true),
            1 if alone => self.put(id, what, until, false),
            _ => drop(self.kept.remove(&id)),
        }
    }

    /// Redis tells that a session changed.
    pub(super) fn changed(&self, id: SessionId) {
        let mut slot = self.slot(id);
        slot.heard += 1;
        let echo = self
            .kept
            .peek(&id)
            .is_some_and(|kept| kept.echo_due.swap(false, Ordering::Relaxed));
        if !echo {
            self.kept.remove(&id);
        }
    }

    /// Forgets everything, also what is being asked for.
    pub(super) fn clear(&self) {
        for slot in &self.slots {
            lock(slot).heard += ALL_CHANGED;
        }
        self.kept.clear();
    }

    pub(super) fn sessions(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.weight()
    }

    fn put(&self, id: SessionId, what: Loaded, until: Instant, echo_due: bool) {
        let echo_due = AtomicBool::new(echo_due);
        let kept = Kept {
            what,
            until,
            echo_due,
        };
        self.kept.insert(id, Arc::new(kept));
    }

    fn slot(&self, id: SessionId) -> MutexGuard<'_, Slot> {
        // The last bytes of an id are random.
        let [.., high, low] = *id.as_bytes();
        let slot = usize::from(u16::from_be_bytes([high, low])) % SLOTS;
        lock(&self.slots[slot])
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Weight;

impl Weighter<SessionId, Arc<Kept>> for Weight {
    fn weight(&self, _: &SessionId, kept: &Arc<Kept>) -> u64 {
        let fixed = size_of::<Kept>() + PER_SESSION;
        let data = match &kept.what {
            Loaded::Record(record) => {
                let entries = record.entries();
                entries.text_len() + entries.len() * PER_ENTRY
            }
            Loaded::Tombstone(_) | Loaded::Nothing => 0,
        };
        (fixed + data) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_core::{EndReason, Timestamp, Tombstone};

    use super::*;

    const BYTES: u64 = 1 << 20;

    fn id() -> SessionId {
        "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap()
    }

    fn stone(millis: u64) -> Loaded {
        let at = Timestamp::from_millis(millis);
        Loaded::Tombstone(Tombstone::new(None, at, EndReason::Destroyed))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn seen(shelf: &Shelf) -> Option<Loaded> {
        shelf.get(id(), Instant::now())
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        let shelf = Shelf::new(BYTES);
        let ticket = shelf.ticket(id());
        shelf.changed(id());
        shelf.keep_read(id(), ticket, stone(1), soon());
        assert_eq!(seen(&shelf), None);
        let ticket = shelf.ticket(id());
        shelf.clear();
        shelf.keep_read(id(), ticket, stone(1), soon());
        assert_eq!(seen(&shelf), None);
        shelf.keep_read(id(), shelf.ticket(id()), stone(1), soon());
        assert_eq!(seen(&shelf), Some(stone(1)));
        shelf.changed(id());
        assert_eq!(seen(&shelf), None);
    }

    #[test]
    fn nobody_puts_an_older_read_over_a_write_of_this_server() {
        let shelf = Shelf::new(BYTES);
        let before = shelf.ticket(id());
        let (ticket, _) = shelf.begin_write(id());
        let during = shelf.ticket(id());
        shelf.keep_written(id(), ticket, stone(2), soon());
        shelf.keep_read(id(), before, stone(1), soon());
        shelf.keep_read(id(), during, stone(1), soon());
        assert_eq!(seen(&shelf), Some(stone(2)));
    }

    #[test]
    fn of_writes_that_overlap_none_is_kept() {
        let shelf = Shelf::new(BYTES);
        let (one, _) = shelf.begin_write(id());
        let (two, _) = shelf.begin_write(id());
        shelf.keep_written(id(), two, stone(2), soon());
        shelf.keep_written(id(), one, stone(1), soon());
        assert_eq!(seen(&shelf), None);
        let (one, _) = shelf.begin_write(id());
        shelf.keep_written(id(), one, stone(1), soon());
        assert_eq!(seen(&shelf), Some(stone(1)));
    }

    #[test]
    fn the_message_of_an_own_write_is_let_pass_once() {
        let shelf = Shelf::new(BYTES);
        let (ticket, _) = shelf.begin_write(id());
        shelf.keep_written(id(), ticket, stone(1), soon());
        shelf.changed(id());
        assert_eq!(seen(&shelf), Some(stone(1)));
        shelf.changed(id());
        assert_eq!(seen(&shelf), None);
    }

    #[test]
    fn a_message_that_comes_before_the_answer_is_the_writes_and_a_second_is_not() {
        let shelf = Shelf::new(BYTES);
        let (ticket, _) = shelf.begin_write(id());
        shelf.changed(id());
        shelf.keep_written(id(), ticket, stone(1), soon());
        assert_eq!(seen(&shelf), Some(stone(1)));
        shelf.changed(id());
        assert_eq!(seen(&shelf), None);
        let (ticket, _) = shelf.begin_write(id());
        shelf.changed(id());
        shelf.changed(id());
        shelf.keep_written(id(), ticket, stone(1), soon());
        assert_eq!(seen(&shelf), None);
    }

    #[test]
    fn it_is_bounded_in_bytes_and_in_time() {
        let shelf = Shelf::new(64 * 1024);
        for number in 0..10_000_u128 {
            let id = SessionId::from_bytes(
                (0x0191_e0c4_8f2a_7c3e_9b1d_u128 << 48 | number).to_be_bytes(),
            );
            let id = id.unwrap();
            shelf.keep_read(id, shelf.ticket(id), stone(1), soon());
        }
        assert!(shelf.bytes() <= 64 * 1024 && shelf.sessions() > 50);
        let late = Instant::now();
        shelf.keep_read(id(), shelf.ticket(id()), stone(1), late);
        assert_eq!(shelf.get(id(), late), None);
    }
}
