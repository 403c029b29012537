//! Token rotation: the requests of a user, of a thief who has copied the cookie, and of a stranger who knows the id.
//!
//! A secret is replaced in two steps: the next one is offered to those who present the current one, and becomes
//! current when it is presented; the previous one is valid for a grace period. Requests overlap, and responses are
//! lost. See `rotation/secrets.rs` in the core, `commit/{maintain,refresh}.rs` and `load/authenticate.rs`.

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

impl Rotation {
    fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    fn status(record: &Record, secret: u8) -> Status {
        match record.before {
            _ if record.current == secret => Status::Current,
            _ if record.next == Some(secret) => Status::Next,
            Some((before, false)) if before == secret => Status::Previous,
            Some((before, true)) if before == secret => Status::Retired,
            _ if secret != INVENTED && record.retired & 1 << secret != 0 => Status::Retired,
            _ => Status::Wrong,
        }
    }

    /// The record after a secret was presented; `None` if nothing changes (`Secrets::advanced`).
    fn advanced(&self, state: &mut State, record: &Record, secret: u8) -> Option<Record> {
        let status = Self::status(record, secret);
        let offers = status == Status::Current && record.next.is_none() && state.is_due;
        if !offers && status != Status::Next {
            return None;
        }
        let mut next = Record {
            revision: draw(state),
            ..*record
        };
        if offers {
            next.next = Some(draw(state));
            if self.keeps(Line::ReplaceWhenPresented) {
                return Some(next);
            }
        }
        if let Some((before, _)) = next.before {
            next.retired |= 1 << before;
        }
        next.before = Some((next.current, !self.keeps(Line::Grace)));
        next.current = next.next.take()?;
        state.is_due = false;
        Some(next)
    }

    /// The secret that a response sets for a request that has presented this one (`Secrets::successor`).
    fn successor(record: &Record, secret: u8) -> Option<u8> {
        match record.before {
            _ if record.current == secret => record.next,
            Some((before, _)) if before == secret => Some(record.current),
            _ => None,
        }
    }

    fn arrive(&self, state: &mut State, request: usize, secret: u8) -> Phase {
        let Some(record) = state.record else {
            return Phase::NotSignedIn;
        };
        match Self::status(&record, secret) {
            Status::Wrong if self.keeps(Line::WrongIsNotReuse) => Phase::NotSignedIn,
            Status::Retired | Status::Wrong => {
                state.has_detected_reuse |= self.requests[request] != Client::Stranger;
                state.record = None;
                Phase::NotSignedIn
            }
            Status::Current | Status::Next | Status::Previous => {
                match self.advanced(state, &record, secret) {
                    Some(next) => Phase::Updating {
                        secret,
                        base: record.revision,
                        next,
                    },
                    // The session is read again before the cookie is set.
                    None => Phase::Responding(Self::successor(&record, secret)),
                }
            }
        }
    }

    fn update(&self, state: &mut State, secret: u8, base: u8, next: Record) -> Phase {
        let Some(there) = state.record else {
            return Phase::Done;
        };
        if there.revision == base || !self.keeps(Line::CompareRevision) {
            state.record = Some(next);
            return Phase::Responding(Self::successor(&next, secret));
        }
        if !self.keeps(Line::Derived) && next.next.is_some() {
            // It keeps the secret that it has drawn.
            return Phase::Responding(next.next);
        }
        match self.advanced(state, &there, secret) {
            Some(next) => Phase::Updating {
                secret,
                base: there.revision,
                next,
            },
            None => Phase::Responding(Self::successor(&there, secret)),
        }
    }

    /// Whether no request and no response of the user is on the way.
    fn is_quiet(&self, state: &State) -> bool {
        let mut requests = self.requests.iter().zip(&state.requests);
        requests.all(|(client, phase)| {
            let rests = matches!(phase, Phase::Begins | Phase::NotSignedIn | Phase::Done);
            *client != Client::User || rests
        })
    }
}

fn draw(state: &mut State) -> u8 {
    state.drawn += 1;
    state.drawn
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
                let (_, is_over) = state.record.as_mut()?.before.as_mut()?;
                *is_over = true;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALONE, |model: &Self, state: &State| {
                let mut requests = model.requests.iter().zip(&state.requests);
                model.requests.contains(&Client::Thief)
                    || requests.all(|(client, phase)| {
                        *client != Client::User || *phase != Phase::NotSignedIn
                    })
            }),
            Property::always(VALID, |model: &Self, state: &State| {
                let valid = [Status::Current, Status::Next, Status::Previous];
                model.requests.contains(&Client::Thief)
                    || !model.is_quiet(state)
                    || state
                        .record
                        .is_some_and(|record| valid.contains(&Self::status(&record, state.user)))
            }),
            Property::sometimes("the cookie of a thief is noticed", |_, state: &State| {
                state.has_detected_reuse
            }),
            Property::sometimes("secrets are replaced twice", |_, state: &State| {
                state.record.is_some_and(|record| record.retired != 0)
            }),
            Property::sometimes("a lost response does no harm", |_, state: &State| {
                state
                    .record
                    .is_some_and(|record| record.next.is_some() && record.current == state.user)
            }),
        ]
    }
}

const ALONE: &str = "a user whose cookie nobody else has is never signed out by a rotation";
const VALID: &str = "the user's cookie is always valid";

impl Protocol for Rotation {
    type Line = Line;

    const NAME: &'static str = "token rotation";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::Derived, VALID),
        (Line::ReplaceWhenPresented, ALONE),
        (Line::Grace, ALONE),
        (Line::WrongIsNotReuse, ALONE),
        (Line::CompareRevision, VALID),
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
