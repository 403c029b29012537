//! Acknowledged edits are in what is read later.

use super::lineage::{Bound, Lineage, oldest};
use super::lists::found_in;
use super::{Anomaly, Kind};
use crate::history::{Found, History, Outcome, Request};

pub(super) fn check(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    let is_edit = |request: &&Request| {
        request.action.appends() && request.outcome == Outcome::Done && request.after.is_some()
    };
    let edits: Vec<_> = history.requests.iter().filter(is_edit).collect();
    for (read, found) in found_in(history) {
        let Some(edit) = first_missing(history, lineage, &edits, read, found) else {
            continue;
        };
        let comes_later = found_in(history).any(|(later, seen)| {
            later.sent.order > read.sent.order && seen.list.contains(&edit.number)
        });
        let kind = if comes_later { Kind::Stale } else { Kind::Lost };
        anomalies.push(Anomaly::new(kind, &[edit, read]));
    }
}

fn first_missing<'a>(
    history: &History,
    lineage: &Lineage<'_>,
    edits: &[&'a Request],
    read: &Request,
    found: &Found,
) -> Option<&'a Request> {
    let missing: Vec<_> = edits
        .iter()
        .copied()
        .filter(|edit| {
            edit.done.order < read.sent.order
                && !found.list.contains(&edit.number)
                && !may_be_lost(history, edit)
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let sources = lineage.sources(history, found.session);
    let is_required = |edit: &&&Request| {
        // A server sees its own writes at once.
        let is_own = edit.server == read.server;
        let age = if is_own {
            u64::MAX
        } else {
            oldest(history, read)
        };
        let of_read = Bound {
            order: read.sent.order,
            millis: age,
        };
        sources.iter().any(|(session, bound)| {
            edit.after == Some(*session) && bound.includes(edit) && of_read.includes(edit)
        })
    };
    missing.iter().find(is_required).copied()
}

/// Whether a failover may have lost an edit although it was acknowledged: it had not reached the replica.
pub(super) fn may_be_lost(history: &History, edit: &Request) -> bool {
    let failover = history.terms.failover;
    failover.is_some_and(|(at, lag)| edit.sent.millis <= at && edit.done.millis + lag > at)
}
