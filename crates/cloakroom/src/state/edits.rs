//! Reads and edits of entries. Each edit changes the working copy, and is recorded for a replay on a
//! fresher record.

use cloakroom_core::change::Update;
use cloakroom_core::entries::{Entry, is_reserved};
use cloakroom_core::lifetime::Lifetimes;
use cloakroom_core::{Changes, Entries, EntryError, Timestamp, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::State;
use crate::error::{Cause, SessionError};

impl State {
    /// Returns the entry of a key. It is decoded outside the lock: the app's `Deserialize` may use the
    /// session itself.
    pub(crate) fn entry(&self, key: &str) -> Result<Option<Entry>, SessionError> {
        check_key(key)?;
        Ok(self.entries.entry(key).cloned())
    }

    /// Sets an entry, which was encoded outside the lock.
    pub(crate) fn insert(&mut self, entry: Entry, limit: usize) -> Result<(), SessionError> {
        let key = entry.key().to_owned();
        self.edit(&key, limit, |changes, entries| {
            changes.put(entries, entry);
            Ok(())
        })
    }

    /// Sets an entry that is absent from `until` on.
    pub(crate) fn insert_until(
        &mut self,
        entry: Entry,
        until: Timestamp,
        limit: usize,
    ) -> Result<(), SessionError> {
        let key = entry.key().to_owned();
        self.edit(&key, limit, |changes, entries| {
            if !Lifetimes::of(entries).has_room_for(entry.key()) {
                return Err(Cause::TooManyLifetimes.into());
            }
            changes.put_until(entries, entry, until);
            Ok(())
        })
    }

    /// Whether entries have a lifetime of their own.
    pub(crate) fn has_lifetimes(&self) -> bool {
        Lifetimes::are_in(&self.entries)
    }

    /// Removes the entries that have expired. The record still has them until the next commit.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        Lifetimes::expire(&mut self.entries, now);
    }

    pub(crate) fn remove(&mut self, key: &str) -> Result<Option<Entry>, SessionError> {
        self.edit(key, usize::MAX, |changes, entries| {
            Ok(changes.remove(entries, key))
        })
    }

    /// Removes an entry if it is still the one that was read, and returns whether it was.
    pub(crate) fn remove_if_unchanged(&mut self, read: &Entry) -> Result<bool, SessionError> {
        if self.entries.entry(read.key()) != Some(read) {
            return Ok(false);
        }
        self.remove(read.key())?;
        Ok(true)
    }

    /// Removes an entry. Its value is returned to the app only if the commit still finds it.
    pub(crate) fn take_once(&mut self, key: &str) -> Result<Option<Entry>, SessionError> {
        if !self.entries.contains(key) {
            check_key(key)?;
            return Ok(None);
        }
        self.edit(key, usize::MAX, |changes, entries| {
            Ok(changes.take(entries, key))
        })
    }

    pub(crate) fn clear(&mut self) -> Result<(), SessionError> {
        self.check_open()?;
        self.changes.clear(&mut self.entries);
        Ok(())
    }

    /// Returns the entry of a key, on which an update works outside the lock.
    pub(crate) fn peek(&self, key: &str) -> Result<Option<Entry>, SessionError> {
        check_key(key)?;
        self.check_open()?;
        Ok(self.entries.entry(key).cloned())
    }

    /// Stores the result of an update, which it takes. Returns `false`, and leaves the update to the caller, if
    /// the entry has changed since `peeked`; so does an error: what the update's closure has captured must not
    /// be dropped while the state is locked.
    pub(crate) fn update<T, F>(
        &mut self,
        key: &str,
        peeked: Option<&Entry>,
        update: &mut Option<Update<F>>,
        result: Entry,
        limit: usize,
    ) -> Result<bool, SessionError>
    where
        T: Serialize,
        F: Fn(Option<&Entry>) -> Result<T, EntryError> + Send + Sync + 'static,
    {
        if self.entries.entry(key) != peeked {
            return Ok(false);
        }
        self.edit(key, limit, |changes, entries| {
            if let Some(update) = update.take() {
                changes.log_update(entries, update, result);
            }
            Ok(true)
        })
    }

    /// Sets an entry of the library, unless there is a valid one. A replay does the same, so the value that was
    /// stored first stays.
    pub(crate) fn insert_unless_present<T>(
        &mut self,
        key: &'static str,
        value: T,
    ) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned + Copy + Send + Sync + 'static,
    {
        self.check_open()?;
        let update = Update::new(key, move |there: Option<&Entry>| {
            let there: Option<T> = there.and_then(|entry| entry.decode().ok().flatten());
            Ok(there.unwrap_or(value))
        });
        let (_, entry) = update.run(self.entries.entry(key))?;
        if self.entries.entry(key) != Some(&entry) {
            self.changes.log_update(&mut self.entries, update, entry);
        }
        Ok(())
    }

    fn edit<T>(
        &mut self,
        key: &str,
        limit: usize,
        edit: impl FnOnce(&mut Changes, &mut Entries) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        check_key(key)?;
        self.check_open()?;
        let size_before = self.size(limit);
        let before = [key, Lifetimes::KEY].map(|key| (key, self.entries.entry(key).cloned()));
        let logged = self.changes.len();
        let result = edit(&mut self.changes, &mut self.entries)?;
        let size = self.size(limit);
        if size > limit && size > size_before {
            for (key, before) in before {
                match before {
                    Some(entry) => self.entries.put(entry),
                    None => drop(self.entries.remove(key)),
                }
            }
            let refused = self.changes.split_off(logged);
            self.keep_until_unlocked(refused);
            return Err(Cause::TooLarge { size, limit }.into());
        }
        Ok(result)
    }

    /// The size of the record in bytes, without the library's own entries if it is over the limit: they do
    /// not count.
    fn size(&self, limit: usize) -> usize {
        match codec::encoded_len(&self.entries) {
            size if size <= limit => size,
            _ => codec::HEAD_LEN + self.entries.app_json_len(),
        }
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), SessionError> {
    if is_reserved(key) {
        return Err(Cause::ReservedKey(key.into()).into());
    }
    Ok(())
}
