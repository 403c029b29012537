//! Token rotation: the requests of a user, of a thief who has copied the cookie, and of a stranger with only the id.
//!
//! A secret is replaced in two steps: the next one is offered to those who present the current one, and becomes
//! current when it is presented; the previous one is valid for a grace period. Requests overlap, and responses are
//! lost. See `rotation/secrets.rs` in the core, `commit/{maintain,refresh}.rs` and `load/authenticate.rs`.

mod properties;
mod steps;

use stateright::{Model, Property};

use crate::check::Protocol;

/// The secret of a stranger, which is none of the session's.
const INVENTED: u8 = u8::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    requests: Vec<Client>,
    rotations: u8,
    removed: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    User,
    /// Has a copy of the first cookie, and keeps what responses set.
    Thief,
    Stranger,
}

/// The lines that keep the promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The next secret is derived from the current one and the stored nonce, and not drawn by each request.
    Derived,
    /// A secret is replaced when the next one is presented, and not when it is offered.
    ReplaceWhenPresented,
    /// The previous secret stays valid for a grace period.
    Grace,
    /// A secret that was never the session's does not count as reuse.
    WrongIsNotReuse,
    /// The next secret is stored by compare-and-swap.
    CompareRevision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record {
    revision: u8,
    current: u8,
    next: Option<u8>,
    /// The previous secret, and whether its grace period is over.
    before: Option<(u8, bool)>,
    /// Bits: the secrets that are retired.
    retired: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Current,
    Next,
    Previous,
    Retired,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Begins,
    /// It is on the way, with this secret.
    Presented(u8),
    /// It stores the secrets that follow from those it has loaded.
    Updating {
        secret: u8,
        base: u8,
        next: Record,
    },
    /// The response is on the way, and sets this secret.
    Responding(Option<u8>),
    /// The response has said that nobody is signed in.
    NotSignedIn,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// `None` once the session has ended.
    record: Option<Record>,
    /// The cookies of the user and of the thief.
    user: u8,
    thief: u8,
    requests: Vec<Phase>,
    /// Whether the interval is over.
    is_due: bool,
    rotations: u8,
    drawn: u8,
    has_detected_reuse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(usize),
    Arrive(usize),
    Update(usize),
    /// The update is not stored, or its reply is lost. The request does not depend on it.
    LoseUpdate {
        request: usize,
        is_stored: bool,
    },
    Respond(usize),
    LoseResponse(usize),
    IntervalIsOver,
    GraceIsOver,
}

impl Model for Rotation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let record = Record {
            revision: 0,
            current: 0,
            next: None,
            before: None,
            retired: 0,
        };
        vec![State {
            record: Some(record),
            user: 0,
            thief: 0,
            requests: vec![Phase::Begins; self.requests.len()],
            is_due: false,
            rotations: self.rotations,
            drawn: 0,
            has_detected_reuse: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, phase) in state.requests.iter().enumerate() {
            match phase {
                Phase::Begins => actions.push(Action::Send(number)),
                Phase::Presented(_) => actions.push(Action::Arrive(number)),
                Phase::Updating { .. } => {
                    actions.push(Action::Update(number));
                    actions.extend([false, true].map(|is_stored| Action::LoseUpdate {
                        request: number,
                        is_stored,
                    }));
                }
                Phase::Responding(_) => {
                    actions.extend([Action::Respond(number), Action::LoseResponse(number)]);
                }
                Phase::NotSignedIn | Phase::Done => {}
            }
        }
        // A request and its response take less than the interval, and than the grace period.
        if self.is_quiet(state) {
            if !state.is_due && state.rotations > 0 {
                actions.push(Action::IntervalIsOver);
            }
            if matches!(
                state.record,
                Some(Record {
                    before: Some((_, false)),
                    ..
                })
            ) {
                actions.push(Action::GraceIsOver);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Send(request) => {
                state.requests[request] = Phase::Presented(match self.requests[request] {
                    Client::User => state.user,
                    Client::Thief => state.thief,
                    Client::Stranger => INVENTED,
                });
            }
            Action::Arrive(request) => {
                let Phase::Presented(secret) = state.requests[request] else {
                    return None;
                };
                state.requests[request] = self.arrive(&mut state, request, secret);
            }
            Action::Update(request)
            | Action::LoseUpdate {
                request,
                is_stored: true,
            } => {
                let Phase::Updating { secret, base, next } = state.requests[request] else {
                    return None;
                };
                let phase = self.update(&mut state, secret, base, next);
                let is_lost = matches!(action, Action::LoseUpdate { .. });
                state.requests[request] = if is_lost {
                    Phase::Responding(None)
                } else {
                    phase
                };
            }
            Action::LoseUpdate { request, .. } => {
                state.requests[request] = Phase::Responding(None);
            }
            Action::Respond(request) => {
                let Phase::Responding(secret) = state.requests[request] else {
                    return None;
                };
                match (self.requests[request], secret) {
                    (Client::User, Some(secret)) => state.user = secret,
                    (Client::Thief, Some(secret)) => state.thief = secret,
                    _ => {}
                }
                state.requests[request] = Phase::Done;
            }
            Action::LoseResponse(request) => state.requests[request] = Phase::Done,
            Action::IntervalIsOver => {
                state.rotations -= 1;
                state.is_due = true;
            }
            Action::GraceIsOver => {
                let (_, has_passed) = state.record.as_mut()?.before.as_mut()?;
                *has_passed = true;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol for Rotation {
    type Line = Line;

    const NAME: &'static str = "token rotation";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::Derived, properties::VALID),
        (Line::ReplaceWhenPresented, properties::ALONE),
        (Line::Grace, properties::ALONE),
        (Line::WrongIsNotReuse, properties::ALONE),
        (Line::CompareRevision, properties::VALID),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        use Client::{Stranger, Thief, User};
        let configuration = |rotations, requests: &[Client]| Self {
            requests: requests.to_vec(),
            rotations,
            removed: None,
        };
        let mut all = vec![
            configuration(2, &[User, User, User, User]),
            configuration(1, &[User, User, Stranger]),
            configuration(2, &[User, User, Thief, Thief]),
        ];
        if long {
            all.extend([
                configuration(2, &[User, User, User, User]),
                configuration(3, &[User, User, User, User, User]),
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
crate::check::tests_of!(Rotation {
    secrets_that_each_request_draws_invalidate_the_cookie: Line::Derived,
    a_secret_that_is_replaced_when_offered_signs_users_out: Line::ReplaceWhenPresented,
    without_a_grace_period_overlapping_requests_sign_users_out: Line::Grace,
    a_wrong_secret_that_counts_as_reuse_lets_strangers_sign_users_out: Line::WrongIsNotReuse,
    without_comparing_revisions_an_offered_secret_is_lost: Line::CompareRevision,
});
