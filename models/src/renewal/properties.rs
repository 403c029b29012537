//! The promises.

use stateright::Property;

use super::{Key, Kind, Outcome, Phase, Record, Renewal, Request, State, Tombstone};

pub(super) const VALID: &str = "a cookie that was set is valid until a sign-out, or a renewal that knew of it, ends its session";
pub(super) const SIGNED_OUT: &str =
    "after a sign-out no renewal continues the session, and no sign-in has its data";
pub(super) const EDITS: &str = "an acknowledged edit is in the session that continues";
pub(super) const AT_REST: &str =
    "in the end, every live session has a cookie, or a sign-in of unknown outcome has joined it";
pub(super) const ONE: &str = "sign-ins of a user with one cookie end up in one session";
pub(super) const RIGHTS: &str =
    "a session that was renewed without a sign-in is reached with the cookie of that renewal only";

pub(super) fn all() -> Vec<Property<Renewal>> {
    vec![
        Property::always(VALID, |_, state: &State| cookies_are_valid(state)),
        Property::always(SIGNED_OUT, sign_out_holds),
        Property::always(EDITS, edits_are_kept),
        Property::always(AT_REST, |model, state| {
            !is_at_rest(state) || all_are_held(model, state)
        }),
        Property::always(ONE, |model, state| {
            !expects_one_session(model, state) || is_one_session(state)
        }),
        Property::always(RIGHTS, |model, state| {
            let mut renewed =
                cookies(state).filter(|(number, _)| model.kind(*number) == Kind::Renew);
            renewed.all(|(number, session)| match state.keys[usize::from(session)] {
                Key::Record(record) => record.secrets == 1 << number,
                Key::Nothing | Key::Tombstone(_) => true,
            })
        }),
        Property::sometimes(
            "a sign-in joins the session of another one",
            |model, state| cookies(state).any(|(number, session)| session != model.new_id(number)),
        ),
        Property::sometimes(
            "a sign-in starts over after a sign-out",
            |_, state: &State| {
                let outcomes: Vec<_> = state.requests.iter().map(outcome).collect();
                let has_cookie =
                    |record: &Record| !record.has_found_data() && !record.has_found_secret();
                outcomes.contains(&Some(Outcome::SignedOut))
                    && live(state).any(|(_, record)| has_cookie(&record))
            },
        ),
        Property::sometimes(
            "a renewal that fails leaves a session that another sign-in has joined",
            |model, state| {
                is_at_rest(state)
                    && cookies(state).any(|(number, session)| {
                        let creator = usize::from(session).checked_sub(model.sessions);
                        creator.is_some_and(|creator| {
                            creator != number
                                && outcome(&state.requests[creator]) == Some(Outcome::Failed)
                        })
                    })
            },
        ),
    ]
}

fn outcome(request: &Request) -> Option<Outcome> {
    match request.phase {
        Phase::Done(outcome) => Some(outcome),
        _ => None,
    }
}

/// The requests whose response has set a cookie, each with the session.
fn cookies(state: &State) -> impl Iterator<Item = (usize, u8)> {
    let outcomes = state.requests.iter().map(outcome).enumerate();
    outcomes.filter_map(|(number, outcome)| match outcome {
        Some(Outcome::Cookie { session, .. }) => Some((number, session)),
        _ => None,
    })
}

fn live(state: &State) -> impl Iterator<Item = (usize, Record)> {
    let keys = state.keys.iter().enumerate();
    keys.filter_map(|(id, key)| match key {
        Key::Record(record) => Some((id, *record)),
        Key::Nothing | Key::Tombstone(_) => None,
    })
}

fn cookies_are_valid(state: &State) -> bool {
    cookies(state).all(|(number, session)| match state.keys[usize::from(session)] {
        Key::Record(record) => record.secrets & 1 << number != 0,
        Key::Tombstone(Tombstone::SignedOut) => true,
        Key::Tombstone(Tombstone::Renewed { seen, .. }) => seen & 1 << number != 0,
        Key::Tombstone(Tombstone::Abandoned) | Key::Nothing => false,
    })
}

fn sign_out_holds(model: &Renewal, state: &State) -> bool {
    if !state
        .requests
        .iter()
        .any(|request| outcome(request) == Some(Outcome::SignedOut))
    {
        return true;
    }
    state.requests.iter().enumerate().all(|(number, request)| {
        let Some(Outcome::Cookie { session, kept }) = outcome(request) else {
            return true;
        };
        let Key::Record(record) = state.keys[usize::from(session)] else {
            return true;
        };
        model.kind(number) != Kind::Renew && (kept || !record.has_found_data())
    })
}

fn edits_are_kept(model: &Renewal, state: &State) -> bool {
    let stored = |number: &usize| outcome(&state.requests[*number]) == Some(Outcome::Stored);
    (0..state.requests.len()).filter(stored).all(|editor| {
        let old = state.keys[usize::from(model.requests[editor].1)];
        let continued = match old {
            Key::Tombstone(Tombstone::Renewed { successor, .. }) => {
                state.keys[usize::from(successor)]
            }
            other => other,
        };
        match continued {
            Key::Record(record) => record.data & 1 << editor != 0,
            Key::Nothing | Key::Tombstone(_) => true,
        }
    })
}

fn is_at_rest(state: &State) -> bool {
    let is_done = |request: &Request| outcome(request).is_some();
    state.requests.iter().all(is_done) && state.rolling_back == 0 && state.late.is_empty()
}

/// Whether each live session is the one that was found, or one whose cookie a response has set, or one that a
/// sign-in has joined whose response was an error: its update arrived late. Nobody has a token of that one.
fn all_are_held(model: &Renewal, state: &State) -> bool {
    live(state).all(|(id, record)| {
        let Some(creator) = id.checked_sub(model.sessions) else {
            return true;
        };
        let mut numbers = 0..state.requests.len();
        cookies(state).any(|(_, session)| usize::from(session) == id)
            || numbers.any(|number| {
                let has_failed = outcome(&state.requests[number]) == Some(Outcome::Failed);
                number != creator && has_failed && record.secrets & 1 << number != 0
            })
    })
}

/// Whether nothing but sign-ins and edits has happened, all are done, and no reply was lost.
fn expects_one_session(model: &Renewal, state: &State) -> bool {
    let kinds = [Kind::SignIn, Kind::Edit];
    let mut requests = model.requests.iter();
    requests.all(|(kind, presented)| kinds.contains(kind) && *presented == 0)
        && state.losses == model.losses
        && is_at_rest(state)
}

fn is_one_session(state: &State) -> bool {
    let mut sessions = cookies(state).map(|(_, session)| session);
    let first = sessions.next();
    sessions.all(|session| Some(session) == first)
}
