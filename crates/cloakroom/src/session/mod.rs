//! The session, as an app meets it.
//!
//! [`shared`] is what the layer puts into a request and every `Session` shares; [`lazy`] waits
//! there until somebody asks; [`values`] and [`merge`] read and edit; [`lifecycle`] begins, saves, renews and
//! ends; [`sign_in`] says whose it is; [`detached`] outlives the request; [`uncancellable`] lets what has
//! several steps run to its end.

pub(crate) mod detached;
pub(crate) mod key;
pub(crate) mod lazy;
pub(crate) mod lifecycle;
pub(crate) mod merge;
pub(crate) mod outcome;
pub(crate) mod shared;
pub(crate) mod sign_in;
mod uncancellable;
pub(crate) mod values;

use std::fmt;
use std::sync::Arc;

pub use self::detached::DetachedSession;
pub use self::key::{EntryKey, EntryName, Key};
pub use self::lazy::LazySession;
pub use self::merge::Counter;
pub use self::outcome::{Destroyed, Reloaded, Saved};
pub use self::sign_in::SignIn;

use self::shared::Handle;

/// The session of a request, loaded.
///
/// An axum handler takes it as an argument; elsewhere, [`LazySession::load`] gives it. Loading
/// awaits the store once. Reading and editing are plain calls after that; what was edited is saved
/// when the handler is done, before the answer's headers leave.
///
/// Clones are the same session.
///
/// ```
/// use cloakroom::{Session, SessionError};
///
/// async fn hits(session: Session) -> Result<String, SessionError> {
///     let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
///     Ok(format!("You have been here {hits} times"))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) handle: Arc<Handle>,
}

impl fmt::Debug for Session {
    /// Shows the public id and the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("keys", &self.keys())
            .finish()
    }
}
