//! An app whose handler does what the test tells it to, called in the test's own process.

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

use crate::browser::{Answer, Browser, Effect};
use crate::faults::{CountingStore, Verb};
use crate::log;

type Performance = Pin<Box<dyn Future<Output = Response> + Send>>;
type Play = Box<dyn FnOnce(Request) -> Performance + Send>;

/// What the handler is to do, on its way there in the request's extensions.
#[derive(Clone)]
pub struct Act(Arc<Mutex<Option<Play>>>);

impl Act {
    /// Does `act` with the whole request.
    pub fn on_request<F, R>(act: impl FnOnce(Request) -> F + Send + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        let play: Play = Box::new(|request| {
            let performance = act(request);
            Box::pin(async move { performance.await.into_response() })
        });
        Self(Arc::new(Mutex::new(Some(play))))
    }

    /// Does `act` with what the extractor `T` gives.
    pub fn with<T, F, R>(act: impl FnOnce(T) -> F + Send + 'static) -> Self
    where
        T: FromRequestParts<(), Rejection: Send> + Send,
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::on_request(|request: Request| async move {
            let (mut parts, _) = request.into_parts();
            match T::from_request_parts(&mut parts, &()).await {
                Ok(extracted) => act(extracted).await.into_response(),
                Err(rejection) => rejection.into_response(),
            }
        })
    }

    /// Does `act` with the session.
    pub fn session<F, R>(act: impl FnOnce(Session) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::with(act)
    }

    /// Does `act` with the session that nobody has asked for.
    pub fn lazy<F, R>(act: impl FnOnce(LazySession) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<R, SessionError>> + Send + 'static,
        R: IntoResponse + Send,
    {
        Self::with(act)
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").finish_non_exhaustive()
    }
}

/// The handler: does what the request's [`Act`] says; without one, nothing.
pub async fn perform(mut request: Request) -> Response {
    let Some(Act(act)) = request.extensions_mut().remove() else {
        return ().into_response();
    };
    let play = act.lock().unwrap_or_else(PoisonError::into_inner).take();
    match play {
        Some(play) => play(request).await,
        None => ().into_response(),
    }
}

/// The handler on every path, and nothing around it.
pub fn bare_app() -> Router {
    Router::new().fallback(any(perform))
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

/// The handler on every path, and the layer around it.
pub fn app<E>(layer: SessionLayer<E>) -> Router
where
    E: AnyErrorResponse,
{
    bare_app().layer(layer)
}

/// A store that counts, a clock that stands still, and a layer on both.
#[derive(Debug)]
pub struct Stage<S = MemoryStore> {
    /// What the layer asks.
    pub store: CountingStore<S>,
    /// What the layer tells the time by; the memory store, too.
    pub clock: ManualClock,
}

impl Stage {
    /// A stage on a store in memory.
    #[must_use]
    pub fn memory() -> Self {
        let clock = ManualClock::default();
        Self::on(MemoryStore::with_clock(clock.clone()), clock)
    }
}

impl<S: Store + Clone> Stage<S> {
    /// A stage on a store.
    pub fn on(store: S, clock: ManualClock) -> Self {
        log::install();
        Self {
            store: CountingStore::new(store),
            clock,
        }
    }

    /// A layer as it is by default, on the stage's store and clock.
    ///
    /// # Panics
    ///
    /// When the defaults are not valid.
    pub fn layer(&self) -> SessionLayer {
        self.builder().build().expect("the defaults are valid")
    }

    /// A layer on the stage's store and clock, to be configured.
    pub fn builder(&self) -> SessionLayerBuilder {
        SessionLayer::builder(self.store.clone()).with_clock(self.clock.clone())
    }

    /// A browser without cookies, and the default layer around the app that it visits.
    #[must_use]
    pub fn browser(&self) -> Browser {
        self.browser_of(self.layer())
    }

    /// A browser without cookies, and this layer around the app that it visits.
    pub fn browser_of<E>(&self, layer: SessionLayer<E>) -> Browser
    where
        E: AnyErrorResponse,
    {
        Browser::new(app(layer))
    }

    /// A browser that has a session with the entry `n`, 1. The store has counted nothing.
    ///
    /// # Panics
    ///
    /// When no session was begun.
    pub async fn signed_in(&self) -> Browser {
        self.with_session(self.browser()).await
    }

    /// Gives a browser a session with the entry `n`, 1. The store has counted nothing.
    ///
    /// # Panics
    ///
    /// When no session was begun.
    pub async fn with_session(&self, mut browser: Browser) -> Browser {
        browser
            .act(|session| async move { session.insert("n", 1) })
            .await;
        assert!(browser.cookie().is_some(), "the session was not begun");
        self.forget();
        browser
    }

    /// Forgets what the store was asked for so far.
    pub fn forget(&self) {
        drop(self.store.take_verbs());
    }

    /// Checks an answer for which the session was used: its status, what the store was asked for,
    /// what it does to the cookie, and the headers that follow from that.
    ///
    /// # Panics
    ///
    /// When it is not so.
    #[track_caller]
    pub fn expect(&self, answer: &Answer, status: u16, verbs: &[Verb], effect: Effect) {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(self.store.take_verbs(), verbs);
        assert_eq!(answer.effect(), effect);
        assert_eq!(answer.vary(), "cookie");
        let storing = if effect == Effect::Nothing {
            ""
        } else {
            "no-store"
        };
        assert_eq!(answer.cache_control(), storing);
    }

    /// Checks an answer for which the session was not used.
    ///
    /// # Panics
    ///
    /// When it was.
    #[track_caller]
    pub fn expect_untouched(&self, answer: &Answer) {
        assert!(answer.status.is_success());
        assert_eq!(self.store.take_verbs(), []);
        assert_eq!(answer.effect(), Effect::Nothing);
        assert_eq!(answer.vary(), "");
        assert_eq!(answer.cache_control(), "");
    }
}

impl Stage {
    /// A browser that has a session with the entry `n`, 1, and a handle on that session that outlives
    /// its request. The store has counted nothing.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn detached(&self) -> (Browser, DetachedSession) {
        let mut browser = self.signed_in().await;
        let (sender, receiver) = oneshot::channel();
        browser
            .act(|session| async move {
                assert!(sender.send(session.detach()?).is_ok());
                Ok(())
            })
            .await;
        self.forget();
        (browser, receiver.await.expect("it was sent"))
    }
}

/// What a router's service never does.
pub fn never<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
