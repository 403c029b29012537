//! The near cache: one session, in the cache of one server, which others write as well.
//!
//! The server reads and writes the session, and receives messages about changes on a connection of its own, which
//! may be slow or break; a check on that connection makes the cache valid for one window. Time passes in ticks of one
//! window: what happens in the same tick may have taken less than a window, in any order. See `near/{cache,store,invalidation,validity,shared}.rs`.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

/// The staleness bound (`with_max_staleness`), in ticks.
const WINDOW: u8 = 1;

#[derive(Clone, Debug)]
pub(crate) struct NearCache {
    reads: usize,
    writes: usize,
    /// How often another server writes the session.
    others: u8,
    breaks: u8,
    ticks: u8,
    removed: Option<Line>,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A read is cached only if nothing has changed since it began.
    CompareVersion,
    /// Of overlapping local writes none is cached.
    NoOverlap,
    /// What was written is cached for one window.
    WrittenForOneWindow,
    /// The cache is cleared when tracking is new on a connection.
    ClearWhenNew,
    /// Messages that arrived before the reply of a check take effect before it.
    MessagesFirst,
    /// The cache is valid for one window, and not until a check fails.
    ValidityIsADeadline,
    /// The window begins with the check, and not with its reply.
    WindowBeginsWithCheck,
    /// A cached record can only accept a request.
    AcceptOnly,
}

/// The session in the cache, by its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cached {
    revision: u8,
    /// `None` for a read, which is kept for longer than the model runs.
    until: Option<u8>,
    own_invalidation_pending: bool,
}

/// A read or a write of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Begins,
    Sent(Since),
    /// It was carried out: a read has found this revision, a write has stored it.
    Executed(Since, u8),
    Done,
}

/// What has happened to the slot since an operation began, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Since {
    began: u8,
    was_valid: bool,
    /// Invalidations; a cleared cache counts as many.
    invalidations: u8,
    /// Whether another local write has begun or was cached.
    has_written: bool,
}

