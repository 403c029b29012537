//! The steps of the tasks.

use super::{
    Entry, Group, Index, Key, Kind, Line, Outcome, Phase, State, Writes, bit, create, ids, new_id,
};

/// Neither the index nor the session is written yet.
const WRITING: Phase = Phase::Writing {
    is_listed: false,
    is_stored: None,
};

impl Index {
    pub(super) fn step(&self, state: &mut State, task: usize) {
        let id = new_id(task);
        match (self.tasks[task], state.tasks[task].phase) {
            (Kind::RevokeAll, Phase::Begins) => Self::list(state, task),
            (Kind::SignIn, Phase::Begins) => self.sign_in(state, task),
            (Kind::Migrate, Phase::Begins) => self.migrate(state, task),
            (Kind::Renew, Phase::Begins) => self.renew(state, task),
            (_, Phase::Writing { is_stored, .. }) => {
                state.entries[id] = Entry::Listed;
                self.wrote(state, task, true, is_stored);
            }
            (_, Phase::Checking) => self.check(state, task),
            (_, Phase::AddingOver { dead }) => self.add_over(state, task, dead),
            (_, Phase::Ending(group)) => self.end_one(state, task, group),
            (_, Phase::CountingAgain { ended }) => self.evict_excess(state, task, ended),
            (_, Phase::Storing) => self.store(state, task),
            (_, Phase::EndingOld) => {
                if state.keys[0] == Key::Record {
                    state.keys[0] = Key::Tombstone { is_renewed: true };
                    state.removing |= bit(0);
                    Self::succeed(state, task);
                } else {
                    state.rolling_back |= bit(id);
                    state.tasks[task].phase = Phase::Done(Outcome::Refused);
                }
            }
            (_, Phase::Removing { ids, may_have_more }) => {
                for id in super::ids(ids) {
                    state.entries[id] = Entry::Absent;
                }
                if may_have_more && self.keeps(Line::ReadAgain) {
                    Self::list(state, task);
                } else {
                    state.tasks[task].phase = Phase::Done(Outcome::Revoked);
                }
            }
            (_, Phase::Done(_)) => {}
        }
    }

    /// The first attempt, which evicts nothing.
    fn sign_in(&self, state: &mut State, task: usize) {
        let id = new_id(task);
        if !self.keeps(Line::IndexFirst) && state.keys[id] == Key::Nothing {
            // The wrong order: the session first.
            create(state, id);
            state.held |= bit(id);
            return;
        }
        if self.writes == Writes::Together {
            state.tasks[task].phase = WRITING;
            return;
        }
        if count_others(state, id) + 1 > self.limit {
            state.tasks[task].phase = Phase::Checking;
            return;
        }
        self.add(state, task, 0);
    }

    /// Adds the id to the index, and claims sessions to end.
    fn add(&self, state: &mut State, task: usize, excess: usize) {
        let id = new_id(task);
        let left = claims_to_take_over(state);
        let over = self.claim(state, excess, Some(id));
        state.tasks[task].noted = left;
        state.entries[id] = Entry::Listed;
        if over == 0 || !self.keeps(Line::EvictFirst) {
            state.tasks[task].phase = Phase::Storing;
            // It is to be ended afterwards.
            state.tasks[task].noted = if over == 0 {
                state.tasks[task].noted
            } else {
                over
            };
            if self.writes == Writes::OneScript && over == 0 {
                self.store(state, task);
            }
        } else {
            state.tasks[task].phase = Phase::Ending(Group::of(over));
        }
    }

    /// Claims so many of the oldest sessions other than this one, and those of which the lease is over. Returns them, as
    /// bits.
    fn claim(&self, state: &mut State, excess: usize, own: Option<usize>) -> u8 {
        let listed = |other: &usize| Some(*other) != own && state.entries[*other] == Entry::Listed;
        let oldest = (0..state.entries.len()).filter(listed).take(excess);
        let mut over: u8 = oldest.map(bit).sum();
        if self.keeps(Line::TakeOver) {
            over |= claims_to_take_over(state);
        }
        for other in ids(over) {
            state.entries[other] = Entry::Claimed {
                is_lease_over: false,
            };
        }
        over
    }

