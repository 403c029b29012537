//! Migration from a legacy store, in both phases.
//!
//! There are a legacy session and the key of the session to which it migrates: every request with the legacy cookie
//! derives the same id. Requests of servers in the first phase (side by side) and in the second (cutover) find,
//! migrate, unlink and end them; the legacy app signs out by removing its session. See `load/{migrate,linked}.rs`
//! and `commit/{migrate,end_legacy}.rs`.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

#[derive(Clone, Debug)]
pub(crate) struct Migration {
    requests: Vec<(Kind, Server)>,
    /// Whether the legacy app runs, in which the user signs out at some time.
    has_legacy_app: bool,
    losses: u8,
    removed: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A request with the legacy cookie.
    Use,
    /// The same, which then signs the user out.
    SignOut,
    /// The same, which then signs the user in again: the session ends as renewed.
    SignIn,
    /// The session is revoked by its id.
    Revoke,
}

/// The phase in which a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    SideBySide,
    Cutover,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// In the first phase a migrated session is valid only as long as its legacy session.
    CheckLegacy,
    /// What ends a session here also ends its legacy session.
    EndLegacy,
    /// A session does not migrate where there is a record or a tombstone.
    CreateIfAbsent,
    /// The link is removed before the legacy session ends.
    UnlinkFirst,
    /// A server that finds no legacy session reads the record once more before it ends that.
    ReadAgain,
    /// A session that could not be unlinked keeps its legacy session.
    KeepWhileLinked,
    /// A session that was unlinked names its legacy session until that has ended.
    KeepLegacyId,
    /// The second phase stores a migrated session as a linked one, and then removes the link.
    CreateLinked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Nothing,
    Record(Link),
    Tombstone { by_legacy: bool },
}

/// What a record says of its legacy session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    /// The session is valid as long as the legacy session is.
    Linked,
    /// It is valid without the legacy session, which may exist.
    Unlinked,
    /// The legacy session has ended.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Begins,
    ReadingLegacy,
    Creating,
    ReadingAgain,
    /// It has read a linked record, and reads the legacy session.
    Checking,
    Rechecking,
    EndingForLegacy,
    Unlinking,
    /// It ends the legacy session after it has removed the link.
    EndingUnlinked,
    /// It removes the legacy id from the record.
    Forgetting,
    /// It has found a live session. `is_linked` is what it knows of the record.
    Found {
        is_linked: bool,
    },
    EndingLegacy,
    Ending,
    Done(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// The request was that of a signed-in user.
    Live,
    /// It was not.
    NotSignedIn,
    /// It has ended the session, and said so.
    Ended,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    phase: Phase,
    /// Whether the session had been ended when the request began, and said to be.
    is_late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    is_legacy_live: bool,
    key: Key,
    requests: Vec<Request>,
    has_signed_out_of_legacy: bool,
    /// A create that was given up.
    late_create: Option<Link>,
    losses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Step(usize),
    /// The command of a request is not carried out, or it arrives later; the request learns that it has failed.
    Lose(usize),
    LegacySignOut,
    ArriveLate,
    TombstoneExpires,
}

