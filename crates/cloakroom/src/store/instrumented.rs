//! A command to the store, and what is told of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use cloakroom_core::{SessionId, StoreError};
use pin_project_lite::pin_project;

use super::{Outcome, failure};
use crate::telemetry::log::Command;

pin_project! {
    /// Carries a command out, and tells what came of it: also when nobody waits for it any more. One that
    /// is never polled is never sent, and nothing is told.
    ///
    /// By hand: an `async fn` would hold the command twice, as what it was given and as what it awaits.
    pub(super) struct Told<F> {
        #[pin]
        command: F,
        verb: &'static str,
        id: SessionId,
        telling: Option<Command>,
    }
}

impl<F> Told<F> {
    pub(super) const fn new(verb: &'static str, id: SessionId, command: F) -> Self {
        Self {
            command,
            verb,
            id,
            telling: None,
        }
    }
}

impl<F, T> Future for Told<F>
where
    F: Future<Output = Result<T, StoreError>>,
    T: Outcome,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let telling = this
            .telling
            .get_or_insert_with(|| Command::begin(this.verb, *this.id));
        let answer = ready!(telling.in_span(|| this.command.poll(cx)));
        if let Some(telling) = this.telling.take() {
            telling.answered(match &answer {
                Ok(outcome) => outcome.word(),
                Err(error) => failure(error.kind()),
            });
        }
        Poll::Ready(answer)
    }
}
