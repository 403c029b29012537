//! How an answer looks when the session could not be loaded or saved.

use http::header::{HeaderValue, RETRY_AFTER};
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

/// The error's status, `Retry-After: 1` with a 503, and no body.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultErrorResponse;

impl<B: Default> ErrorResponse<B> for DefaultErrorResponse {
    fn error_response(&self, error: &SessionError) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        retry_after(&mut response);
        response
    }
}

/// Tells when to come back, where coming back may help (RFC 9110, section 10.2.3).
pub(crate) fn retry_after<B>(response: &mut Response<B>) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
}
