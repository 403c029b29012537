//! The promises.

use stateright::Property;

use super::{Failover, Key, Request, State, Writer};

pub(super) const ENDED: &str = "a confirmed end is not undone by a failover";
pub(super) const CREATED: &str = "a confirmed sign-in is not lost by a failover";
pub(super) const EDITS: &str = "an acknowledged edit is lost only by a failover after it";

pub(super) fn all() -> Vec<Property<Failover>> {
    vec![
        Property::always(ENDED, |_, state: &State| {
            !state.ends.contains(&Request::Confirmed) || !matches!(state.key(), Key::Record { .. })
        }),
        Property::always(CREATED, |_, state: &State| {
            state.create != Request::Confirmed || state.key() != Key::Nothing
        }),
        Property::always(EDITS, |_, state: &State| {
            let Key::Record { edits, .. } = state.key() else {
                return true;
            };
            state.writers.iter().enumerate().all(|(number, writer)| {
                *writer
                    != (Writer::Stored {
                        failovers: state.failovers,
                    })
                    || edits & 1 << number != 0
            })
        }),
        Property::sometimes(
            "an end that was not confirmed is undone",
            |_, state: &State| {
                state.ends[0] == Request::NotReplicated && matches!(state.key(), Key::Record { .. })
            },
        ),
        Property::sometimes(
            "an end is confirmed when it is repeated by another server",
            |_, state: &State| state.ends.get(1) == Some(&Request::Confirmed),
        ),
        Property::sometimes(
            "a failover loses an acknowledged edit",
            |model: &Failover, state: &State| {
                let acknowledged = Writer::Stored {
                    failovers: model.failovers,
                };
                state.writers.first() == Some(&acknowledged)
                    && matches!(state.key(), Key::Record { edits, .. } if edits & 1 == 0)
            },
        ),
    ]
}
