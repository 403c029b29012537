//! What every bus must do.

use super::{Subject, numbered, sample};
use crate::event::{EventBus, SessionEvent, Subscription};
use crate::record::EndReason;
use crate::store::Store;

/// Runs the suite of a store's bus: on two stores of the subject, as two servers have them.
///
/// # Panics
///
/// When the bus breaks a promise of the contract, or a store has none.
pub async fn all(subject: &impl Subject) {
    let (here, there) = (subject.store().await, subject.store().await);
    let (here, there) = (here.bus(), there.bus());
    let here = here.expect("the store has a bus");
    let there = there.expect("the store has a bus");
    let mut listeners = [here.subscribe(), here.subscribe(), there.subscribe()];
    hold(&here, &mut listeners).await;
    let events: Vec<_> = (0..100).map(event).collect();
    for (number, event) in events.iter().enumerate() {
        let bus = if number % 2 == 0 { &here } else { &there };
        // One after the other: what two servers publish at once has no order.
        bus.publish(event).await.expect("publish answers");
        for listener in &mut listeners {
            assert_eq!(next(listener).await, *event);
        }
    }
}

/// Publishes until all have heard it: a subscription may take a moment to hold.
async fn hold<B: EventBus>(bus: &B, listeners: &mut [Subscription]) {
    for listener in listeners {
        let marker = marker();
        bus.publish(&marker).await.expect("publish answers");
        while listener.next().await.expect("the bus is open") != marker {
            bus.publish(&marker).await.expect("publish answers");
        }
    }
}

/// The next event that is neither about missed ones nor a marker.
async fn next(listener: &mut Subscription) -> SessionEvent {
    loop {
        let event = listener.next().await.expect("the bus is open");
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
        reason: EndReason::ByUser,
    }
}

fn marker() -> SessionEvent {
    let (id, _) = sample(numbered(0));
    SessionEvent::Ended {
        id,
        user: None,
        reason: EndReason::Other,
    }
}
