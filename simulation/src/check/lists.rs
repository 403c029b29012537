//! The lists by themselves: duplicates, refused elements, the order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Anomaly, Kind};
use crate::history::{Action, Found, History, Outcome, Request, SessionNumber};

pub(super) fn check(history: &History, anomalies: &mut Vec<Anomaly>) {
    let refused: BTreeMap<u32, &Request> = history
        .requests
        .iter()
        // Other requests are refused as well if a step after the edit fails.
        .filter(|request| request.action == Action::Append && request.outcome == Outcome::Refused)
        .map(|request| (request.number, request))
        .collect();
    for (request, found) in found_in(history) {
        let distinct: BTreeSet<_> = found.list.iter().collect();
        if distinct.len() < found.list.len() {
            anomalies.push(Anomaly::new(Kind::Duplicated, &[request]));
        }
        if found.count != found.list.len() as u64 {
            anomalies.push(Anomaly::new(Kind::Torn, &[request]));
        }
        if let Some(edit) = found.list.iter().find_map(|element| refused.get(element)) {
            anomalies.push(Anomaly::new(Kind::Refused, &[edit, request]));
        }
    }
    check_order(history, anomalies);
}

/// The lists of a session are prefixes of one another.
fn check_order(history: &History, anomalies: &mut Vec<Anomaly>) {
    let mut sessions: BTreeMap<(SessionNumber, bool), Vec<(&Request, &Found)>> = BTreeMap::new();
    for (request, found) in found_in(history) {
        // A failover may lose the last edits. What is stored afterwards has another history; what is in a cache may be
        // from before.
        let staleness = history.terms.max_staleness_of(request.server);
        let oldest = request.sent.millis.saturating_sub(staleness);
        let is_after = match history.terms.failover {
            Some((at, _)) if oldest <= at && at <= request.done.millis => continue,
            Some((at, _)) => request.sent.millis > at,
            None => false,
        };
        sessions
            .entry((found.session, is_after))
            .or_default()
            .push((request, found));
    }
    for reads in sessions.values_mut() {
        reads.sort_by_key(|(_, found)| found.list.len());
        for pair in reads.windows(2) {
            let [(one, shorter), (other, longer)] = pair else {
                continue;
            };
            if !longer.list.starts_with(&shorter.list) {
                anomalies.push(Anomaly::new(Kind::Reordered, &[one, other]));
            }
        }
    }
}

pub(super) fn found_in(history: &History) -> impl Iterator<Item = (&Request, &Found)> {
    let requests = history.requests.iter();
    requests.filter_map(|request| Some((request, request.found.as_ref()?)))
}
