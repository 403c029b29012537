//! Flash messages: stored by one request, and shown once by a later one.

use cloakroom_core::entries::Entry;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::key::EntryKey;
use crate::error::{Cause, SessionError};
use crate::state::check_key;

impl Session {
    /// How many flash messages are kept under one key. Of more, the oldest are dropped.
    pub const MAX_FLASHES: usize = 16;

    /// The longest flash message, as JSON, in bytes.
    pub const MAX_FLASH_LEN: usize = 1024;

    /// Adds a message for the next page that [takes](Self::take_flashes) it: after a redirect, or later. Messages of
    /// concurrent requests are all kept. They survive a renewal, and a sign-in that keeps the data of the session.
    ///
    /// A message that is added after [`sign_out`](Self::sign_out) has returned is stored in a new, anonymous session.
    ///
    /// ```
    /// use axum::response::Redirect;
    /// use cloakroom::{Key, Session, SessionError};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// enum Notice {
    ///     Saved,
    ///     Failed(String),
    /// }
    ///
    /// const NOTICES: Key<Vec<Notice>> = Key::new("notices");
    ///
    /// async fn save(session: Session) -> Result<Redirect, SessionError> {
    ///     session.flash(NOTICES, Notice::Saved)?;
    ///     Ok(Redirect::to("/"))
    /// }
    ///
    /// async fn home(session: Session) -> Result<String, SessionError> {
    ///     let mut page = String::new();
    ///     for notice in session.take_flashes(NOTICES).await? {
    ///         page += match &notice {
    ///             Notice::Saved => "Saved.",
    ///             Notice::Failed(why) => why,
    ///         };
    ///     }
    ///     Ok(page)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails with [`TooLarge`](crate::SessionErrorKind::TooLarge) if the message is longer than
    /// [`MAX_FLASH_LEN`](Self::MAX_FLASH_LEN); otherwise as [`push`](Self::push).
    pub fn flash<T>(&self, key: impl EntryKey<Vec<T>>, message: T) -> Result<(), SessionError>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let name = key.name();
        check_key(name)?;
        let size = Entry::encode(name, &message)?.json().len();
        if size > Self::MAX_FLASH_LEN {
            return Err(Cause::FlashTooLong(size).into());
        }
        self.try_update(name, move |messages: Option<Vec<T>>| {
            let mut messages = messages.unwrap_or_default();
            messages.push(message.clone());
            let surplus = messages.len().saturating_sub(Self::MAX_FLASHES);
            messages.drain(..surplus);
            Ok(messages)
        })?;
        Ok(())
    }

    /// Removes the messages under a key and returns them, the oldest first: to one request only, however many load a page
    /// at the same moment. None is lost that another request adds meanwhile: it is returned here or stays for the next
    /// page. Without messages it costs no store command.
    ///
    /// # Errors
    ///
    /// As [`take_once`](Self::take_once). Messages that cannot be read as a `T`, after a deploy for instance, are removed.
    pub async fn take_flashes<T: DeserializeOwned>(
        &self,
        key: impl EntryKey<Vec<T>>,
    ) -> Result<Vec<T>, SessionError> {
        Ok(self.take_once(key).await?.unwrap_or_default())
    }
}
