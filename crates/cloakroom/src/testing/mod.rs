//! Helpers for the tests of apps: sessions without the sign-in form, and a client with cookies.

#[cfg(feature = "axum")]
mod client;

use std::sync::Arc;

use cloakroom_core::UserId;
use http::HeaderValue;

#[cfg(feature = "axum")]
pub use self::client::{TestClient, TestResponse};

use crate::cookie::headers::{Credentials, set_cookie, token_header};
use crate::error::SessionError;
use crate::middleware::SessionLayer;
use crate::session::shared::SharedSession;
use crate::session::{LazySession, Session};

/// A stored session, and its cookie.
///
/// ```
/// use axum::{Router, body::Body, http::{Request, StatusCode, header::COOKIE}, routing::get};
/// use cloakroom::testing::TestSession;
/// use cloakroom::{MemoryStore, Session, SessionError, SessionLayer};
/// use tower::ServiceExt;
///
/// async fn account(session: Session) -> Result<StatusCode, SessionError> {
///     session.require_user()?;
///     Ok(StatusCode::OK)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = SessionLayer::new(MemoryStore::new());
/// let app = Router::new().route("/account", get(account)).layer(layer.clone());
///
/// let signed_in = TestSession::signed_in(&layer, "ada").await?;
/// let request = Request::get("/account")
///     .header(COOKIE, signed_in.cookie())
///     .body(Body::empty())?;
/// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestSession {
    cookie: HeaderValue,
    token: HeaderValue,
    handle: Arc<SharedSession>,
}

impl TestSession {
    /// Creates a session in the layer's store, with the edits of `edit`.
    ///
    /// # Errors
    ///
    /// Fails if `edit` fails or makes no edits, or the store fails.
    pub async fn begin<E>(
        layer: &SessionLayer<E>,
        edit: impl FnOnce(&Session) -> Result<(), SessionError>,
    ) -> Result<Self, SessionError> {
        let context = Arc::clone(layer.context());
        let session = load(SharedSession::new(
            context,
            Credentials::default(),
            None,
            None,
        ))
        .await?;
        edit(&session)?;
        session.save().await?;
        Self::of(session)
    }

    /// Creates a session of a signed-in user in the layer's store.
    ///
    /// # Errors
    ///
    /// As [`Session::sign_in`].
    pub async fn signed_in<E>(
        layer: &SessionLayer<E>,
        user: impl Into<UserId>,
    ) -> Result<Self, SessionError> {
        let context = Arc::clone(layer.context());
        let session = load(SharedSession::new(
            context,
            Credentials::default(),
            None,
            None,
        ))
        .await?;
        session.sign_in(user).await?;
        Self::of(session)
    }

    /// Creates a session of a signed-in user in the layer's store, with the edits of `edit`.
    ///
    /// # Errors
    ///
    /// As [`Session::sign_in`], or if `edit` fails.
    pub async fn signed_in_with<E>(
        layer: &SessionLayer<E>,
        user: impl Into<UserId>,
        edit: impl FnOnce(&Session) -> Result<(), SessionError>,
    ) -> Result<Self, SessionError> {
        let signed_in = Self::signed_in(layer, user).await?;
        let session = signed_in.now().await?;
        edit(&session)?;
        session.save().await?;
        Ok(signed_in)
    }

    fn of(session: Session) -> Result<Self, SessionError> {
        let handle = session.handle;
        let (cookie, token) = {
            let state = handle.state();
            let live = state.live().ok_or(crate::error::Cause::NotPersisted)?;
            let config = &handle.context.cookie;
            let set_cookie = set_cookie(config, &live.token, std::time::Duration::ZERO, false);
            (pair_of(&set_cookie), token_header(config, &live.token))
        };
        Ok(Self {
            cookie,
            token,
            handle,
        })
    }

    /// Returns the `Cookie` header of a browser with this session.
    #[must_use]
    pub fn cookie(&self) -> HeaderValue {
        self.cookie.clone()
    }

    /// Returns the token of a client that sends it in a header
    /// ([`with_token_header`](crate::SessionLayerBuilder::with_token_header)).
    #[must_use]
    pub fn token(&self) -> HeaderValue {
        self.token.clone()
    }

    /// Loads the session as it is stored now.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn now(&self) -> Result<Session, SessionError> {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::COOKIE, self.cookie());
        let context = Arc::clone(&self.handle.context);
        let credentials = Credentials::of(&headers, &context.cookie, None);
        load(SharedSession::new(context, credentials, None, None)).await
    }
}

async fn load(handle: SharedSession) -> Result<Session, SessionError> {
    let lazy = LazySession {
        handle: Arc::new(handle),
    };
    lazy.load().await
}

/// Returns `name=value`, without the attributes.
fn pair_of(set_cookie: &HeaderValue) -> HeaderValue {
    let bytes = set_cookie.as_bytes();
    let end = bytes.iter().position(|&byte| byte == b';');
    let mut pair = HeaderValue::from_bytes(&bytes[..end.unwrap_or(bytes.len())])
        .expect("a part of a header value is a header value");
    pair.set_sensitive(true);
    pair
}
