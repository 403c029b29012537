//! Tower services without axum.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use cloakroom::{LazySession, MemoryStore, SessionError, SessionLayer};
use futures_util::task::noop_waker;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tests::app::Fixture;
use tests::faulty_store::Verb::{Create, Load, Update};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type Body = Full<Bytes>;

fn request(cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::builder();
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::default()).expect("a plain request")
}

/// The `name=value` of the cookie that a response sets.
fn cookie_of<B>(response: &Response<B>) -> String {
    let value = response.headers()[SET_COOKIE].to_str().unwrap_or_default();
    value.split(';').next().unwrap_or_default().to_owned()
}

fn lazy_of<B>(request: &Request<B>) -> LazySession {
    let lazy = request.extensions().get::<LazySession>();
    lazy.cloned().expect("a layer is around")
}

async fn count(request: Request<Body>) -> Result<Response<Body>, SessionError> {
    let session = lazy_of(&request).load().await?;
    let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(Response::new(Body::from(hits.to_string())))
}

#[tokio::test]
async fn a_plain_tower_service_has_a_session() {
    let fixture = Fixture::memory();
    let mut service = fixture.layer().layer(service_fn(count));
    let response = service
        .ready()
        .await
        .unwrap()
        .call(request(None))
        .await
        .unwrap();
    let cookie = cookie_of(&response);
    for expected in ["2", "3"] {
        let call = service.ready().await.unwrap().call(request(Some(&cookie)));
        let response = call.await.unwrap();
        assert!(!response.headers().contains_key(SET_COOKIE));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected);
    }
    let verbs = [Create, Load, Update, Load, Update];
    assert_eq!(fixture.store.take_verbs(), verbs);
}

#[tokio::test]
async fn the_layer_works_in_a_service_builder() {
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(MemoryStore::new()))
        .map_err(|error: SessionError| error.to_string())
        .service_fn(count);
    let response = service.oneshot(request(None)).await.unwrap();
    assert!(cookie_of(&response).starts_with("__Host-Http-id="));
}

/// A service that is not `Clone`, and panics if it is called before it is ready.
struct Picky {
    open: Arc<AtomicBool>,
    ready: bool,
}

impl Service<Request<Body>> for Picky {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = self.open.load(Ordering::SeqCst);
        if self.ready {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.ready, "called before it was ready");
        self.ready = false;
        ready(Ok(Response::new(Body::default())))
    }
}

#[tokio::test]
async fn the_inner_service_is_not_cloned_and_polled_for_readiness() {
    let open = Arc::new(AtomicBool::new(false));
    let picky = Picky {
        open: Arc::clone(&open),
        ready: false,
    };
    let mut service = Fixture::memory().layer().layer(picky);
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    assert!(service.poll_ready(&mut context).is_pending());
    open.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(service.poll_ready(&mut context).is_ready());
        assert!(service.call(request(None)).await.is_ok());
    }
}

#[tokio::test]
async fn the_inner_service_is_called_immediately_and_its_error_is_returned() {
    let fixture = Fixture::memory();
    let called = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&called);
    let mut service = fixture.layer().layer(service_fn(move |request| {
        note.store(true, Ordering::SeqCst);
        let lazy = lazy_of::<Body>(&request);
        async move {
            let session = lazy.load().await.map_err(|_| "not loaded")?;
            session.insert("n", 1).map_err(|_| "not edited")?;
            Err::<Response<Body>, _>("the service's own error")
        }
    }));
    let response = service.call(request(None));
    assert!(called.load(Ordering::SeqCst));
    assert_eq!(response.await.unwrap_err(), "the service's own error");
    assert_eq!(fixture.store.take_verbs(), [], "edits are dropped");
}

#[tokio::test]
async fn without_a_commit_the_response_is_ready_on_first_poll() {
    let mut service = Fixture::memory()
        .layer()
        .layer(service_fn(|_: Request<Body>| {
            ready(Ok::<_, Infallible>(Response::new(Body::default())))
        }));
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut response = std::pin::pin!(service.call(request(None)));
    assert!(response.as_mut().poll(&mut context).is_ready());
}
