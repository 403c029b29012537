//! `tower_sessions::Session` on Cloakroom's layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloakroom::LazySession;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::request::{RequestStore, public_id};
use super::ts;

/// Provides a `tower_sessions::Session` for the request's Cloakroom session.
///
/// Add it inside [`SessionLayer`](cloakroom::SessionLayer), and outside everything that uses a tower-sessions
/// session. See the [crate documentation](crate).
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom::{MemoryStore, SessionLayer};
/// use cloakroom_tower_sessions::v0_15::BridgeLayer;
///
/// let app: Router = Router::new()
///     .route("/", get(|| async { "a handler that takes tower_sessions::Session" }))
///     .layer(BridgeLayer::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BridgeLayer;

impl BridgeLayer {
    /// Creates the layer. All options are those of the session layer around it.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for BridgeLayer {
    type Service = BridgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BridgeService { inner }
    }
}

/// The service of a [`BridgeLayer`].
#[derive(Clone, Debug)]
pub struct BridgeService<S> {
    inner: S,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for BridgeService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let bridged = request.extensions().get().map(Bridged::new);
        match &bridged {
            Some(bridged) => drop(request.extensions_mut().insert(bridged.session.clone())),
            None => tracing::error!("BridgeLayer is not inside a SessionLayer"),
        }
        ResponseFuture {
            inner: self.inner.call(request),
            bridged,
            response: None,
            closing: None,
        }
    }
}

/// A request's session, for tower-sessions.
struct Bridged {
    session: ts::Session,
    store: Arc<RequestStore>,
}

impl Bridged {
    fn new(lazy: &LazySession) -> Self {
        let store = Arc::new(RequestStore::new(lazy.clone()));
        // Without an id nothing is loaded, as with `SessionManagerLayer` if there is no cookie.
        let id = lazy.presented_id().map(public_id);
        let session = ts::Session::new(id, Arc::clone(&store), None);
        store.attach(session.clone());
        Self { session, store }
    }

    /// Writes the edits to the Cloakroom session, as `SessionManagerLayer` would do at the end of a request.
    fn close(&self) -> Option<Closing> {
        self.store.close();
        if !self.session.is_modified() {
            return None;
        }
        let session = self.session.clone();
        Some(Box::pin(async move { session.save().await }))
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        self.store.finish();
    }
}

type Closing = Pin<Box<dyn Future<Output = Result<(), ts::session::Error>> + Send>>;

pin_project! {
    /// The future of a [`BridgeService`].
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        // `None` without a session layer around.
        bridged: Option<Bridged>,
        // The handler's response, while the edits are written.
        response: Option<Response<B>>,
        closing: Option<Closing>,
    }
}

impl<F, B, Error> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, Error>>,
    B: Default,
{
    type Output = Result<Response<B>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.response.take() {
            Some(response) => response,
            None => {
                let response = ready!(this.inner.poll(cx))?;
                *this.closing = this.bridged.as_ref().and_then(Bridged::close);
                response
            }
        };
        if let (Some(closing), Some(bridged)) = (this.closing, &this.bridged) {
            let Poll::Ready(closed) = closing.as_mut().poll(cx) else {
                *this.response = Some(response);
                return Poll::Pending;
            };
            if let Err(error) = closed {
                response = error_response(&error, &bridged.store);
            }
        }
        *this.bridged = None;
        Poll::Ready(Ok(response))
    }
}

/// Builds the response for edits that could not be written. The session layer replaces its body with the
/// app's own error response.
fn error_response<B: Default>(error: &ts::session::Error, store: &RequestStore) -> Response<B> {
    tracing::error!(%error, "failed to write the edits of a tower-sessions session");
    let mut response = Response::default();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    if let Some(error) = store.take_error() {
        *response.status_mut() = error.status();
        response.extensions_mut().insert(error);
    }
    response
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
