//! Reading and editing entries: each edit changes the working copy, and is logged for a replay.

use cloakroom_core::change::Update;
use cloakroom_core::entries::{Value, decode, is_reserved};
use cloakroom_core::{Changes, Entries, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::State;
use crate::error::{Cause, SessionError};

impl State {
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        check_key(key)?;
        Ok(self.entries.get(key)?)
    }

    pub(crate) fn insert<T: Serialize>(
        &mut self,
        key: &str,
        value: &T,
        limit: usize,
    ) -> Result<(), SessionError> {
        self.edit(key, limit, |changes, entries| {
            Ok(changes.set(entries, key, value)?)
        })
    }

    pub(crate) fn remove(&mut self, key: &str) -> Result<Option<Value>, SessionError> {
        self.edit(key, usize::MAX, |changes, entries| {
            Ok(changes.remove(entries, key))
        })
    }

    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, SessionError> {
        let value = self.get(key)?;
        if value.is_some() {
            self.remove(key)?;
        }
        Ok(value)
    }

    /// Removes an entry whose value is given out only if the commit finds it still there.
    pub(crate) fn take_once(&mut self, key: &str) -> Result<Option<Value>, SessionError> {
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

    /// The value of a key, for an update to work on outside the lock.
    pub(crate) fn glance(&self, key: &str) -> Result<Option<Value>, SessionError> {
        check_key(key)?;
        self.check_open()?;
        Ok(self.entries.get_raw(key).cloned())
    }

    /// Takes in what an update made of its glance, unless the value has changed since.
    pub(crate) fn update<T, F>(
        &mut self,
        key: &str,
        glance: Option<&Value>,
        update: Update<F>,
        result: Value,
        limit: usize,
    ) -> Result<Result<(), Update<F>>, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        if self.entries.get_raw(key) != glance {
            return Ok(Err(update));
        }
        self.edit(key, limit, |changes, entries| {
            changes.log_update(entries, update, result);
            Ok(Ok(()))
        })
    }

    fn edit<T>(
        &mut self,
        key: &str,
        limit: usize,
        edit: impl FnOnce(&mut Changes, &mut Entries) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        check_key(key)?;
        self.check_open()?;
        let before = (
            self.entries.json_len_of_the_app(),
            self.entries.get_raw(key).cloned(),
        );
        let logged = self.changes.len();
        let result = edit(&mut self.changes, &mut self.entries)?;
        let length = self.entries.json_len_of_the_app();
        let size = codec::HEAD_LEN + length;
        if size > limit && length > before.0 {
            match before.1 {
                Some(value) => self.entries.set_raw(&key.into(), value),
                None => drop(self.entries.remove(key)),
            }
            self.changes.truncate(logged);
            return Err(Cause::TooLarge { size, limit }.into());
        }
        Ok(result)
    }
}

fn check_key(key: &str) -> Result<(), SessionError> {
    if is_reserved(key) {
        return Err(Cause::ReservedKey(key.into()).into());
    }
    Ok(())
}

/// Decodes what an entry held.
pub(crate) fn decode_value<T: DeserializeOwned>(
    key: &str,
    value: &Value,
) -> Result<T, SessionError> {
    Ok(decode(key, value)?)
}
