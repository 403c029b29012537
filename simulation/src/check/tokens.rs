//! A token that was replaced is not valid after its grace period.

use super::lists::found_in;
use super::{Anomaly, Kind};
use crate::history::{History, Request, TokenNumber};

pub(super) fn check(history: &History, anomalies: &mut Vec<Anomaly>) {
    let Some((interval, grace)) = history.terms.rotation else {
        return;
    };
    if interval <= grace + 2 * history.terms.skew {
        return;
    }
    for (request, found) in found_in(history) {
        let Some(token) = request.token else {
            continue;
        };
        // The second replacement is offered an interval after the first one has taken the token's place, at the
        // earliest: longer than the grace period.
        let replaced = replacements(history, token).find_map(|(_, second)| {
            replacements(history, second)
                .map(|(by, _)| by)
                .find(|by| is_later(history, by, request))
        });
        if let Some(by) = replaced
            && found.session == token.session
        {
            anomalies.push(Anomaly::new(Kind::LateToken, &[by, request]));
        }
    }
}

/// The tokens that responses have set in the place of this one.
fn replacements(
    history: &History,
    token: TokenNumber,
) -> impl Iterator<Item = (&Request, TokenNumber)> {
    history.requests.iter().filter_map(move |request| {
        let set = request.set?;
        let is_next = request.token == Some(token) && set.session == token.session && set != token;
        is_next.then_some((request, set))
    })
}

fn is_later(history: &History, by: &Request, request: &Request) -> bool {
    let staleness = history.terms.max_staleness_of(request.server);
    by.done.order < request.sent.order && by.done.millis + staleness <= request.sent.millis
}
