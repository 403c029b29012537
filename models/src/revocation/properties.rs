//! The promises.

use stateright::Property;

use super::{Call, Revocation, Session, State, Stored};

pub(super) const REVOKED: &str =
    "after the revocation, no earlier session is accepted, even if a backup brings it back";
pub(super) const AFTER: &str =
    "a session that is created after the revocation is not revoked by it";
pub(super) const EARLIER: &str = "a session that was created before the revocation has an earlier time, also by a clock that is ahead";

pub(super) fn all() -> Vec<Property<Revocation>> {
    vec![
        Property::always(REVOKED, |model: &Revocation, state: &State| {
            let is_accepted = |session: &Session| {
                let mut servers = 0..model.clocks.len();
                servers.any(|server| model.accepts(state, server, session))
            };
            let mut revoked = state.sessions.iter().filter(|session| session.is_before);
            state.call != Call::Returned || !revoked.any(is_accepted)
        }),
        Property::always(AFTER, |_, state: &State| {
            let mut sessions = state.sessions.iter().filter(|session| session.is_after);
            sessions.all(|session| session.created_at >= state.revoked_before)
        }),
        Property::always(EARLIER, |_, state: &State| {
            let mut before = state.sessions.iter().filter(|session| session.is_before);
            before.all(|session| session.created_at < state.revoked_before)
        }),
        Property::sometimes(
            "a session that a backup brings back is refused",
            |model: &Revocation, state: &State| {
                let is_back =
                    |session: &&Session| session.is_before && session.stored == Stored::Live;
                state.call == Call::Returned
                    && model.known(state, 0) == Some(state.revoked_before)
                    && state.sessions.iter().any(|session| is_back(&session))
            },
        ),
        Property::sometimes(
            "a session is created after the revocation",
            |model: &Revocation, state: &State| {
                let accepted = |session: &Session| model.accepts(state, 0, session);
                state
                    .sessions
                    .iter()
                    .any(|session| session.is_after && accepted(session))
            },
        ),
        Property::sometimes(
            "a server does not know of the revocation yet",
            |model: &Revocation, state: &State| {
                state.call != Call::Idle
                    && (0..model.clocks.len()).any(|server| model.known(state, server) == Some(0))
            },
        ),
    ]
}
