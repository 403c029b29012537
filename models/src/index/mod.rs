//! The index of a user's sessions, with a limit: sign-ins, a renewal, and the revocation of all sessions.
//!
//! The index and each session are keys of their own. A sign-in adds its id to the index, ends the sessions that it
//! is given for the limit, and stores its session; a server may crash between any two steps. Without a limit, the index
//! and the session may be written together, in any order, if nobody has the token of the session yet. See
//! `commit/{create,evict,index,follow_up}.rs`, `users/revoke.rs` and `index_add.lua`.

mod configurations;
mod properties;
mod steps;

use stateright::{Model, Property};

#[derive(Clone, Debug)]
pub(crate) struct Index {
    limit: usize,
    tasks: Vec<Kind>,
    writes: Writes,
    crashes: u8,
    removed: Option<Line>,
}

/// How the index and the session are written, if nothing has to be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    OneScript,
    /// One after the other.
    InOrder,
    /// Two commands on their way at the same time. There is no limit.
    Together,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SignIn,
    /// Creates a session whose token is derived from one that the client has already.
    Migrate,
    /// Renews the session that is there at the start.
    Renew,
    RevokeAll,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// An id is added to the index before its session is stored.
    IndexFirst,
    /// A sign-in that writes both together succeeds when both are written.
    WaitForBoth,
    /// Both are written together only if nobody has the token.
    OnlyFreshTogether,
    /// An id is removed from the index after its session has ended.
    RemoveLast,
    /// The end of a session that is not stored yet leaves a tombstone.
    TombstoneForMissing,
    /// An id without a session counts as dead only if no sign-in can be about to store it.
    OnlyOldAreDead,
    /// A sign-in takes over what another one was given to end, once the lease is over.
    TakeOver,
    /// Sessions above the limit end before the new session is stored.
    EvictFirst,
    /// A sign-in counts again if a session that it was given to end had been renewed.
    CountAgain,
    /// A revocation reads the index again after it has found a renewed session.
    ReadAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Nothing,
    Record,
    Tombstone { is_renewed: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Absent,
    Listed,
    /// Given to a sign-in to be ended for the limit: it counts no more.
    Claimed {
        is_lease_over: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// It adds its id to the index, or a revocation reads the index.
    Begins,
    /// It has found the index full, and reads which of its sessions are dead.
    Checking,
    /// It adds its id, and claims what exceeds the limit.
    AddingOver {
        dead: u8,
    },
    /// It ends sessions, one after the other.
    Ending(Group),
    /// It has ended these (bits), one of which had been renewed, and evicts what exceeds the limit now.
    CountingAgain {
        ended: u8,
    },
    /// The index and the session are being written, in any order.
    Writing {
        is_listed: bool,
        is_stored: Option<bool>,
    },
    Storing,
    EndingOld,
    /// A revocation removes the entries of what it has ended.
    Removing {
        ids: u8,
        may_have_more: bool,
    },
    Done(Outcome),
}

/// Sessions that are ended together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Group {
    /// Bits: those that are still to be ended.
    left: u8,
    /// Bits: those that have ended.
    ended: u8,
    may_have_more: bool,
}

