//! The steps of the actors.

use super::{Call, Line, MARGIN, MAX_AGE, Revocation, Session, State, Stored};

impl Revocation {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    pub(super) fn clock(&self, state: &State, server: usize) -> u8 {
        state.now.saturating_add_signed(self.clocks[server])
    }

    /// What a server knows, if it may rely on it. Otherwise a request reads it first, or is refused.
    pub(super) fn known(&self, state: &State, server: usize) -> Option<u8> {
        let (known, read_at) = state.servers[server].known?;
        let is_recent = state.now - read_at < MAX_AGE || !self.keeps(Line::RefuseWhenStale);
        is_recent.then_some(known)
    }

    pub(super) fn accepts(&self, state: &State, server: usize, session: &Session) -> bool {
        let is_valid = |known| session.created_at >= known || !self.keeps(Line::CheckTime);
        session.stored == Stored::Live && self.known(state, server).is_some_and(is_valid)
    }

    pub(super) fn may_create(&self, state: &State, server: usize) -> bool {
        self.known(state, server).is_some_and(|known| {
            self.clock(state, server) >= known || !self.keeps(Line::CreateNoneBefore)
        })
    }

    pub(super) fn call(&self, state: &mut State) {
        let after = if self.keeps(Line::InTheFuture) {
            MAX_AGE + MARGIN
        } else {
            0
        };
        state.revoked_before = state.now + after;
        let wait = if self.keeps(Line::WaitForIt) {
            MAX_AGE + MARGIN
        } else {
            0
        };
        state.call = Call::Written {
            ends_at: state.now + wait,
        };
        for session in &mut state.sessions {
            session.is_before = session.stored == Stored::Live;
        }
    }
}
