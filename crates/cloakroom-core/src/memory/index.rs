//! The user index in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::index::{AddOutcome, AddRequest, LEASE, STALE_AFTER};
use crate::user::UserKey;

/// How many users with only expired ids one call of [`MemoryIndex::admit`] removes at most.
const SWEEP: usize = 4;

/// How many ids are returned to be checked, at most.
const SAMPLE: usize = 2;

/// The sessions of all users.
#[derive(Default)]
pub(super) struct MemoryIndex {
    users: HashMap<UserKey, UserSessions>,
    /// The users, by the time after which all of their ids may be removed.
    expiries: BTreeSet<(Timestamp, UserKey)>,
    /// The time before which all sessions are revoked, and until when that is remembered.
    pub(super) revoked_before: Option<(Timestamp, Timestamp)>,
}

/// The sessions of one user.
#[derive(Default)]
struct UserSessions {
    /// Sorted by id, which is the order of creation.
    sessions: BTreeMap<SessionId, IndexedSession>,
    /// When all ids may be removed, as in [`MemoryIndex::expiries`].
    expires: Option<Timestamp>,
    /// Where the next sample starts.
    next_sample: usize,
}

#[derive(Clone, Copy)]
struct IndexedSession {
    deadline: Timestamp,
    /// When a caller was asked to end the session because of the limit.
    evicted: Option<Timestamp>,
}

impl MemoryIndex {
    pub(super) fn add(&mut self, key: &UserKey, add_request: &AddRequest) -> AddOutcome {
        self.sweep(add_request.now);
        let user = self.users.entry(*key).or_default();
        let added = user.add(add_request);
        if user.sessions.is_empty() {
            self.users.remove(key);
            return added;
        }
        let expires = add_request.deadline.plus(STALE_AFTER);
        if user.expires.is_none_or(|before| before < expires) {
            if let Some(before) = user.expires.replace(expires) {
                self.expiries.remove(&(before, *key));
            }
            self.expiries.insert((expires, *key));
        }
        added
    }

    pub(super) fn list(&self, key: &UserKey) -> Vec<SessionId> {
        let user = self.users.get(key);
        user.map(|user| user.sessions.keys().copied().collect())
            .unwrap_or_default()
    }

    pub(super) fn remove(&mut self, key: &UserKey, ids: &[SessionId]) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        user.sessions.retain(|id, _| !ids.contains(id));
        if user.sessions.is_empty() {
            let expires = user.expires;
            self.users.remove(key);
            self.expiries
                .retain(|(at, other)| other != key || Some(*at) != expires);
        }
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// Removes users whose ids have all expired, a few at a time.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.expiries.first() {
                Some(&(expires, key)) if expires <= now => {
                    self.expiries.pop_first();
                    self.users.remove(&key);
                }
                _ => return,
            }
        }
    }
}

impl UserSessions {
    fn add(&mut self, add_request: &AddRequest) -> AddOutcome {
        let AddRequest { id, now, .. } = *add_request;
        self.sessions.retain(|id, session| {
            !add_request.dead.contains(id) && now < session.deadline.plus(STALE_AFTER)
        });
        let mut over = Vec::new();
        if let Some(limit) = add_request.limit {
            let others = self.counted(add_request);
            let excess = (others.len() + 1).saturating_sub(limit.most as usize);
            if excess > 0 && !limit.evict_oldest {
                return AddOutcome::LimitReached(others);
            }
            over = self.evict(&others[..excess.min(others.len())], now);
        }
        let indexed = self.sessions.get(&id).map(|session| session.deadline);
        let session = IndexedSession {
            deadline: indexed.map_or(add_request.deadline, |deadline| {
                deadline.max(add_request.deadline)
            }),
            evicted: None,
        };
        self.sessions.insert(id, session);
        let sample = self.sample(id, now);
        AddOutcome::Added { over, sample }
    }

    /// Returns the other sessions that count towards the limit, the oldest first.
    fn counted(&self, add_request: &AddRequest) -> Vec<SessionId> {
        let mut counted = Vec::new();
        for (id, session) in &self.sessions {
            let is_other = *id != add_request.id && Some(*id) != add_request.replaces;
            if is_other && session.evicted.is_none() {
                counted.push(*id);
            }
        }
        counted
    }

    /// Evicts these sessions, and those whose eviction another caller has not completed in time. Returns
    /// all that this caller must end.
    fn evict(&mut self, newly: &[SessionId], now: Timestamp) -> Vec<SessionId> {
        let mut over = Vec::new();
        for (id, session) in &mut self.sessions {
            let is_overdue = session
                .evicted
                .is_some_and(|since| now.since(since) >= LEASE);
            if newly.contains(id) || is_overdue {
                session.evicted = Some(now);
                over.push(*id);
            }
        }
        over
    }

    /// Returns a few old ids of other sessions, in turn, so that each one is returned sooner or later.
    fn sample(&mut self, own: SessionId, now: Timestamp) -> Vec<SessionId> {
        let is_old = |id: &&SessionId| **id != own && now.since(id.created_at()) > STALE_AFTER;
        let old: Vec<_> = self.sessions.keys().filter(is_old).collect();
        let start = self.next_sample.checked_rem(old.len()).unwrap_or(0);
        let in_turn = old.iter().cycle().skip(start);
        let sample: Vec<_> = in_turn.take(SAMPLE.min(old.len())).map(|id| **id).collect();
        self.next_sample = start + sample.len();
        sample
    }
}