/// What the server of Redis sends on the connection for messages, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Message {
    Invalidation,
    /// The reply to the first command of a check: whether tracking is new.
    Tracking {
        is_new: bool,
    },
    /// The reply to the last one.
    Checked {
        is_new: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Check {
    Idle,
    /// The first command was sent, or the last one.
    Sent {
        began: u8,
        tracking: Option<bool>,
    },
    /// It has been carried out, and its reply is on the way.
    Executed {
        began: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: u8,
    /// The stored revision, and when each earlier one was replaced.
    revision: u8,
    replaced_at: Vec<u8>,
    is_tracking: bool,
    messages: Vec<Message>,
    cached: Option<Cached>,
    valid_until: u8,
    check: Check,
    /// The tick in which the next check begins at the earliest.
    next_check: u8,
    reads: Vec<Operation>,
    writes: Vec<Operation>,
    /// The latest revision that this server has written, and knows of.
    own: u8,
    others: u8,
    breaks: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// Another server writes the session. `merged` if one message reports this change and the previous one.
    OtherWrites {
        merged: bool,
    },
    Read(usize),
    Write(usize),
    Receive,
    /// The reply of a check is handled before the messages that arrived earlier.
    ReceiveOutOfOrder,
    BeginCheck,
    ExecuteCheck,
    /// No reply arrives in time: the connection is replaced.
    CheckFails,
    ConnectionBreaks,
}

impl NearCache {
    fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }
}

impl Model for NearCache {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            revision: 0,
            replaced_at: Vec::new(),
            is_tracking: false,
            messages: Vec::new(),
            cached: None,
            valid_until: 0,
            check: Check::Idle,
            next_check: 0,
            reads: vec![Operation::Begins; self.reads],
            writes: vec![Operation::Begins; self.writes],
            own: 0,
            others: self.others,
            breaks: self.breaks,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.ticks {
            actions.push(Action::Tick);
        }
        if state.others > 0 {
            actions.push(Action::OtherWrites { merged: false });
            if state.messages.last() == Some(&Message::Invalidation) {
                actions.push(Action::OtherWrites { merged: true });
            }
        }
        let pending = |operations: &[Operation]| {
            let operations = operations.iter().enumerate();
            let left = operations.filter(|(_, operation)| **operation != Operation::Done);
            left.map(|(number, _)| number).collect::<Vec<_>>()
        };
        actions.extend(pending(&state.reads).into_iter().map(Action::Read));
        actions.extend(pending(&state.writes).into_iter().map(Action::Write));
        if !state.messages.is_empty() {
            actions.push(Action::Receive);
        }
        let replies = state.messages.iter().skip(1);
        let is_reply = |message: &Message| *message != Message::Invalidation;
        if !self.keeps(Line::MessagesFirst) && replies.clone().any(is_reply) {
            actions.push(Action::ReceiveOutOfOrder);
        }
        match state.check {
            Check::Idle if state.now >= state.next_check => actions.push(Action::BeginCheck),
            Check::Sent { .. } => actions.push(Action::ExecuteCheck),
            Check::Idle | Check::Executed { .. } => {}
        }
        if state.breaks > 0 {
            actions.push(Action::ConnectionBreaks);
            if state.check != Check::Idle {
                actions.push(Action::CheckFails);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::OtherWrites { merged } => {
                state.others -= 1;
                state.store(merged);
            }
            Action::Read(read) => self.read(&mut state, read),
            Action::Write(write) => self.write(&mut state, write),
            Action::Receive => {
                let message = state.messages.remove(0);
                self.receive(&mut state, message);
            }
            Action::ReceiveOutOfOrder => {
                let messages = &mut state.messages;
                let is_reply = |message: &Message| *message != Message::Invalidation;
                let place = messages.iter().position(is_reply)?;
                let message = messages.remove(place);
                self.receive(&mut state, message);
            }
            Action::BeginCheck => {
                state.next_check = state.now + 1;
                state.check = Check::Sent {
                    began: state.now,
                    tracking: None,
                };
            }
            Action::ExecuteCheck => state.execute_check(),
            Action::CheckFails => {
                if self.keeps(Line::ValidityIsADeadline) {
                    state.valid_until = 0;
                }
                state.clear();
                state.check = Check::Idle;
                state.breaks -= 1;
                state.replace_connection();
            }
            Action::ConnectionBreaks => {
                state.breaks -= 1;
                state.replace_connection();
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol for NearCache {
    type Line = Line;

    const NAME: &'static str = "near cache";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::CompareVersion, properties::FRESH),
        (Line::NoOverlap, properties::OWN),
        (Line::WrittenForOneWindow, properties::FRESH),
        (Line::ClearWhenNew, properties::FRESH),
        (Line::MessagesFirst, properties::FRESH),
        (Line::ValidityIsADeadline, properties::FRESH),
        (Line::WindowBeginsWithCheck, properties::FRESH),
        (Line::AcceptOnly, properties::ACCEPTED),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        let configuration = |reads, writes, others, breaks, ticks| Self {
            reads,
            writes,
            others,
            breaks,
            ticks,
            removed: None,
        };
        let mut all = vec![
            configuration(1, 1, 1, 0, 2),
            configuration(1, 0, 2, 1, 2),
            configuration(0, 2, 1, 0, 1),
        ];
        if long {
            all.extend([
                configuration(1, 1, 2, 0, 2),
                configuration(1, 1, 1, 1, 2),
                configuration(1, 2, 1, 0, 2),
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
crate::check::tests_of!(NearCache {
    a_read_that_overlaps_a_change_must_not_be_cached: Line::CompareVersion,
    overlapping_writes_must_not_be_cached: Line::NoOverlap,
    what_was_written_must_not_be_served_for_long: Line::WrittenForOneWindow,
    a_new_connection_must_clear_the_cache: Line::ClearWhenNew,
    a_check_must_not_overtake_messages: Line::MessagesFirst,
    validity_must_end_by_itself: Line::ValidityIsADeadline,
    the_window_must_begin_with_the_check: Line::WindowBeginsWithCheck,
    a_refusal_must_come_from_the_store: Line::AcceptOnly,
});
