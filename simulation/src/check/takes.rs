//! What is taken from a mailbox: each element by one request, and none is lost.

use super::lineage::Lineage;
use super::lists::found_in;
use super::updates::may_be_lost;
use super::{Anomaly, Kind};
use crate::history::{Action, History, Outcome, Request};

pub(super) fn check(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    check_twice(history, lineage, anomalies);
    check_lost(history, anomalies);
}

fn check_twice(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    let takes = history.requests.iter();
    let mut takes = takes.filter(|request| !request.taken.is_empty());
    while let Some(one) = takes.next() {
        for other in takes.clone() {
            let is_same = one.taken.iter().any(|taken| other.taken.contains(taken));
            if is_same
                && !may_follow(history, lineage, one, other)
                && !may_follow(history, lineage, other, one)
            {
                anomalies.push(Anomaly::new(Kind::TakenTwice, &[one, other]));
            }
        }
    }
}

/// Whether the second request may have found what the first one had taken before: not if they share the session, nor if that of
/// the second one continues it with everything that was stored by then. A failover may lose what the first one has stored.
fn may_follow(history: &History, lineage: &Lineage<'_>, first: &Request, second: &Request) -> bool {
    if first.sent.order > second.done.order {
        return false;
    }
    let (Some(taken_from), Some(session)) = (first.after, second.after) else {
        return true;
    };
    let mut sources = lineage.sources(history, session).into_iter();
    may_be_lost(history, first)
        || !sources.any(|(source, bound)| source == taken_from && bound.includes(first))
}

/// What is in the list of a session has been added to its mailbox by the same request. If it is not there any more, it was
/// taken by a request that says so, or by one whose response nobody knows.
fn check_lost(history: &History, anomalies: &mut Vec<Anomaly>) {
    for (read, found) in found_in(history) {
        let may_have_taken = |element: &u32, take: &Request| {
            let is_unknown = take.action == Action::Take && take.outcome == Outcome::Unknown;
            take.sent.order < read.done.order && (is_unknown || take.taken.contains(element))
        };
        let is_lost = |element: &&u32| {
            let mut requests = history.requests.iter();
            !found.mailbox.contains(element)
                && !requests.any(|request| may_have_taken(element, request))
        };
        let Some(lost) = found.list.iter().find(is_lost) else {
            continue;
        };
        let edit = history.requests.iter().find(|edit| edit.number == *lost);
        let requests: Vec<_> = edit.into_iter().chain([read]).collect();
        anomalies.push(Anomaly::new(Kind::Lost, &requests));
    }
}
