//! The layer that guards routes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::future::GuardFuture;
use super::permission::{AnyUser, Permission};
use crate::error::{Cause, ConfigError, ConfigErrorKind, SessionError, SessionErrorKind};
use crate::navigation::{LocalPath, Navigation, Pages, WithoutRedirect, redirect};
use crate::session::LazySession;

/// A layer for routes that need a signed-in user.
///
/// Everyone else gets the error [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn): a 401, or a redirect to
/// the sign-in page if the session layer has one
/// ([`with_sign_in_page`](crate::SessionLayerBuilder::with_sign_in_page)) and the request loads a page. Scripts and
/// apps, which could not use the page, get the 401 in any case.
///
/// It belongs inside of the session layer, around the routes that it guards. With `route_layer`, a path without a
/// route stays a 404.
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom::{MemoryStore, RequireSignIn, Session, SessionError, SessionLayer, minutes};
///
/// # async fn page() {}
/// async fn is_admin(session: Session) -> Result<bool, SessionError> {
///     let role: Option<String> = session.get("role")?;
///     Ok(role.as_deref() == Some("admin"))
/// }
///
/// let account = Router::new()
///     .route("/account", get(page))
///     .route_layer(RequireSignIn::new());
/// let admin = Router::new()
///     .route("/admin", get(page))
///     .route_layer(RequireSignIn::new().with_permission(is_admin).within(minutes(30)));
/// let api = Router::new()
///     .route("/api/orders", get(page))
///     .route_layer(RequireSignIn::new().without_redirect());
/// let sessions = SessionLayer::builder(MemoryStore::new())
///     .with_sign_in_page("/sign-in")
///     .with_reauthentication_page("/password")
///     .build()?;
/// let app: Router = account.merge(admin).merge(api).layer(sessions);
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireSignIn<P = AnyUser> {
    rules: Arc<Rules>,
    permission: P,
}

/// What a guard requires, except for the permission, and what it does with the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    within: Option<Duration>,
    sign_in_page: Option<LocalPath>,
    without_redirect: bool,
}

impl RequireSignIn {
    /// Creates a guard that requires a signed-in user, and nothing else.
    pub fn new() -> Self {
        Self {
            rules: Arc::default(),
            permission: AnyUser,
        }
    }
}

impl Default for RequireSignIn {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> RequireSignIn<P> {
    /// Requires a permission of the app as well: without it, the response is a 403
    /// ([`Forbidden`](crate::SessionErrorKind::Forbidden)). Default: none.
    pub fn with_permission<Q: Permission>(self, permission: Q) -> RequireSignIn<Q> {
        RequireSignIn {
            rules: self.rules,
            permission,
        }
    }

    /// Requires that the user signed in at most this long ago
    /// ([`Session::require_recent_sign_in`](crate::Session::require_recent_sign_in)). Default: it does not matter.
    ///
    /// Where the session layer has a page that asks for the password again
    /// ([`with_reauthentication_page`](crate::SessionLayerBuilder::with_reauthentication_page)), pages lead there;
    /// otherwise to the sign-in page.
    pub fn within(mut self, duration: Duration) -> Self {
        Arc::make_mut(&mut self.rules).within = Some(duration);
        self
    }

    /// Sets the sign-in page of these routes. Default: the session layer's. Requests without a
    /// [recent sign-in](Self::within) lead there as well, unless the session layer has a page that asks for the password
    /// again.
    ///
    /// # Errors
    ///
    /// If it is not a [`LocalPath`].
    pub fn with_sign_in_page(mut self, page: &str) -> Result<Self, ConfigError> {
        let page = page.parse::<LocalPath>().map_err(|error| {
            let message = format!("the sign-in page `{page}`: {error}");
            ConfigError::new(ConfigErrorKind::Page, message).of("with_sign_in_page")
        })?;
        Arc::make_mut(&mut self.rules).sign_in_page = Some(page);
        Ok(self)
    }

    /// Never redirects: for an API whose clients may also name HTML among the types that they accept. Default:
    /// requests that load a page are redirected, if there is a page for them.
    pub fn without_redirect(mut self) -> Self {
        Arc::make_mut(&mut self.rules).without_redirect = true;
        self
    }
}

impl<P: Permission> RequireSignIn<P> {
    async fn check(&self, session: Option<&LazySession>) -> Result<(), SessionError> {
        let session = session.ok_or(Cause::MissingLayer)?.load().await?;
        match self.rules.within {
            Some(within) => session.require_recent_sign_in(within)?,
            None => session.require_user()?,
        };
        if self.permission.is_granted(&session).await? {
            Ok(())
        } else {
            Err(Cause::Forbidden.into())
        }
    }
}

impl<P> fmt::Debug for RequireSignIn<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireSignIn")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<S, P: Clone> Layer<S> for RequireSignIn<P> {
    type Service = GuardService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService {
            inner,
            guard: self.clone(),
        }
    }
}

/// A service wrapped by a [`RequireSignIn`].
#[derive(Clone, Debug)]
pub struct GuardService<S, P> {
    inner: S,
    guard: RequireSignIn<P>,
}

impl<S, P, R, B> Service<Request<R>> for GuardService<S, P>
where
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    P: Permission,
    R: Send + 'static,
    B: Default + Send,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = GuardFuture<B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        // The clone may not be ready; the service that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        GuardFuture::new(async move {
            let session = request.extensions().get::<LazySession>().cloned();
            match guard.check(session.as_ref()).await {
                Ok(()) => inner.call(request).await,
                Err(error) => Ok(guard.rules.refuse(&error, &request, session.as_ref())),
            }
        })
    }
}

impl Rules {
    /// Returns the page of the guard for an error, unless that of the session layer is more specific.
    fn page_for(&self, error: &SessionError, pages: Option<&Pages>) -> Option<&LocalPath> {
        let is_for_sign_in = match error.kind() {
            SessionErrorKind::NotSignedIn => true,
            SessionErrorKind::ReauthenticationRequired => {
                pages.is_none_or(|pages| pages.reauthentication.is_none())
            }
            _ => false,
        };
        self.sign_in_page.as_ref().filter(|_| is_for_sign_in)
    }

    /// Returns the response to a request that may not go on. The session layer makes the app's error response of
    /// it, or the redirect to its own page.
    fn refuse<R, B: Default>(
        &self,
        error: &SessionError,
        request: &Request<R>,
        session: Option<&LazySession>,
    ) -> Response<B> {
        let context = session.map(|session| &*session.handle.context);
        let prefix = context.and_then(|context| context.path_prefix.as_deref());
        let pages = context.map(|context| &context.pages);
        if !self.without_redirect
            && let Some(page) = self.page_for(error, pages)
            && let Some(navigation) = Navigation::of(request)
            && let Some(location) = navigation.location(page, prefix)
        {
            return redirect(location, B::default());
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        error.insert_headers(response.headers_mut());
        response.extensions_mut().insert(error.clone());
        if self.without_redirect {
            response.extensions_mut().insert(WithoutRedirect);
        }
        response
    }
}
