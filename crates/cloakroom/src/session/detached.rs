//! A session beyond its request.

use std::ops::Deref;
use std::sync::Arc;

use super::Session;
use super::outcome::{Reloaded, Saved};
use super::shared::SharedSession;
use crate::error::{Cause, SessionError};

/// A session that outlives its request, from [`Session::detach`].
///
/// It reads and edits like a [`Session`], on a copy. [`save`](Self::save) stores the edits,
/// [`reload`](Self::reload) fetches what others have stored. Neither can create a session: once it
/// has ended, it stays ended. Each call has a budget of its own. No cookie can be set any more, so a
/// renewal is not possible here.
///
/// ```
/// use cloakroom::{Reloaded, Saved, Session, SessionError};
///
/// async fn long_job(session: Session) -> Result<(), SessionError> {
///     let mut detached = session.detach()?;
///     tokio::spawn(async move {
///         // … much later:
///         detached.update("progress", |n: Option<u32>| n.unwrap_or(0) + 1)?;
///         if detached.save().await? == Saved::Ended {
///             // The user has signed out.
///         }
///         Ok::<_, SessionError>(())
///     });
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct DetachedSession(pub(crate) Session);

impl Session {
    /// A handle that outlives the request: for WebSockets, streaming bodies and spawned tasks. It
    /// saves when told to, and can never create a session.
    ///
    /// # Errors
    ///
    /// When there is no stored session yet: [`save`](Self::save) it first.
    pub fn detach(&self) -> Result<DetachedSession, SessionError> {
        let live = self.handle.state().live().cloned();
        let live = live.ok_or(Cause::NotStored)?;
        let context = Arc::clone(&self.handle.context);
        Ok(DetachedSession(Self {
            handle: Arc::new(SharedSession::detached(context, live)),
        }))
    }
}

impl DetachedSession {
    /// Fetches the session as it is stored now, and puts the edits not saved yet on top.
    ///
    /// After a save whose outcome is unknown, it drops the edits of that save, since they may be
    /// stored, and what follows can be saved again.
    ///
    /// # Errors
    ///
    /// When the store fails. When an update meets a value of another type: the edits not saved yet
    /// are dropped then.
    pub async fn reload(&mut self) -> Result<Reloaded, SessionError> {
        self.0.handle.reload().await
    }

    /// Saves the edits so far, on top of what others have saved. Also keeps the session alive: the
    /// idle timeout counts from here.
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
}

impl Deref for DetachedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}
