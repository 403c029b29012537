//! The steps of the server, and of the connection.

use super::{Cached, Check, Line, Message, NearCache, Operation, Since, State, WINDOW};

/// As many invalidations as clearing counts for (`CLEARED`).
const CLEARED: u8 = 9;

impl NearCache {
    pub(super) fn read(&self, state: &mut State, read: usize) {
        state.reads[read] = match state.reads[read] {
            Operation::Begins => Operation::Sent(state.since()),
            Operation::Sent(since) => Operation::Executed(since, state.revision),
            Operation::Executed(since, revision) => {
                let is_unchanged = since.invalidations == 0 && !since.has_written;
                if since.was_valid && (is_unchanged || !self.keeps(Line::CompareVersion)) {
                    let (until, own_invalidation_pending) = (None, false);
                    state.cached = Some(Cached {
                        revision,
                        until,
                        own_invalidation_pending,
                    });
                }
                Operation::Done
            }
            Operation::Done => Operation::Done,
        };
    }

    pub(super) fn write(&self, state: &mut State, write: usize) {
        match state.writes[write] {
            Operation::Begins => {
                state.cached = None;
                state.on_local_write();
                state.writes[write] = Operation::Sent(state.since());
            }
            Operation::Sent(since) => {
                // Its own message may arrive before its reply.
                state.writes[write] = Operation::Sent(since);
                state.store(false);
                state.writes[write] = Operation::Executed(since, state.revision);
            }
            Operation::Executed(since, revision) => {
                state.writes[write] = Operation::Done;
                self.insert_written(state, since, revision);
                state.on_local_write();
                state.own = state.own.max(revision);
            }
            Operation::Done => {}
        }
    }

    fn insert_written(&self, state: &mut State, since: Since, revision: u8) {
        let until = since.began + WINDOW;
        let until = self.keeps(Line::WrittenForOneWindow).then_some(until);
        let is_only_write = !since.has_written || !self.keeps(Line::NoOverlap);
        state.cached = match since.invalidations {
            pending @ (0 | 1) if is_only_write => Some(Cached {
                revision,
                until,
                own_invalidation_pending: pending == 0,
            }),
            _ => None,
        };
    }

    pub(super) fn receive(&self, state: &mut State, message: Message) {
        match (message, state.check) {
            (Message::Invalidation, _) => state.invalidate(),
            (Message::Tracking { is_new }, Check::Executed { began }) => {
                state.check = Check::Sent {
                    began,
                    tracking: Some(is_new),
                };
            }
            (Message::Checked { is_new }, Check::Executed { began }) => {
                if is_new && self.keeps(Line::ClearWhenNew) {
                    state.clear();
                }
                let began = if self.keeps(Line::WindowBeginsWithCheck) {
                    began
                } else {
                    state.now
                };
                state.valid_until = if self.keeps(Line::ValidityIsADeadline) {
                    began + WINDOW
                } else {
                    u8::MAX
                };
                state.check = Check::Idle;
            }
            // The reply to a check that was given up.
            (Message::Tracking { .. } | Message::Checked { .. }, _) => {}
        }
    }
}

impl State {
    fn since(&self) -> Since {
        Since {
            began: self.now,
            was_valid: self.now < self.valid_until,
            invalidations: 0,
            has_written: false,
        }
    }

    /// Redis stores the next revision, and reports it if the connection is tracked.
    pub(super) fn store(&mut self, is_merged: bool) {
        self.replaced_at.push(self.now);
        self.revision += 1;
        if self.is_tracking && !is_merged {
            self.messages.push(Message::Invalidation);
        }
    }

    fn in_flight(&mut self) -> impl Iterator<Item = &mut Since> {
        let operations = self.reads.iter_mut().chain(&mut self.writes);
        operations.filter_map(|operation| match operation {
            Operation::Sent(since) | Operation::Executed(since, _) => Some(since),
            Operation::Begins | Operation::Done => None,
        })
    }

    fn on_local_write(&mut self) {
        self.in_flight().for_each(|since| since.has_written = true);
    }

    fn invalidate(&mut self) {
        for since in self.in_flight() {
            since.invalidations = (since.invalidations + 1).min(CLEARED);
        }
        match &mut self.cached {
            Some(cached) if cached.own_invalidation_pending => {
                cached.own_invalidation_pending = false;
            }
            _ => self.cached = None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.in_flight()
            .for_each(|since| since.invalidations = CLEARED);
        self.cached = None;
    }

    /// Redis carries out the command of a check.
    pub(super) fn execute_check(&mut self) {
        let Check::Sent { began, tracking } = self.check else {
            return;
        };
        let message = match tracking {
            None => Message::Tracking {
                is_new: !std::mem::replace(&mut self.is_tracking, true),
            },
            Some(is_new) => Message::Checked { is_new },
        };
        self.messages.push(message);
        self.check = Check::Executed { began };
    }

    /// The client connects again without notice: Redis does not track the new connection. A command that was not
    /// carried out is sent on the new one.
    pub(super) fn replace_connection(&mut self) {
        self.messages.clear();
        self.is_tracking = false;
    }

    /// The revision that a request gets from the cache.
    pub(super) fn served(&self) -> Option<u8> {
        let cached = self.cached?;
        let is_current = cached.until.is_none_or(|until| self.now < until);
        (self.now < self.valid_until && is_current).then_some(cached.revision)
    }
}
