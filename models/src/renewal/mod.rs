//! Renewal and sign-in: two keys, and requests that present the cookie of a session which another one renews.
//!
//! Each request presents a token that was valid at the start: it signs in, renews, edits or signs out. A sign-in
//! and a renewal create a session and then end the old one at the revision that was copied. A request that comes
//! second joins the successor, yields, or starts over. Replies are lost, commands arrive late, and what is rolled
//! back is so at any later time. See `commit/{renew,join,successor,end,create}.rs`.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

/// The data of the session that all requests have found, as a bit beside those of the requests' own edits.
const FOUND_DATA: u8 = 1 << 7;

/// The secret of that session, as a bit beside those of the requests' own.
const FOUND_SECRET: u8 = 1 << 7;

#[derive(Clone, Debug)]
pub(crate) struct Renewal {
    /// The requests, each with the session whose token it presents.
    requests: Vec<(Kind, u8)>,
    /// How many sessions there are at the start: one, or one and the session from which a sign-in has created it.
    sessions: usize,
    losses: u8,
    removed: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SignIn,
    Renew,
    Edit,
    SignOut,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The old session ends at the revision that was copied.
    EndAtRevision,
    /// A renewal that cannot end the old session ends the new one.
    RollBack,
    /// But not if a sign-in has joined that meanwhile.
    RollBackSparesJoined,
    /// A renewal without a sign-in that comes second sets no cookie.
    LoserSetsNoCookie,
    /// A renewal or sign-in does not end a session that a sign-in has joined since it was loaded.
    NoticeGainedSecrets,
    /// A sign-in that comes second joins the successor.
    Join,
    /// It joins no session that was renewed without a sign-in.
    JoinOnlySignIns,
    /// After a sign-out, a sign-in carries no data over.
    StartOver,
    /// A sign-out follows the tombstone of a renewed session.
    FollowSuccessor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    revision: u8,
    /// Bits: the edits that are in it.
    data: u8,
    /// Bits: the secrets that authenticate.
    secrets: u8,
    /// Whether a sign-in has created it (`RenewalMark`).
    is_sign_in: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tombstone {
    /// `seen` are the secrets that the request which ended it has found when it loaded the session.
    Renewed {
        successor: u8,
        seen: u8,
    },
    SignedOut,
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Nothing,
    Record(Record),
    Tombstone(Tombstone),
}

/// A command to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Command {
    Create {
        id: u8,
        record: Record,
    },
    Update {
        id: u8,
        base: u8,
        next: Record,
    },
    End {
        id: u8,
        expected: Option<u8>,
        tombstone: Tombstone,
    },
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Begins,
    /// Its session is created; then the old one ends, if there is one.
    Creating,
    /// The old session ends at the revision that was copied.
    EndingOld,
    /// What was saved to the old session meanwhile is copied.
    CopyingAgain(Record),
    /// It reads this session, to join it.
    Looking(u8),
    /// It adds a secret to this session.
    Adding(u8),
    /// Its session gets its own edits alone.
    StartingOver,
    /// It stores an edit.
    Updating,
    /// It ends this session.
    SigningOut(u8),
    /// It reads this session, to end it.
    LookingToEnd(u8),
    Done(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// The response sets the token of this session with the secret of the request. `kept` if the sign-in has found
    /// a successor that it could not join, and has kept the data that it had loaded.
    Cookie {
        session: u8,
        kept: bool,
    },
    Stored,
    SignedOut,
    /// The session has ended in another way; no cookie is set.
    Ended,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    phase: Phase,
    /// The record as it was loaded.
    loaded: Option<Record>,
    /// The revision of the old session that was copied.
    copied: u8,
    /// The record of the new session, if it has been created.
    new: Option<Record>,
    kept: bool,
    /// The command in flight.
    sent: Option<Command>,
    drawn: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    keys: Vec<Key>,
    requests: Vec<Request>,
    /// Bits: requests whose new session is to be rolled back.
    rolling_back: u8,
    late: Vec<Command>,
    losses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A request reads what it presents, or what it looks for.
    Read(usize),
    /// The server carries out the command of a request, and the reply arrives.
    Run(usize),
    /// The server carries it out, and the reply is lost.
    LoseReply(usize),
    /// The request gives it up before.
    GiveUp(usize),
    Arrive(Command),
    RollBack(usize),
}

impl Renewal {
    fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    fn kind(&self, request: usize) -> Kind {
        self.requests[request].0
    }