    /// The new session of the task counts, and may be the oldest.
    fn evict_excess(&self, state: &mut State, task: usize, ended: u8) {
        let excess = count_others(state, usize::MAX).saturating_sub(self.limit);
        let left = self.claim(state, excess, None);
        let group = Group {
            left,
            ended,
            may_have_more: false,
        };
        state.tasks[task].phase = match left {
            0 => self.phase_after(task, group),
            _ => Phase::Ending(group),
        };
    }

    /// What follows when a sign-in has ended all sessions that it was given. If its own is one of them, it is refused: the
    /// code tries again with another id, as a further sign-in would.
    fn phase_after(&self, task: usize, group: Group) -> Phase {
        if group.may_have_more && self.keeps(Line::CountAgain) {
            return Phase::CountingAgain { ended: group.ended };
        }
        if group.ended & bit(new_id(task)) != 0 {
            return Phase::Done(Outcome::Refused);
        }
        if self.keeps(Line::EvictFirst) {
            Phase::Storing
        } else {
            Phase::Done(Outcome::SignedIn)
        }
    }

    /// Reads which sessions of a full index are dead.
    fn check(&self, state: &mut State, task: usize) {
        let mut dead = 0;
        for (id, entry) in state.entries.iter().enumerate() {
            let in_progress = id > 0 && !matches!(state.tasks[id - 1].phase, Phase::Done(_));
            let is_dead = match state.keys[id] {
                Key::Nothing => !in_progress || !self.keeps(Line::OnlyOldAreDead),
                Key::Tombstone { .. } => true,
                Key::Record => false,
            };
            if *entry == Entry::Listed && is_dead {
                dead |= bit(id);
            }
        }
        state.tasks[task].phase = Phase::AddingOver { dead };
    }

    fn add_over(&self, state: &mut State, task: usize, dead: u8) {
        for id in ids(dead) {
            state.entries[id] = Entry::Absent;
        }
        let excess = count_others(state, new_id(task)) + 1;
        self.add(state, task, excess.saturating_sub(self.limit));
    }

    /// Ends the next session of a group.
    fn end_one(&self, state: &mut State, task: usize, group: Group) {
        let Some(id) = ids(group.left).next() else {
            return;
        };
        let found = state.keys[id];
        if !self.keeps(Line::RemoveLast) && state.entries[id] != Entry::Absent {
            // The wrong order: the entry first.
            state.entries[id] = Entry::Absent;
            return;
        }
        self.end(state, id);
        let is_revocation = self.tasks[task] == Kind::RevokeAll;
        let has_more = match found {
            Key::Record | Key::Nothing => is_revocation,
            Key::Tombstone { is_renewed } => is_renewed,
        };
        let may_have_more = group.may_have_more || has_more;
        let (left, ended) = (group.left & !bit(id), group.ended | bit(id));
        if !is_revocation {
            state.removing |= bit(id);
        }
        state.tasks[task].phase = match (left, is_revocation) {
            (0, true) => {
                let ids = ended;
                Phase::Removing { ids, may_have_more }
            }
            (left, _) => {
                let group = Group {
                    left,
                    ended,
                    may_have_more,
                };
                match left {
                    0 => self.phase_after(task, group),
                    _ => Phase::Ending(group),
                }
            }
        };
    }

    pub(super) fn end(&self, state: &mut State, id: usize) {
        state.keys[id] = match state.keys[id] {
            Key::Nothing if !self.keeps(Line::TombstoneForMissing) => Key::Nothing,
            Key::Record | Key::Nothing => Key::Tombstone { is_renewed: false },
            tombstone @ Key::Tombstone { .. } => tombstone,
        };
    }

    fn store(&self, state: &mut State, task: usize) {
        let id = new_id(task);
        let is_stored = self.create(state, task) || state.held & bit(id) != 0;
        self.stored(state, task, is_stored);
    }

