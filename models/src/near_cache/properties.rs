//! The promises.

use stateright::Property;

use super::{Line, NearCache, State, WINDOW};

pub(super) const FRESH: &str = "no request sees a state that was replaced a window ago";
pub(super) const OWN: &str = "a server sees its own writes";
pub(super) const ACCEPTED: &str = "a request with the current secret is never refused";

pub(super) fn all() -> Vec<Property<NearCache>> {
    vec![
        Property::always(FRESH, |_, state: &State| {
            let Some(revision) = state.served() else {
                return true;
            };
            let replaced = state.replaced_at.get(usize::from(revision));
            replaced.is_none_or(|replaced| state.now < replaced + WINDOW)
        }),
        Property::always(OWN, |_, state: &State| {
            state.served().is_none_or(|revision| revision >= state.own)
        }),
        // Let every revision rotate the secret, and accept that of the previous one.
        Property::always(ACCEPTED, |model: &NearCache, state: &State| {
            let is_wrong = |revision: u8| revision + 1 < state.revision;
            model.keeps(Line::AcceptOnly) || !state.served().is_some_and(is_wrong)
        }),
        Property::sometimes(
            "a request sees a state that was replaced",
            |_, state: &State| {
                state
                    .served()
                    .is_some_and(|revision| revision < state.revision)
            },
        ),
        Property::sometimes(
            "a written record is served after its message has arrived",
            |_, state: &State| {
                state.own > 0
                    && state.served() == Some(state.own)
                    && state.is_tracking
                    && state.messages.is_empty()
                    && state
                        .cached
                        .is_some_and(|cached| !cached.own_invalidation_pending)
            },
        ),
        Property::sometimes(
            "a check succeeds on a connection that broke during it",
            |model: &NearCache, state: &State| {
                state.breaks < model.breaks && !state.is_tracking && state.now < state.valid_until
            },
        ),
    ]
}
