//! The service: adds a lazy session to each request, and calls the inner service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::ResponseBody;
use super::error_response::ErrorResponse;
use super::future::ResponseFuture;
use crate::context::Context;
use crate::cookie::headers::Credentials;
use crate::cookie::refused::is_host_outside_domain;
use crate::cookie::withheld::withheld;
use crate::device::DeviceTracking;
use crate::navigation::Navigation;
use crate::session::LazySession;
use crate::session::shared::SharedSession;

/// A service wrapped by a [`SessionLayer`](crate::SessionLayer).
#[derive(Clone)]
pub struct SessionService<S, E> {
    inner: S,
    context: Arc<Context>,
    error_response: E,
}

impl<S, E> SessionService<S, E> {
    pub(super) fn new(inner: S, context: Arc<Context>, error_response: E) -> Self {
        Self {
            inner,
            context,
            error_response,
        }
    }
}

impl<S, E, R, B> Service<Request<R>> for SessionService<S, E>
where
    S: Service<Request<R>, Response = Response<B>>,
    E: ErrorResponse + Clone,
{
    type Response = Response<ResponseBody<B, E::Body>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, E, B>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<R>) -> Self::Future {
        let session = self.session(&request);
        if let Some(session) = &session {
            request.extensions_mut().insert(session.clone());
        }
        let error_response = self.error_response.clone();
        let pages = &self.context.pages;
        let navigation = pages.are_set().then(|| Navigation::of(&request)).flatten();
        let captured = error_response.capture(&request);
        let inner = self.inner.call(request);
        ResponseFuture::new(inner, session, error_response, captured, navigation)
    }
}

impl<S, E> SessionService<S, E> {
    /// Creates the session of a request. Returns `None` if an outer layer already uses this cookie.
    fn session<B>(&self, request: &Request<B>) -> Option<LazySession> {
        let outer = request.extensions().get::<LazySession>();
        let name = self.context.cookie.name();
        if outer.is_some_and(|outer| outer.named(name).is_some()) {
            self.context.once.mounted_twice(name);
            return None;
        }
        let outer = outer.map(|outer| Arc::clone(&outer.handle));
        let (headers, extensions) = (request.headers(), request.extensions());
        let header = self.context.token_header.as_ref();
        let credentials = Credentials::of(headers, &self.context.cookie, header);
        let devices = self.context.devices.as_ref();
        let client =
            devices.map(|devices| DeviceTracking::client_info(devices, headers, extensions));
        let context = Arc::clone(&self.context);
        let is_browser = !credentials.are_in_header();
        let mut handle = SharedSession::new(context, credentials, client, outer);
        if is_browser {
            let context = &*self.context;
            let cookie = context.cookie.written_now(&*context.clock);
            let withheld = withheld(cookie, request, context.path_prefix.as_deref());
            handle = handle.with_cookie_withheld(withheld, is_host_outside_domain(cookie, headers));
        }
        let handle = Arc::new(handle);
        Some(LazySession { handle })
    }
}

impl<S: fmt::Debug, E> fmt::Debug for SessionService<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
