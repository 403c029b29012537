//! The body of a response: the inner service's, or an error response's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The body of a response of a [`SessionService`](crate::SessionService): `B`, the inner service's,
    /// or `E`, that of an [`ErrorResponse`](crate::ErrorResponse).
    ///
    /// So the inner service may have any body, and error responses another.
    #[derive(Debug)]
    pub struct ResponseBody<B, E> {
        #[pin]
        kind: Kind<B, E>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<B, E> {
        Inner { #[pin] body: B },
        Error { #[pin] body: E },
        Empty,
    }
}

impl<B, E> ResponseBody<B, E> {
    pub(super) fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }

    pub(super) fn error(body: E) -> Self {
        Self {
            kind: Kind::Error { body },
        }
    }

    /// The body of a redirect: none.
    pub(super) fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// Returns the inner service's body.
    ///
    /// # Errors
    ///
    /// The body of the error response, if it is one; `None` for a redirect to the sign-in page.
    pub fn into_inner(self) -> Result<B, Option<E>> {
        match self.kind {
            Kind::Inner { body } => Ok(body),
            Kind::Error { body } => Err(Some(body)),
            Kind::Empty => Err(None),
        }
    }
}

impl<B, E> Body for ResponseBody<B, E>
where
    B: Body<Error: Into<BoxError>>,
    E: Body<Data = B::Data, Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            Projected::Inner { body } => body.poll_frame(cx).map_err(Into::into),
            Projected::Error { body } => body.poll_frame(cx).map_err(Into::into),
            Projected::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Error { body } => body.is_end_stream(),
            Kind::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Error { body } => body.size_hint(),
            Kind::Empty => SizeHint::with_exact(0),
        }
    }
}

/// The default of the inner service's body: layers around this one make their own responses of it.
impl<B: Default, E> Default for ResponseBody<B, E> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

/// The body of a [`DefaultErrorResponse`](crate::DefaultErrorResponse): none.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EmptyBody;

impl Body for EmptyBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
