//! Where the result of an item goes: a value, or a future that was started for its caller.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A boxed future. The futures of fred have about 7 KiB: one that is held by value is copied at every
/// level of the call chain, so each is boxed where it is made.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Gives one item its result. If it is dropped instead, the item has none.
pub(crate) struct Responder<R>(Arc<Slot<R>>);

/// The result of one item; `None` if it has none.
pub(super) struct Response<R> {
    slot: Arc<Slot<R>>,
    /// The future that was started, once the caller has taken it.
    started: Option<BoxFuture<R>>,
}

struct Slot<R>(Mutex<State<R>>);

/// The wakers are the caller's.
enum State<R> {
    Waiting(Waker),
    /// The future is being polled, and not here yet. A caller that is polled meanwhile may have been woken by it, and
    /// must be woken again.
    Starting {
        waker: Waker,
        was_polled: bool,
    },
    Started(BoxFuture<R>),
    Done(Option<R>),
    /// The caller has the result, or is gone.
    Closed,
}

/// Returns both halves, for a caller with this waker.
pub(super) fn channel<R>(waker: Waker) -> (Responder<R>, Response<R>) {
    let slot = Arc::new(Slot(Mutex::new(State::Waiting(waker))));
    let response = Response {
        slot: Arc::clone(&slot),
        started: None,
    };
    (Responder(slot), response)
}

impl<R> Responder<R> {
    /// Whether the caller is gone.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.0.lock(), State::Closed)
    }

    pub(crate) fn send(self, result: R) {
        if let State::Waiting(waker) = self.0.replace(State::Done(Some(result))) {
            waker.wake();
        }
    }

    /// Polls a future once with the waker of the caller, who goes on with it: the caller is not woken before the
    /// future is ready. So the futures of several callers are started without another task in between.
    pub(crate) fn start(self, mut future: BoxFuture<R>) {
        let Some(waker) = self.0.begin_start() else {
            return;
        };
        let (next, is_done) = match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => (State::Done(Some(result)), true),
            Poll::Pending => (State::Started(future), false),
        };
        match self.0.replace(next) {
            State::Starting { waker, was_polled } if was_polled || is_done => waker.wake(),
            _ => {}
        }
    }
}

impl<R> Drop for Responder<R> {
    fn drop(&mut self) {
        let has_none = matches!(*self.0.lock(), State::Waiting(_) | State::Starting { .. });
        if has_none
            && let State::Waiting(waker) | State::Starting { waker, .. } =
                self.0.replace(State::Done(None))
        {
            waker.wake();
        }
    }
}

impl<R> Future for Response<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        if let Some(started) = &mut self.started {
            return started.as_mut().poll(cx).map(Some);
        }
        match self.slot.take_or_wait(cx.waker()) {
            Some(State::Started(mut future)) => {
                let polled = future.as_mut().poll(cx);
                self.started = Some(future);
                polled.map(Some)
            }
            Some(State::Done(result)) => Poll::Ready(result),
            _ => Poll::Pending,
        }
    }
}

impl<R> Drop for Response<R> {
    fn drop(&mut self) {
        // What it replaces is dropped after the lock is released.
        drop(self.slot.replace(State::Closed));
    }
}

impl<R> Slot<R> {
    /// Returns the waker of the caller, who now waits for a future to be started. `None` if the caller is gone.
    fn begin_start(&self) -> Option<Waker> {
        let mut state = self.lock();
        let State::Waiting(waker) = &*state else {
            return None;
        };
        let waker = waker.clone();
        *state = State::Starting {
            waker: waker.clone(),
            was_polled: false,
        };
        Some(waker)
    }

    /// Takes the result or the started future; until then, the caller waits with this waker.
    fn take_or_wait(&self, newer: &Waker) -> Option<State<R>> {
        let mut state = self.lock();
        match &mut *state {
            State::Waiting(waker) => waker.clone_from(newer),
            State::Starting { waker, was_polled } => {
                waker.clone_from(newer);
                *was_polled = true;
            }
            State::Started(_) | State::Done(_) | State::Closed => {
                return Some(mem::replace(&mut *state, State::Closed));
            }
        }
        None
    }