    /// Stores the session of a task. If its token is derived, a client has it already.
    fn create(&self, state: &mut State, task: usize) -> bool {
        let is_stored = create(state, new_id(task));
        if is_stored && self.tasks[task] == Kind::Migrate {
            state.held |= bit(new_id(task));
        }
        is_stored
    }

    /// The session of a task that also writes the index.
    pub(super) fn write_session(&self, state: &mut State, task: usize) {
        let is_stored = self.create(state, task);
        if let Phase::Writing { is_listed, .. } = state.tasks[task].phase {
            self.wrote(state, task, is_listed, Some(is_stored));
        }
    }

    /// Either the index or the session was written.
    fn wrote(&self, state: &mut State, task: usize, is_listed: bool, is_stored: Option<bool>) {
        match is_stored {
            Some(is_stored) if is_listed || !self.keeps(Line::WaitForBoth) => {
                self.stored(state, task, is_stored);
            }
            _ => {
                state.tasks[task].phase = Phase::Writing {
                    is_listed,
                    is_stored,
                };
            }
        }
    }

    fn stored(&self, state: &mut State, task: usize, is_stored: bool) {
        let id = new_id(task);
        if !is_stored {
            state.removing |= bit(id);
            state.tasks[task].phase = Phase::Done(Outcome::Refused);
        } else if self.tasks[task] == Kind::Renew {
            state.tasks[task].phase = Phase::EndingOld;
        } else if !self.keeps(Line::EvictFirst) && state.tasks[task].noted != 0 {
            state.held |= bit(id);
            state.tasks[task].phase = Phase::Ending(Group::of(state.tasks[task].noted));
        } else {
            Self::succeed(state, task);
        }
    }

    fn succeed(state: &mut State, task: usize) {
        state.held |= bit(new_id(task));
        state.tasks[task].phase = Phase::Done(Outcome::SignedIn);
    }

    /// A session whose token a client has already: it has no limit.
    fn migrate(&self, state: &mut State, task: usize) {
        if self.keeps(Line::OnlyFreshTogether) {
            state.entries[new_id(task)] = Entry::Listed;
            state.tasks[task].phase = Phase::Storing;
        } else {
            state.tasks[task].phase = WRITING;
        }
    }

    /// A renewal: it has no limit.
    fn renew(&self, state: &mut State, task: usize) {
        if state.keys[0] == Key::Record && self.writes == Writes::Together {
            state.tasks[task].phase = WRITING;
        } else if state.keys[0] == Key::Record {
            state.entries[new_id(task)] = Entry::Listed;
            state.tasks[task].phase = Phase::Storing;
        } else {
            state.tasks[task].phase = Phase::Done(Outcome::Refused);
        }
    }

    /// A revocation reads the index.
    fn list(state: &mut State, task: usize) {
        if state.tasks[task].phase == Phase::Begins {
            state.tasks[task].noted = state.held;
        }
        let ids = listed(state);
        state.tasks[task].phase = match ids {
            0 => Phase::Done(Outcome::Revoked),
            ids => Phase::Ending(Group::of(ids)),
        };
    }
}

/// How many entries other than this one count towards the limit.
fn count_others(state: &State, id: usize) -> usize {
    let entries = state.entries.iter().enumerate();
    entries
        .filter(|(other, entry)| *other != id && **entry == Entry::Listed)
        .count()
}

/// Bits: what another sign-in was given to end, and its lease is over.
fn claims_to_take_over(state: &State) -> u8 {
    let left = Entry::Claimed {
        is_lease_over: true,
    };
    let entries = state.entries.iter().enumerate();
    entries
        .filter(|(_, entry)| **entry == left)
        .map(|(id, _)| bit(id))
        .sum()
}

/// Bits: the ids in the index.
fn listed(state: &State) -> u8 {
    let entries = state.entries.iter().enumerate();
    entries
        .filter(|(_, entry)| **entry != Entry::Absent)
        .map(|(id, _)| bit(id))
        .sum()
}
