//! The promises.

use stateright::Property;

use super::{Client, Phase, Rotation, State, Status};

pub(super) const ALONE: &str =
    "a user whose cookie nobody else has is never signed out by a rotation";
pub(super) const VALID: &str = "the user's cookie is always valid";

pub(super) fn all() -> Vec<Property<Rotation>> {
    vec![
        Property::always(ALONE, |model: &Rotation, state: &State| {
            let mut requests = model.requests.iter().zip(&state.requests);
            model.requests.contains(&Client::Thief)
                || requests
                    .all(|(client, phase)| *client != Client::User || *phase != Phase::NotSignedIn)
        }),
        Property::always(VALID, |model: &Rotation, state: &State| {
            let valid = [Status::Current, Status::Next, Status::Previous];
            model.requests.contains(&Client::Thief)
                || !model.is_quiet(state)
                || state
                    .record
                    .is_some_and(|record| valid.contains(&Rotation::status(&record, state.user)))
        }),
        Property::sometimes("the cookie of a thief is noticed", |_, state: &State| {
            state.has_detected_reuse
        }),
        Property::sometimes("secrets are replaced twice", |_, state: &State| {
            state.record.is_some_and(|record| record.retired != 0)
        }),
        Property::sometimes("a lost response does no harm", |_, state: &State| {
            state
                .record
                .is_some_and(|record| record.next.is_some() && record.current == state.user)
        }),
    ]
}
