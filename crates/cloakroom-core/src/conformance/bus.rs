//! The test suite for event buses.

use super::fixtures::{Subject, numbered, sample};
use crate::bus::{EventBus, Subscription};
use crate::client::SessionClient;
use crate::event::SessionEvent;
use crate::record::EndReason;
use crate::store::Store;

/// Runs the suite for a store's event bus, on two stores of the subject, as on two servers.
///
/// # Panics
///
/// If the bus violates the contract, or a store has none.
pub async fn all(subject: &impl Subject) {
    let (here, there) = (subject.store().await, subject.store().await);
    let (here, there) = (here.bus(), there.bus());
    let here = here.expect("the store has a bus");
    let there = there.expect("the store has a bus");
    let mut subscriptions = [here.subscribe(), here.subscribe(), there.subscribe()];
    wait_until_subscribed(&here, &mut subscriptions).await;
    let events: Vec<_> = (0..100).map(event).collect();
    for (number, event) in events.iter().enumerate() {
        let bus = if number % 2 == 0 { &here } else { &there };
        // One after the other: events that two servers publish at once have no order.
        bus.publish(event).await.expect("publish succeeds");
        for subscription in &mut subscriptions {
            assert_eq!(next(subscription).await, *event);
        }
    }
}

/// Publishes until all subscriptions receive it: they may take a moment to become active.
async fn wait_until_subscribed<B: EventBus>(bus: &B, subscriptions: &mut [Subscription]) {
    for subscription in subscriptions {
        let marker = marker();
        bus.publish(&marker).await.expect("publish succeeds");
        while subscription.next().await.expect("the bus is open") != marker {
            bus.publish(&marker).await.expect("publish succeeds");
        }
    }
}

/// Returns the next event that is neither `Missed` nor a marker.
async fn next(subscription: &mut Subscription) -> SessionEvent {
    loop {
        let event = subscription.next().await.expect("the bus is open");
        let is_marker = matches!(&event, SessionEvent::Ended { user: None, .. });
        if event != SessionEvent::Missed && !is_marker {
            return event;
        }
    }
}

fn event(number: u32) -> SessionEvent {
    let (id, _) = sample(numbered(number));
    SessionEvent::Ended {
        id,
        user: Some(number.into()),
        reason: EndReason::RevokedByUser,
        client: Some(SessionClient::new(Some("curl/8.5.0"), None)),
    }
}

fn marker() -> SessionEvent {
    let (id, _) = sample(numbered(0));
    SessionEvent::Ended {
        id,
        user: None,
        reason: EndReason::Other,
        client: None,
    }
}
