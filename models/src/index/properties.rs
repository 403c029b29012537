//! The promises.

use stateright::Property;

use super::{Entry, Index, Key, Kind, Outcome, Phase, State, bit, ids, new_id};

pub(super) const LISTED: &str = "every live session that a client holds is in its user's index";
pub(super) const REVOKED: &str =
    "when all sessions were revoked, those signed in before have ended, also if they were renewed";
pub(super) const LIMIT: &str =
    "after sign-ins and renewals that did not crash, no more sessions than the limit are live";
pub(super) const TAKEN_OVER: &str =
    "a sign-in ends what one that crashed was given to end, once the lease is over";

pub(super) fn all() -> Vec<Property<Index>> {
    vec![
        Property::always(LISTED, |_, state: &State| {
            ids(state.held).all(|id| !is_live(state, id) || state.entries[id] != Entry::Absent)
        }),
        Property::always(REVOKED, |model: &Index, state: &State| {
            of_outcome(state, Outcome::Revoked).all(|task| is_revoked(model, state, task))
        }),
        Property::always(LIMIT, |model: &Index, state: &State| {
            let has_failed = state.crashes != model.crashes;
            has_failed || !is_at_rest(state) || count_live(state) <= model.limit
        }),
        Property::always(TAKEN_OVER, |model: &Index, state: &State| {
            let mut done = of_outcome(state, Outcome::SignedIn);
            done.all(|task| {
                let noted = state.tasks[task].noted;
                model.tasks[task] != Kind::SignIn
                    || ids(noted & state.held).all(|id| !is_live(state, id))
            })
        }),
        Property::sometimes(
            "a sign-in is refused because its session was revoked",
            |model: &Index, state: &State| {
                of_outcome(state, Outcome::Refused).any(|task| {
                    model.tasks[task] == Kind::SignIn
                        && state.crashes == model.crashes
                        && matches!(state.keys[new_id(task)], Key::Tombstone { .. })
                })
            },
        ),
        Property::sometimes(
            "a crash leaves an entry without a session",
            |_, state: &State| {
                of_outcome(state, Outcome::Crashed).any(|task| {
                    let id = new_id(task);
                    state.entries[id] == Entry::Listed && state.keys[id] == Key::Nothing
                })
            },
        ),
        Property::sometimes(
            "a sign-in takes over a claim",
            |model: &Index, state: &State| {
                of_outcome(state, Outcome::SignedIn)
                    .any(|task| model.tasks[task] == Kind::SignIn && state.tasks[task].noted != 0)
            },
        ),
        Property::sometimes(
            "a late create leaves a session that nobody holds outside the index",
            |_, state: &State| {
                (0..state.keys.len()).any(|id| {
                    is_live(state, id)
                        && state.entries[id] == Entry::Absent
                        && state.held & bit(id) == 0
                })
            },
        ),
    ]
}

fn of_outcome(state: &State, outcome: Outcome) -> impl Iterator<Item = usize> {
    let tasks = state.tasks.iter().enumerate();
    tasks.filter_map(move |(task, of)| (of.phase == Phase::Done(outcome)).then_some(task))
}

fn is_live(state: &State, id: usize) -> bool {
    state.keys[id] == Key::Record
}

fn count_live(state: &State) -> usize {
    (0..state.keys.len())
        .filter(|id| is_live(state, *id))
        .count()
}

fn is_at_rest(state: &State) -> bool {
    let is_done = |phase| matches!(phase, Phase::Done(_));
    state.tasks.iter().all(|task| is_done(task.phase)) && state.rolling_back == 0
}

/// Whether the sessions that were held when a revocation began have ended, and those that continue them.
fn is_revoked(model: &Index, state: &State, task: usize) -> bool {
    let noted = state.tasks[task].noted;
    let renewed = |renewal: usize| {
        model.tasks[renewal] == Kind::Renew
            && noted & bit(0) != 0
            && noted & bit(new_id(renewal)) == 0
    };
    let mut held = ids(state.held);
    held.all(|id| {
        let must_have_ended = noted & bit(id) != 0 || (id > 0 && renewed(id - 1));
        !must_have_ended || !is_live(state, id)
    })
}
