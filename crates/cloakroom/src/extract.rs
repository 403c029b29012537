//! The extractors for axum.

use std::fmt;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::duration::minutes;
use crate::error::{Cause, SessionError};
#[cfg(feature = "oauth")]
use crate::session::OAuthTransactions;
use crate::session::{LazySession, Session};
use crate::users::Sessions;

/// The rejection of an extractor: the session could not be loaded, because the store cannot be reached (503
/// with `Retry-After`), or because there is no layer around the handler (500).
///
/// A handler that also works without a session extracts `Result<Session, SessionRejection>`:
///
/// ```
/// use cloakroom::{Session, SessionRejection};
///
/// async fn front_page(session: Result<Session, SessionRejection>) -> &'static str {
///     match session {
///         Ok(session) if session.contains("user_id") => "Welcome back",
///         Ok(_) => "Welcome",
///         Err(_) => "Welcome. Signing in is not possible right now.",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SessionRejection(SessionError);

impl SessionRejection {
    /// Returns the reason.
    #[must_use]
    pub const fn error(&self) -> &SessionError {
        &self.0
    }
}

impl From<SessionRejection> for SessionError {
    fn from(rejection: SessionRejection) -> Self {
        rejection.0
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl IntoResponse for SessionError {
    /// The error's status and its text. The layer around the handler replaces it by its own error
    /// response, also where an error type of the app has called this for the error that it wraps:
    ///
    /// ```
    /// use axum::response::{IntoResponse, Response};
    /// use cloakroom::SessionError;
    ///
    /// enum AppError {
    ///     Session(SessionError),
    ///     NotFound,
    /// }
    ///
    /// impl From<SessionError> for AppError {
    ///     fn from(error: SessionError) -> Self {
    ///         Self::Session(error)
    ///     }
    /// }
    ///
    /// impl IntoResponse for AppError {
    ///     fn into_response(self) -> Response {
    ///         match self {
    ///             AppError::Session(error) => error.into_response(),
    ///             AppError::NotFound => http::StatusCode::NOT_FOUND.into_response(),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// So all session errors have one shape, chosen with
    /// [`with_error_response`](crate::SessionLayerBuilder::with_error_response). An error type that
    /// makes its response by itself keeps it; see [`insert_headers`](Self::insert_headers).
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        self.insert_headers(response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}

impl<S: Sync> FromRequestParts<S> for LazySession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let lazy = parts.extensions.get::<Self>().cloned();
        lazy.ok_or_else(|| SessionRejection(Cause::MissingLayer.into()))
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.load().await.map_err(SessionRejection)
    }
}

/// Extracts the sessions of all users of the layer. It does not load the session of the request.
impl<S: Sync> FromRequestParts<S> for Sessions {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        Ok(lazy.sessions())
    }
}

/// Extracts the OAuth transactions of the browser. It does not load the session of the request.
#[cfg(feature = "oauth")]
impl<S: Sync> FromRequestParts<S> for OAuthTransactions {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.oauth().map_err(SessionRejection)
    }
}

/// A session whose user signed in within the last `MINUTES`: for handlers of sensitive actions. All
/// others get a 401, or what the app makes of it
/// ([`with_error_response`](crate::SessionLayerBuilder::with_error_response)). Where the duration is
/// known at run time only, take a [`Session`] and call
/// [`require_recent_sign_in`](Session::require_recent_sign_in).
///
/// ```
/// use cloakroom::{RecentSignIn, SessionError};
///
/// async fn change_password(RecentSignIn(session): RecentSignIn<10>) -> Result<(), SessionError> {
///     let user = session.require_user()?;
///     // …
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RecentSignIn<const MINUTES: u64>(pub Session);

impl<S: Sync, const MINUTES: u64> FromRequestParts<S> for RecentSignIn<MINUTES> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        match session.require_recent_sign_in(minutes(MINUTES)) {
            Ok(_) => Ok(Self(session)),
            Err(error) => Err(SessionRejection(error)),
        }
    }
}
