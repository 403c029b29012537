//! Our layer, their `Session`.

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

use super::request::{RequestStore, Shared, public};
use super::ts;

/// Gives handlers and middleware a `tower_sessions::Session` that is the request's Cloakroom session.
/// It stands under [`SessionLayer`](cloakroom::SessionLayer), and around what asks for a
/// tower-sessions session. See the [crate's front page](crate).
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
    /// The layer. It takes all that can be set from the session layer around it.
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

/// A service around which a [`BridgeLayer`] was put.
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
            None => tracing::error!("no SessionLayer stands around the BridgeLayer"),
        }
        ResponseFuture {
            inner: self.inner.call(request),
            bridged,
            answer: None,
            closing: None,
        }
    }
}

/// A request's session, in their shape and with what is behind it.
struct Bridged {
    session: ts::Session,
    store: Shared,
}

impl Bridged {
    fn new(lazy: &LazySession) -> Self {
        let store = Arc::new(RequestStore::new(lazy.clone()));
        // Without a cookie nothing is loaded, as under their own layer.
        let id = lazy.presented_id().map(public);
        let session = ts::Session::new(id, Arc::clone(&store), None);
        store.attach(session.clone());
        Self { session, store }
    }

    /// What was edited goes into the Cloakroom session. Nobody else does it under a foreign layer.
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
        // `None` where no session layer stands around.
        bridged: Option<Bridged>,
        // The handler's answer, while the edits are taken over.
        answer: Option<Response<B>>,
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
        let mut answer = match this.answer.take() {
            Some(answer) => answer,
            None => {
                let answer = ready!(this.inner.poll(cx))?;
                *this.closing = this.bridged.as_ref().and_then(Bridged::close);
                answer
            }
        };
        if let (Some(closing), Some(bridged)) = (this.closing, &this.bridged) {
            let Poll::Ready(closed) = closing.as_mut().poll(cx) else {
                *this.answer = Some(answer);
                return Poll::Pending;
            };
            if let Err(error) = closed {
                answer = refuse(&error, &bridged.store);
            }
        }
        *this.bridged = None;
        Poll::Ready(Ok(answer))
    }
}

/// What was edited cannot be taken over. The session layer gives the answer the app's own shape.
fn refuse<B: Default>(error: &ts::session::Error, store: &RequestStore) -> Response<B> {
    tracing::error!(%error, "the edits of a tower-sessions session were not taken over");
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    if let Some(error) = store.take_error() {
        *answer.status_mut() = error.status();
        answer.extensions_mut().insert(error);
    }
    answer
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
