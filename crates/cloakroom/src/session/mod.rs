//! The session of a request, as apps use it.
//!
//! [`shared`] is the state that all clones of a request's session share, [`commit`] how it is saved; [`lazy`] is
//! the session before it is loaded; [`values`] and [`merge`] read and edit; [`lifecycle`] saves, renews and ends;
//! [`sign_in`] signs users in and out; `oauth` completes sign-ins with a provider; [`csrf`] has tokens for forms;
//! [`flash`] has flash messages; [`impersonation`] acts as another user; [`detached`] is a session that outlives
//! its request; [`keep_alive`] keeps a session from expiring during its request.

mod commit;
mod csrf;
pub(crate) mod detached;
mod flash;
mod impersonation;
pub(crate) mod keep_alive;
pub(crate) mod key;
pub(crate) mod lazy;
pub(crate) mod lifecycle;
pub(crate) mod merge;
#[cfg(feature = "oauth")]
pub(crate) mod oauth;
mod others;
pub(crate) mod outcome;
pub(crate) mod shared;
pub(crate) mod sign_in;
pub(crate) mod values;

use std::fmt;
use std::sync::Arc;

pub use self::detached::DetachedSession;
pub use self::key::{EntryKey, EntryName, Key};
pub use self::lazy::LazySession;
pub use self::merge::Counter;
#[cfg(feature = "oauth")]
pub use self::oauth::{NewOAuthTransaction, OAuthTransactions};
pub use self::outcome::{Destroyed, Reloaded, Saved};
pub use self::sign_in::SignIn;

use self::shared::SharedSession;

/// The session of a request, loaded.
///
/// An axum handler takes it as an argument; elsewhere, [`LazySession::load`] returns it. It is loaded from
/// the store once. After that, reads and edits are synchronous; edits are saved when the handler has
/// finished, before the response headers are sent.
///
/// Clones refer to the same session.
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
    pub(crate) handle: Arc<SharedSession>,
}

impl fmt::Debug for Session {
    /// Shows the public id and the keys, no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("keys", &self.keys())
            .finish()
    }
}