impl Group {
    const fn of(left: u8) -> Self {
        Self {
            left,
            ended: 0,
            may_have_more: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// The response has set the cookie of the new session.
    SignedIn,
    Refused,
    /// All sessions that were signed in before have ended.
    Revoked,
    Crashed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Task {
    phase: Phase,
    /// Bits: the sessions that were held when a revocation began, or the claims that a sign-in had to take over.
    noted: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    keys: Vec<Key>,
    entries: Vec<Entry>,
    tasks: Vec<Task>,
    /// Bits: sessions whose cookie a client has.
    held: u8,
    /// Bits: entries that a background task is about to remove.
    removing: u8,
    /// Bits: sessions that a background task is about to end, and then to remove.
    rolling_back: u8,
    /// Bits: creates that arrive after the server has crashed.
    late: u8,
    crashes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Step(usize),
    /// The session is stored by a task that also writes the index.
    Store(usize),
    /// The server of a task crashes before its next command, or the request is given up.
    Crash(usize),
    /// It crashes, and its create arrives later.
    CrashAfterSending(usize),
    /// The reply to a create is lost: the session is rolled back.
    LoseReply(usize),
    ArriveLate(usize),
    Remove(usize),
    RollBack(usize),
    LeaseIsOver(usize),
    TombstoneExpires(usize),
}

const fn bit(id: usize) -> u8 {
    1 << id
}

/// The ids in a set of bits, the lowest first: the oldest.
fn ids(bits: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |id| bits & bit(*id) != 0)
}

/// The session that a task creates. The first one is there at the start.
const fn new_id(task: usize) -> usize {
    task + 1
}

impl Index {
    fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }
}

/// Stores a session, if there is nothing under its id.
fn create(state: &mut State, id: usize) -> bool {
    let is_free = state.keys[id] == Key::Nothing;
    if is_free {
        state.keys[id] = Key::Record;
    }
    is_free
}

impl Model for Index {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let sessions = self.tasks.len() + 1;
        let mut keys = vec![Key::Nothing; sessions];
        let mut entries = vec![Entry::Absent; sessions];
        (keys[0], entries[0]) = (Key::Record, Entry::Listed);
        let task = Task {
            phase: Phase::Begins,
            noted: 0,
        };
        vec![State {
            keys,
            entries,
            tasks: vec![task; self.tasks.len()],
            held: bit(0),
            removing: 0,
            rolling_back: 0,
            late: 0,
            crashes: self.crashes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, task) in state.tasks.iter().enumerate() {
            if matches!(task.phase, Phase::Done(_)) {
                continue;
            }
            let is_being_stored = match task.phase {
                Phase::Writing {
                    is_listed,
                    is_stored,
                } => {
                    if !is_listed {
                        actions.push(Action::Step(number));
                    }
                    if is_stored.is_none() {
                        actions.push(Action::Store(number));
                    }
                    is_stored.is_none()
                }
                phase => {
                    actions.push(Action::Step(number));
                    phase == Phase::Storing
                }
            };
            if state.crashes == 0 {
                continue;
            }
            actions.push(Action::Crash(number));
            if is_being_stored {
                actions.extend([Action::CrashAfterSending(number), Action::LoseReply(number)]);
            }
        }
        actions.extend(ids(state.late).map(Action::ArriveLate));
        actions.extend(ids(state.removing).map(Action::Remove));
        actions.extend(ids(state.rolling_back).map(Action::RollBack));
        for (id, entry) in state.entries.iter().enumerate() {
            // A sign-in takes less time than a lease.
            let is_ending =
                |phase| matches!(phase, Phase::Ending(group) if group.left & bit(id) != 0);
            let is_left = !state.tasks.iter().any(|task| is_ending(task.phase));
            if is_left
                && *entry
                    == (Entry::Claimed {
                        is_lease_over: false,
                    })
            {
                actions.push(Action::LeaseIsOver(id));
            }
        }
        // Only a create that arrives late makes a difference between a tombstone and nothing. No request waits for a
        // create for as long as a tombstone is kept.
        for id in ids(state.late) {
            if matches!(state.keys[id], Key::Tombstone { .. }) {
                actions.push(Action::TombstoneExpires(id));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(task) => self.step(&mut state, task),
            Action::Store(task) => self.write_session(&mut state, task),
            Action::Crash(task) | Action::CrashAfterSending(task) => {
                state.crashes -= 1;
                state.tasks[task].phase = Phase::Done(Outcome::Crashed);
                if matches!(action, Action::CrashAfterSending(_)) {
                    state.late |= bit(new_id(task));
                }
            }
            Action::LoseReply(task) => {
                state.crashes -= 1;
                create(&mut state, new_id(task));
                state.rolling_back |= bit(new_id(task));
                state.tasks[task].phase = Phase::Done(Outcome::Refused);
            }
            Action::ArriveLate(id) => {
                state.late &= !bit(id);
                create(&mut state, id);
            }
            Action::Remove(id) => {
                state.removing &= !bit(id);
                state.entries[id] = Entry::Absent;
            }
            Action::RollBack(id) => {
                state.rolling_back &= !bit(id);
                self.end(&mut state, id);
                state.removing |= bit(id);
            }
            Action::LeaseIsOver(id) => {
                state.entries[id] = Entry::Claimed {
                    is_lease_over: true,
                }
            }
            Action::TombstoneExpires(id) => state.keys[id] = Key::Nothing,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

#[cfg(test)]
crate::check::tests_of!(Index {
    a_session_that_is_stored_before_it_is_listed_can_be_missing: Line::IndexFirst,
    a_sign_in_that_does_not_wait_for_the_index_can_be_missing: Line::WaitForBoth,
    a_session_whose_token_is_known_can_be_missing_if_both_are_written_together:
        Line::OnlyFreshTogether,
    an_entry_that_is_removed_before_its_session_ends_can_be_missing: Line::RemoveLast,
    without_a_tombstone_a_sign_in_in_progress_survives_unlisted: Line::TombstoneForMissing,
    an_entry_that_is_removed_too_early_can_be_missing: Line::OnlyOldAreDead,
    without_a_takeover_a_crash_leaves_a_session_above_the_limit: Line::TakeOver,
    storing_before_evicting_exceeds_the_limit: Line::EvictFirst,
    a_renewal_of_an_evicted_session_exceeds_the_limit: Line::CountAgain,
    a_revocation_in_one_pass_misses_a_renewed_session: Line::ReadAgain,
});
