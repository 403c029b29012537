//! The sessions of a user, in the end: every live one is listed, and they are not more than the limit.

use super::lineage::Lineage;
use super::lists::found_in;
use super::{Anomaly, Kind};
use crate::history::{Action, History, LATE, Outcome, Request};

pub(super) fn check(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    for list in &history.requests {
        let Action::List(user) = list.action else {
            continue;
        };
        if list.outcome != Outcome::Done {
            continue;
        }
        let is_unlisted = |(read, session): &(&Request, u32)| {
            !list.listed.contains(session)
                && is_settled(history, read, list)
                && !lineage.may_be_unlisted(history, *session)
        };
        let reads = found_in(history).filter(|(_, found)| found.user == Some(user));
        let mut reads = reads.map(|(read, found)| (read, found.session));
        if let Some((read, _)) = reads.find(is_unlisted) {
            anomalies.push(Anomaly::new(Kind::Unlisted, &[read, list]));
        }
        if exceeds_limit(history, list) {
            anomalies.push(Anomaly::new(Kind::TooMany, &[list]));
        }
    }
}

/// Whether nothing has changed since a read, also by a command that was carried out late, and the read is not older
/// than it seems.
fn is_settled(history: &History, read: &Request, list: &Request) -> bool {
    let changes = |request: &&Request| {
        let may_end = request.action.replaces() || request.action.revokes() || !request.is_current;
        may_end
            && request.sent.order < list.done.order
            && request.done.millis + LATE > read.sent.millis
    };
    let staleness = history.terms.max_staleness_of(read.server);
    read.done.order < list.sent.order
        && staleness == 0
        && !history.requests.iter().any(|request| changes(&request))
}

/// Whether a user has more sessions than the limit. A failure may lose what a sign-in was given to evict: a later one does
/// it, after a while.
fn exceeds_limit(history: &History, list: &Request) -> bool {
    let terms = &history.terms;
    let mut requests = history.requests.iter();
    terms
        .session_limit
        .is_some_and(|limit| list.listed.len() > limit)
        && !terms.has_failures
        && requests.all(|request| request.outcome != Outcome::Unknown)
}
