//! An app: the layer, a handler for each request, and a store whose commands take several steps.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::EventBus;
use cloakroom_core::index::{AddOutcome, AddRequest, UserIndex};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    ManualClock, MemoryStore, Record, Revision, Rng, RngError, SessionId, Store, StoreError,
    Timestamp, Tombstone, UserKey,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tokio::task::yield_now;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::error::SessionError;
use crate::middleware::SessionLayer;
use crate::session::{LazySession, Session};

/// The same times and ids in each schedule, so that it can be repeated.
const BEGAN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[derive(Clone)]
pub(super) struct App {
    pub(super) layer: SessionLayer,
    pub(super) memory: MemoryStore,
}

/// What a client sees of a response.
pub(super) struct Answered {
    pub(super) is_ok: bool,
    /// The cookie that the response sets.
    pub(super) cookie: Option<String>,
}

impl App {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(BEGAN);
        let memory = MemoryStore::with_clock(clock.clone());
        let layer = SessionLayer::builder(SlowStore(memory.clone()))
            .with_clock(clock)
            .with_rng(Numbers::default())
            .build();
        let layer = layer.expect("the options fit together");
        Self { layer, memory }
    }

    /// Sends a request with a cookie, whose handler uses the session.
    pub(super) async fn send<F, H>(&self, cookie: Option<&str>, handler: F) -> Answered
    where
        F: FnOnce(Session) -> H + Send + 'static,
        H: Future<Output = Result<(), SessionError>> + Send,
    {
        let mut service = self.layer.layer(Handler(Some(handler)));
        let mut request = Request::new(());
        if let Some(cookie) = cookie {
            let cookie = cookie.parse().expect("it is a header");
            request.headers_mut().insert(COOKIE, cookie);
        }
        let Ok(response) = service.call(request).await;
        let cookie = response.headers().get(SET_COOKIE).map(|set| {
            let text = set.to_str().expect("it is text");
            text.split(';').next().unwrap_or_default().to_owned()
        });
        Answered {
            is_ok: response.status() == StatusCode::OK,
            cookie,
        }
    }
}

/// A service whose handler is called once.
struct Handler<F>(Option<F>);

impl<F, H> Service<Request<()>> for Handler<F>
where
    F: FnOnce(Session) -> H + Send + 'static,
    H: Future<Output = Result<(), SessionError>> + Send,
{
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let handler = self.0.take().expect("it is called once");
        let lazy = request.extensions().get::<LazySession>().cloned();
        let lazy = lazy.expect("there is a layer");
        Box::pin(async move {
            let result = match lazy.load().await {
                Ok(session) => handler(session).await,
                Err(error) => Err(error),
            };
            let mut response = Response::new(());
            if result.is_err() {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Ok(response)
        })
    }
}

/// Numbers in place of random ones.
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

impl Rng for Numbers {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        // The last bytes are those that differ: they choose the lock of an id.
        let number = number.iter().rev().cycle();
        for (byte, value) in bytes.iter_mut().rev().zip(number) {
            *byte = *value;
        }
        Ok(())
    }
}

/// A store whose commands are on their way before they are executed, and whose replies are on theirs afterwards.
#[derive(Debug)]
struct SlowStore(MemoryStore);

async fn slowly<T>(command: impl Future<Output = T>) -> T {
    yield_now().await;
    let result = command.await;
    yield_now().await;
    result
}

impl Store for SlowStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        slowly(self.0.create(id, record, ttl)).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        slowly(self.0.load(id)).await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        slowly(self.0.update(id, expected, record, ttl)).await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        slowly(self.0.touch(id, expected, seen, ttl)).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        slowly(self.0.end(id, expected, tombstone, keep)).await
    }

    fn index(&self) -> Option<impl UserIndex> {
        self.0.index().map(SlowIndex)
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        self.0.admin()
    }

    fn bus(&self) -> Option<impl EventBus> {
        self.0.bus()
    }
}

struct SlowIndex<I>(I);

impl<I: UserIndex> UserIndex for SlowIndex<I> {
    async fn add(&self, user: &UserKey, add: &AddRequest) -> Result<AddOutcome, StoreError> {
        slowly(self.0.add(user, add)).await
    }

    async fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        slowly(self.0.evict(user, now, most, replaces)).await
    }

    async fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        slowly(self.0.list(user, after)).await
    }

    async fn contains(&self, user: &UserKey, id: SessionId) -> Result<bool, StoreError> {
        slowly(self.0.contains(user, id)).await
    }

    async fn remove(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        slowly(self.0.remove(user, ids)).await
    }
}
