//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::error_response::DefaultErrorResponse;
use super::service::SessionService;
use crate::context::Context;
use crate::users::Sessions;

/// Gives every request a session, loaded when it is first used and saved when it was changed.
///
/// [`new`](Self::new) makes one with the defaults; [`builder`](Self::builder) configures one.
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom::{CookieConfig, Expiry, MemoryStore, SameSite, Session, SessionError, SessionLayer};
/// use cloakroom::{hours, minutes};
///
/// async fn hits(session: Session) -> Result<String, SessionError> {
///     let hits = session.increment("hits", 1_u64)?;
///     Ok(format!("You have been here {hits} times"))
/// }
///
/// let sessions = SessionLayer::builder(MemoryStore::new())
///     .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
///     .with_cookie(CookieConfig::new("__Host-Http-id").with_same_site(SameSite::Lax))
///     .build()?;
/// let app: Router = Router::new().route("/", get(hits)).layer(sessions);
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
///
/// Needs a Tokio runtime with its timer.
#[derive(Clone)]
#[must_use]
pub struct SessionLayer<E = DefaultErrorResponse> {
    context: Arc<Context>,
    error_response: E,
}

impl<E> SessionLayer<E> {
    pub(super) fn from_parts(context: Context, error_response: E) -> Self {
        Self {
            context: Arc::new(context),
            error_response,
        }
    }

    /// Returns the handle on the sessions of all users, for background jobs and the like; in a
    /// handler, take [`Sessions`] as an argument.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.context))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl<E> fmt::Debug for SessionLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl<S, E: Clone> Layer<S> for SessionLayer<E> {
    type Service = SessionService<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(
            inner,
            Arc::clone(&self.context),
            self.error_response.clone(),
        )
    }
}
