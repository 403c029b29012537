//! Writers of one session: create, update, touch and end, with lost replies and commands that arrive late.
//!
//! The session has one key. A request that signs in creates it; others, which hold its token, load and update
//! or touch it; a revocation ends it, by its id alone. Each command may be carried out, lose its reply, or be
//! given up and arrive later, after any time. See `commit/{create,update,touch,end}.rs`, `commit/record.rs`
//! (`replace`), and `update.lua`, `touch.lua` and `end.lua`.

use stateright::{Model, Property};

use crate::check::Protocol;

/// The most writers of a configuration.
const MOST: usize = 3;

/// The revision of the record as it is created.
const CREATED: u8 = 1;

#[derive(Clone, Debug)]
pub(crate) struct Writers {
    writers: usize,
    touches: bool,
    removed: Option<Line>,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// `update.lua` compares the revision.
    CompareRevision,
    /// An update of a missing or ended session stores nothing.
    UpdateNeverCreates,
    /// A revision is drawn at random, and not the previous one plus one.
    RandomRevision,
    /// A command of unknown outcome is not sent again.
    NeverSendAgain,
    /// A create fails if there is a record or a tombstone.
    CreateIfAbsent,
    /// The end of a session leaves a tombstone.
    Tombstone,
    /// A tombstone is kept for longer than a request waits for a command.
    TombstoneTtl,
    /// A touch compares the revision, and does not write entries.
    TouchComparesRevision,
}

/// The entries: how often the edit of each writer was applied.
pub(crate) type Entries = [u8; MOST];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Nothing,
    Record { revision: u8, entries: Entries },
    Tombstone,
}

/// Where a request is that sends one command and waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Begins,
    Sent,
    /// The reply was lost, or the command was given up.
    Unknown,
    Done,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Begins,
    /// It has sent an update of this base, which stores these entries.
    Sent {
        base: u8,
        next: u8,
        entries: Entries,
    },
    /// The outcome of its update is unknown; one load may settle it.
    Unknown {
        next: u8,
        entries: Entries,
    },
    Stored,
    Ended,
    Expired,
    OutcomeUnknown,
}

/// A command that nobody waits for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Late {
    Create,
    Update {
        base: u8,
        next: u8,
        entries: Entries,
    },
    Touch {
        base: u8,
        entries: Entries,
    },
    End,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    key: Key,
    sign_in: Request,
    /// Whether the sign-in has still to end the session whose creation it gave up.
    must_roll_back: bool,
    revocation: Request,
    touch: Request,
    touched: Option<(u8, Entries)>,
    writers: Vec<Writer>,
    late: Vec<Late>,
    may_expire: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The server carries out the command, and the reply arrives.
    Create,
    End,
    Update(usize),
    Touch,
    /// The server carries out the command, and the reply is lost.
    CreateLost,
    EndLost,
    UpdateLost(usize),
    /// The request gives up the command before the server has carried it out.
    GiveUpCreate,
    GiveUpEnd,
    GiveUpUpdate(usize),
    GiveUpTouch,
    /// A command arrives that was given up.
    Arrive(Late),
    BeginRevocation,
    RollBack,
    Load(usize),
    LoadToTouch,
    /// A writer reads the session once to learn what became of its update.
    Settle(usize),
    RecordExpires,
    TombstoneExpires,
}

