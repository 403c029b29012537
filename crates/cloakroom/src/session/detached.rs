//! A session that outlives its request.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloakroom_core::{SessionId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::{EntryKey, EntryName};
use super::merge::Counter;
use super::outcome::{Destroyed, Reloaded, Saved};
use super::shared::SharedSession;
use crate::error::SessionError;

/// A session that outlives its request, from [`Session::detach`].
///
/// It reads and edits a copy, with the methods of [`Session`]. [`save`](Self::save) stores the edits,
/// [`reload`](Self::reload) fetches what others have stored. Neither can create a session: once it
/// has ended, it stays ended. Each call may wait for the store as long as a request may in all.
///
/// After the response no cookie can be set, so there is no way here to sign in, to renew the session,
/// or to choose its expiry.
///
/// ```
/// use cloakroom::{Reloaded, Saved, Session, SessionError};
///
/// async fn long_job(session: Session) -> Result<(), SessionError> {
///     let mut detached = session.detach()?;
///     tokio::spawn(async move {
///         // … much later:
///         detached.increment("progress", 1)?;
///         if detached.save().await? == Saved::Ended {
///             // The user has signed out.
///         }
///         Ok::<_, SessionError>(())
///     });
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct DetachedSession(Session);

impl Session {
    /// Returns a handle that outlives the request: for WebSockets, streaming bodies and spawned tasks.
    /// It saves only when [`save`](DetachedSession::save) is called, and can never create a session.
    ///
    /// # Errors
    ///
    /// When there is no stored session yet: [`save`](Self::save) it first.
    pub fn detach(&self) -> Result<DetachedSession, SessionError> {
        let live = self.handle.state().stored_session()?;
        let context = Arc::clone(&self.handle.context);
        Ok(DetachedSession(Self {
            handle: Arc::new(SharedSession::detached(context, live)),
        }))
    }
}

impl DetachedSession {
    /// Reads the session from the store again, and replays the edits that are not saved yet.
    ///
    /// After a save of unknown outcome, it discards the edits of that save, since they may be stored, and
    /// later edits can be saved again.
    ///
    /// # Errors
    ///
    /// Fails if the store fails; or if an update finds a value of another type: the edits that are not
    /// saved are discarded then.
    pub async fn reload(&mut self) -> Result<Reloaded, SessionError> {
        self.0.handle.reload().await
    }

    /// Saves the edits so far, merged with concurrent changes. It counts as use: the idle timeout restarts.
    ///
    /// # Errors
    ///
    /// As [`Session::save`].
    pub async fn save(&mut self) -> Result<Saved, SessionError> {
        if self.0.handle.state().live().is_none() {
            return Ok(Saved::Ended);
        }
        self.0.save().await
    }

    /// Ends the session immediately, on every server. Its cookie stays in the browser, but is invalid. After
    /// [`NotReplicated`](crate::SessionErrorKind::NotReplicated), calling it again waits for the replicas again.
    ///
    /// # Errors
    ///
    /// As [`Session::destroy`].
    pub async fn destroy(&mut self) -> Result<Destroyed, SessionError> {
        self.0.destroy().await
    }

    /// Returns the session's public id; `None` once it has ended. See [`Session::id`].
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.0.id()
    }

    /// Returns who is signed in. See [`Session::user`].
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.0.user()
    }

    /// Returns the id of the signed-in user, as a `T`. See [`Session::user_id`].
    ///
    /// # Errors
    ///
    /// As [`Session::user_id`].
    pub fn user_id<T: FromStr>(&self) -> Result<Option<T>, SessionError> {
        self.0.user_id()
    }

    /// Returns when the session ends if it is not used again. See [`Session::expires_at`].
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at()
    }

    /// Returns when the session ends, used or not. See [`Session::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        self.0.deadline()
    }

    /// Returns the value of an entry. See [`Session::get`].
    ///
    /// # Errors
    ///
    /// As [`Session::get`].
    pub fn get<T: DeserializeOwned>(
        &self,
        key: impl EntryKey<T>,
    ) -> Result<Option<T>, SessionError> {
        self.0.get(key)
    }

    /// Returns whether there is an entry of this key. See [`Session::contains`].
    #[must_use]
    pub fn contains(&self, key: impl EntryName) -> bool {
        self.0.contains(key)
    }

    /// Returns the keys of all entries, in order. See [`Session::keys`].
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.keys()
    }

    /// Sets an entry. See [`Session::insert`].
    ///
    /// # Errors
    ///
    /// As [`Session::insert`].
    pub fn insert<T: Serialize>(
        &mut self,
        key: impl EntryKey<T>,
        value: T,
    ) -> Result<(), SessionError> {
        self.0.insert(key, value)
    }

    /// Sets an entry with a lifetime of its own. See [`Session::insert_for`].
    ///
    /// # Errors
    ///
    /// As [`Session::insert_for`].
    pub fn insert_for<T: Serialize>(
        &mut self,
        key: impl EntryKey<T>,
        value: T,
        lifetime: Duration,
    ) -> Result<(), SessionError> {
        self.0.insert_for(key, value, lifetime)
    }

    /// Removes an entry. See [`Session::remove`].
    ///
    /// # Errors
    ///
    /// As [`Session::remove`].
    pub fn remove(&mut self, key: impl EntryName) -> Result<(), SessionError> {
        self.0.remove(key)
    }

    /// Removes all entries. See [`Session::clear`].
    ///
    /// # Errors
    ///
    /// As [`Session::clear`].
    pub fn clear(&mut self) -> Result<(), SessionError> {
        self.0.clear()
    }

    /// Sets an entry to what `f` makes of its value. See [`Session::update`].
    ///
    /// # Errors
    ///
    /// As [`Session::update`].
    pub fn update<T, F>(&mut self, key: impl EntryKey<T>, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.0.update(key, f)
    }

    /// Like [`update`](Self::update), and saved at once. See [`Session::update_now`].
    ///
    /// # Errors
    ///
    /// As [`Session::update_now`].
    pub async fn update_now<T, F>(&mut self, key: impl EntryKey<T>, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.0.update_now(key, f).await
    }

    /// Adds to a counter. See [`Session::increment`].
    ///
    /// # Errors
    ///
    /// As [`Session::increment`].
    pub fn increment<T: Counter>(
        &mut self,
        key: impl EntryKey<T>,
        by: T,
    ) -> Result<T, SessionError> {
        self.0.increment(key, by)
    }

    /// Appends a value to a list. See [`Session::push`].
    ///
    /// # Errors
    ///
    /// As [`Session::push`].
    pub fn push<T>(&mut self, key: impl EntryKey<Vec<T>>, value: T) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.0.push(key, value)
    }

    /// Adds all items to a collection. See [`Session::merge`].
    ///
    /// # Errors
    ///
    /// As [`Session::merge`].
    pub fn merge<T>(&mut self, key: impl EntryKey<T>, items: T) -> Result<(), SessionError>
    where
        T: IntoIterator + Extend<<T as IntoIterator>::Item> + Default + Clone,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.0.merge(key, items)
    }
}
