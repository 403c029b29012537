//! The extractors for axum.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::duration::minutes;
use crate::error::{Cause, SessionError};
use crate::guard::Permission;
use crate::navigation::Next;
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

/// A signed-in user, with the id as a `T`: an integer, a UUID, a `String`.
///
/// All others get a 401, or are redirected to the sign-in page
/// ([`with_sign_in_page`](crate::SessionLayerBuilder::with_sign_in_page)).
///
/// ```
/// use cloakroom::{SessionError, SignedIn};
///
/// async fn orders(SignedIn { user, session }: SignedIn<i64>) -> Result<String, SessionError> {
///     let page = session.get("page")?.unwrap_or(1);
///     Ok(format!("SELECT … WHERE user_id = {user} OFFSET {page}"))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SignedIn<T = String> {
    /// The user's id.
    pub user: T,
    /// The session.
    pub session: Session,
}

impl<S: Sync, T: FromStr> FromRequestParts<S> for SignedIn<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        match session.require_user_id() {
            Ok(user) => Ok(Self { user, session }),
            Err(error) => Err(SessionRejection(error)),
        }
    }
}

/// The session of a signed-in user who has the permission `P` of the app.
///
/// Without a user it is rejected as [`SignedIn`], and without the permission with a 403
/// ([`Forbidden`](crate::SessionErrorKind::Forbidden)).
///
/// ```
/// use cloakroom::{Permission, Permitted, Session, SessionError};
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
///
/// async fn users(admin: Permitted<Admin>) -> Result<String, SessionError> {
///     Ok(format!("for {}", admin.session.require_user()?))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Permitted<P> {
    /// The session.
    pub session: Session,
    permission: PhantomData<fn() -> P>,
}

impl<S: Sync, P: Permission + Default> FromRequestParts<S> for Permitted<P> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        session.require_user().map_err(SessionRejection)?;
        let granted = P::default().is_granted(&session).await;
        if granted.map_err(SessionRejection)? {
            let permission = PhantomData;
            Ok(Self {
                session,
                permission,
            })
        } else {
            Err(SessionRejection(Cause::Forbidden.into()))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Next {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}
