//! Nobody is signed out by accident: a cookie that nobody has ended, replaced or used elsewhere has a live session.

use super::ends::uses_session;
use super::lineage::Lineage;
use super::{Anomaly, Kind};
use crate::history::{Action, History, Outcome, Request, SessionNumber, TokenNumber, User};

/// How many ids a sign-in may draw if commands fail, each of which may be in the index for a while.
const MAX_IDS: usize = 3;

pub(super) fn check(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    for request in &history.requests {
        let Some(token) = request.token else {
            continue;
        };
        let is_guest = request.found.is_none()
            && request.outcome == Outcome::Done
            && uses_session(request.action);
        if is_guest && request.is_current && !may_have_ended(history, lineage, request, token) {
            anomalies.push(Anomaly::new(Kind::SignedOut, &[request]));
        }
    }
}

fn may_have_ended(
    history: &History,
    lineage: &Lineage<'_>,
    request: &Request,
    token: TokenNumber,
) -> bool {
    let session = token.session;
    let user = lineage.user_of(session);
    let mut others = history
        .requests
        .iter()
        .filter(|other| other.number != request.number && other.sent.order < request.done.order);
    let ends = |other: &Request| {
        let has_it = other.token.is_some_and(|token| token.session == session);
        let has_former = has_it && !other.is_current && history.terms.rotation.is_some();
        let replaces = has_it && other.action.replaces();
        replaces
            || signs_out_earlier(lineage, other, session)
            || has_former
            || revokes(lineage, other, session)
    };
    others.any(ends)
        || may_be_evicted(history, lineage, request, session, user)
        || may_be_lost(history, lineage, request, token)
}

/// Whether a sign-out with the cookie of a session that this one continues has ended this one: it has followed the
/// tombstones.
fn signs_out_earlier(lineage: &Lineage<'_>, other: &Request, session: SessionNumber) -> bool {
    let creator = lineage.creator(session);
    let is_later = creator.is_none_or(|creator| !other.is_finished(creator.sent));
    let continues = |token: TokenNumber| lineage.ancestors(session).contains(&token.session);
    other.action == Action::SignOut && is_later && other.token.is_some_and(continues)
}

/// Whether a revocation may have ended a session: one that was not over when the session was created.
fn revokes(lineage: &Lineage<'_>, other: &Request, session: SessionNumber) -> bool {
    let creator = lineage.creator(session);
    if creator.is_some_and(|creator| other.is_finished(creator.sent)) {
        return false;
    }
    let user = lineage.user_of(session);
    match other.action {
        Action::RevokeAll(revoked) => user == Some(revoked),
        Action::RevokeEveryone => true,
        Action::RevokeOthers => {
            // If it has found a session, its user is known.
            let same_user = other.found.as_ref().is_none_or(|found| found.user == user);
            let is_own = other.token.is_some_and(|token| token.session == session);
            user.is_some() && same_user && !is_own
        }
        _ => false,
    }
}

/// Whether as many sessions may be newer as the user may have.
fn may_be_evicted(
    history: &History,
    lineage: &Lineage<'_>,
    request: &Request,
    session: SessionNumber,
    user: Option<User>,
) -> bool {
    let (Some(limit), Some(user), Some(creator)) =
        (history.terms.session_limit, user, lineage.creator(session))
    else {
        return false;
    };
    let creates = |other: &&Request| {
        let renews = other.action.renews()
            && other
                .found
                .as_ref()
                .is_none_or(|found| found.user == Some(user));
        other.number != creator.number
            && (other.action.signs_in() == Some(user) || renews)
            && other.sent.order < request.done.order
            && (other.done.millis + history.terms.skew >= creator.sent.millis
                || !other.is_finished(creator.sent))
    };
    let newer = history.requests.iter().filter(creates).count();
    let ids = if history.terms.has_failures {
        MAX_IDS
    } else {
        1
    };
    newer * ids >= limit
}

/// Whether a failover may have lost the secret, although not the session: one that was added to it.
fn may_be_lost(
    history: &History,
    lineage: &Lineage<'_>,
    request: &Request,
    token: TokenNumber,
) -> bool {
    let Some((at, _)) = history.terms.failover else {
        return false;
    };
    // A sign-in that has joined the session of one of which no response is known looks as if it had created it.
    let creator = lineage.creator(token.session);
    let is_first = creator.is_some_and(|creator| {
        creator.set == Some(token) && lineage.may_join(history, creator).next().is_none()
    });
    request.done.millis >= at && !is_first
}
