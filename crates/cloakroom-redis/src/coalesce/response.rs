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
pub(crate) struct Responder<R> {
    slot: Arc<Slot<R>>,
    /// The waker with which the future is being started.
    starting: Option<Waker>,
}

/// The result of one item; `None` if it has none.
pub(super) struct Response<R> {
    slot: Arc<Slot<R>>,
    /// The future that was started, once the caller has taken it.
    started: Option<BoxFuture<R>>,
}

struct Slot<R>(Mutex<State<R>>);

/// The wakers are the caller's. None is cloned or dropped under the lock: both run code of the caller's, which may
/// need the lock.
enum State<R> {
    Waiting(Waker),
    /// The future is being polled, and not here yet. A caller that is polled meanwhile may have been woken by it, and
    /// must be woken again: with this waker.
    Starting(Option<Waker>),
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
    let responder = Responder {
        slot,
        starting: None,
    };
    (responder, response)
}

impl<R> Responder<R> {
    /// Whether the caller is gone.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.slot.lock(), State::Closed)
    }

    pub(crate) fn send(self, result: R) {
        if let State::Waiting(waker) = self.slot.replace(State::Done(Some(result))) {
            waker.wake();
        }
    }

    /// Polls a future once with the waker of the caller, who goes on with it: the caller is not woken before the
    /// future is ready. So the futures of several callers are started without another task in between.
    pub(crate) fn start(mut self, mut future: BoxFuture<R>) {
        let State::Waiting(waker) = self.slot.replace(State::Starting(None)) else {
            return;
        };
        let waker = &*self.starting.insert(waker);
        let (next, is_done) = match future.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(result) => (State::Done(Some(result)), true),
            Poll::Pending => (State::Started(future), false),
        };
        match self.slot.replace(next) {
            State::Starting(Some(newer)) => newer.wake(),
            State::Starting(None) if is_done => waker.wake_by_ref(),
            _ => {}
        }
    }
}

impl<R> Drop for Responder<R> {
    fn drop(&mut self) {
        let has_none = matches!(*self.slot.lock(), State::Waiting(_) | State::Starting(_));
        if !has_none {
            return;
        }
        let waker = match self.slot.replace(State::Done(None)) {
            State::Waiting(waker) => Some(waker),
            // The future has panicked.
            State::Starting(newer) => newer.or(self.starting.take()),
            _ => None,
        };
        if let Some(waker) = waker {
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
    /// Takes the result or the started future; until then, the caller waits with this waker.
    fn take_or_wait(&self, newer: &Waker) -> Option<State<R>> {
        let newer = newer.clone();
        let mut state = self.lock();
        let next = match &*state {
            State::Waiting(_) => State::Waiting(newer),
            State::Starting(_) => State::Starting(Some(newer)),
            State::Started(_) | State::Done(_) | State::Closed => State::Closed,
        };
        let before = mem::replace(&mut *state, next);
        // Before the waker that was replaced is dropped.
        drop(state);
        match before {
            State::Waiting(_) | State::Starting(_) => None,
            before => Some(before),
        }
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
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

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

    /// Takes the lock of a slot when it is dropped, as the waker of a task may that holds a responder.
    struct Locks(Arc<Slot<u8>>);

    impl Wake for Locks {
        fn wake(self: StdArc<Self>) {}
    }

    impl Drop for Locks {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }

    /// Polls with a waker that takes the lock when the next poll replaces it.
    fn replace_waker(response: &mut Response<u8>) {
        let locks = Waker::from(StdArc::new(Locks(Arc::clone(&response.slot))));
        assert_eq!(poll(response, &locks), Poll::Pending);
        drop(locks);
        assert_eq!(poll(response, Waker::noop()), Poll::Pending);
    }

    #[test]
    fn a_waker_is_dropped_after_the_lock_is_released() {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let (responder, mut response) = channel(Waker::noop().clone());
            replace_waker(&mut response);
            let response = StdArc::new(std::sync::Mutex::new(response));
            let polled = StdArc::clone(&response);
            responder.start(Box::pin(poll_fn(move |_| {
                replace_waker(&mut polled.lock().unwrap());
                Poll::Ready(7)
            })));
            let result = poll(&mut response.lock().unwrap(), Waker::noop());
            let _ = done.send(result);
        });
        let result = is_done.recv_timeout(Duration::from_secs(20));
        assert_eq!(result, Ok(Poll::Ready(Some(7))), "it waits for itself");
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
