//! Random histories of requests.

use std::time::Duration;

use cloakroom::{Expiry, hours, minutes};
use proptest::prelude::*;

/// How many browsers there are, and how many servers.
pub(crate) const BROWSERS: usize = 3;
pub(crate) const SERVERS: usize = 2;

/// The expiry of the app: short, so that sessions expire within a history.
pub(crate) const RULE: Expiry = Expiry::idle(minutes(60)).absolute(hours(5));

/// Expiries that a session can choose.
pub(crate) const CHOICES: [Expiry; 2] = [
    Expiry::idle(minutes(20)).absolute(hours(30)),
    Expiry::idle(hours(2)).absolute(hours(2)),
];

/// Pauses. They hit idle timeouts, their tolerance, and deadlines exactly.
const PAUSES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_secs(5),
    minutes(2),
    minutes(6),
    minutes(20),
    minutes(60),
    hours(2),
];

/// One action of a handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Read,
    Insert(&'static str, u32),
    Update(&'static str),
    Remove(&'static str),
    Clear,
    Renew,
    Destroy,
    SetExpiry(usize),
    ResetExpiry,
    Save,
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A browser sends a request to a server, whose handler runs these actions.
    Request {
        browser: usize,
        server: usize,
        actions: Vec<Action>,
    },
    /// The first browser gets the cookies of the second: another tab, or one restored from a backup.
    Copy(usize, usize),
    /// Time passes.
    Pause(Duration),
}

pub(crate) fn histories() -> impl Strategy<Value = Vec<Event>> {
    let actions = prop::collection::vec(action(), 0..5);
    let request = (0..BROWSERS, 0..SERVERS, actions);
    let request = request.prop_map(|(browser, server, actions)| Event::Request {
        browser,
        server,
        actions,
    });
    let event = prop_oneof![
        8 => request,
        1 => (0..BROWSERS, 0..BROWSERS).prop_map(|(to, from)| Event::Copy(to, from)),
        3 => prop::sample::select(&PAUSES[..]).prop_map(Event::Pause),
    ];
    prop::collection::vec(event, 1..40)
}

fn action() -> impl Strategy<Value = Action> {
    let key = || prop::sample::select(&["a", "b", "c"][..]);
    prop_oneof![
        2 => Just(Action::Read),
        5 => (key(), 0..3_u32).prop_map(|(key, value)| Action::Insert(key, value)),
        3 => key().prop_map(Action::Update),
        3 => key().prop_map(Action::Remove),
        1 => Just(Action::Clear),
        2 => Just(Action::Renew),
        1 => Just(Action::Destroy),
        1 => (0..CHOICES.len()).prop_map(Action::SetExpiry),
        1 => Just(Action::ResetExpiry),
        2 => Just(Action::Save),
    ]
}
