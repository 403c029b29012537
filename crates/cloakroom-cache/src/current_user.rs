//! The extractor of the signed-in user's record.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use axum_core::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use cloakroom::{Session, SessionError, SessionRejection};
use cloakroom_core::UserId;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cached::Cached;
use crate::error::CacheError;

/// The record of a user, as [`CurrentUser`] extracts it.
pub trait SessionUser: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of the ids with which users sign in.
    type Id: FromStr + Clone + Display + Send + Sync + 'static;
}

/// The record of the signed-in user, from a [`Cached`] in the app's state.
///
/// Several extractors of one request read it once. It is as current as [`Cached::get`] promises. A request without a
/// signed-in user, and one whose user has no record, get a 401; one whose record cannot be loaded a 503. With
/// `Option<CurrentUser<_>>`, the first two get `None`.
///
/// ```
/// use axum::extract::FromRef;
/// use axum::{Router, routing::get};
/// use cloakroom_cache::{Cached, CurrentUser, SessionUser};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// impl SessionUser for User {
///     type Id = i64;
/// }
///
/// #[derive(Clone)]
/// struct App {
///     users: Cached<i64, User>,
/// }
///
/// impl FromRef<App> for Cached<i64, User> {
///     fn from_ref(app: &App) -> Self {
///         app.users.clone()
///     }
/// }
///
/// async fn page(CurrentUser(user): CurrentUser<User>) -> String {
///     format!("Hello, {}", user.name)
/// }
///
/// fn router(app: App) -> Router {
///     Router::new().route("/", get(page)).with_state(app)
/// }
/// ```
#[derive(Debug)]
pub struct CurrentUser<U>(pub Arc<U>);

impl<U> Clone for CurrentUser<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What an extractor has found in this request.
struct Extracted<U> {
    id: UserId,
    user: Arc<U>,
}

impl<U> Clone for Extracted<U> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            user: Arc::clone(&self.user),
        }
    }
}

impl<S, U> FromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: SessionUser,
    Cached<U::Id, U>: FromRef<S>,
{
    type Rejection = CurrentUserRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        let id = session.require_user()?;
        if let Some(extracted) = parts.extensions.get::<Extracted<U>>()
            && extracted.id == id
        {
            return Ok(Self(Arc::clone(&extracted.user)));
        }
        let key: U::Id = session.require_user_id()?;
        let found = Cached::<U::Id, U>::from_ref(state).get(&key).await;
        let user = found?.ok_or(CurrentUserRejection(Reason::NoRecord))?;
        let extracted = Extracted {
            id,
            user: Arc::clone(&user),
        };
        parts.extensions.insert(extracted);
        Ok(Self(user))
    }
}

impl<S, U> OptionalFromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: SessionUser,
    Cached<U::Id, U>: FromRef<S>,
{
    type Rejection = CurrentUserRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let session = Session::from_request_parts(parts, state).await?;
        if session.user().is_none() {
            return Ok(None);
        }
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(user) => Ok(Some(user)),
            Err(CurrentUserRejection(Reason::NoRecord)) => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}

/// The rejection of [`CurrentUser`].
#[derive(Clone, Debug)]
pub struct CurrentUserRejection(Reason);

#[derive(Clone, Debug)]
enum Reason {
    Session(SessionError),
    /// The user was deleted.
    NoRecord,
    Cache(CacheError),
}

impl CurrentUserRejection {
    /// Returns the error of the session, if there is no signed-in user or the session cannot be loaded.
    #[must_use]
    pub const fn session_error(&self) -> Option<&SessionError> {
        match &self.0 {
            Reason::Session(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error of the cache, if the record cannot be loaded.
    #[must_use]
    pub const fn cache_error(&self) -> Option<&CacheError> {
        match &self.0 {
            Reason::Cache(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SessionRejection> for CurrentUserRejection {
    fn from(rejection: SessionRejection) -> Self {
        Self(Reason::Session(rejection.into()))
    }
}

impl From<SessionError> for CurrentUserRejection {
    fn from(error: SessionError) -> Self {
        Self(Reason::Session(error))
    }
}

impl From<CacheError> for CurrentUserRejection {
    fn from(error: CacheError) -> Self {
        Self(Reason::Cache(error))
    }
}

impl fmt::Display for CurrentUserRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Session(error) => error.fmt(f),
            Reason::NoRecord => f.write_str("the signed-in user does not exist any more"),
            Reason::Cache(_) => f.write_str("the signed-in user cannot be loaded"),
        }
    }
}

impl std::error::Error for CurrentUserRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::Session(error) => error.source(),
            Reason::NoRecord => None,
            Reason::Cache(error) => Some(error),
        }
    }
}

impl IntoResponse for CurrentUserRejection {
    fn into_response(self) -> Response {
        let text = self.to_string();
        match self.0 {
            Reason::Session(error) => error.into_response(),
            Reason::NoRecord => (StatusCode::UNAUTHORIZED, text).into_response(),
            Reason::Cache(_) => {
                let retry = [(RETRY_AFTER, HeaderValue::from_static("1"))];
                (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
            }
        }
    }
}
