//! An app whose handler runs a closure of the test, called in the test's own process.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::HttpBody;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{BoxError, Router};
use bytes::Bytes;
use cloakroom::{
    DetachedSession, ErrorResponse, LazySession, MemoryStore, Session, SessionError, SessionLayer,
    SessionLayerBuilder, Store,
};
use cloakroom_core::ManualClock;
use tokio::sync::oneshot;

use crate::browser::{Browser, CookieChange, TestResponse};
use crate::faulty_store::{CountingStore, Verb};
use crate::log;

type HandlerFuture = Pin<Box<dyn Future<Output = Response> + Send>>;
type HandlerFn = Box<dyn FnOnce(Request) -> HandlerFuture + Send>;

/// What the handler does with a request: carried to it in the request's extensions.
#[derive(Clone)]
pub struct Handler(Arc<Mutex<Option<HandlerFn>>>);

impl Handler {
    /// Runs a closure with the whole request.
    pub fn on_request<F, R>(handler: impl FnOnce(Request) -> F + Send + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        let handler_fn: HandlerFn = Box::new(|request| {
            let future = handler(request);
            Box::pin(async move { future.await.into_response() })
        });
        Self(Arc::new(Mutex::new(Some(handler_fn))))
    }

    /// Runs a closure with the value of the extractor `T`.
    pub fn with<T, F, R>(handler: impl FnOnce(T) -> F + Send + 'static) -> Self
    where
        T: FromRequestParts<(), Rejection: Send> + Send,
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::on_request(|request: Request| async move {
            let (mut parts, _) = request.into_parts();
            match T::from_request_parts(&mut parts, &()).await {
                Ok(extracted) => handler(extracted).await.into_response(),
                Err(rejection) => rejection.into_response(),
            }
        })
    }

    /// Runs a closure with the session.
    pub fn session<F, R>(handler: impl FnOnce(Session) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::with(handler)
    }

    /// Runs a closure with the session, not loaded yet.
    pub fn lazy<F, R>(handler: impl FnOnce(LazySession) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::with(handler)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// The handler: runs the [`Handler`] of the request's extensions, if there is one.
pub async fn run_handler(mut request: Request) -> Response {
    let Some(Handler(handler)) = request.extensions_mut().remove() else {
        return ().into_response();
    };
    let handler_fn = handler
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match handler_fn {
        Some(handler_fn) => handler_fn(request).await,
        None => ().into_response(),
    }
}

/// A router with the handler on every path, without a layer.
pub fn bare_app() -> Router {
    Router::new().fallback(any(run_handler))
}

/// An error response of any kind, for a layer around a router.
pub trait AnyErrorResponse:
    ErrorResponse<
        Body: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        Captured: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<E> AnyErrorResponse for E
where
    E: ErrorResponse + Clone + Send + Sync + 'static,
    E::Body: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E::Captured: Send + 'static,
{
}

/// A router with the handler on every path, and a session layer.
pub fn app<E>(layer: SessionLayer<E>) -> Router
where
    E: AnyErrorResponse,
{
    bare_app().layer(layer)
}

/// A store that records its verbs, a manual clock, and layers on both.
#[derive(Debug)]
pub struct Fixture<S = MemoryStore> {
    /// The store of the layers.
    pub store: CountingStore<S>,
    /// The clock of the layers and of the memory store.
    pub clock: ManualClock,
}

impl Fixture {
    /// A fixture on a memory store.
    #[must_use]
    pub fn memory() -> Self {
        let clock = ManualClock::default();
        Self::on(MemoryStore::with_clock(clock.clone()), clock)
    }
}

impl<S: Store + Clone> Fixture<S> {
    /// A fixture on a store.
    pub fn on(store: S, clock: ManualClock) -> Self {
        log::install();
        Self {
            store: CountingStore::new(store),
            clock,
        }
    }

    /// A layer with the default configuration, on this store and clock.
    ///
    /// # Panics
    ///
    /// When the defaults are not valid.
    pub fn layer(&self) -> SessionLayer {
        self.builder().build().expect("the defaults are valid")
    }

    /// A layer on the fixture's store and clock, to be configured.
    pub fn builder(&self) -> SessionLayerBuilder {
        SessionLayer::builder(self.store.clone()).with_clock(self.clock.clone())
    }

    /// A browser without cookies, on an app with the default layer.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.browser_of(self.layer())
    }

    /// A browser without cookies, on an app with this layer.
    pub fn browser_of<E>(&self, layer: SessionLayer<E>) -> Browser
    where
        E: AnyErrorResponse,
    {
        Browser::new(app(layer))
    }

    /// A browser that has a session with the entry `n`, 1. The recorded verbs are cleared.
    ///
    /// # Panics
    ///
    /// When no session was created.
    pub async fn browser_with_session(&self) -> Browser {
        self.with_session(self.browser()).await
    }

    /// Gives a browser a session with the entry `n`, 1. The recorded verbs are cleared.
    ///
    /// # Panics
    ///
    /// When no session was created.
    pub async fn with_session(&self, mut browser: Browser) -> Browser {
        browser
            .request(|session| async move { session.insert("n", 1) })
            .await;
        assert!(browser.cookie().is_some(), "no session was created");
        self.clear_verbs();
        browser
    }

    /// Clears the recorded verbs of the store.
    pub fn clear_verbs(&self) {
        drop(self.store.take_verbs());
    }

    /// Checks the response to a request that used its session: status, verbs of the store, change
    /// of the cookie, and the headers that follow from that.
    ///
    /// # Panics
    ///
    /// When one of them differs.
    #[track_caller]
    pub fn assert_response(
        &self,
        response: &TestResponse,
        status: u16,
        verbs: &[Verb],
        change: CookieChange,
    ) {
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(self.store.take_verbs(), verbs);
        assert_eq!(response.cookie_change(), change);
        assert_eq!(response.vary(), "cookie");
        let cache_control = if change == CookieChange::Nothing {
            ""
        } else {
            "no-store"
        };
        assert_eq!(response.cache_control(), cache_control);
    }

    /// Checks the response to a request that did not use its session.
    ///
    /// # Panics
    ///
    /// When it was.
    #[track_caller]
    pub fn assert_session_unused(&self, response: &TestResponse) {
        assert!(response.status.is_success());
        assert_eq!(self.store.take_verbs(), []);
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        assert_eq!(response.vary(), "");
        assert_eq!(response.cache_control(), "");
    }
}

impl Fixture {
    /// A browser that has a session with the entry `n`, 1, and a detached handle on that session. The
    /// recorded verbs are cleared.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn detached(&self) -> (Browser, DetachedSession) {
        let mut browser = self.browser_with_session().await;
        let (sender, receiver) = oneshot::channel();
        browser
            .request(|session| async move {
                assert!(sender.send(session.detach()?).is_ok());
                Ok(())
            })
            .await;
        self.clear_verbs();
        (browser, receiver.await.expect("it was sent"))
    }
}

/// Unwraps the result of a router's service, which cannot fail.
pub fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
