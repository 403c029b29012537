//! Which session continues which: what a renewal or a sign-in has carried over.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Action, History, Outcome, Request, SessionNumber, TokenNumber, User};

/// How long the tombstone of a renewed session leads to its successor, in milliseconds, with a margin.
const TOMBSTONE: u64 = 55_000;

/// How many renewals in a row are followed.
const MAX_RENEWALS: usize = 8;

/// What a request has made of its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<'a> {
    pub(super) parent: SessionNumber,
    pub(super) child: SessionNumber,
    pub(super) by: &'a Request,
    pub(super) carries: Carries,
}

/// What the child has of the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// All that was ever stored in it: the request has ended the parent.
    Everything,
    /// What was stored when the request was sent.
    Loaded,
    /// Perhaps nothing.
    Unknown,
}

/// What a session must have of itself or of another one: the edits that were acknowledged before this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) order: u64,
    pub(super) millis: u64,
}

impl Bound {
    pub(super) const NONE: Self = Self {
        order: u64::MAX,
        millis: u64::MAX,
    };

    fn min(self, other: Self) -> Self {
        Self {
            order: self.order.min(other.order),
            millis: self.millis.min(other.millis),
        }
    }

    pub(super) const fn includes(&self, request: &Request) -> bool {
        request.done.order < self.order && request.done.millis <= self.millis
    }
}

#[derive(Debug, Default)]
pub(super) struct Lineage<'a> {
    edges: Vec<Edge<'a>>,
    /// The first request after which each session was there.
    creators: BTreeMap<SessionNumber, &'a Request>,
    users: BTreeMap<SessionNumber, User>,
    families: BTreeMap<SessionNumber, SessionNumber>,
}

impl<'a> Lineage<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut lineage = Self::default();
        for request in &history.requests {
            if let Some(Some(user)) = request.found.as_ref().map(|found| found.user)
                && let Some(found) = &request.found
            {
                lineage.users.insert(found.session, user);
            }
            let Some(child) = request.after else {
                continue;
            };
            let found = request.found.as_ref().and_then(|found| found.user);
            let signs_in = request.action.signs_in();
            let signs_in = signs_in.filter(|_| request.outcome != Outcome::Refused);
            if let Some(user) = signs_in.or(found) {
                lineage.users.insert(child, user);
            }
            let creator = lineage.creators.entry(child).or_insert(request);
            if request.done.order < creator.done.order {
                *creator = request;
            }
            let parent = request.found.as_ref().map(|found| found.session);
            let Some(parent) = parent.or(request.token.map(|token| token.session)) else {
                continue;
            };
            if parent != child && request.action.replaces() {
                lineage.join_families(parent, child);
                lineage.edges.push(Edge {
                    parent,
                    child,
                    by: request,
                    carries: carries(history, parent, request),
                });
            }
        }
        lineage.complete_users();
        let may_lack: Vec<_> = lineage
            .edges
            .iter()
            .map(|edge| lineage.may_have_joined(history, edge))
            .collect();
        for (edge, may_lack) in lineage.edges.iter_mut().zip(may_lack) {
            if may_lack {
                edge.carries = Carries::Unknown;
            }
        }
        lineage
    }

    /// A renewal keeps the user, also if its response does not say what it has found.
    fn complete_users(&mut self) {
        for edge in &self.edges {
            if edge.by.action.renews()
                && let Some(user) = self.users.get(&edge.parent).copied()
            {
                self.users.entry(edge.child).or_insert(user);
            }
        }
    }

    /// Whether a sign-in may have joined its session, which has what that session's own sign-in has carried over. If
    /// nothing is known of that one, it matters only if it has replaced another user's session: it has carried nothing over.
    fn may_have_joined(&self, history: &History, edge: &Edge<'_>) -> bool {
        let creator = self.creator(edge.child);
        let has_other_user = |joined: &Request| {
            let replaced = joined.token.and_then(|token| self.user_of(token.session));
            replaced.is_some() && replaced != joined.action.signs_in()
        };
        creator.is_some_and(|creator| creator.number != edge.by.number)
            || self.may_join(history, edge.by).any(has_other_user)
    }

    /// The sign-ins whose session a sign-in may have joined, although its response was the first one with that session: they
    /// are of the same user, have presented the same session or one that continues it, and began before it was done.
    pub(super) fn may_join<'b>(
        &self,
        history: &'b History,
        sign_in: &Request,
    ) -> impl Iterator<Item = &'b Request> {
        let user = sign_in.action.signs_in();
        let presented = sign_in.token.map(|token| token.session);
        history.requests.iter().filter(move |other| {
            let continues = |token: TokenNumber| {
                let mut sessions = self.ancestors(token.session);
                sessions.insert(token.session);
                presented.is_some_and(|presented| sessions.contains(&presented))
            };
            // Of two responses with the same session, either may be the one that has joined.
            let may_have_created = match other.after {
                Some(session) => sign_in.after == Some(session),
                None => other.outcome == Outcome::Unknown,
            };
            user.is_some()
                && other.action.signs_in() == user
                && other.number != sign_in.number
                && may_have_created
                && other.sent.order < sign_in.done.order
                && other.token.is_some_and(continues)
        })
    }

    pub(super) fn creator(&self, session: SessionNumber) -> Option<&'a Request> {
        self.creators.get(&session).copied()
    }

    pub(super) fn user_of(&self, session: SessionNumber) -> Option<User> {
        self.users.get(&session).copied()
    }

    /// Whether a failover may have lost the index entry of a session, or of one that it continues: its user was signing in at
    /// that moment. The entry does not wait for the replica, and the session is stored afterwards.
    pub(super) fn may_be_unlisted(&self, history: &History, session: SessionNumber) -> bool {
        let Some((at, _)) = history.terms.failover else {
            return false;
        };
        let spans = |creator: &Request| creator.sent.millis <= at && at <= creator.done.millis;
        let mut sessions = self.ancestors(session);
        sessions.insert(session);
        let mut creators = sessions.into_iter().filter_map(|one| self.creator(one));
        creators.any(spans)
    }

    /// The edges that lead to a session.
    pub(super) fn edges_to(&self, child: SessionNumber) -> impl Iterator<Item = &Edge<'a>> {
        self.edges.iter().filter(move |edge| edge.child == child)
    }

    /// A session and those that it continues, each with the edits that it must have of them.
    pub(super) fn sources(
        &self,
        history: &History,
        session: SessionNumber,
    ) -> Vec<(SessionNumber, Bound)> {
        let mut sources = vec![(session, Bound::NONE)];
        let mut next = 0;
        while let Some(&(child, bound)) = sources.get(next) {
            next += 1;
            for edge in self.edges_to(child) {
                let of_edge = match edge.carries {
                    Carries::Everything => Bound::NONE,
                    Carries::Loaded => Bound {
                        order: edge.by.sent.order,
                        millis: oldest(history, edge.by),
                    },
                    Carries::Unknown => continue,
                };
                if sources.iter().all(|(known, _)| *known != edge.parent) {
                    sources.push((edge.parent, bound.min(of_edge)));
                }
            }
        }
        sources
    }

    /// A session, and those whose tombstones lead to it: the sign-out `end` with a cookie of one of them ends it too.
    pub(super) fn ended_by(
        &self,
        history: &History,
        end: &Request,
        session: SessionNumber,
    ) -> bool {
        let Some(token) = end.token else {
            return false;
        };
        let mut child = session;
        for _ in 0..MAX_RENEWALS {
            if token.session == child {
                return true;
            }
            let leads = |edge: &&Edge<'_>| {
                let was_before = edge.by.action.renews() || edge.by.done.order < end.sent.order;
                let has_token = token.session != edge.parent
                    || history.terms.rotation.is_none()
                    || edge.by.token == Some(token);
                edge.carries == Carries::Everything
                    && was_before
                    && has_token
                    && edge.by.done.millis + TOMBSTONE >= end.done.millis
            };
            let Some(edge) = self.edges_to(child).find(leads) else {
                return false;
            };
            child = edge.parent;
        }
        false
    }

    /// All sessions that a session continues, directly or not.
    pub(super) fn ancestors(&self, session: SessionNumber) -> BTreeSet<SessionNumber> {
        let mut ancestors = BTreeSet::new();
        let mut open = vec![session];
        while let Some(child) = open.pop() {
            for edge in self.edges_to(child) {
                if ancestors.insert(edge.parent) {
                    open.push(edge.parent);
                }
            }
        }
        ancestors
    }

    /// Whether one session may continue the other, or both the same one.
    pub(super) fn are_related(&self, one: SessionNumber, other: SessionNumber) -> bool {
        self.family(one) == self.family(other)
    }

    fn family(&self, session: SessionNumber) -> SessionNumber {
        let mut session = session;
        while let Some(next) = self.families.get(&session) {
            session = *next;
        }
        session
    }

    fn join_families(&mut self, one: SessionNumber, other: SessionNumber) {
        let (one, other) = (self.family(one), self.family(other));
        if one != other {
            self.families.insert(one, other);
        }
    }
}

