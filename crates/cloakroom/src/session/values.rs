//! Reading and editing entries, in memory.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::EntryError;
use cloakroom_core::change::Update;
use cloakroom_core::entries::{Entry, is_reserved};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::{EntryKey, EntryName};
use crate::commit::Committed;
use crate::error::{Cause, SessionError};
use crate::state::{State, check_key};

/// How often the closure of an update runs at most, or a value is decoded to be taken, if the entry has changed each
/// time. Other tasks of the request do not do that so often, but the app's code that runs may.
pub(super) const MAX_RUNS: usize = 1000;

impl Session {
    /// Returns the value of an entry; `None` if there is none. A `null`, as of an `Option`, counts as none if a
    /// `T` is never `null`.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a `T`, or the key is reserved. After a deploy that adds a field to a type, give
    /// the field a `#[serde(default)]`, or let the layer treat such values as absent
    /// ([`with_mismatch_policy`](crate::SessionLayerBuilder::with_mismatch_policy)). A warning is logged, once
    /// for each key and type.
    pub fn get<T: DeserializeOwned>(
        &self,
        key: impl EntryKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let name = key.name();
        self.handle.expire_entries();
        let entry = self.handle.state().entry(name)?;
        self.handle.context.decode(entry.as_ref())
    }

    /// Sets an entry. Of two requests that insert under one key, the later wins; use
    /// [`update`](Self::update), [`increment`](Self::increment), [`push`](Self::push) or
    /// [`merge`](Self::merge) where the new value depends on the old.
    ///
    /// A value whose JSON is already stored is not saved again. A `Vec<u8>` takes three to four times its
    /// length; wrap bytes in [`Base64`](crate::Base64).
    ///
    /// # Errors
    ///
    /// Fails if the value cannot be kept as JSON, the session would grow over its limit, the key is reserved, or
    /// the response has been sent. What JSON would not give back is refused: a float that is NaN or infinite,
    /// anywhere in the value; `Some` of a value that is itself written as `null`, such as `Some(None)`; maps
    /// whose keys are not text, numbers or unit variants; and more than 127 levels of nesting.
    pub fn insert<T: Serialize>(
        &self,
        key: impl EntryKey<T>,
        value: T,
    ) -> Result<(), SessionError> {
        let name = key.name();
        check_key(name)?;
        // The app's `Serialize` runs outside the lock: it may use the session itself.
        let entry = Entry::encode(name, &value)?;
        let limit = self.handle.context.max_session_size;
        self.handle.expire_entries();
        self.handle.state().insert(entry, limit)
    }

    /// Sets an entry with a lifetime of its own: for the state of an OAuth sign-in, a code that was sent by mail, or a
    /// choice that is valid for an hour. After `lifetime` it is absent, and the next write removes it from the
    /// store. It ends earlier with the session. A renewal and a sign-in that keep the entry keep its time.
    ///
    /// [`insert`](Self::insert) under the same key makes the entry live as long as the session. Edits of its value, such
    /// as [`update`](Self::update) and [`increment`](Self::increment), keep the time.
    ///
    /// ```
    /// use cloakroom::{Key, Session, SessionError, minutes};
    ///
    /// const STATE: Key<String> = Key::new("oauth_state");
    ///
    /// fn begin(session: &Session, state: String) -> Result<(), SessionError> {
    ///     session.insert_for(STATE, state, minutes(10))
    /// }
    ///
    /// /// One request only gets it.
    /// async fn callback(session: Session) -> Result<Option<String>, SessionError> {
    ///     session.take_once(STATE).await
    /// }
    /// ```
    ///
    /// Servers of a release before this method return the entry also after its time.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); and with [`TooLarge`](crate::SessionErrorKind::TooLarge) if 64 other entries have a
    /// lifetime.
    pub fn insert_for<T: Serialize>(
        &self,
        key: impl EntryKey<T>,
        value: T,
        lifetime: Duration,
    ) -> Result<(), SessionError> {
        let name = key.name();
        check_key(name)?;
        let entry = Entry::encode(name, &value)?;
        let limit = self.handle.context.max_session_size;
        let now = self.handle.now();
        let mut state = self.handle.state();
        state.expire(now);
        state.insert_until(entry, now.plus(lifetime), limit)
    }

    /// Removes an entry. A session whose last entry was removed is still a session.
    ///
    /// # Errors
    ///
    /// Fails if the key is reserved, or the response has been sent.
    pub fn remove(&self, key: impl EntryName) -> Result<(), SessionError> {
        let name = key.name();
        self.handle.state().remove(name).map(|_| ())
    }

    /// Removes an entry and returns its value: flash messages, for instance. Best effort: two concurrent
    /// requests may both get it. See [`take_once`](Self::take_once).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`remove`](Self::remove). What cannot be read stays, unless it is treated as
    /// absent.
    pub fn take<T: DeserializeOwned>(
        &self,
        key: impl EntryKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let name = key.name();
        self.handle.expire_entries();
        for _ in 0..MAX_RUNS {
            let Some(entry) = self.handle.state().entry(name)? else {
                return Ok(None);
            };
            let value = self.handle.context.decode(Some(&entry))?;
            if self.handle.state().remove_if_unchanged(&entry)? {
                return Ok(value);
            }
        }
        Err(Cause::NeverFinal.into())
    }

