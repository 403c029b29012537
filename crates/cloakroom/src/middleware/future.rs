//! The future of a request: sees the handler done, commits, answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::error_response::ErrorResponse;
use super::response as answer;
use crate::context::ErrorPolicy;
use crate::error::{SessionError, required_header};
use crate::plan::Step;
use crate::session::LazySession;
use crate::session::shared::{Done, Handle};
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
        // The handler's response, while a commit is under way.
        answer: Option<Response<ResponseBody<B, E::Body>>>,
        commit: Option<Commit>,
    }
}

/// The one boxed future, for requests that have something to commit.
type Commit = Pin<Box<dyn Future<Output = Result<Done, SessionError>> + Send>>;

/// The request's session, until it is answered or cancelled: after that, edits are errors.
struct OpenSession(Arc<Handle>);

impl<F, E: ErrorResponse, B> ResponseFuture<F, E, B> {
    pub(super) fn new(
        inner: F,
        session: Option<LazySession>,
        error_response: E,
        captured: E::Captured,
    ) -> Self {
        Self {
            inner,
            session: session.map(|lazy| OpenSession(lazy.handle)),
            error_response,
            captured,
            answer: None,
            commit: None,
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
        let Some(OpenSession(handle)) = this.session else {
            let answer = ready!(this.inner.poll(cx))?;
            return Poll::Ready(Ok(answer.map(ResponseBody::inner)));
        };
        let mut answer = match this.answer.take() {
            Some(answer) => answer,
            None => {
                let answer = ready!(this.inner.poll(cx))?;
                let status = answer.status();
                // An extractor's or handler's own refusal takes the shape that the app has chosen.
                let answer = match refusal(&answer) {
                    Some(error) => shape(this.error_response, &error, this.captured),
                    None => answer.map(ResponseBody::inner),
                };
                if !handle.was_asked() {
                    return Poll::Ready(Ok(answer));
                }
                // The handler's own status counts, for the app may shape a failure as it likes.
                *this.commit = begin_commit(handle, status);
                answer
            }
        };
        if let Some(commit) = this.commit {
            let Poll::Ready(committed) = commit.as_mut().poll(cx) else {
                *this.answer = Some(answer);
                return Poll::Pending;
            };
            if let Err(error) = committed {
                let mut replaced = answer;
                answer = shape(this.error_response, &error, this.captured);
                answer::hand_on(handle, &mut replaced, &mut answer);
            }
        }
        answer::finish(handle, &mut answer);
        Poll::Ready(Ok(answer))
    }
}

/// The commit, if there is anything to be done. From here on, edits are errors.
fn begin_commit(handle: &Arc<Handle>, status: StatusCode) -> Option<Commit> {
    // A 408 comes from a time-out layer further in, which has cut the handler off.
    let failed = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
    let mut state = handle.state();
    state.close();
    if failed && handle.context.error_policy == ErrorPolicy::Discard && state.drop_edits() {
        log::edits_dropped(status);
    }
    let nothing_to_do = if state.uncertain {
        // A step was cut off, or its answer lost. To commit tells so; an error already does.
        failed
    } else {
        handle.plan_of(&state).step == Step::Nothing
    };
    drop(state);
    if nothing_to_do {
        return None;
    }
    let handle = Arc::clone(handle);
    Some(Box::pin(async move { handle.commit().await }))
}

/// In an answer's extensions: it has the shape that the app has chosen. A layer further out, with
/// another cookie and perhaps another shape, leaves it alone.
#[derive(Clone, Copy)]
struct Shaped;

/// The error for which the handler, or an extractor, refused.
fn refusal<B>(answer: &Response<B>) -> Option<SessionError> {
    let shaped = answer.extensions().get::<Shaped>().is_some();
    let error = answer.extensions().get::<SessionError>();
    error.filter(|_| !shaped).cloned()
}

fn shape<E: ErrorResponse, B>(
    error_response: &E,
    error: &SessionError,
    captured: &E::Captured,
) -> Response<ResponseBody<B, E::Body>> {
    let answer = error_response.error_response(error, captured);
    let mut answer = answer.map(ResponseBody::error);
    if let Some((name, value)) = required_header(answer.status()) {
        answer.headers_mut().entry(name).or_insert(value);
    }
    answer.extensions_mut().insert(error.clone());
    answer.extensions_mut().insert(Shaped);
    answer
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
