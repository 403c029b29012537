//! The session of a request before anybody asked for it.

use std::sync::Arc;

use cloakroom_core::SessionId;

use super::Session;
use super::shared::SharedSession;
use crate::cookie::headers::tokens_in;
use crate::error::SessionError;

/// The session of a request, not loaded yet: what [`SessionLayer`](crate::SessionLayer) puts into
/// the request's extensions. It costs no store command until [`load`](Self::load) is called.
///
/// Middleware between the layer and the handler takes it from there, and so does every service that
/// is not axum's. What it loads is the same session that the handler gets.
///
/// ```
/// use cloakroom::{LazySession, SessionError};
///
/// async fn is_signed_in<B>(request: &http::Request<B>) -> Result<bool, SessionError> {
///     let Some(lazy) = request.extensions().get::<LazySession>() else {
///         return Ok(false);
///     };
///     Ok(lazy.load().await?.contains("user_id"))
/// }
/// ```
///
/// With two layers in one stack, the extensions hold the inner one's session;
/// [`named`](Self::named) finds either by the name of its cookie.
#[derive(Clone, Debug)]
pub struct LazySession {
    pub(crate) handle: Arc<SharedSession>,
}

impl LazySession {
    /// The session, loaded the first time and shared from then on.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached within the request's budget. A later call tries again, as
    /// far as the budget goes.
    pub async fn load(&self) -> Result<Session, SessionError> {
        self.handle.load().await?;
        Ok(Session {
            handle: Arc::clone(&self.handle),
        })
    }

    /// Whether somebody has loaded the session.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.handle.is_loaded()
    }

    /// The public id that the request's cookie names, if it carries one that can be a token, or an old
    /// cookie of a session that [moves in](crate::SessionLayerBuilder::with_migration). Costs no
    /// store command, and tells nothing of whether there is such a session, or whether the cookie
    /// opens it: [`load`](Self::load) does.
    #[must_use]
    pub fn presented_id(&self) -> Option<SessionId> {
        let context = &self.handle.context;
        if let [Some(token), ..] = tokens_in(&self.handle.credentials, &context.cookie) {
            return Some(token.id());
        }
        let arrivals = context.arrivals.as_ref()?;
        let legacy_id = self.handle.legacy_cookies()?.ids().first()?;
        let token = arrivals.token(&context.realm, legacy_id);
        Some(token.id())
    }

    /// The name of the session's cookie.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.handle.context.cookie.name()
    }

    /// The session whose cookie has this name: this one, or that of a layer further out.
    #[must_use]
    pub fn named(&self, cookie_name: &str) -> Option<Self> {
        let mut next = Some(&self.handle);
        while let Some(handle) = next {
            if handle.context.cookie.name() == cookie_name {
                let handle = Arc::clone(handle);
                return Some(Self { handle });
            }
            next = handle.outer.as_ref();
        }
        None
    }
}