/// The time at which a read may have been made that a request has found: the record may come from a cache.
pub(super) fn oldest(history: &History, request: &Request) -> u64 {
    match history.terms.max_staleness_of(request.server) {
        0 => u64::MAX,
        millis => request.sent.millis.saturating_sub(millis),
    }
}

fn carries(history: &History, parent: SessionNumber, request: &Request) -> Carries {
    let Some(found) = &request.found else {
        return Carries::Unknown;
    };
    if request.outcome != Outcome::Done {
        return Carries::Unknown;
    }
    if request.action.renews() {
        // What was saved to the parent meanwhile is copied by an update, which does not wait for the replica.
        let failover = history.terms.failover;
        let spans = |at| request.sent.millis <= at && at <= request.done.millis;
        return match failover {
            Some((at, _)) if spans(at) => Carries::Loaded,
            _ => Carries::Everything,
        };
    }
    if found.user.is_some() && found.user != request.action.signs_in() {
        return Carries::Unknown;
    }
    // A sign-in continues also if another request has replaced or ended its session in the meantime, also one that
    // presents the cookie of an earlier session: it follows the tombstones.
    // From a cache it may have a record of a session that had ended before.
    let staleness = history.terms.max_staleness_of(request.server);
    let concerns = |other: &&Request| {
        let is_unseen = staleness > 0 && other.done.millis + staleness >= request.sent.millis;
        let has_it = other.token.is_some_and(|token| token.session == parent);
        let signs_out = other.action == Action::SignOut && other.client == request.client;
        other.number != request.number
            && (is_unseen || !other.is_finished(request.sent))
            && (has_it || signs_out || other.action.revokes())
    };
    let others = || history.requests.iter().filter(concerns);
    let may_end = |other: &Request| {
        let signs_out = other.action == Action::SignOut || !other.is_current;
        other.sent.order < request.done.order && (signs_out || other.action.revokes())
    };
    if others().any(may_end) {
        return Carries::Unknown;
    }
    let is_alone = history.terms.session_limit.is_none() && history.terms.failover.is_none();
    if is_alone && !others().any(|other| other.action.replaces()) {
        Carries::Everything
    } else {
        Carries::Loaded
    }
}