    /// The id of the session that a request creates.
    fn new_id(&self, request: usize) -> u8 {
        u8::try_from(self.sessions + request).expect("there are few requests")
    }
}

impl Model for Renewal {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let found = Record {
            revision: 1,
            data: FOUND_DATA,
            secrets: FOUND_SECRET,
            is_sign_in: self.sessions > 1,
        };
        let mut keys = vec![Key::Record(found)];
        if self.sessions > 1 {
            let (successor, seen) = (1, FOUND_SECRET);
            keys.insert(0, Key::Tombstone(Tombstone::Renewed { successor, seen }));
        }
        keys.resize(self.sessions + self.requests.len(), Key::Nothing);
        let request = Request {
            phase: Phase::Begins,
            loaded: None,
            copied: 0,
            new: None,
            kept: false,
            sent: None,
            drawn: 0,
        };
        vec![State {
            keys,
            requests: vec![request; self.requests.len()],
            rolling_back: 0,
            late: Vec::new(),
            losses: self.losses,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, request) in state.requests.iter().enumerate() {
            match request.phase {
                Phase::Done(_) => {}
                Phase::Begins | Phase::Looking(_) | Phase::LookingToEnd(_) => {
                    actions.push(Action::Read(number));
                }
                _ => {
                    actions.push(Action::Run(number));
                    if state.losses > 0 {
                        actions.extend([Action::LoseReply(number), Action::GiveUp(number)]);
                    }
                }
            }
            if state.rolling_back & 1 << number != 0 {
                actions.push(Action::RollBack(number));
            }
        }
        actions.extend(state.late.iter().map(|late| Action::Arrive(*late)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(request) => self.read(&mut state, request),
            Action::Run(request) => {
                let command = state.requests[request].sent.take()?;
                let found = Self::run(&mut state, command);
                self.on_reply(&mut state, request, found);
            }
            Action::LoseReply(request) => {
                let command = state.requests[request].sent.take()?;
                Self::run(&mut state, command);
                state.losses -= 1;
                self.on_unknown(&mut state, request, command);
            }
            Action::GiveUp(request) => {
                let command = state.requests[request].sent.take()?;
                state.late.push(command);
                state.late.sort_unstable();
                state.losses -= 1;
                self.on_unknown(&mut state, request, command);
            }
            Action::Arrive(command) => {
                state.late.retain(|late| *late != command);
                Self::run(&mut state, command);
            }
            Action::RollBack(request) => self.roll_back(&mut state, request),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol for Renewal {
    type Line = Line;

    const NAME: &'static str = "renewal";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::EndAtRevision, properties::EDITS),
        (Line::RollBack, properties::AT_REST),
        (Line::RollBackSparesJoined, properties::VALID),
        (Line::LoserSetsNoCookie, properties::SIGNED_OUT),
        (Line::NoticeGainedSecrets, properties::VALID),
        (Line::Join, properties::ONE),
        (Line::JoinOnlySignIns, properties::RIGHTS),
        (Line::StartOver, properties::SIGNED_OUT),
        (Line::FollowSuccessor, properties::SIGNED_OUT),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        use Kind::{Edit, Renew, SignIn, SignOut};
        let configuration = |sessions, losses, requests: &[(Kind, u8)]| Self {
            requests: requests.to_vec(),
            sessions,
            losses,
            removed: None,
        };
        let mut all = vec![
            configuration(1, 2, &[(SignIn, 0), (SignIn, 0), (Renew, 0), (SignOut, 0)]),
            configuration(1, 2, &[(SignIn, 0), (SignIn, 0), (Edit, 0), (Edit, 0)]),
            configuration(1, 2, &[(Renew, 0), (Renew, 0), (Edit, 0), (SignOut, 0)]),
            // The token of the earlier session beside that of the one in which a sign-in has continued it.
            configuration(2, 2, &[(SignIn, 0), (Renew, 1), (SignIn, 1), (SignOut, 1)]),
            configuration(2, 2, &[(SignIn, 0), (SignIn, 1), (Edit, 1), (SignOut, 0)]),
        ];
        if long {
            all.extend([
                configuration(
                    1,
                    3,
                    &[
                        (SignIn, 0),
                        (SignIn, 0),
                        (SignIn, 0),
                        (Renew, 0),
                        (SignOut, 0),
                    ],
                ),
                configuration(
                    1,
                    2,
                    &[
                        (SignIn, 0),
                        (SignIn, 0),
                        (Renew, 0),
                        (Edit, 0),
                        (SignOut, 0),
                    ],
                ),
                configuration(
                    2,
                    2,
                    &[
                        (SignIn, 0),
                        (SignIn, 1),
                        (Renew, 1),
                        (Edit, 1),
                        (SignOut, 0),
                    ],
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
crate::check::tests_of!(Renewal {
    ending_at_any_revision_loses_an_edit: Line::EndAtRevision,
    without_a_roll_back_a_session_is_left_over: Line::RollBack,
    a_roll_back_that_spares_nobody_signs_a_joined_user_out: Line::RollBackSparesJoined,
    a_renewal_that_comes_second_and_sets_a_cookie_undoes_a_sign_out: Line::LoserSetsNoCookie,
    a_renewal_that_does_not_notice_a_join_signs_its_user_out: Line::NoticeGainedSecrets,
    without_joining_two_sign_ins_leave_two_sessions: Line::Join,
    joining_any_session_gives_away_rights: Line::JoinOnlySignIns,
    without_starting_over_data_of_an_ended_session_comes_back: Line::StartOver,
    a_sign_out_that_follows_no_successor_leaves_the_session_alive: Line::FollowSuccessor,
});
