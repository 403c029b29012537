//! What has ended stays ended: sessions after a sign-out or a revocation, and their data.

use super::lineage::{Carries, Lineage};
use super::lists::found_in;
use super::updates::may_be_lost;
use super::{Anomaly, Kind};
use crate::history::{Action, Found, History, Outcome, Request, SessionNumber, User};

pub(super) fn check(history: &History, lineage: &Lineage<'_>, anomalies: &mut Vec<Anomaly>) {
    let is_end = |request: &&Request| {
        let ends = request.action == Action::SignOut || request.action.revokes();
        ends && request.outcome == Outcome::Done
    };
    let ends: Vec<_> = history.requests.iter().filter(is_end).collect();
    for (read, found) in found_in(history) {
        let before = |end: &&&Request| is_later(history, end, read);
        let found_ended = |end: &&&Request| match end.action {
            Action::RevokeAll(_) | Action::RevokeOthers
                if lineage.may_be_unlisted(history, found.session) =>
            {
                false
            }
            Action::SignOut => {
                lineage.ended_by(history, end, found.session)
                    || has_data_of(history, lineage, end, found)
            }
            Action::RevokeAll(user) => is_revoked(lineage, end, user, found.session),
            Action::RevokeEveryone => is_earlier(lineage, end, found.session),
            Action::RevokeOthers => is_other(lineage, end, found.session),
            _ => false,
        };
        if let Some(end) = ends.iter().filter(before).find(found_ended) {
            anomalies.push(Anomaly::new(Kind::Resurrected, &[end, read]));
        } else if let Some(refused) = refused_before(history, read) {
            anomalies.push(Anomaly::new(Kind::Resurrected, &[refused, read]));
        }
    }
}

/// Whether a request must not find what has ended with `end`.
fn is_later(history: &History, end: &Request, read: &Request) -> bool {
    let staleness = history.terms.max_staleness_of(read.server);
    // A server sees its own writes at once; but it may have found ended what another one has ended.
    let is_own = end.server == read.server && end.found.is_some() && end.action == Action::SignOut;
    end.done.order < read.sent.order
        && (staleness == 0 || is_own || end.done.millis + staleness <= read.sent.millis)
}

/// Whether a session was created before all sessions were revoked.
fn is_earlier(lineage: &Lineage<'_>, end: &Request, session: SessionNumber) -> bool {
    let creator = lineage.creator(session);
    creator.is_some_and(|creator| creator.done.order < end.sent.order)
}

/// Whether a session was signed in before all sessions of its user were revoked.
fn is_revoked(lineage: &Lineage<'_>, end: &Request, user: User, session: SessionNumber) -> bool {
    let signed_in = lineage.user_of(session) == Some(user);
    signed_in
        && sign_in_of(lineage, session)
            .is_some_and(|signed_in| signed_in.done.order < end.sent.order)
}

/// The sign-in of a session, which may have been renewed since.
fn sign_in_of<'a>(lineage: &Lineage<'a>, session: SessionNumber) -> Option<&'a Request> {
    let creator = lineage.creator(session)?;
    if creator.action.signs_in().is_some() {
        return Some(creator);
    }
    let mut edges = lineage.edges_to(session);
    let renewal =
        edges.find(|edge| edge.carries == Carries::Everything && edge.by.action.renews())?;
    sign_in_of(lineage, renewal.parent)
}

/// Whether a session is another one of the user who has revoked the others.
fn is_other(lineage: &Lineage<'_>, end: &Request, session: SessionNumber) -> bool {
    let Some(Found {
        session: kept,
        user: Some(user),
        ..
    }) = end.found
    else {
        return false;
    };
    !lineage.are_related(kept, session) && is_revoked(lineage, end, user, session)
}

/// Whether a session that was created after a sign-out has data of the session that it has ended.
fn has_data_of(history: &History, lineage: &Lineage<'_>, end: &Request, found: &Found) -> bool {
    let Some(ended) = end.found.as_ref().map(|found| found.session) else {
        return false;
    };
    let is_created_later = |session| {
        let creator = lineage.creator(session);
        creator.is_some_and(|creator| creator.sent.order > end.done.order)
    };
    // A sign-in that has the data from a cache stores it, finds the session ended, and removes it by an update: a failover may
    // lose that.
    let may_have_kept = |session| {
        let creator = lineage.creator(session);
        creator.is_some_and(|creator| {
            history.terms.max_staleness_of(creator.server) > 0 && may_be_lost(history, creator)
        })
    };
    // What was copied before the end is not affected by it.
    let mut others = lineage.ancestors(found.session);
    others.remove(&ended);
    others.insert(found.session);
    if others
        .iter()
        .any(|session| !is_created_later(*session) || may_have_kept(*session))
    {
        return false;
    }
    history.requests.iter().any(|edit| {
        edit.action.appends()
            && edit.outcome == Outcome::Done
            && edit.after == Some(ended)
            && edit.done.order < end.sent.order
            && found.list.contains(&edit.number)
    })
}

/// An earlier request with the same token for which there was no session.
fn refused_before<'a>(history: &'a History, read: &Request) -> Option<&'a Request> {
    let token = read.token?;
    let mut requests = history.requests.iter();
    requests.find(|request| {
        // The end that it has seen may not have been confirmed.
        let failover = history.terms.failover;
        let is_undone =
            failover.is_some_and(|(at, _)| request.sent.millis <= at && at <= read.done.millis);
        request.token == Some(token)
            && request.outcome == Outcome::Done
            && request.found.is_none()
            && uses_session(request.action)
            && is_later(history, request, read)
            && !is_undone
    })
}

/// Whether a request with this action loads its session.
pub(super) const fn uses_session(action: Action) -> bool {
    !matches!(
        action,
        Action::RevokeAll(_) | Action::RevokeEveryone | Action::List(_)
    )
}
