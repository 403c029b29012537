//! Carries session events to all servers: the contract of a bus.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::broadcast::{self, Receiver, error::RecvError};

use crate::error::StoreError;
use crate::event::SessionEvent;

/// Carries events to all servers of an app.
pub trait EventBus: Send + Sync {
    /// Publishes an event to all current subscriptions. It is not an error if there are none.
    fn publish(&self, event: &SessionEvent) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Subscribes to events. Events of other servers may start to arrive only after a moment. As soon as
    /// they do, and again after each interruption, the subscription yields
    /// [`Missed`](SessionEvent::Missed).
    fn subscribe(&self) -> Subscription;
}

impl<B: EventBus> EventBus for &B {
    fn publish(&self, event: &SessionEvent) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).publish(event)
    }

    fn subscribe(&self) -> Subscription {
        (**self).subscribe()
    }
}

/// A stream of the events since it was created. It ends when the store is dropped.
///
/// A subscription that does not keep up loses the oldest events, and then yields
/// [`Missed`](SessionEvent::Missed) once before it continues.
pub struct Subscription(State);

enum State {
    /// Nothing is awaited.
    Idle(Receiver<SessionEvent>),
    /// The next event is awaited. The future owns the receiver and returns it, so an event cannot be lost
    /// when the caller stops polling.
    Waiting(Pin<Box<dyn Future<Output = Received> + Send + Sync>>),
    /// The bus is gone.
    Closed,
}

type Received = (Result<SessionEvent, RecvError>, Receiver<SessionEvent>);

async fn receive(mut receiver: Receiver<SessionEvent>) -> Received {
    (receiver.recv().await, receiver)
}

impl Subscription {
    fn new(receiver: Receiver<SessionEvent>) -> Self {
        Self(State::Idle(receiver))
    }

    /// Waits for the next event; `None` once the store is dropped.
    ///
    /// It is cancel safe: if the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        if let State::Idle(_) = self.0
            && let State::Idle(receiver) = std::mem::replace(&mut self.0, State::Closed)
        {
            self.0 = State::Waiting(Box::pin(receive(receiver)));
        }
        let State::Waiting(waiting) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let (received, receiver) = ready!(waiting.as_mut().poll(cx));
        self.0 = State::Idle(receiver);
        Poll::Ready(match received {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(SessionEvent::Missed),
            Err(RecvError::Closed) => {
                self.0 = State::Closed;
                None
            }
        })
    }
}

impl Stream for Subscription {
    type Item = SessionEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Delivers events to the subscriptions in one process. Stores build their bus on it.
#[derive(Clone, Debug)]
pub struct LocalBus(broadcast::Sender<SessionEvent>);

impl LocalBus {
    /// The number of events that wait for a subscription. If there are more, it loses the oldest.
    pub const CAPACITY: usize = 1024;

    /// Creates a bus without subscriptions.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::Sender::new(Self::CAPACITY))
    }

    /// Sends an event to all subscriptions.
    pub fn send(&self, event: SessionEvent) {
        // An error means that there are no subscriptions.
        drop(self.0.send(event));
    }

    /// Creates a subscription.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.0.subscribe())
    }

    /// Returns whether there are subscriptions.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::id::SessionId;

    fn id() -> SessionId {
        "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap()
    }

    fn created() -> SessionEvent {
        SessionEvent::Created { id: id() }
    }

    #[tokio::test]
    async fn a_slow_subscription_learns_that_it_missed_events() {
        let bus = LocalBus::new();
        bus.send(created());
        let mut subscription = bus.subscribe();
        for _ in 0..=LocalBus::CAPACITY {
            bus.send(created());
        }
        assert_eq!(subscription.next().await, Some(SessionEvent::Missed));
        assert_eq!(subscription.next().await, Some(created()));
        drop(bus);
        while subscription.next().await.is_some() {}
        assert_eq!(subscription.next().await, None);
    }

    /// A poll that is pending leaves a future behind, which owns the receiver.
    #[tokio::test]
    async fn a_cancelled_wait_loses_neither_events_nor_the_notice_of_a_gap() {
        let bus = LocalBus::new();
        assert!(!bus.has_subscribers());
        let mut subscription = bus.subscribe();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = Pin::new(&mut subscription).poll_next(&mut cx);
        assert!(polled.is_pending());
        assert!(bus.has_subscribers());
        bus.send(created());
        assert_eq!(subscription.next().await, Some(created()));

        assert!(subscription.poll_event(&mut cx).is_pending());
        for _ in 0..=LocalBus::CAPACITY {
            bus.send(created());
        }
        let polled = Pin::new(&mut subscription).poll_next(&mut cx);
        assert_eq!(polled, Poll::Ready(Some(SessionEvent::Missed)));
        for _ in 0..LocalBus::CAPACITY {
            assert_eq!(subscription.next().await, Some(created()));
        }
        assert!(subscription.poll_event(&mut cx).is_pending());
    }
}
