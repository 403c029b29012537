//! The response for a request whose session could not be loaded or saved.

use http::{HeaderMap, Method, Request, Response, Uri};

use super::body::EmptyBody;
use crate::error::SessionError;

/// Makes the response for a request whose session could not be loaded or saved, or whose handler
/// returned a [`SessionError`].
///
/// Closures from `&SessionError` to a response are one; those that see the request as well are for
/// [`with_error_response_for_request`](crate::SessionLayerBuilder::with_error_response_for_request).
/// Implement it for a type of your own to choose what is kept of each request: here its URI, without a
/// copy of the headers.
///
/// ```
/// use axum::body::Body;
/// use axum::http::{Request, Response, Uri};
/// use axum::response::{IntoResponse, Redirect};
/// use cloakroom::{ErrorResponse, MemoryStore, SessionError, SessionLayer};
///
/// #[derive(Clone)]
/// struct ToSignIn;
///
/// impl ErrorResponse for ToSignIn {
///     type Body = Body;
///     type Captured = Uri;
///
///     fn capture<B>(&self, request: &Request<B>) -> Uri {
///         request.uri().clone()
///     }
///
///     fn error_response(&self, error: &SessionError, uri: &Uri) -> Response<Body> {
///         if error.status() != 401 {
///             return error.status().into_response();
///         }
///         Redirect::to(&format!("/sign-in?next={}", uri.path())).into_response()
///     }
/// }
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_error_response(ToSignIn)
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
///
/// A response with status 503 or 429 gets `Retry-After` from the layer, and one with status 401
/// `WWW-Authenticate`, unless it has the header.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make error responses",
    note = "pass a closure with an annotated argument, `|error: &SessionError| ...`, that returns an \
            `http::Response`, or implement `ErrorResponse`"
)]
pub trait ErrorResponse {
    /// The body of the error responses. The inner service's body may be another.
    type Body;

    /// What is kept of each request until its response is ready; `()` for nothing.
    type Captured;

    /// Keeps what [`error_response`](Self::error_response) needs of a request. Called for every
    /// request before it is handled, so it should be cheap.
    fn capture<B>(&self, request: &Request<B>) -> Self::Captured;

    /// Returns the response that takes the place of the handler's.
    fn error_response(
        &self,
        error: &SessionError,
        captured: &Self::Captured,
    ) -> Response<Self::Body>;
}

impl<F, B> ErrorResponse for F
where
    F: Fn(&SessionError) -> Response<B>,
{
    type Body = B;
    type Captured = ();

    fn capture<R>(&self, _: &Request<R>) {}

    fn error_response(&self, error: &SessionError, (): &()) -> Response<B> {
        self(error)
    }
}

/// The error's status, `Retry-After: 1` with a 503 or 429, `WWW-Authenticate` with a 401, and no body.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultErrorResponse;

impl ErrorResponse for DefaultErrorResponse {
    type Body = EmptyBody;
    type Captured = ();

    fn capture<R>(&self, _: &Request<R>) {}

    fn error_response(&self, error: &SessionError, (): &()) -> Response<EmptyBody> {
        let mut response = Response::new(EmptyBody);
        *response.status_mut() = error.status();
        response
    }
}

/// An error response by a closure that sees the request, from
/// [`with_error_response_for_request`](crate::SessionLayerBuilder::with_error_response_for_request).
#[derive(Clone, Copy, Debug)]
pub struct ErrorResponseForRequest<F>(pub(super) F);

impl<F, B> ErrorResponse for ErrorResponseForRequest<F>
where
    F: Fn(&SessionError, &RequestHead) -> Response<B>,
{
    type Body = B;
    type Captured = RequestHead;

    fn capture<R>(&self, request: &Request<R>) -> RequestHead {
        RequestHead {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn error_response(&self, error: &SessionError, request: &RequestHead) -> Response<B> {
        self.0(error, request)
    }
}

/// The head of a request as the layer received it, for
/// [`with_error_response_for_request`](crate::SessionLayerBuilder::with_error_response_for_request).
#[derive(Clone, Debug)]
pub struct RequestHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl RequestHead {
    /// Returns the request's method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the request's URI. Around a nested router it is whole; inside of one, the prefix is
    /// stripped.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the request's headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}
