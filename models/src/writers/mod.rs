//! Writers of one session: create, update, touch and end, with lost replies and commands that arrive late.
//!
//! The session has one key. A request that signs in creates it; others, which hold its token, load and update
//! or touch it; a revocation ends it, by its id alone. Each command may be carried out, lose its reply, or be
//! given up and arrive later, after any time. See `commit/{create,update,touch,end}.rs`, `commit/record.rs`
//! (`replace`), and `update.lua`, `touch.lua` and `end.lua`.

mod properties;
mod steps;

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
        Self::writer_actions(state, actions);
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
            Action::Create | Action::CreateLost | Action::GiveUpCreate | Action::RollBack => {
                self.sign_in(&mut state, action);
            }
            Action::BeginRevocation | Action::End | Action::EndLost | Action::GiveUpEnd => {
                self.revoke(&mut state, action);
            }
            Action::Load(writer) => self.load(&mut state, writer),
            Action::Update(writer) => self.write(&mut state, writer, false)?,
            Action::UpdateLost(writer) => self.write(&mut state, writer, true)?,
            Action::GiveUpUpdate(writer) => state.give_up_update(writer)?,
            Action::Settle(writer) => self.settle(&mut state, writer)?,
            Action::LoadToTouch => state.load_to_touch(),
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
        properties::all()
    }
}

impl Protocol for Writers {
    type Line = Line;

    const NAME: &'static str = "writers";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::CompareRevision, properties::KEPT),
        (Line::UpdateNeverCreates, properties::ENDED),
        (Line::RandomRevision, properties::KEPT),
        (Line::NeverSendAgain, properties::ONCE),
        (Line::CreateIfAbsent, properties::ENDED),
        (Line::Tombstone, properties::ENDED),
        (Line::TombstoneTtl, properties::ENDED),
        (Line::TouchComparesRevision, properties::KEPT),
        (Line::TouchComparesRevision, properties::ENDED),
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