    /// Sets an entry to what `f` makes of its value, and returns the new value. No concurrent edit is
    /// lost: when another request saved in the meantime, `f` **runs again at the commit**, on the
    /// fresher value. So it must have no side effects, and the value that is stored may differ from
    /// the one returned; [`update_now`](Self::update_now) returns the one stored.
    ///
    /// Since it may run again, after the handler has returned, `f` must own what it uses and give none
    /// of it away: capture with `move`, and clone inside.
    ///
    /// ```
    /// use cloakroom::{Key, Session, SessionError};
    ///
    /// const CART: Key<Vec<String>> = Key::new("cart");
    ///
    /// async fn add(session: Session, item: String) -> Result<String, SessionError> {
    ///     let cart = session.update(CART, move |cart| {
    ///         let mut cart = cart.unwrap_or_default();
    ///         if !cart.contains(&item) {
    ///             cart.push(item.clone());
    ///         }
    ///         cart
    ///     })?;
    ///     Ok(format!("{} items", cart.len()))
    /// }
    /// ```
    ///
    /// The closure may read and edit the session, but not the entry that it is about: it would run again, and
    /// after a thousand times the update fails. It must not block on a future of the session, which may wait for
    /// the very commit that runs the closure.
    ///
    /// For counters, lists and maps, [`increment`](Self::increment), [`push`](Self::push) and
    /// [`merge`](Self::merge) are shorter.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`insert`](Self::insert).
    pub fn update<T, F>(&self, key: impl EntryKey<T>, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.try_update(key.name(), move |value| Ok(f(value)))
    }

    /// [`update`](Self::update), by a closure that can fail. An error changes nothing.
    pub(super) fn try_update<T, F>(&self, key: &str, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, EntryError> + Send + Sync + 'static,
    {
        let limit = self.handle.context.max_session_size;
        let context = Arc::clone(&self.handle.context);
        let update = Update::new(key, move |entry: Option<&Entry>| {
            f(context.decode_entry(entry)?)
        });
        let mut update = Some(update);
        self.handle.expire_entries();
        for _ in 0..MAX_RUNS {
            let peeked = self.handle.state().peek(key)?;
            let Some(running) = &update else { break };
            // The app's closure runs outside the lock: it may use the session itself.
            let (value, raw) = running.run(peeked.as_ref())?;
            let peeked = peeked.as_ref();
            let mut state = self.handle.state();
            if state.update(key, peeked, &mut update, raw, limit)? {
                return Ok(value);
            }
        }
        Err(Cause::NeverFinal.into())
    }

    /// Like [`update`](Self::update), and saved at once, with all other edits so far. Returns the
    /// value that is stored.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update) and [`save`](Self::save); and when the session has ended.
    pub async fn update_now<T, F>(&self, key: impl EntryKey<T>, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let key = key.name().to_owned();
        let value = self.update(&*key, f)?;
        match self.handle.commit().await? {
            Committed::Stored(stored) | Committed::Maintained(stored) => {
                let Some(entry) = stored.live.record.entries().entry(&key) else {
                    return Err(Cause::Ended.into());
                };
                Ok(self.handle.context.decode(Some(entry))?.unwrap_or(value))
            }
            // The stored value is the same.
            Committed::Unchanged if self.handle.state().live().is_some() => Ok(value),
            Committed::Unchanged if self.handle.state().discarded().is_some() => {
                Err(Cause::NotCreated.into())
            }
            Committed::Unchanged | Committed::Ended => Err(Cause::Ended.into()),
        }
    }

    /// Removes an entry, saves that immediately, and returns its value to **one request only**, however
    /// many try on however many servers: for nonces and one-time links. (For sign-ins with OAuth there is
    /// `OAuthTransactions`.) `None` if it is not there, or another request has taken it.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take) and [`save`](Self::save); but a value that cannot be read as a `T` is
    /// removed. If the outcome of the save is unknown, the value may be lost; after any other error of the
    /// store it is still stored.
    pub async fn take_once<T: DeserializeOwned>(
        &self,
        key: impl EntryKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let key = key.name().to_owned();
        self.handle.expire_entries();
        let take = move |state: &mut State| state.take_once(&key);
        // Under the lock of commits: a concurrent commit of this request must not store the removal.
        let (Some(seen), committed) = self.handle.commit_with(take).await? else {
            return Ok(None);
        };
        let taken = match committed {
            Committed::Stored(stored) | Committed::Maintained(stored) => {
                stored.taken.unwrap_or(Some(seen))
            }
            Committed::Unchanged => Some(seen),
            Committed::Ended => None,
        };
        self.handle.context.decode(taken.as_ref())
    }

    /// Removes all entries. The session itself goes on; [`destroy`](Self::destroy) ends it.
    ///
    /// # Errors
    ///
    /// Fails if the response has been sent.
    pub fn clear(&self) -> Result<(), SessionError> {
        self.handle.state().clear()
    }

    /// Whether there is an entry of this key.
    #[must_use]
    pub fn contains(&self, key: impl EntryName) -> bool {
        let key = key.name();
        self.handle.expire_entries();
        !is_reserved(key) && self.handle.state().entries().contains(key)
    }

    /// The keys of all entries, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.handle.expire_entries();
        let state = self.handle.state();
        let keys = state.entries().keys().filter(|key| !is_reserved(key));
        keys.map(str::to_owned).collect()
    }
}
