//! The errors of sessions, and of the configuration of a layer.

mod config;
mod message;
mod oauth;

use std::error::Error;
use std::sync::Arc;

use cloakroom_core::{EndReason, EntryError, ExpiryError, RngError, StoreError, StoreErrorKind};
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};

pub use self::config::{ConfigError, ConfigErrorKind};
pub(crate) use self::oauth::OAuthRefusal;

/// A session could not be loaded, edited or saved.
///
/// It is cheap to clone. It never contains a token or a value, so it is safe to log.
#[derive(Clone, Debug)]
pub struct SessionError(Arc<Cause>);

/// The kind of a [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The store cannot be reached, or is not ready, which passes by itself. Nothing was saved.
    Unavailable,
    /// The store refused the command, and will until someone changes its configuration: wrong credentials,
    /// missing rights, a command that it does not have. Nothing was saved.
    StoreRefused,
    /// The store has no memory left for the session. Nothing was saved. Signing out still works, and so does
    /// reading sessions.
    StoreFull,
    /// What is stored cannot be decoded, and is left as it is.
    Unreadable,
    /// The reply of the store was lost or came too late: the edits may be saved or not.
    OutcomeUnknown,
    /// Fewer replicas than required have the write. A session that should end has ended, unless a failover
    /// brings it back; one that should be created is rolled back.
    NotReplicated,
    /// The session was ended by someone else. Nothing was saved.
    Ended,
    /// The session's record is gone, and it is not known that someone ended it: it expired during the
    /// request, was evicted, or was ended more than a minute ago. Nothing was saved.
    Expired,
    /// There is no stored session yet, and this call cannot create one.
    NotPersisted,
    /// This request creates no session without a sign-in, since the browser may hold a session cookie that
    /// it did not send. [`EditsDiscarded`](crate::EditsDiscarded) has the reasons. Nothing was saved.
    NotCreated,
    /// With [`ConflictPolicy::Reject`](crate::ConflictPolicy::Reject): this request would have overwritten a
    /// concurrent change. Nothing was saved.
    Conflict,
    /// The record would be larger than the layer allows, or have more than 64 entries with a lifetime of their own.
    /// Nothing was changed.
    TooLarge,
    /// A value cannot be kept as JSON, or the stored value has another type; or the closure of an update changes
    /// the session each time it runs, so that its result is never final.
    Entry,
    /// [`Session::increment`](crate::Session::increment) would leave the range of the counter's type.
    Overflow,
    /// The id of the signed-in user cannot be parsed as the type that
    /// [`Session::user_id`](crate::Session::user_id) was asked for.
    UserId,
    /// Keys that begin with `$` are reserved for the library.
    ReservedKey,
    /// The timeouts are invalid, or longer than the layer allows.
    InvalidExpiry,
    /// The response has been sent, so edits cannot be saved and no cookie can be set.
    ResponseSent,
    /// The system's random number generator failed.
    RngFailed,
    /// The user has as many sessions as
    /// [`SessionLayerBuilder::with_session_limit`](crate::SessionLayerBuilder::with_session_limit)
    /// allows. Nobody was signed in.
    TooManySessions,
    /// More than 1,024 requests on this server were writing the session at the same moment. Nothing was saved.
    TooManyWriters,
    /// No user is signed in, and the handler requires one.
    NotSignedIn,
    /// The last sign-in is too long ago for what the handler does: the user has to sign in again.
    ReauthenticationRequired,
    /// The user acts as another user, and this is for the user who is signed in: another impersonation, or a change of the
    /// password.
    Impersonating,
    /// The user may not do this: the permission of a guard is not granted.
    Forbidden,
    /// The token of a request is not a CSRF token of its session, or is from before the last sign-in.
    CsrfToken,
    /// The callback of an OAuth provider does not complete a transaction of this browser: it has begun none with
    /// this state, or with another provider, or it has expired or was completed before. The user may begin again.
    OAuthCallback,
    /// An OAuth transaction cannot begin: the layer has no configuration of them, or the issuer or the data is too
    /// long; or its data is not of the type that was requested.
    OAuthSetup,
    /// The store has no index of users, or no event bus.
    Unsupported,
    /// There is no `SessionLayer` around this handler.
    MissingLayer,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Store(StoreError),
    Ended,
    Expired,
    NotPersisted,
    NotCreated,
    Conflict(Vec<Arc<str>>),
    TooLarge {
        size: usize,
        limit: usize,
    },
    Entry(EntryError),
    ReservedKey(Box<str>),
    Expiry(ExpiryError),
    LongestExpiry,
    ResponseSent,
    Detached,
    Rng(RngError),
    TooManySessions,
    TooManyWriters,
    /// The app's code edits what it computes a value from.
    NeverFinal,
    /// The session was revoked before it was stored.
    Undone,
    NotSignedIn,
    /// The client's session has ended for this reason.
    SignedOut(EndReason),
    /// The type that the user's id cannot be parsed as.
    UserId(&'static str),
    ReauthenticationRequired,
    Forbidden,
    Impersonating,
    TooManyLifetimes,
    FlashTooLong(usize),
    CsrfToken,
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))]
    OAuth(OAuthRefusal),
    #[cfg_attr(not(feature = "oauth"), allow(dead_code))]
    OAuthSetup(&'static str),
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    MissingLayer,
}

