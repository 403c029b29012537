//! The steps of the actors.

use super::{Action, CREATED, Entries, Key, Late, Line, MOST, Request, State, Writer, Writers};

impl Writers {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    /// Carries out a create. Returns whether it has stored the record.
    pub(super) fn create(&self, key: &mut Key) -> bool {
        let is_free = *key == Key::Nothing || !self.keeps(Line::CreateIfAbsent);
        if is_free {
            let entries = [0; MOST];
            *key = Key::Record {
                revision: CREATED,
                entries,
            };
        }
        is_free
    }

    pub(super) fn end(&self, key: &mut Key) {
        *key = if self.keeps(Line::Tombstone) {
            Key::Tombstone
        } else {
            Key::Nothing
        };
    }

    /// Carries out an update. Returns whether it has stored the record.
    pub(super) fn update(&self, key: &mut Key, base: u8, next: u8, entries: Entries) -> bool {
        let stores = match *key {
            Key::Record { revision, .. } => revision == base || !self.keeps(Line::CompareRevision),
            Key::Nothing | Key::Tombstone => !self.keeps(Line::UpdateNeverCreates),
        };
        if stores {
            *key = Key::Record {
                revision: next,
                entries,
            };
        }
        stores
    }

    pub(super) fn touch(&self, key: &mut Key, base: u8, entries: Entries) {
        if !self.keeps(Line::TouchComparesRevision) {
            *key = Key::Record {
                revision: base,
                entries,
            };
        }
        // Otherwise it changes the TTL and last-seen alone, and only at its revision.
    }

    /// A step of the sign-in.
    pub(super) fn sign_in(&self, state: &mut State, action: Action) {
        match action {
            Action::Create => {
                let created = self.create(&mut state.key);
                state.sign_in = if created {
                    Request::Done
                } else {
                    Request::Refused
                };
                return;
            }
            Action::RollBack => {
                self.end(&mut state.key);
                state.must_roll_back = false;
                return;
            }
            Action::GiveUpCreate => state.give_up(Late::Create),
            _ => {
                self.create(&mut state.key);
            }
        }
        (state.sign_in, state.must_roll_back) = (Request::Unknown, true);
    }

    /// A step of the revocation.
    pub(super) fn revoke(&self, state: &mut State, action: Action) {
        match action {
            Action::End | Action::EndLost => self.end(&mut state.key),
            Action::GiveUpEnd => state.give_up(Late::End),
            _ => {}
        }
        state.revocation = match action {
            Action::BeginRevocation => Request::Sent,
            Action::End => Request::Done,
            _ => Request::Unknown,
        };
    }

    pub(super) fn load(&self, state: &mut State, writer: usize) {
        state.writers[writer] = match state.key {
            Key::Record { revision, entries } => self.sends(writer, None, revision, entries),
            Key::Tombstone => Writer::Ended,
            Key::Nothing => Writer::Expired,
        };
    }

    /// The update that a writer sends on a base. `last` is the revision of its last attempt: each has another one.
    pub(super) fn sends(
        &self,
        writer: usize,
        last: Option<u8>,
        base: u8,
        entries: Entries,
    ) -> Writer {
        let mut entries = entries;
        entries[writer] += 1;
        let number = u8::try_from(writer).expect("there are few writers") + 1;
        let next = if self.keeps(Line::RandomRevision) {
            last.map_or(16 * number, |last| last + 1)
        } else {
            base + 1
        };
        Writer::Sent {
            base,
            next,
            entries,
        }
    }

    /// What a writer does after the reply to its update.
    pub(super) fn on_reply(&self, writer: usize, sent: u8, stored: bool, key: Key) -> Writer {
        match key {
            _ if stored => Writer::Stored,
            Key::Record { revision, entries } => self.sends(writer, Some(sent), revision, entries),
            Key::Tombstone => Writer::Ended,
            Key::Nothing => Writer::Expired,
        }
    }

    pub(super) fn writer_actions(state: &State, actions: &mut Vec<Action>) {
        for (writer, phase) in state.writers.iter().enumerate() {
            match phase {
                Writer::Begins if state.sign_in == Request::Done => {
                    actions.push(Action::Load(writer));
                }
                Writer::Sent { .. } => actions.extend([
                    Action::Update(writer),
                    Action::UpdateLost(writer),
                    Action::GiveUpUpdate(writer),
                ]),
                Writer::Unknown { .. } => actions.push(Action::Settle(writer)),
                _ => {}
            }
        }
    }

    pub(super) fn write(&self, state: &mut State, writer: usize, loses_reply: bool) -> Option<()> {
        let Writer::Sent {
            base,
            next,
            entries,
        } = state.writers[writer]
        else {
            return None;
        };
        let stored = self.update(&mut state.key, base, next, entries);
        state.writers[writer] = if loses_reply {
            Writer::Unknown { next, entries }
        } else {
            self.on_reply(writer, next, stored, state.key)
        };
        Some(())
    }

    pub(super) fn settle(&self, state: &mut State, writer: usize) -> Option<()> {
        let Writer::Unknown { next, entries } = state.writers[writer] else {
            return None;
        };
        state.writers[writer] = match state.key {
            Key::Record { revision, .. } if revision == next => Writer::Stored,
            Key::Record {
                revision,
                entries: fresher,
            } if !self.keeps(Line::NeverSendAgain) && entries[writer] < 3 => {
                self.sends(writer, Some(next), revision, fresher)
            }
            _ => Writer::OutcomeUnknown,
        };
        Some(())
    }

    pub(super) fn arrive(&self, state: &mut State, late: Late) {
        state.late.retain(|other| *other != late);
        match late {
            Late::Create => drop(self.create(&mut state.key)),
            Late::Update {
                base,
                next,
                entries,
            } => {
                self.update(&mut state.key, base, next, entries);
            }
            Late::Touch { base, entries } => self.touch(&mut state.key, base, entries),
            Late::End => self.end(&mut state.key),
        }
    }
}

impl State {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.key, Key::Record { .. })
    }

    /// Whether a client holds the token: the response to its sign-in was sent.
    pub(super) fn is_held(&self) -> bool {
        self.sign_in == Request::Done
    }

    pub(super) fn load_to_touch(&mut self) {
        self.touch = Request::Done;
        if let Key::Record { revision, entries } = self.key {
            self.touch = Request::Sent;
            self.touched = Some((revision, entries));
        }
    }

    pub(super) fn give_up_update(&mut self, writer: usize) -> Option<()> {
        let Writer::Sent {
            base,
            next,
            entries,
        } = self.writers[writer]
        else {
            return None;
        };
        self.give_up(Late::Update {
            base,
            next,
            entries,
        });
        self.writers[writer] = Writer::Unknown { next, entries };
        Some(())
    }

    pub(super) fn give_up(&mut self, late: Late) {
        self.late.push(late);
        self.late.sort_unstable();
    }
}
