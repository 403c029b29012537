//! How an answer looks when the session could not be loaded or saved.

use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use crate::error::SessionError;

/// Makes the answer for a request whose session could not be loaded or saved: any closure from
/// `&SessionError` to a response.
pub trait ErrorResponse<B> {
    /// The answer in place of the handler's.
    fn error_response(&self, error: &SessionError) -> Response<B>;
}

impl<F, B> ErrorResponse<B> for F
where
    F: Fn(&SessionError) -> Response<B>,
{
    fn error_response(&self, error: &SessionError) -> Response<B> {
        self(error)
    }
}

/// The error's status, `Retry-After: 1` with a 503, `WWW-Authenticate` with a 401, and no body.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultErrorResponse;

impl<B: Default> ErrorResponse<B> for DefaultErrorResponse {
    fn error_response(&self, error: &SessionError) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        what_helps(&mut response);
        response
    }
}

/// Tells what may help: to come back (RFC 9110, section 10.2.3), or to sign in (section 11.6.1, which
/// wants it with every 401).
pub(crate) fn what_helps<B>(response: &mut Response<B>) {
    let (name, value) = match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => (RETRY_AFTER, "1"),
        StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "Session"),
        _ => return,
    };
    let headers = response.headers_mut();
    headers.insert(name, HeaderValue::from_static(value));
}
