//! The future of a request: polls the inner service, commits the session, and finishes the response.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloakroom_core::Timestamp;
use http::{HeaderValue, Response, StatusCode};
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::error_response::ErrorResponse;
use super::response::{carry_over_tokens, finish};
use crate::commit::Committed;
use crate::context::ErrorPolicy;
use crate::error::{SessionError, required_header};
use crate::navigation::{Navigation, WithoutRedirect, redirect};
use crate::plan::Step;
use crate::session::LazySession;
use crate::session::keep_alive::keep_alive;
use crate::session::shared::SharedSession;
use crate::telemetry::log;

pin_project! {
    /// The future of a [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F, E, B>
    where
        E: ErrorResponse,
    {
        #[pin]
        inner: F,
        // `None` where the layer is mounted twice.
        session: Option<OpenSession>,
        error_response: E,
        captured: E::Captured,
        // If the request loads a page, and there is a page to redirect it to.
        navigation: Option<Navigation>,
        // The handler's response, while the commit is in progress.
        response: Option<Response<ResponseBody<B, E::Body>>>,
        commit: Option<Commit>,
        // While the handler is pending after the session was loaded.
        keep_alive: Option<KeepAlive>,
    }
}

/// The only boxed future of the middleware, for requests that have something to commit.
type Commit = Pin<Box<dyn Future<Output = Result<Committed, SessionError>> + Send>>;

/// Touches the session while the handler runs.
type KeepAlive = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// The session of a request, until its response is returned or it is cancelled. After that, saving is an
/// error.
struct OpenSession(Arc<SharedSession>);

impl<F, E: ErrorResponse, B> ResponseFuture<F, E, B> {
    pub(super) fn new(
        inner: F,
        session: Option<LazySession>,
        error_response: E,
        captured: E::Captured,
        navigation: Option<Navigation>,
    ) -> Self {
        Self {
            inner,
            session: session.map(|lazy| OpenSession(lazy.handle)),
            error_response,
            captured,
            navigation,
            response: None,
            commit: None,
            keep_alive: None,
        }
    }
}

impl<F, E, B, Error> Future for ResponseFuture<F, E, B>
where
    F: Future<Output = Result<Response<B>, Error>>,
    E: ErrorResponse,
{
    type Output = Result<Response<ResponseBody<B, E::Body>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(OpenSession(session)) = this.session else {
            let response = ready!(this.inner.poll(cx))?;
            return Poll::Ready(Ok(response.map(ResponseBody::inner)));
        };
        let mut response = match this.response.take() {
            Some(response) => response,
            None => {
                let Poll::Ready(response) = this.inner.poll(cx) else {
                    keep_alive_while_pending(this.keep_alive, session, cx);
                    return Poll::Pending;
                };
                *this.keep_alive = None;
                let response = response?;
                // The handler's own status decides, not the one of the app's error response.
                let status = response.status();
                let target = this
                    .navigation
                    .as_ref()
                    .and_then(|navigation| redirect_target(session, navigation, &response));
                let mut response = match target {
                    Some(location) => redirect(location, ResponseBody::empty()),
                    None => shape_refusal(this.error_response, response, this.captured),
                };
                if !session.was_requested() {
                    return Poll::Ready(Ok(response));
                }
                let now = session.now();
                *this.commit = begin_commit(session, status, now);
                if this.commit.is_none() {
                    finish(session, &mut response, now);
                    return Poll::Ready(Ok(response));
                }
                response
            }
        };
        if let Some(commit) = this.commit {
            let Poll::Ready(committed) = commit.as_mut().poll(cx) else {
                *this.response = Some(response);
                return Poll::Pending;
            };
            if let Err(error) = committed {
                let mut replaced = response;
                response = shape(this.error_response, &error, this.captured);
                carry_over_tokens(session, &mut replaced, &mut response);
            }
        }
        finish(session, &mut response, session.now());
        Poll::Ready(Ok(response))
    }
}

/// Counts a request under way as use of its session. There is no timer before the session is loaded.
fn keep_alive_while_pending(
    running: &mut Option<KeepAlive>,
    session: &Arc<SharedSession>,
    cx: &mut Context<'_>,
) {
    if running.is_none() && session.is_loaded() && session.state().live().is_some() {
        *running = Some(Box::pin(keep_alive(Arc::clone(session))));
    }
    if let Some(running) = running {
        // It never finishes.
        let _: Poll<Infallible> = running.as_mut().poll(cx);
    }
}

/// Returns the commit, if there is anything to do. From here on, edits are errors.
fn begin_commit(
    session: &Arc<SharedSession>,
    status: StatusCode,
    now: Timestamp,
) -> Option<Commit> {
    // A 408 comes from an inner timeout layer, which has cancelled the handler.
    let failed = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
    let discards = failed && session.context.error_policy == ErrorPolicy::Discard;
    let mut state = session.state();
    state.close();
    let are_dropped = discards && state.discard_edits();
    // A handler that tells its client of the failure is free to choose an error of its own.
    let ignored = state.unfinished_end().filter(|_| !failed).cloned();
    let is_idle = if state.uncertain {
        // A step was cancelled, or its outcome is unknown: the commit returns that as an error, unless
        // the response is an error already.
        failed
    } else {
        session.plan_of(&state, now).step == Step::Nothing
    };
    drop(state);
    if are_dropped {
        log::edits_dropped(status);
    }
    if let Some(error) = ignored {
        log::failed_end_ignored(&error);
        return Some(Box::pin(ready(Err(error))));
    }
    if is_idle {
        return None;
    }
    let session = Arc::clone(session);
    Some(Box::pin(async move { session.commit().await }))
}

/// Returns where a request that loads a page is redirected to, if it was refused because nobody is signed in, or has
/// not recently. An error response that an inner layer or the app has made stays.
fn redirect_target<B>(
    session: &SharedSession,
    navigation: &Navigation,
    response: &Response<B>,
) -> Option<HeaderValue> {
    let extensions = response.extensions();
    if extensions.get::<Shaped>().is_some() || extensions.get::<WithoutRedirect>().is_some() {
        return None;
    }
    let context = &session.context;
    let page = context.pages.for_error(extensions.get::<SessionError>()?)?;
    navigation.location(page, context.path_prefix.as_deref())
}

/// In the extensions of a response: it is an [`ErrorResponse`]. An outer layer, with another cookie and
/// perhaps another error response, does not replace it.
#[derive(Clone, Copy)]
struct Shaped;

/// If the handler or an extractor has refused the request with a `SessionError`, returns the app's error
/// response for it.
fn shape_refusal<E: ErrorResponse, B>(
    error_response: &E,
    response: Response<B>,
    captured: &E::Captured,
) -> Response<ResponseBody<B, E::Body>> {
    let extensions = response.extensions();
    match extensions.get::<SessionError>() {
        Some(error) if extensions.get::<Shaped>().is_none() => {
            shape(error_response, error, captured)
        }
        _ => response.map(ResponseBody::inner),
    }
}

fn shape<E: ErrorResponse, B>(
    error_response: &E,
    error: &SessionError,
    captured: &E::Captured,
) -> Response<ResponseBody<B, E::Body>> {
    let response = error_response.error_response(error, captured);
    let mut response = response.map(ResponseBody::error);
    if let Some((name, value)) = required_header(response.status()) {
        response.headers_mut().entry(name).or_insert(value);
    }
    response.extensions_mut().insert(error.clone());
    response.extensions_mut().insert(Shaped);
    response
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.state().finish();
    }
}

impl<F, E: ErrorResponse, B> fmt::Debug for ResponseFuture<F, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
