//! When a request is cancelled.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After it was polled this many times: it may have sent a command.
    Polled(usize),
    /// When it would be polled again after this many polls: a reply has arrived and is not read.
    Woken(usize),
    /// After this time.
    After(Duration),
}

impl Cut {
    /// The result of the future, if it completes before it is dropped.
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
                    // The runtime's timers have a resolution of a millisecond, which is too coarse.
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

/// Cancels a request at its first await, then at its second, and so on until it completes; then starts
/// over in the other mode.
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
