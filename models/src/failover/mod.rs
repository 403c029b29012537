//! Failover: the last writes of a primary are gone. Creates and ends wait for a replica, edits do not.
//!
//! A create or an end and its `WAIT` go through one connection of a server, and `WAIT` is about the writes of that
//! connection. An end that too few replicas have confirmed is repeated, also by another server. See
//! `replication.rs`, `end.lua` (`ARGV[4]`) and docs/failover.md.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

const MOST: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Failover {
    writers: usize,
    /// The servers that end the session, one after the other.
    ends: usize,
    failovers: u8,
    removed: Option<Line>,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Creates and ends wait for a replica.
    Wait,
    /// The end of a session that has ended writes something, so that `WAIT` confirms it.
    WriteAgain,
    /// A revision is drawn at random, and not the previous one plus one.
    RandomRevision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Nothing,
    /// The edits of the writers are bits.
    Record {
        revision: u8,
        edits: u8,
    },
    Tombstone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Begins,
    /// It was carried out; this many writes are those before it and itself.
    Waits(usize),
    Confirmed,
    NotReplicated,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Begins,
    Loaded {
        revision: u8,
        edits: u8,
    },
    /// Acknowledged when there had been this many failovers.
    Stored {
        failovers: u8,
    },
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// What the primary has stored, after each write. The first is what there was before.
    writes: Vec<Key>,
    /// How many of them the replica has.
    replicated: usize,
    create: Request,
    ends: Vec<Request>,
    writers: Vec<Writer>,
    failovers: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    End(usize),
    Load(usize),
    Update(usize),
    /// The replica receives the next write.
    Replicate,
    /// `WAIT` returns to the create, or to an end.
    Confirm(Option<usize>),
    TimeOut(Option<usize>),
    Failover,
}

impl Model for Failover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            writes: vec![Key::Nothing],
            replicated: 1,
            create: Request::Begins,
            ends: vec![Request::Begins; self.ends],
            writers: vec![Writer::Begins; self.writers],
            failovers: self.failovers,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.create == Request::Begins {
            actions.push(Action::Create);
        }
        let requests = state
            .ends
            .iter()
            .enumerate()
            .map(|(end, request)| (Some(end), request));
        for (end, request) in requests.chain([(None, &state.create)]) {
            if let Request::Waits(writes) = request {
                if state.replicated >= *writes {
                    actions.push(Action::Confirm(end));
                }
                actions.push(Action::TimeOut(end));
            }
        }
        // The next end repeats one that was not confirmed.
        let may_end = |end: &usize| {
            let before = end.checked_sub(1).map(|before| state.ends[before]);
            state.ends[*end] == Request::Begins
                && before.is_none_or(|before| before == Request::NotReplicated)
        };
        if state.create != Request::Begins {
            actions.extend((0..self.ends).filter(may_end).map(Action::End));
        }
        for (number, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Begins if state.create == Request::Confirmed => {
                    actions.push(Action::Load(number));
                }
                Writer::Loaded { .. } => actions.push(Action::Update(number)),
                _ => {}
            }
        }
        if state.replicated < state.writes.len() {
            actions.push(Action::Replicate);
        }
        if state.failovers > 0 {
            actions.push(Action::Failover);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Create => {
                state.create = Request::Refused;
                if state.key() == Key::Nothing {
                    state.writes.push(Key::Record {
                        revision: 1,
                        edits: 0,
                    });
                    state.create = self.wait(&state);
                }
            }
            Action::End(end) => state.ends[end] = self.end(&mut state),
            Action::Load(writer) => {
                state.writers[writer] = match state.key() {
                    Key::Record { revision, edits } => Writer::Loaded { revision, edits },
                    Key::Nothing | Key::Tombstone => Writer::Ended,
                };
            }
            Action::Update(writer) => state.writers[writer] = self.update(&mut state, writer)?,
            Action::Replicate => state.replicated += 1,
            Action::Confirm(end) => *state.request(end) = Request::Confirmed,
            Action::TimeOut(end) => *state.request(end) = Request::NotReplicated,
            Action::Failover => state.fail_over(),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol for Failover {
    type Line = Line;

    const NAME: &'static str = "failover";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::Wait, properties::ENDED),
        (Line::Wait, properties::CREATED),
        (Line::WriteAgain, properties::ENDED),
        (Line::RandomRevision, properties::EDITS),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        let configuration = |writers, ends, failovers| Self {
            writers,
            ends,
            failovers,
            removed: None,
        };
        let mut all = vec![configuration(MOST, 1, 1), configuration(1, 2, 2)];
        if long {
            all.extend([configuration(MOST, 2, 2), configuration(2, 3, 3)]);
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
crate::check::tests_of!(Failover {
    what_does_not_wait_for_a_replica_can_be_undone: Line::Wait,
    a_repeated_end_that_writes_nothing_confirms_nothing: Line::WriteAgain,
    with_counted_revisions_an_edit_after_a_failover_is_lost: Line::RandomRevision,
});
