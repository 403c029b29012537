//! The service.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::LimitBody;
use super::config::LayerConfig;
use crate::response::append_headers;

/// Limits the requests of an inner service. [`RateLimitLayer`](crate::RateLimitLayer) creates it.
#[derive(Clone, Debug)]
pub struct RateLimitService<S> {
    inner: S,
    config: Arc<LayerConfig>,
}

/// The future of a [`RateLimitService`].
pub struct ResponseFuture<B, E>(Pin<Box<dyn Future<Output = Limited<B, E>> + Send>>);

type Limited<B, E> = Result<Response<LimitBody<B>>, E>;

impl<S> RateLimitService<S> {
    pub(super) const fn new(inner: S, config: Arc<LayerConfig>) -> Self {
        Self { inner, config }
    }
}

impl<S, B, R> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<LimitBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that is ready goes with the request; the clone has to become ready first.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let config = Arc::clone(&self.config);
        ResponseFuture(Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let decision = config.decide(&parts).await;
            if !decision.is_allowed() {
                return Ok(config.refuse(&decision, &parts));
            }
            parts.extensions.insert(decision.clone());
            let response = inner.call(Request::from_parts(parts, body)).await?;
            let mut response = response.map(LimitBody::inner);
            if config.has_headers {
                append_headers(response.headers_mut(), &decision);
            }
            Ok(response)
        }))
    }
}

impl<B, E> Future for ResponseFuture<B, E> {
    type Output = Limited<B, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<B, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