impl Writers {
    fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    /// Carries out a create. Returns whether it has stored the record.
    fn create(&self, key: &mut Key) -> bool {
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

    fn end(&self, key: &mut Key) {
        *key = if self.keeps(Line::Tombstone) {
            Key::Tombstone
        } else {
            Key::Nothing
        };
    }

    /// Carries out an update. Returns whether it has stored the record.
    fn update(&self, key: &mut Key, base: u8, next: u8, entries: Entries) -> bool {
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

    fn touch(&self, key: &mut Key, base: u8, entries: Entries) {
        if !self.keeps(Line::TouchComparesRevision) {
            *key = Key::Record {
                revision: base,
                entries,
            };
        }
        // Otherwise it changes the TTL and last-seen alone, and only at its revision.
    }

    /// The update that a writer sends on a base. `last` is the revision of its last attempt: each has another one.
    fn sends(&self, writer: usize, last: Option<u8>, base: u8, entries: Entries) -> Writer {
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
    fn on_reply(&self, writer: usize, sent: u8, stored: bool, key: Key) -> Writer {
        match key {
            _ if stored => Writer::Stored,
            Key::Record { revision, entries } => self.sends(writer, Some(sent), revision, entries),
            Key::Tombstone => Writer::Ended,
            Key::Nothing => Writer::Expired,
        }
    }

    fn writer_actions(&self, state: &State, actions: &mut Vec<Action>) {
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

    fn write(&self, state: &mut State, writer: usize, loses_reply: bool) -> Option<()> {
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

    fn settle(&self, state: &mut State, writer: usize) -> Option<()> {
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

    fn arrive(&self, state: &mut State, late: Late) {
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
    fn is_live(&self) -> bool {
        matches!(self.key, Key::Record { .. })
    }

    /// Whether a client holds the token: the response to its sign-in was sent.
    fn is_held(&self) -> bool {
        self.sign_in == Request::Done
    }

    fn give_up(&mut self, late: Late) {
        self.late.push(late);
        self.late.sort_unstable();
    }
}

impl Model for Writers {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            key: Key::Nothing,
            sign_in: Request::Sent,
            must_roll_back: false,
            revocation: Request::Begins,
            touch: if self.touches {
                Request::Begins
            } else {
                Request::Done
            },
            touched: None,
            writers: vec![Writer::Begins; self.writers],
            late: Vec::new(),
            may_expire: true,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.sign_in == Request::Sent {
            actions.extend([Action::Create, Action::CreateLost, Action::GiveUpCreate]);
        }
        if state.must_roll_back {
            actions.push(Action::RollBack);
        }
        match state.revocation {
            Request::Begins => actions.push(Action::BeginRevocation),
            Request::Sent => {
                actions.extend([Action::End, Action::EndLost, Action::GiveUpEnd]);
            }
            _ => {}
        }
        match state.touch {
            Request::Begins if state.is_held() => actions.push(Action::LoadToTouch),
            Request::Sent => actions.extend([Action::Touch, Action::GiveUpTouch]),
            _ => {}
        }
        self.writer_actions(state, actions);
        actions.extend(state.late.iter().map(|late| Action::Arrive(*late)));
        if state.may_expire && state.is_live() {
            actions.push(Action::RecordExpires);
        }
        // No request waits for a command for as long as a tombstone is kept.
        let may_wait = state.sign_in == Request::Sent && self.keeps(Line::TombstoneTtl);
        if state.key == Key::Tombstone && !may_wait {
            actions.push(Action::TombstoneExpires);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Create => {
                let created = self.create(&mut state.key);
                state.sign_in = if created {
                    Request::Done
                } else {
                    Request::Refused
                };
            }
            Action::CreateLost => {
                self.create(&mut state.key);
                (state.sign_in, state.must_roll_back) = (Request::Unknown, true);
            }
            Action::GiveUpCreate => {
                state.give_up(Late::Create);
                (state.sign_in, state.must_roll_back) = (Request::Unknown, true);
            }
            Action::RollBack => {
                self.end(&mut state.key);
                state.must_roll_back = false;
            }
            Action::BeginRevocation => state.revocation = Request::Sent,
            Action::End => {
                self.end(&mut state.key);
                state.revocation = Request::Done;
            }
            Action::EndLost => {
                self.end(&mut state.key);
                state.revocation = Request::Unknown;
            }
            Action::GiveUpEnd => {
                state.give_up(Late::End);
                state.revocation = Request::Unknown;
            }
            Action::Load(writer) => {
                state.writers[writer] = match state.key {
                    Key::Record { revision, entries } => {
                        self.sends(writer, None, revision, entries)
                    }
                    Key::Tombstone => Writer::Ended,
                    Key::Nothing => Writer::Expired,
                };
            }
            Action::Update(writer) => self.write(&mut state, writer, false)?,
            Action::UpdateLost(writer) => self.write(&mut state, writer, true)?,
            Action::GiveUpUpdate(writer) => {
                let Writer::Sent {
                    base,
                    next,
                    entries,
                } = state.writers[writer]
                else {
                    return None;
                };
                state.give_up(Late::Update {
                    base,
                    next,
                    entries,
                });
                state.writers[writer] = Writer::Unknown { next, entries };
            }
            Action::Settle(writer) => self.settle(&mut state, writer)?,
            Action::LoadToTouch => {
                state.touch = Request::Done;
                if let Key::Record { revision, entries } = state.key {
                    state.touch = Request::Sent;
                    state.touched = Some((revision, entries));
                }
            }
            Action::Touch | Action::GiveUpTouch => {
                let (base, entries) = state.touched.take()?;
                state.touch = Request::Done;
                if action == Action::Touch {
                    self.touch(&mut state.key, base, entries);
                } else {
                    state.give_up(Late::Touch { base, entries });
                }
            }
            Action::Arrive(late) => self.arrive(&mut state, late),
            Action::RecordExpires => {
                (state.key, state.may_expire) = (Key::Nothing, false);
            }
            Action::TombstoneExpires => state.key = Key::Nothing,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, state: &State| {
                let Key::Record { entries, .. } = state.key else {
                    return true;
                };
                let mut writers = state.writers.iter().zip(entries);
                writers.all(|(writer, applied)| *writer != Writer::Stored || applied > 0)
            }),
            Property::always(ONCE, |_, state: &State| match state.key {
                Key::Record { entries, .. } => entries.iter().all(|applied| *applied <= 1),
                Key::Nothing | Key::Tombstone => true,
            }),
            Property::always(ENDED, |_, state: &State| {
                state.revocation != Request::Done || !state.is_live() || !state.is_held()
            }),
            Property::sometimes("every edit is stored", |_, state: &State| {
                state.writers.iter().all(|writer| *writer == Writer::Stored) && state.is_live()
            }),
            Property::sometimes(
                "a late create leaves a record that nobody can use",
                |_, state: &State| {
                    state.revocation == Request::Done && state.is_live() && !state.is_held()
                },
            ),
            Property::sometimes(
                "a request never learns its outcome, and its edit is stored",
                |_, state: &State| {
                    let Key::Record { entries, .. } = state.key else {
                        return false;
                    };
                    state.writers[0] == Writer::OutcomeUnknown && entries[0] == 1
                },
            ),
        ]
    }
}

const KEPT: &str = "an acknowledged edit is in the record";
const ONCE: &str = "no edit is applied twice";
const ENDED: &str = "a session that was ended never comes back to a client that holds its token";

impl Protocol for Writers {
    type Line = Line;

    const NAME: &'static str = "writers";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::CompareRevision, KEPT),
        (Line::UpdateNeverCreates, ENDED),
        (Line::RandomRevision, KEPT),
        (Line::NeverSendAgain, ONCE),
        (Line::CreateIfAbsent, ENDED),
        (Line::Tombstone, ENDED),
        (Line::TombstoneTtl, ENDED),
        (Line::TouchComparesRevision, KEPT),
        (Line::TouchComparesRevision, ENDED),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        let sizes: &[(usize, bool)] = if long {
            &[(2, true), (3, true)]
        } else {
            &[(2, true), (3, false)]
        };
        let configuration = |&(writers, touches)| Self {
            writers,
            touches,
            removed: None,
        };
        sizes.iter().map(configuration).collect()
    }

    fn without(self, line: Line) -> Self {
        Self {
            removed: Some(line),
            ..self
        }
    }
}

#[cfg(test)]
crate::check::tests_of!(Writers {
    without_comparing_revisions_an_edit_is_lost: Line::CompareRevision,
    an_update_that_creates_brings_an_ended_session_back: Line::UpdateNeverCreates,
    with_counted_revisions_a_lost_edit_counts_as_stored: Line::RandomRevision,
    an_edit_that_is_sent_again_is_applied_twice: Line::NeverSendAgain,
    a_create_that_replaces_brings_an_ended_session_back: Line::CreateIfAbsent,
    without_a_tombstone_a_sign_in_survives_its_revocation: Line::Tombstone,
    a_tombstone_must_outlive_the_commands_that_are_waited_for: Line::TombstoneTtl,
    a_touch_that_writes_entries_undoes_edits_and_ends: Line::TouchComparesRevision,
});
