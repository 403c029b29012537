//! When a request is cut off.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After it was polled so many times: it has sent something, perhaps.
    Polled(usize),
    /// When it would have been polled once more: an answer has come in that nobody has seen.
    Woken(usize),
    /// After so much time, wherever it is.
    After(Duration),
}

impl Cut {
    /// The result of the future, if it is ready before it is cut off.
    pub(crate) async fn of<T>(self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = Box::pin(future);
        let begin = Instant::now();
        let mut polls = 0;
        poll_fn(move |cx| {
            if matches!(self, Self::Polled(0)) || matches!(self, Self::Woken(most) if polls == most)
            {
                return Poll::Ready(None);
            }
            polls += 1;
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            let ended = match self {
                Self::Polled(most) => polls == most,
                Self::Woken(_) => false,
                Self::After(time) => {
                    // A timer of the runtime counts in milliseconds, which is too coarse.
                    cx.waker().wake_by_ref();
                    begin.elapsed() >= time
                }
            };
            if ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// Cuts a request off at its first await, then at its second, and so on until it is answered; then
/// from the beginning, in the other way.
#[derive(Debug, Default)]
pub(crate) struct CutSequence {
    polls: usize,
    woken: bool,
}

impl CutSequence {
    pub(crate) fn cut(&self) -> Cut {
        if self.woken {
            Cut::Woken(self.polls)
        } else {
            Cut::Polled(self.polls)
        }
    }

    pub(crate) fn step(&mut self, answered: bool) {
        if answered {
            self.polls = 0;
            self.woken = !self.woken;
        } else {
            self.polls += 1;
        }
    }
}