impl Model for Migration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let request = Request {
            phase: Phase::Begins,
            is_late: false,
        };
        vec![State {
            is_legacy_live: true,
            key: Key::Nothing,
            requests: vec![request; self.requests.len()],
            has_signed_out_of_legacy: false,
            late_create: None,
            losses: self.losses,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, request) in state.requests.iter().enumerate() {
            match request.phase {
                Phase::Done(_) => continue,
                Phase::Begins
                | Phase::ReadingLegacy
                | Phase::ReadingAgain
                | Phase::Checking
                | Phase::Rechecking
                | Phase::Found { .. } => {}
                _ if state.losses > 0 => actions.push(Action::Lose(number)),
                _ => {}
            }
            actions.push(Action::Step(number));
        }
        if self.has_legacy_app && !state.has_signed_out_of_legacy {
            actions.push(Action::LegacySignOut);
        }
        if state.late_create.is_some() {
            actions.push(Action::ArriveLate);
        }
        // No request takes as long as a tombstone is kept.
        let in_progress =
            |request: &Request| !matches!(request.phase, Phase::Begins | Phase::Done(_));
        if matches!(state.key, Key::Tombstone { .. }) && !state.requests.iter().any(in_progress) {
            actions.push(Action::TombstoneExpires);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(request) => {
                if state.requests[request].phase == Phase::Begins {
                    state.requests[request].is_late = self.has_ended(&state);
                }
                state.requests[request].phase = self.step(&mut state, request);
            }
            Action::Lose(request) => {
                state.losses -= 1;
                state.requests[request].phase = self.lose(&mut state, request);
            }
            Action::LegacySignOut => {
                (state.is_legacy_live, state.has_signed_out_of_legacy) = (false, true);
            }
            Action::ArriveLate => {
                let link = state.late_create.take()?;
                self.create(&mut state.key, link);
            }
            Action::TombstoneExpires => state.key = Key::Nothing,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Migration {
    /// Whether the session has been ended, on either side, and a response has said so.
    fn has_ended(&self, state: &State) -> bool {
        let by_request = self
            .requests
            .iter()
            .zip(&state.requests)
            .any(|((kind, _), request)| {
                *kind != Kind::Use && request.phase == Phase::Done(Outcome::Ended)
            });
        by_request || state.has_signed_out_of_legacy
    }
}

impl Protocol for Migration {
    type Line = Line;

    const NAME: &'static str = "migration";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::CheckLegacy, properties::ENDED),
        (Line::EndLegacy, properties::ENDED),
        (Line::EndLegacy, properties::INVALID),
        (Line::CreateIfAbsent, properties::ENDED),
        (Line::UnlinkFirst, properties::DEPLOY),
        (Line::ReadAgain, properties::DEPLOY),
        (Line::KeepWhileLinked, properties::DEPLOY),
        (Line::KeepLegacyId, properties::ENDED),
        (Line::CreateLinked, properties::ENDED),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        use Kind::{Revoke, SignIn, SignOut, Use};
        use Server::{Cutover, SideBySide};
        let configuration = |has_legacy_app, losses, requests: &[(Kind, Server)]| Self {
            requests: requests.to_vec(),
            has_legacy_app,
            losses,
            removed: None,
        };
        let use_both = [(Use, SideBySide), (Use, Cutover)];
        let with = |others: &[(Kind, Server)]| [&use_both[..], others].concat();
        let mut all = vec![
            configuration(
                true,
                1,
                &[(Use, SideBySide), (Use, SideBySide), (SignOut, SideBySide)],
            ),
            configuration(
                true,
                1,
                &[
                    (Use, SideBySide),
                    (SignIn, SideBySide),
                    (Revoke, SideBySide),
                ],
            ),
            configuration(false, 2, &with(&use_both)),
            configuration(false, 1, &with(&[(SignOut, SideBySide), (Revoke, Cutover)])),
            configuration(false, 1, &with(&[(SignIn, Cutover), (SignOut, Cutover)])),
            configuration(false, 2, &with(&[(Use, Cutover), (Revoke, Cutover)])),
        ];
        if long {
            all.extend([
                configuration(true, 2, &[(Use, SideBySide); 5]),
                configuration(false, 3, &[&use_both[..], &use_both, &use_both].concat()),
                configuration(
                    false,
                    2,
                    &with(&[(SignIn, SideBySide), (SignOut, Cutover), (Revoke, Cutover)]),
                ),
            ]);
        }
        all
    }

    fn without(self, line: Line) -> Self {
        Self {
            removed: Some(line),
            ..self
        }
    }
}

#[cfg(test)]
crate::check::tests_of!(Migration {
    a_session_whose_legacy_session_is_not_checked_outlives_it: Line::CheckLegacy,
    a_legacy_session_that_is_not_ended_migrates_again: Line::EndLegacy,
    a_create_that_replaces_migrates_an_ended_session: Line::CreateIfAbsent,
    ending_the_legacy_session_before_the_link_signs_users_out: Line::UnlinkFirst,
    a_server_that_does_not_read_again_ends_an_unlinked_session: Line::ReadAgain,
    a_session_that_stays_linked_ends_with_its_legacy_session: Line::KeepWhileLinked,
    an_unlinked_session_that_does_not_name_its_legacy_session_migrates_again: Line::KeepLegacyId,
    a_late_create_without_a_link_brings_an_ended_session_back: Line::CreateLinked,
});
