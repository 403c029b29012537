//! A backend for axum-login whose users are cached.

use std::collections::HashSet;
use std::fmt;

use axum_login::{AuthnBackend, AuthzBackend, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::CachedBuilder;
use crate::cached::Cached;
use crate::error::{CacheError, ConfigError};

/// A backend of axum-login whose `get_user` is cached. axum-login calls it for every request with a signed-in session.
///
/// The record is kept in Redis as JSON, so it should not contain more than the app needs for a request. axum-login
/// compares [`session_auth_hash`](axum_login::AuthUser::session_auth_hash) with that of the cached record: after a password was
/// changed, call [`Cached::forget`] on [`users`](Self::users), or sessions with the old password live on until the
/// record expires. A hash of the password need not be in it; a number that every change increments suffices.
///
/// ```
/// use axum_login::AuthnBackend;
/// use cloakroom_cache::{CacheBackend, Cached, CachedBackend};
///
/// # fn backend<B>(app_backend: B, redis: &CacheBackend) -> Result<(), cloakroom_cache::ConfigError>
/// # where
/// #     B: AuthnBackend + 'static,
/// #     B::User: serde::Serialize + serde::de::DeserializeOwned,
/// #     axum_login::UserId<B>: 'static,
/// # {
/// let backend = CachedBackend::new(app_backend, Cached::builder(redis, "account"))?;
/// // AuthManagerLayerBuilder::new(backend, session_layer)
/// # Ok(())
/// # }
/// ```
pub struct CachedBackend<B: AuthnBackend> {
    backend: B,
    users: Cached<UserId<B>, B::User>,
}

impl<B> CachedBackend<B>
where
    B: AuthnBackend + 'static,
    B::User: Serialize + DeserializeOwned,
    UserId<B>: 'static,
{
    /// Caches the users of a backend, with the options of `users`, whose loader is the backend's `get_user`.
    ///
    /// # Errors
    ///
    /// If the name or an option of `users` is out of bounds.
    pub fn new(backend: B, users: CachedBuilder<UserId<B>, B::User>) -> Result<Self, ConfigError> {
        let loader = backend.clone();
        let users = users.build(move |id| {
            let backend = loader.clone();
            async move { backend.get_user(&id).await }
        })?;
        Ok(Self { backend, users })
    }

    /// Returns the cache of the users, to forget one whose record has changed.
    pub const fn users(&self) -> &Cached<UserId<B>, B::User> {
        &self.users
    }

    /// Returns the backend.
    pub const fn backend(&self) -> &B {
        &self.backend
    }
}

impl<B: AuthnBackend> Clone for CachedBackend<B> {
    fn clone(&self) -> Self {
        Self {
            backend: self.backend.clone(),
            users: self.users.clone(),
        }
    }
}

impl<B: AuthnBackend> fmt::Debug for CachedBackend<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBackend")
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

/// The error of a [`CachedBackend`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CachedBackendError<E> {
    /// The backend's own, when a user signs in or rights are read.
    Backend(E),
    /// The user could not be read; the source of the error may be one of the backend.
    Cache(CacheError),
}

impl<E: fmt::Display> fmt::Display for CachedBackendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(error) => error.fmt(f),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CachedBackendError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Backend(error) => error.source(),
            Self::Cache(error) => error.source(),
        }
    }
}

impl<B> AuthnBackend for CachedBackend<B>
where
    B: AuthnBackend + 'static,
    B::User: Serialize + DeserializeOwned,
    UserId<B>: 'static,
{
    type User = B::User;
    type Credentials = B::Credentials;
    type Error = CachedBackendError<B::Error>;

    async fn authenticate(
        &self,
        credentials: Self::Credentials,
    ) -> Result<Option<Self::User>, Self::Error> {
        let found = self.backend.authenticate(credentials).await;
        found.map_err(CachedBackendError::Backend)
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<Self::User>, Self::Error> {
        let found = self.users.get(id).await;
        let found = found.map_err(CachedBackendError::Cache)?;
        Ok(found.map(|user| (*user).clone()))
    }
}

/// Rights are read from the backend each time.
impl<B> AuthzBackend for CachedBackend<B>
where
    B: AuthzBackend + 'static,
    B::User: Serialize + DeserializeOwned,
    UserId<B>: 'static,
{
    type Permission = B::Permission;

    async fn get_user_permissions(
        &self,
        user: &Self::User,
    ) -> Result<HashSet<Self::Permission>, Self::Error> {
        let found = self.backend.get_user_permissions(user).await;
        found.map_err(CachedBackendError::Backend)
    }

    async fn get_group_permissions(
        &self,
        user: &Self::User,
    ) -> Result<HashSet<Self::Permission>, Self::Error> {
        let found = self.backend.get_group_permissions(user).await;
        found.map_err(CachedBackendError::Backend)
    }

    async fn get_all_permissions(
        &self,
        user: &Self::User,
    ) -> Result<HashSet<Self::Permission>, Self::Error> {
        let found = self.backend.get_all_permissions(user).await;
        found.map_err(CachedBackendError::Backend)
    }

    async fn has_perm(
        &self,
        user: &Self::User,
        permission: Self::Permission,
    ) -> Result<bool, Self::Error> {
        let found = self.backend.has_perm(user, permission).await;
        found.map_err(CachedBackendError::Backend)
    }
}
