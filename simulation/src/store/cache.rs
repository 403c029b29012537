//! A cache in front of the store, as old as the contract allows: [`Store::peek_cached`].
//!
//! [`Store::peek_cached`]: cloakroom::Store::peek_cached

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom::SessionId;
use cloakroom_core::store::Loaded;

/// The cache of one server. It keeps what was read for the whole window, and forgets what the server itself writes. It
/// grows with the sessions of a history.
#[derive(Debug)]
pub(super) struct Cache {
    /// In milliseconds.
    window: u64,
    slots: Mutex<BTreeMap<SessionId, Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// When it was read, and what.
    read: Option<(u64, Loaded)>,
    /// How often this server has begun or finished a write.
    version: u64,
    /// The writes under way.
    writing: u64,
}

impl Cache {
    pub(super) const fn new(window: u64) -> Self {
        Self {
            window,
            slots: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn peek(&self, id: SessionId, now: u64) -> Option<Loaded> {
        let slots = self.lock();
        let (read_at, loaded) = slots.get(&id)?.read.as_ref()?;
        (now < read_at + self.window).then(|| loaded.clone())
    }

    /// Before a read is sent.
    pub(super) fn version(&self, id: SessionId) -> u64 {
        self.lock().entry(id).or_default().version
    }

    /// After a read, which was sent at this time and version. A write that has overlapped it keeps it out.
    pub(super) fn insert(&self, id: SessionId, sent: u64, version: u64, loaded: &Loaded) {
        let mut slots = self.lock();
        let slot = slots.entry(id).or_default();
        if slot.version == version && slot.writing == 0 {
            slot.read = Some((sent, loaded.clone()));
        }
    }

    pub(super) fn write_begins(&self, id: SessionId) {
        let mut slots = self.lock();
        let slot = slots.entry(id).or_default();
        slot.version += 1;
        slot.writing += 1;
        slot.read = None;
    }

    /// With `is_known`, the write cannot be carried out later.
    pub(super) fn write_ends(&self, id: SessionId, is_known: bool) {
        let mut slots = self.lock();
        let slot = slots.entry(id).or_default();
        slot.version += 1;
        if is_known {
            slot.writing -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
