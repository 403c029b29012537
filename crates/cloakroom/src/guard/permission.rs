//! What a user may do, which only the app knows.

use std::future::Future;

use crate::error::SessionError;
use crate::session::Session;

/// Decides whether the user of a session may go on: a role or a permission of the app.
///
/// A closure from a [`Session`] to a future is one. A type of the app can also be named in the extractor
/// [`Permitted`](crate::Permitted):
///
/// ```
/// use cloakroom::{Permission, Session, SessionError};
///
/// #[derive(Clone, Default)]
/// struct Admin;
///
/// impl Permission for Admin {
///     async fn is_granted(&self, session: &Session) -> Result<bool, SessionError> {
///         let role: Option<String> = session.get("role")?;
///         Ok(role.as_deref() == Some("admin"))
///     }
/// }
/// ```
///
/// Rights that can be withdrawn belong into the app's database: what is in the session stays there until it is
/// changed or the user signs in again. Where the database fails, deny.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a permission",
    note = "pass a closure, `|session: Session| async move {{ Ok(true) }}`, or implement `Permission`"
)]
pub trait Permission: Clone + Send + Sync + 'static {
    /// Returns whether the user may go on. It is called only if a user is signed in. `false` is a 403.
    ///
    /// # Errors
    ///
    /// An error of the session is the response.
    fn is_granted(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<bool, SessionError>> + Send;
}

impl<F, Fut> Permission for F
where
    F: Fn(Session) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<bool, SessionError>> + Send,
{
    fn is_granted(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<bool, SessionError>> + Send {
        self(session.clone())
    }
}

/// The permission of every signed-in user.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AnyUser;

impl Permission for AnyUser {
    async fn is_granted(&self, _: &Session) -> Result<bool, SessionError> {
        Ok(true)
    }
}