impl SessionError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> SessionErrorKind {
        match &*self.0 {
            Cause::Store(error) => match error.kind() {
                StoreErrorKind::OutcomeUnknown => SessionErrorKind::OutcomeUnknown,
                StoreErrorKind::NotReplicated => SessionErrorKind::NotReplicated,
                StoreErrorKind::Unsupported => SessionErrorKind::Unsupported,
                StoreErrorKind::Refused => SessionErrorKind::StoreRefused,
                StoreErrorKind::OutOfMemory => SessionErrorKind::StoreFull,
                StoreErrorKind::Unreadable => SessionErrorKind::Unreadable,
                // Also `NewerFormat`: a newer release wrote the value, and its deployment ends some time.
                _ => SessionErrorKind::Unavailable,
            },
            Cause::Ended | Cause::Undone => SessionErrorKind::Ended,
            Cause::Expired => SessionErrorKind::Expired,
            Cause::NotPersisted => SessionErrorKind::NotPersisted,
            Cause::NotCreated => SessionErrorKind::NotCreated,
            Cause::Conflict(_) => SessionErrorKind::Conflict,
            Cause::TooLarge { .. } | Cause::TooManyLifetimes | Cause::FlashTooLong(_) => {
                SessionErrorKind::TooLarge
            }
            Cause::Entry(error) if error.is_overflow() => SessionErrorKind::Overflow,
            Cause::Entry(_) | Cause::NeverFinal => SessionErrorKind::Entry,
            Cause::ReservedKey(_) => SessionErrorKind::ReservedKey,
            Cause::Expiry(_) | Cause::LongestExpiry => SessionErrorKind::InvalidExpiry,
            Cause::ResponseSent | Cause::Detached => SessionErrorKind::ResponseSent,
            Cause::Rng(_) => SessionErrorKind::RngFailed,
            Cause::TooManySessions => SessionErrorKind::TooManySessions,
            Cause::TooManyWriters => SessionErrorKind::TooManyWriters,
            Cause::NotSignedIn | Cause::SignedOut(_) => SessionErrorKind::NotSignedIn,
            Cause::UserId(_) => SessionErrorKind::UserId,
            Cause::ReauthenticationRequired => SessionErrorKind::ReauthenticationRequired,
            Cause::Forbidden => SessionErrorKind::Forbidden,
            Cause::Impersonating => SessionErrorKind::Impersonating,
            Cause::CsrfToken => SessionErrorKind::CsrfToken,
            Cause::OAuth(_) => SessionErrorKind::OAuthCallback,
            Cause::OAuthSetup(_) => SessionErrorKind::OAuthSetup,
            Cause::MissingLayer => SessionErrorKind::MissingLayer,
        }
    }

    /// Returns the status of a response for this error:
    ///
    /// | status | kinds |
    /// |---|---|
    /// | 503, with `Retry-After: 1` | `Unavailable`, `OutcomeUnknown`, `NotReplicated`: it passes by itself |
    /// | 507 | `StoreFull` |
    /// | 429, with `Retry-After: 1` | `TooManyWriters` |
    /// | 409 | `Conflict`, `Ended`, `Expired`, `NotCreated`, `TooManySessions` |
    /// | 400 | `OAuthCallback` |
    /// | 401, with `WWW-Authenticate` | `NotSignedIn`, `ReauthenticationRequired` |
    /// | 403 | `CsrfToken`, `Forbidden`, `Impersonating` |
    /// | 500 | all others, which do not pass by themselves: `StoreRefused` and `Unreadable`, for instance |
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind() {
            SessionErrorKind::Unavailable
            | SessionErrorKind::OutcomeUnknown
            | SessionErrorKind::NotReplicated => StatusCode::SERVICE_UNAVAILABLE,
            SessionErrorKind::StoreFull => StatusCode::INSUFFICIENT_STORAGE,
            SessionErrorKind::Conflict
            | SessionErrorKind::Ended
            | SessionErrorKind::Expired
            | SessionErrorKind::NotCreated
            | SessionErrorKind::TooManySessions => StatusCode::CONFLICT,
            SessionErrorKind::TooManyWriters => StatusCode::TOO_MANY_REQUESTS,
            SessionErrorKind::OAuthCallback => StatusCode::BAD_REQUEST,
            SessionErrorKind::NotSignedIn | SessionErrorKind::ReauthenticationRequired => {
                StatusCode::UNAUTHORIZED
            }
            SessionErrorKind::CsrfToken
            | SessionErrorKind::Forbidden
            | SessionErrorKind::Impersonating => StatusCode::FORBIDDEN,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns why the session has ended whose user was signed in, for a
    /// [`NotSignedIn`](SessionErrorKind::NotSignedIn) error:
    /// [`Session::ended_reason`](crate::Session::ended_reason) at that time.
    #[must_use]
    pub fn ended_reason(&self) -> Option<EndReason> {
        match &*self.0 {
            Cause::SignedOut(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Inserts the headers that belong to a response of [`status`](Self::status): `Retry-After: 1` with
    /// a 503 or a 429, `WWW-Authenticate: Session` with a 401. For an app's own error type that makes its
    /// responses by itself; [`SessionError::into_response`](Self#impl-IntoResponse-for-SessionError)
    /// and the layer's error responses have them.
    ///
    /// ```
    /// use axum::response::{Html, IntoResponse, Response};
    /// use cloakroom::SessionError;
    ///
    /// enum AppError {
    ///     Session(SessionError),
    ///     NotFound,
    /// }
    ///
    /// impl IntoResponse for AppError {
    ///     fn into_response(self) -> Response {
    ///         match self {
    ///             AppError::Session(error) => {
    ///                 let body = Html("<h1>Your session could not be used</h1>");
    ///                 let mut response = (error.status(), body).into_response();
    ///                 error.insert_headers(response.headers_mut());
    ///                 response
    ///             }
    ///             AppError::NotFound => http::StatusCode::NOT_FOUND.into_response(),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn insert_headers(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = required_header(self.status()) {
            headers.insert(name, value);
        }
    }

    /// Why the callback of an OAuth provider was refused, if it was.
    #[cfg(feature = "oauth")]
    pub(crate) fn oauth_refusal(&self) -> Option<OAuthRefusal> {
        match &*self.0 {
            Cause::OAuth(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// Whether a commit was refused for a reason that is logged where it is refused.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            &*self.0,
            Cause::TooManySessions | Cause::TooManyWriters | Cause::Undone | Cause::Expired
        )
    }

    pub(crate) fn is_outcome_unknown(&self) -> bool {
        self.kind() == SessionErrorKind::OutcomeUnknown
    }
}

/// The header that belongs to a response of this status: when to try again (RFC 9110, section
/// 10.2.3), or how to authenticate (section 11.6.1, which requires it with every 401).
pub(crate) fn required_header(status: StatusCode) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => (RETRY_AFTER, "1"),
        StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "Session"),
        _ => return None,
    };
    Some((name, HeaderValue::from_static(value)))
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Cause::Store(error) => error.source(),
            Cause::Rng(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Cause> for SessionError {
    fn from(cause: Cause) -> Self {
        Self(Arc::new(cause))
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Cause::Store(error).into()
    }
}

impl From<EntryError> for SessionError {
    fn from(error: EntryError) -> Self {
        Cause::Entry(error).into()
    }
}

impl From<RngError> for SessionError {
    fn from(error: RngError) -> Self {
        Cause::Rng(error).into()
    }
}

impl From<ExpiryError> for SessionError {
    fn from(error: ExpiryError) -> Self {
        Cause::Expiry(error).into()
    }
}
