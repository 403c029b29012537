//! A command to the store with its log event, span and metrics.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use cloakroom_core::{SessionId, StoreError};
use pin_project_lite::pin_project;

use super::outcome::{Outcome, failure};
use crate::telemetry::log::Command;

/// The future of a store command, boxed.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pin_project! {
    /// Runs a command and records its outcome: `cancelled` if it is dropped before it has one. A command
    /// that is never polled is never sent, and nothing is recorded.
    ///
    /// Written by hand: an `async fn` would hold the command twice, as its argument and as what it awaits.
    pub(super) struct Instrumented<F> {
        #[pin]
        command: F,
        verb: &'static str,
        id: SessionId,
        record: Option<Command>,
    }
}

impl<F> Instrumented<F> {
    pub(super) const fn new(verb: &'static str, id: SessionId, command: F) -> Self {
        Self {
            command,
            verb,
            id,
            record: None,
        }
    }
}

impl<F, T> Future for Instrumented<F>
where
    F: Future<Output = Result<T, StoreError>>,
    T: Outcome,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let record = this
            .record
            .get_or_insert_with(|| Command::begin(this.verb, *this.id));
        let result = ready!(record.in_span(|| this.command.poll(cx)));
        if let Some(record) = this.record.take() {
            record.finish(match &result {
                Ok(outcome) => outcome.label(),
                Err(error) => failure(error.kind()),
            });
        }
        Poll::Ready(result)
    }
}
