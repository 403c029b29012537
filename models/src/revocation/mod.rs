//! Revoking everyone's sessions: the time before which sessions are revoked, and what each server knows of it.
//!
//! Time passes in ticks. A server relies on the time that it has read for `MAX_AGE`; the store's clock decides when
//! the revocation begins, and the clocks of the servers may differ from it by the margin. Records come back from a
//! backup. See `revocation.rs`, `users/revoke_everyone.rs`, `commit/create.rs` (`check_not_revoked`) and
//! `set_revoked_before.lua`.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

/// How long a server relies on what it has read, in ticks.
const MAX_AGE: u8 = 2;

/// By how much the clocks may differ, in ticks.
const MARGIN: u8 = 1;

/// The store's time at the start: clocks that are behind show a time, too.
const START: u8 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    /// By how much the clock of each server is ahead of the store's.
    clocks: Vec<i8>,
    sessions: usize,
    ticks: u8,
    removed: Option<Line>,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The time is set so far in the future that every server knows it when it applies.
    InTheFuture,
    /// The revocation returns after that time.
    WaitForIt,
    /// A server that cannot read the time again refuses all sessions.
    RefuseWhenStale,
    /// What was read counts from the beginning of the read.
    AgeFromBeginning,
    /// No session is created before that time.
    CreateNoneBefore,
    /// A session that was created before that time is refused, whether or not it was found and ended.
    CheckTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Server {
    /// The time before which sessions are revoked, and when it was read.
    known: Option<(u8, u8)>,
    /// A read that was carried out, and has found this time: when it began, and what it has found.
    read: Option<(u8, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stored {
    No,
    /// The create was sent.
    Sent,
    Live,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Session {
    stored: Stored,
    created_at: u8,
    /// Whether it was created before the revocation was called, and after it has returned.
    is_before: bool,
    is_after: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Idle,
    /// The time was written; sessions end from then on.
    Written {
        ends_at: u8,
    },
    Returned,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: u8,
    revoked_before: u8,
    servers: Vec<Server>,
    sessions: Vec<Session>,
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// The store carries out the read of a server, as soon as it begins: later would be the same as a later read.
    Read(usize),
    FinishRead(usize),
    /// A server sends the create of a session.
    Create {
        server: usize,
        session: usize,
    },
    Store(usize),
    Call,
    /// The revocation ends what it finds, and returns.
    Sweep,
    /// A backup brings an ended session back.
    Restore(usize),
}

impl Model for Revocation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let session = Session {
            stored: Stored::No,
            created_at: 0,
            is_before: false,
            is_after: false,
        };
        vec![State {
            now: START,
            revoked_before: 0,
            servers: vec![
                Server {
                    known: None,
                    read: None
                };
                self.clocks.len()
            ],
            sessions: vec![session; self.sessions],
            call: Call::Idle,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < START + self.ticks {
            actions.push(Action::Tick);
        }
        let next = state
            .sessions
            .iter()
            .position(|session| session.stored == Stored::No);
        for (number, server) in state.servers.iter().enumerate() {
            match server.read {
                None => actions.push(Action::Read(number)),
                Some(_) => actions.push(Action::FinishRead(number)),
            }
            if let Some(session) = next
                && self.may_create(state, number)
            {
                actions.push(Action::Create {
                    server: number,
                    session,
                });
            }
        }
        for (number, session) in state.sessions.iter().enumerate() {
            match session.stored {
                Stored::Sent => actions.push(Action::Store(number)),
                Stored::Ended => actions.push(Action::Restore(number)),
                Stored::No | Stored::Live => {}
            }
        }
        match state.call {
            Call::Idle => actions.push(Action::Call),
            Call::Written { ends_at } if state.now >= ends_at => actions.push(Action::Sweep),
            Call::Written { .. } | Call::Returned => {}
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Read(server) => {
                state.servers[server].read = Some((state.now, state.revoked_before));
            }
            Action::FinishRead(server) => {
                let (began, found) = state.servers[server].read.take()?;
                let read_at = if self.keeps(Line::AgeFromBeginning) {
                    began
                } else {
                    state.now
                };
                let known = state.servers[server].known.unwrap_or((0, 0));
                state.servers[server].known = Some((known.0.max(found), known.1.max(read_at)));
            }
            Action::Create { server, session } => {
                state.sessions[session] = Session {
                    stored: Stored::Sent,
                    created_at: self.clock(&state, server),
                    is_before: false,
                    is_after: state.call == Call::Returned,
                };
            }
            Action::Store(session) | Action::Restore(session) => {
                state.sessions[session].stored = Stored::Live;
            }
            Action::Call => self.call(&mut state),
            Action::Sweep => {
                let revoked_before = state.revoked_before;
                for session in &mut state.sessions {
                    if session.stored == Stored::Live && session.created_at < revoked_before {
                        session.stored = Stored::Ended;
                    }
                }
                state.call = Call::Returned;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol for Revocation {
    type Line = Line;

    const NAME: &'static str = "revocation";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::InTheFuture, properties::REVOKED),
        (Line::InTheFuture, properties::EARLIER),
        (Line::WaitForIt, properties::REVOKED),
        (Line::RefuseWhenStale, properties::REVOKED),
        (Line::AgeFromBeginning, properties::REVOKED),
        (Line::CreateNoneBefore, properties::AFTER),
        (Line::CheckTime, properties::REVOKED),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        let configuration = |clocks: &[i8], sessions, ticks| Self {
            clocks: clocks.to_vec(),
            sessions,
            ticks,
            removed: None,
        };
        let mut all = vec![configuration(&[0, 1], 1, 5), configuration(&[-1], 2, 6)];
        if long {
            all.extend([configuration(&[-1, 1], 1, 7), configuration(&[0, 1], 2, 5)]);
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
crate::check::tests_of!(Revocation {
    a_time_of_now_is_not_known_to_every_server: Line::InTheFuture,
    a_revocation_that_does_not_wait_returns_too_early: Line::WaitForIt,
    a_server_that_cannot_read_the_time_must_refuse: Line::RefuseWhenStale,
    the_age_of_a_reply_is_that_of_its_request: Line::AgeFromBeginning,
    creating_before_that_time_revokes_a_new_session: Line::CreateNoneBefore,
    ending_what_is_found_is_not_enough_after_a_backup: Line::CheckTime,
});
