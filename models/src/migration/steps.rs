//! The steps of the actors.

use super::{Key, Kind, Line, Migration, Outcome, Phase, Server, State};

impl Migration {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    pub(super) fn is_cutover(&self, request: usize) -> bool {
        self.requests[request].1 == Server::Cutover
    }

    pub(super) fn create(&self, key: &mut Key, is_linked: bool) -> bool {
        let is_free = *key == Key::Nothing || !self.keeps(Line::CreateIfAbsent);
        if is_free {
            *key = Key::Record { is_linked };
        }
        is_free
    }

    pub(super) fn step(&self, state: &mut State, request: usize) -> Phase {
        let phase = state.requests[request].phase;
        let kind = self.requests[request].0;
        match phase {
            Phase::Begins if kind == Kind::Revoke => self.revoke(state),
            Phase::Begins => self.find(state, Phase::ReadingLegacy),
            Phase::ReadingLegacy if state.is_legacy_live => Phase::Creating,
            Phase::ReadingLegacy => Phase::ReadingAgain,
            Phase::Creating => {
                let is_linked = self.creates_linked(request);
                if !self.create(&mut state.key, is_linked) {
                    Phase::ReadingAgain
                } else if is_linked && self.is_cutover(request) {
                    Phase::Unlinking
                } else {
                    Phase::Found { is_linked }
                }
            }
            Phase::ReadingAgain => self.find(state, Phase::Done(Outcome::NotSignedIn)),
            Phase::Checking => self.check(state, request),
            Phase::Rechecking => match state.key {
                Key::Record { is_linked: true } => Phase::EndingForLegacy,
                Key::Record { is_linked: false } => Phase::Found { is_linked: false },
                _ => self.absent(state, request),
            },
            Phase::EndingForLegacy => {
                end(&mut state.key, true);
                self.absent(state, request)
            }
            Phase::Unlinking => match state.key {
                Key::Record { .. } => {
                    if !self.keeps(Line::UnlinkFirst) {
                        state.is_legacy_live = false;
                    }
                    state.key = Key::Record { is_linked: false };
                    Phase::EndingUnlinked
                }
                _ => Phase::Found { is_linked: false },
            },
            Phase::EndingUnlinked => {
                state.is_legacy_live = false;
                Phase::Found { is_linked: false }
            }
            Phase::Found { is_linked } => self.use_session(state, request, is_linked),
            Phase::EndingLegacy => {
                state.is_legacy_live &= !self.keeps(Line::EndLegacy);
                if kind == Kind::SignIn {
                    Phase::Done(Outcome::Ended)
                } else {
                    Phase::Ending
                }
            }
            Phase::Ending => {
                end(&mut state.key, false);
                if kind == Kind::SignIn {
                    Phase::EndingLegacy
                } else {
                    Phase::Done(Outcome::Ended)
                }
            }
            Phase::Done(_) => phase,
        }
    }

    fn creates_linked(&self, request: usize) -> bool {
        !self.is_cutover(request) || self.keeps(Line::CreateLinked)
    }

    /// Reads the migrated session.
    pub(super) fn find(&self, state: &mut State, if_nothing: Phase) -> Phase {
        match state.key {
            Key::Nothing => if_nothing,
            Key::Record { is_linked: true } => Phase::Checking,
            Key::Record { is_linked: false } => Phase::Found { is_linked: false },
            Key::Tombstone { by_legacy } => {
                // It was ended here: the legacy session must not migrate again.
                if !by_legacy {
                    state.is_legacy_live &= !self.keeps(Line::EndLegacy);
                }
                Phase::Done(Outcome::NotSignedIn)
            }
        }
    }

    /// Reads the legacy session of a session that is linked.
    pub(super) fn check(&self, state: &State, request: usize) -> Phase {
        let is_live = state.is_legacy_live || !self.keeps(Line::CheckLegacy);
        match (is_live, self.is_cutover(request)) {
            (true, true) if self.keeps(Line::UnlinkFirst) => Phase::Unlinking,
            (true, true) => Phase::EndingUnlinked,
            (true, false) => Phase::Found { is_linked: true },
            (false, _) if self.keeps(Line::ReadAgain) => Phase::Rechecking,
            (false, _) => Phase::EndingForLegacy,
        }
    }

    /// There is no session, or it has just ended.
    pub(super) fn absent(&self, state: &mut State, request: usize) -> Phase {
        if self.is_cutover(request) {
            state.is_legacy_live = false;
        }
        Phase::Done(Outcome::NotSignedIn)
    }

    pub(super) fn use_session(&self, state: &mut State, request: usize, is_linked: bool) -> Phase {
        // In the second phase, the legacy sessions of the request's cookies end.
        if self.is_cutover(request) && (!is_linked || !self.keeps(Line::KeepWhileLinked)) {
            state.is_legacy_live = false;
        }
        match self.requests[request].0 {
            Kind::Use | Kind::Revoke => Phase::Done(Outcome::Live),
            Kind::SignOut => Phase::EndingLegacy,
            Kind::SignIn => Phase::Ending,
        }
    }

    /// A revocation reads the session, to find its legacy session.
    pub(super) fn revoke(&self, state: &State) -> Phase {
        match state.key {
            Key::Record { is_linked } if is_linked || self.keeps(Line::KeepLegacyId) => {
                Phase::EndingLegacy
            }
            Key::Record { .. } => Phase::Ending,
            // It is not known here yet, or has ended already.
            Key::Nothing | Key::Tombstone { .. } => Phase::Done(Outcome::NotSignedIn),
        }
    }

    /// A command fails. What only maintains a session does not fail the request.
    pub(super) fn lose(&self, state: &mut State, request: usize) -> Phase {
        match state.requests[request].phase {
            Phase::Creating => {
                state.late_create = Some(self.creates_linked(request));
                Phase::Done(Outcome::Failed)
            }
            Phase::Unlinking => Phase::Found { is_linked: true },
            Phase::EndingUnlinked => Phase::Done(Outcome::Live),
            _ => Phase::Done(Outcome::Failed),
        }
    }
}

fn end(key: &mut Key, by_legacy: bool) {
    if !matches!(key, Key::Tombstone { .. }) {
        *key = Key::Tombstone { by_legacy };
    }
}
