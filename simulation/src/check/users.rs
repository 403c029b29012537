//! Nobody sees the session or the data of another user.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::found_in;
use super::{Anomaly, Kind};
use crate::history::{History, Outcome, Request, SessionNumber, User};

pub(super) fn check(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut users: BTreeMap<SessionNumber, (Option<User>, &Request)> = BTreeMap::new();
    let owners = owners(history);
    for (request, found) in found_in(history) {
        let (known, first) = users.entry(found.session).or_insert((found.user, request));
        if *known != found.user {
            anomalies.push(Anomaly::new(Kind::WrongUser, &[first, request]));
            continue;
        }
        let has_signed_in = found
            .user
            .is_none_or(|user| signed_in_by(history, request).contains(&user));
        let is_foreign = |element: &u32| {
            owners
                .get(element)
                .is_some_and(|owner| Some(*owner) != found.user)
        };
        if !has_signed_in || found.list.iter().any(is_foreign) {
            anomalies.push(Anomaly::new(Kind::WrongUser, &[request]));
        }
    }
}

/// The users to whom elements belong. An element that was appended before a sign-in belongs to nobody.
fn owners(history: &History) -> BTreeMap<u32, User> {
    // After a sign-in that has failed, the edit may have been stored in another session.
    let is_stored =
        |request: &&Request| request.action.appends() && request.outcome == Outcome::Done;
    let edits = history.requests.iter().filter(is_stored);
    let owners = edits.filter_map(|edit| {
        let found = edit.found.as_ref().and_then(|found| found.user);
        let user = edit.action.signs_in().or(found)?;
        Some((edit.number, user))
    });
    owners.collect()
}

/// The users whom the browser of a request has signed in before.
fn signed_in_by(history: &History, request: &Request) -> BTreeSet<User> {
    let of_browser = history
        .requests
        .iter()
        .filter(|other| other.client == request.client && other.sent.order < request.sent.order);
    of_browser
        .filter_map(|other| other.action.signs_in())
        .collect()
}