    /// Sets the state, unless the caller is gone. Returns the one before.
    fn replace(&self, next: State<R>) -> State<R> {
        let mut state = self.lock();
        if matches!(*state, State::Closed) {
            return State::Closed;
        }
        mem::replace(&mut *state, next)
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::sync::Arc as StdArc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::sync::oneshot;

    use super::*;

    /// Counts how often it wakes.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: StdArc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (StdArc<Count>, Waker) {
        let count = StdArc::new(Count::default());
        (StdArc::clone(&count), Waker::from(count))
    }

    fn poll<R>(response: &mut Response<R>, waker: &Waker) -> Poll<Option<R>> {
        Pin::new(response).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn a_caller_is_woken_by_the_future_that_was_started_and_not_before() {
        let (woken, waker) = counted();
        let (responder, mut response) = channel(waker.clone());
        let (sender, receiver) = oneshot::channel();
        responder.start(Box::pin(async { receiver.await.unwrap() }));
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        sender.send(7).unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll(&mut response, &waker), Poll::Ready(Some(7)));
    }

    #[test]
    fn a_caller_that_goes_on_in_another_task_is_woken_there() {
        let (first, waker) = counted();
        let (responder, mut response) = channel(waker);
        let (sender, receiver) = oneshot::channel();
        responder.start(Box::pin(async { receiver.await.unwrap() }));
        let (second, waker) = counted();
        assert_eq!(poll(&mut response, &waker), Poll::Pending);
        sender.send(7).unwrap();
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll(&mut response, &waker), Poll::Ready(Some(7)));
    }

    /// The wake-up of the future comes when the future is not in its place yet.
    #[test]
    fn a_caller_that_is_polled_while_its_future_is_started_is_woken_again() {
        let (woken, waker) = counted();
        let (responder, response) = channel(waker.clone());
        let response = StdArc::new(std::sync::Mutex::new(response));
        let (polled, poll_waker) = (StdArc::clone(&response), waker.clone());
        let mut is_first = true;
        responder.start(Box::pin(poll_fn(move |_| {
            if !mem::take(&mut is_first) {
                return Poll::Ready(7);
            }
            let missed = poll(&mut polled.lock().unwrap(), &poll_waker);
            assert_eq!(missed, Poll::Pending);
            Poll::Pending
        })));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let result = poll(&mut response.lock().unwrap(), &waker);
        assert_eq!(result, Poll::Ready(Some(7)));
    }

    #[test]
    fn a_result_wakes_the_caller() {
        for is_started in [false, true] {
            let (woken, waker) = counted();
            let (responder, mut response) = channel(waker);
            if is_started {
                responder.start(Box::pin(ready(7)));
            } else {
                responder.send(7);
            }
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
            let result = poll(&mut response, Waker::noop());
            assert_eq!(result, Poll::Ready(Some(7)));
        }
    }

    #[test]
    fn without_a_result_there_is_none() {
        let (woken, waker) = counted();
        let (responder, mut response) = channel::<u8>(waker);
        drop(responder);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let result = poll(&mut response, Waker::noop());
        assert_eq!(result, Poll::Ready(None));
    }

    #[test]
    fn a_future_that_panics_when_it_is_started_leaves_no_result() {
        let (woken, waker) = counted();
        let (responder, mut response) = channel::<u8>(waker);
        let panics = Box::pin(async { panic!("when it is polled") });
        let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            responder.start(panics);
        }));
        assert!(started.is_err());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let result = poll(&mut response, Waker::noop());
        assert_eq!(result, Poll::Ready(None));
    }

    #[test]
    fn of_a_caller_that_is_gone_nothing_is_started_or_kept() {
        let (responder, response) = channel::<u8>(Waker::noop().clone());
        drop(response);
        assert!(responder.is_closed());
        let never = poll_fn(|_| -> Poll<u8> { panic!("nobody waits for it") });
        responder.start(Box::pin(never));

        let kept = StdArc::new(());
        let held = StdArc::clone(&kept);
        let (responder, response) = channel::<u8>(Waker::noop().clone());
        responder.start(Box::pin(async move {
            let _held = held;
            pending().await
        }));
        assert_eq!(StdArc::strong_count(&kept), 2);
        drop(response);
        assert_eq!(StdArc::strong_count(&kept), 1);
    }
}
