//! The session of a request before it is loaded.

use std::sync::Arc;

use cloakroom_core::SessionId;

use super::Session;
use super::shared::SharedSession;
use crate::cookie::tokens::PresentedTokens;
use crate::error::SessionError;

/// The session of a request, not loaded yet. [`SessionLayer`](crate::SessionLayer) adds it to the extensions
/// of the request. It costs no store command until [`load`](Self::load) is called.
///
/// It is for middleware between the layer and the handler, and for services without axum. It loads the same
/// session that the handler gets.
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
    /// Loads the session, the first time it is called, and returns it.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be reached within the time limit of the request. A later call tries again,
    /// within the same time limit.
    pub async fn load(&self) -> Result<Session, SessionError> {
        self.handle.load().await?;
        Ok(Session {
            handle: Arc::clone(&self.handle),
        })
    }

    /// Returns whether the session was loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.handle.is_loaded()
    }

    /// Returns the public id in the request's token, or of the session to which a legacy cookie
    /// [migrates](crate::SessionLayerBuilder::with_migration); `None` without a valid token. It costs no
    /// store command, and the session need not exist, nor the token be its token: only
    /// [`load`](Self::load) checks that.
    #[must_use]
    pub fn presented_id(&self) -> Option<SessionId> {
        let context = &self.handle.context;
        let credentials = &self.handle.credentials;
        let tokens = PresentedTokens::of(credentials, &context.cookie, self.handle.now());
        if let Some(first) = tokens.first {
            return Some(first.token.id());
        }
        let migration = context.migration.as_ref()?;
        let legacy_id = self.handle.legacy_cookies()?.ids().first()?;
        let token = migration.token(&context.realm, legacy_id);
        Some(token.id())
    }

    /// Returns the name of the session's cookie.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.handle.context.cookie.name()
    }

    /// Returns the session whose cookie has this name: this one, or that of an outer layer.
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
