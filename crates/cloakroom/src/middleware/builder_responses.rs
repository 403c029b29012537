//! The options of a layer that decide what responses look like.

use http::Response;

use super::builder::SessionLayerBuilder;
use super::error_response::{ErrorResponse, ErrorResponseForRequest, RequestHead};
use crate::caching::{CachePolicy, ClearSiteData};
use crate::context::ErrorPolicy;
use crate::error::SessionError;
use crate::navigation::parse_page;

impl<E> SessionLayerBuilder<E> {
    /// Sets the sign-in page, as browsers see its path. Default: none.
    ///
    /// A request that loads a page and is refused with [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), by
    /// a guard ([`RequireSignIn`](crate::RequireSignIn)), an extractor ([`SignedIn`](crate::SignedIn)) or
    /// [`Session::require_user`](crate::Session::require_user), is redirected there (303), with the address of the
    /// page as `next`: `/sign-in?next=%2Forders`. [`Next`](crate::Next) reads it. A form is redirected without
    /// `next`, since it cannot be sent again. Scripts and apps get the error response, by default a 401: requests
    /// whose `Sec-Fetch-Mode` is not `navigate`, or without that header, whose `Accept` does not name HTML.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_sign_in_page("/sign-in")
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    ///
    /// Refused if it is not a [`LocalPath`](crate::LocalPath).
    pub fn with_sign_in_page(mut self, page: &str) -> Self {
        self.context.pages.sign_in = Some(parse_page(page));
        self
    }

    /// Sets the page that asks a signed-in user for the password again, as browsers see its path. Default: the
    /// sign-in page.
    ///
    /// A request that loads a page and is refused with
    /// [`ReauthenticationRequired`](crate::SessionErrorKind::ReauthenticationRequired), by
    /// [`RecentSignIn`](crate::RecentSignIn) for instance, is redirected there as to the
    /// [sign-in page](Self::with_sign_in_page).
    ///
    /// Refused if it is not a [`LocalPath`](crate::LocalPath).
    pub fn with_reauthentication_page(mut self, page: &str) -> Self {
        self.context.pages.reauthentication = Some(parse_page(page));
        self
    }

    /// Sets what happens to a session's unsaved edits when the response is an error. Default: they are
    /// discarded.
    pub fn with_error_policy(mut self, policy: ErrorPolicy) -> Self {
        self.context.error_policy = policy;
        self
    }

    /// Sets whether browsers may store the pages of signed-in users. Default: the app decides.
    ///
    /// It is for responses to requests that have used the session of a signed-in user, and have no `Cache-Control` of their
    /// handler. Pages that do not use the session are not marked. A response that sets the cookie is always `no-store`.
    ///
    /// ```
    /// use cloakroom::{CachePolicy, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_cache_policy(CachePolicy::NoStore)
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    pub fn with_cache_policy(mut self, policy: CachePolicy) -> Self {
        self.context.cache_policy = policy;
        self
    }

    /// Sets what a browser removes of this site when a user signs out: the response has the header `Clear-Site-Data`, unless its
    /// handler has set one. Default: nothing.
    ///
    /// It is for responses to requests that have ended their session
    /// ([`sign_out`](crate::Session::sign_out), [`destroy`](crate::Session::destroy)) and not signed a user in since. Browsers
    /// ignore it over plain HTTP, except from the machine itself.
    pub fn with_clear_site_data(mut self, data: ClearSiteData) -> Self {
        self.context.clear_site_data = Some(data);
        self
    }

    /// Sets the response for a request whose session could not be loaded or saved, or whose handler
    /// returned a [`SessionError`]. Default: the error's status, with `Retry-After: 1` or
    /// `WWW-Authenticate` where it fits, and no body.
    ///
    /// ```
    /// use axum::response::{Html, IntoResponse};
    /// use cloakroom::{MemoryStore, SessionError, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_error_response(|error: &SessionError| {
    ///         (error.status(), Html("<h1>Please try again in a moment</h1>")).into_response()
    ///     })
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    pub fn with_error_response<F>(self, error_response: F) -> SessionLayerBuilder<F>
    where
        F: ErrorResponse + Clone,
    {
        SessionLayerBuilder {
            context: self.context,
            realm: self.realm,
            error_response,
        }
    }

    /// Like [`with_error_response`](Self::with_error_response), by a closure that sees the method, the
    /// URI and the headers of the request: to redirect to the sign-in page and back, or to answer some
    /// clients with HTML and others with JSON.
    ///
    /// The layer keeps these of every request until its response is ready, which costs a copy of the
    /// header map. An [`ErrorResponse`] of your own can keep less.
    ///
    /// ```
    /// use axum::http::header::{ACCEPT, CONTENT_TYPE};
    /// use axum::response::{IntoResponse, Redirect, Response};
    /// use cloakroom::{MemoryStore, RequestHead, SessionError, SessionLayer};
    ///
    /// fn error_response(error: &SessionError, request: &RequestHead) -> Response {
    ///     let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    ///     if !accept.is_some_and(|accept| accept.contains("text/html")) {
    ///         let json = [(CONTENT_TYPE, "application/json")];
    ///         return (error.status(), json, r#"{"error":"session"}"#).into_response();
    ///     }
    ///     if error.status() == 401 && request.method() == "GET" {
    ///         // Encode `next` with the URL library of the app.
    ///         let next = request.uri().path();
    ///         return Redirect::to(&format!("/sign-in?next={next}")).into_response();
    ///     }
    ///     (error.status(), "Please try again in a moment.").into_response()
    /// }
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .with_error_response_for_request(error_response)
    ///     .build()?;
    /// # Ok::<(), cloakroom::ConfigError>(())
    /// ```
    pub fn with_error_response_for_request<F, B>(
        self,
        error_response: F,
    ) -> SessionLayerBuilder<ErrorResponseForRequest<F>>
    where
        F: Fn(&SessionError, &RequestHead) -> Response<B> + Clone,
    {
        self.with_error_response(ErrorResponseForRequest(error_response))
    }
}
