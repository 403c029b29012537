//! Arbitrary text as a message on the bus of events.

use std::str;

use cloakroom_core::SessionEvent;

/// An event that is decoded is encoded to one that is decoded as the same.
///
/// # Panics
///
/// When that does not hold.
pub fn event(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Some(event) = SessionEvent::decode(text) {
        assert_eq!(SessionEvent::decode(&event.encode()), Some(event));
    }
}
