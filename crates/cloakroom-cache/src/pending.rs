//! Changes that could not be stored, to be sent again.

use std::collections::HashMap;

use crate::hash::KeyHash;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// How many keys wait at most. If there are more, everything is forgotten instead.
const MAX_PENDING: usize = 10_000;

/// The keys that this process still has to forget.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Spares reads the lock.
    is_used: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each key with the number of the change.
    keys: HashMap<KeyHash, u64>,
    all: Option<u64>,
    changes: u64,
}

/// What has to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Key(KeyHash),
    All,
}

impl Pending {
    pub(crate) fn add(&self, change: Change) {
        let mut state = self.lock();
        state.changes += 1;
        let number = state.changes;
        match change {
            Change::Key(key) if state.all.is_none() && state.keys.len() < MAX_PENDING => {
                state.keys.insert(key, number);
            }
            Change::Key(_) | Change::All => {
                state.keys = HashMap::new();
                state.all = Some(number);
            }
        }
        self.is_used.store(true, Ordering::Release);
    }

    /// Whether what is stored for the key may be from before a change.
    pub(crate) fn contains(&self, key: KeyHash) -> bool {
        if self.is_empty() {
            return false;
        }
        let state = self.lock();
        state.all.is_some() || state.keys.contains_key(&key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_used.load(Ordering::Acquire)
    }

    /// Returns a change to send, and its number.
    pub(crate) fn next(&self) -> Option<(Change, u64)> {
        let state = self.lock();
        if let Some(number) = state.all {
            return Some((Change::All, number));
        }
        let (key, number) = state.keys.iter().next()?;
        Some((Change::Key(*key), *number))
    }

    /// Removes a change that was sent. One of the same key that was added while it was sent stays: its caller may
    /// have changed the record after the command was executed.
    pub(crate) fn remove(&self, change: Change, added: u64) {
        let mut state = self.lock();
        match change {
            Change::Key(key) => {
                if state.keys.get(&key) == Some(&added) {
                    state.keys.remove(&key);
                }
            }
            Change::All => {
                if state.all == Some(added) {
                    state.all = None;
                }
            }
        }
        self.is_used.store(
            state.all.is_some() || !state.keys.is_empty(),
            Ordering::Release,
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::KeyHasher;

    fn key(number: usize) -> KeyHash {
        KeyHasher::new(b"secret", "test").hash(&number)
    }

    #[test]
    fn a_change_that_is_added_while_another_one_of_its_key_is_sent_stays() {
        let pending = Pending::default();
        pending.add(Change::Key(key(1)));
        let (change, number) = pending.next().unwrap();
        pending.add(Change::Key(key(1)));
        pending.remove(change, number);
        assert!(pending.contains(key(1)) && !pending.contains(key(2)));
        let (change, number) = pending.next().unwrap();
        pending.remove(change, number);
        assert!(pending.is_empty() && pending.next().is_none());
    }

    #[test]
    fn many_changes_become_one() {
        let pending = Pending::default();
        for number in 0..=MAX_PENDING {
            pending.add(Change::Key(key(number)));
        }
        assert!(pending.contains(key(MAX_PENDING + 1)));
        let (change, number) = pending.next().unwrap();
        assert_eq!(change, Change::All);
        assert!(pending.lock().keys.is_empty());
        pending.remove(change, number);
        assert!(pending.is_empty());
    }
}
