//! The steps of the actors.

use super::{Key, Kind, Line, Link, Migration, Outcome, Phase, Server, State};

impl Migration {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    pub(super) fn is_cutover(&self, request: usize) -> bool {
        self.requests[request].1 == Server::Cutover
    }

    pub(super) fn create(&self, key: &mut Key, link: Link) -> bool {
        let is_free = *key == Key::Nothing || !self.keeps(Line::CreateIfAbsent);
        if is_free {
            *key = Key::Record(link);
        }
        is_free
    }

    pub(super) fn step(&self, state: &mut State, request: usize) -> Phase {
        let phase = state.requests[request].phase;
        let kind = self.requests[request].0;
        match phase {
            Phase::Begins if kind == Kind::Revoke => Self::revoke(state),
            Phase::Begins => self.find(state, request, Phase::ReadingLegacy),
            Phase::ReadingLegacy if state.is_legacy_live => Phase::Creating,
            Phase::ReadingLegacy => Phase::ReadingAgain,
            Phase::Creating => {
                let link = self.link_of_new(request);
                if !self.create(&mut state.key, link) {
                    Phase::ReadingAgain
                } else if link == Link::Linked && self.is_cutover(request) {
                    Phase::Unlinking
                } else {
                    Phase::Found {
                        is_linked: link == Link::Linked,
                    }
                }
            }
            Phase::ReadingAgain => self.find(state, request, Phase::Done(Outcome::NotSignedIn)),
            Phase::Checking => self.check(state, request),
            Phase::Rechecking => match state.key {
                Key::Record(Link::Linked) => Phase::EndingForLegacy,
                Key::Record(_) => Phase::Found { is_linked: false },
                _ => self.absent(state, request),
            },
            Phase::EndingForLegacy => {
                end(&mut state.key, true);
                self.absent(state, request)
            }
            Phase::Unlinking => match state.key {
                Key::Record(link) => {
                    if !self.keeps(Line::UnlinkFirst) {
                        state.is_legacy_live = false;
                    }
                    state.key = Key::Record(self.unlinked(link));
                    Phase::EndingUnlinked
                }
                _ => Phase::Found { is_linked: false },
            },
            Phase::EndingUnlinked => {
                state.is_legacy_live = false;
                Phase::Forgetting
            }
            Phase::Forgetting => {
                if state.key == Key::Record(Link::Unlinked) {
                    state.key = Key::Record(Link::Ended);
                }
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

    fn link_of_new(&self, request: usize) -> Link {
        if !self.is_cutover(request) || self.keeps(Line::CreateLinked) {
            Link::Linked
        } else {
            Link::Unlinked
        }
    }

    fn unlinked(&self, link: Link) -> Link {
        match link {
            Link::Linked if self.keeps(Line::KeepLegacyId) => Link::Unlinked,
            Link::Linked => Link::Ended,
            other => other,
        }
    }

    /// Reads the migrated session.
    pub(super) fn find(&self, state: &mut State, request: usize, if_nothing: Phase) -> Phase {
        match state.key {
            Key::Nothing => if_nothing,
            Key::Record(Link::Linked) => Phase::Checking,
            Key::Record(Link::Unlinked) if self.is_cutover(request) => Phase::EndingUnlinked,
            Key::Record(_) => Phase::Found { is_linked: false },
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
    pub(super) fn revoke(state: &State) -> Phase {
        match state.key {
            Key::Record(Link::Linked | Link::Unlinked) => Phase::EndingLegacy,
            Key::Record(Link::Ended) => Phase::Ending,
            // It is not known here yet, or has ended already.
            Key::Nothing | Key::Tombstone { .. } => Phase::Done(Outcome::NotSignedIn),
        }
    }

    /// A command fails. What only maintains a session does not fail the request.
    pub(super) fn lose(&self, state: &mut State, request: usize) -> Phase {
        match state.requests[request].phase {
            Phase::Creating => {
                state.late_create = Some(self.link_of_new(request));
                Phase::Done(Outcome::Failed)
            }
            Phase::Unlinking => Phase::Found { is_linked: true },
            Phase::EndingUnlinked | Phase::Forgetting => Phase::Done(Outcome::Live),
            _ => Phase::Done(Outcome::Failed),
        }
    }
}

fn end(key: &mut Key, by_legacy: bool) {
    if !matches!(key, Key::Tombstone { .. }) {
        *key = Key::Tombstone { by_legacy };
    }
}
