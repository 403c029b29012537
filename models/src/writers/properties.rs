//! The promises.

use stateright::Property;

use super::{Key, Request, State, Writer, Writers};

pub(super) const KEPT: &str = "an acknowledged edit is in the record";
pub(super) const ONCE: &str = "no edit is applied twice";
pub(super) const ENDED: &str =
    "a session that was ended never comes back to a client that holds its token";

pub(super) fn all() -> Vec<Property<Writers>> {
    vec![
        Property::always(KEPT, |_, state: &State| {
            let Key::Record { entries, .. } = state.key else {
                return true;
            };
            let mut writers = state.writers.iter().zip(entries);
            writers.all(|(writer, applied)| *writer != Writer::Stored || applied > 0)
        }),
        Property::always(ONCE, |_, state: &State| match state.key {
            Key::Record { entries, .. } => entries.iter().all(|applied| *applied <= 1),
            Key::Nothing | Key::Tombstone => true,
        }),
        Property::always(ENDED, |_, state: &State| {
            state.revocation != Request::Done || !state.is_live() || !state.is_held()
        }),
        Property::sometimes("every edit is stored", |_, state: &State| {
            state.writers.iter().all(|writer| *writer == Writer::Stored) && state.is_live()
        }),
        Property::sometimes(
            "a late create leaves a record that nobody can use",
            |_, state: &State| {
                state.revocation == Request::Done && state.is_live() && !state.is_held()
            },
        ),
        Property::sometimes(
            "a request never learns its outcome, and its edit is stored",
            |_, state: &State| {
                let Key::Record { entries, .. } = state.key else {
                    return false;
                };
                state.writers[0] == Writer::OutcomeUnknown && entries[0] == 1
            },
        ),
    ]
}
