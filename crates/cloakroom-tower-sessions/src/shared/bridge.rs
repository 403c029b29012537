//! `tower_sessions::Session` on Cloakroom's layer.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloakroom::{LazySession, UserId};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use serde_json::Value;
use tower_layer::Layer;
use tower_service::Service;

use super::request::{RequestStore, public_id};
use super::ts;
use crate::user::UserFinder;

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
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct BridgeLayer {
    user: UserFinder,
}

impl BridgeLayer {
    /// Creates the layer. The options for cookies, timeouts and the store are those of the session layer around it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how to find the signed-in user in the data of a session. Without it, Cloakroom does not know who is
    /// signed in. With it:
    ///
    /// - A request that puts a user into the data signs them in, as
    ///   [`Session::sign_in`](cloakroom::Session::sign_in) does: at `save`, or with the response unless that
    ///   discards edits. The session gets a new id and token, is in the list of the user's sessions, and counts
    ///   for a session limit. Two concurrent sign-ins end in one session, and the cookies of both responses are
    ///   valid. A sign-in with the cookie of a session that has ended works, too.
    /// - A user put in the place of another one gets only what this request has changed, and nothing of the
    ///   other's data.
    /// - A request that removes the user from the data, and nothing else of it, signs them out: the session ends
    ///   as soon as that is written, and the rest of the data is in a new one.
    /// - [`Session::user`](cloakroom::Session::user), [`Sessions`](cloakroom::Sessions), the devices and
    ///   [`RecentSignIn`](cloakroom::RecentSignIn) work for these users.
    ///
    /// `cycle_id` with the same user before and after is a renewal and no sign-in, since the bridge cannot tell
    /// it from one after a second factor. Sessions in which a user was signed in before this was configured are
    /// known from the user's next sign-in on.
    ///
    /// With axum-login, the data key is the one that `AuthManager` was given:
    ///
    /// ```
    /// use cloakroom_tower_sessions::v0_15::BridgeLayer;
    ///
    /// // `User::Id` is a `String`; for an integer, `as_i64`.
    /// let bridge = BridgeLayer::new().with_user(|data| {
    ///     let id = data.get("axum-login.data")?.get("user_id")?;
    ///     Some(id.as_str()?.into())
    /// });
    /// ```
    pub fn with_user(
        self,
        find: impl Fn(&HashMap<String, Value>) -> Option<UserId> + Send + Sync + 'static,
    ) -> Self {
        Self {
            user: UserFinder::new(find),
        }
    }
}

impl<S> Layer<S> for BridgeLayer {
    type Service = BridgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BridgeService {
            inner,
            user: self.user.clone(),
        }
    }
}

/// The service of a [`BridgeLayer`].
#[derive(Clone, Debug)]
pub struct BridgeService<S> {
    inner: S,
    user: UserFinder,
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
        let lazy = request.extensions().get();
        let bridged = lazy.map(|lazy| Bridged::new(lazy, self.user.clone()));
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
    fn new(lazy: &LazySession, user: UserFinder) -> Self {
        let store = Arc::new(RequestStore::new(lazy.clone(), user));
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
