//! The user index in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::index::{
    AddOutcome, AddRequest, LEASE, MAX_COUNTED, MAX_EVICTED, MAX_PAGE, STALE_AFTER,
};
use crate::user::UserKey;

/// How many users with only expired ids, and how many expired ids of a user, one call of [`MemoryIndex::add`]
/// removes at most.
const SWEEP: usize = 4;

/// How many ids are returned to be checked, at most, of [`SAMPLED`] that are looked at.
const SAMPLE: usize = 2;
const SAMPLED: usize = 8;

/// The sessions of all users.
#[derive(Default)]
pub(super) struct MemoryIndex {
    users: HashMap<UserKey, UserSessions>,
    /// The users, by the time after which all of their ids may be removed.
    expiries: BTreeSet<(Timestamp, UserKey)>,
    /// The time before which all sessions are revoked, and until when that is remembered.
    pub(super) revoked_before: Option<(Timestamp, Timestamp)>,
}

/// The sessions of one user. All sets have the same ids or some of them, so that no call looks at all ids.
#[derive(Default)]
struct UserSessions {
    /// All ids, sorted by id, which is the order of creation.
    sessions: BTreeMap<SessionId, IndexedSession>,
    /// The ids that count towards the limit.
    counted: BTreeSet<SessionId>,
    /// The ids that a caller was asked to end because of the limit, by the time of that.
    evicted: BTreeSet<(Timestamp, SessionId)>,
    /// All ids, by their deadline.
    deadlines: BTreeSet<(Timestamp, SessionId)>,
    /// When all ids may be removed, as in [`MemoryIndex::expiries`].
    expires: Option<Timestamp>,
    /// The last id of the previous sample, and of the previous ids returned for the limit.
    last_sampled: Option<SessionId>,
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
            self.remove_user(key);
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

    pub(super) fn evict(
        &mut self,
        key: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Vec<SessionId> {
        let Some(user) = self.users.get_mut(key) else {
            return Vec::new();
        };
        let own = replaces.is_some_and(|id| user.counted.contains(&id));
        let others = user.counted.len() - usize::from(own);
        let excess = others.saturating_sub(most as usize);
        user.evict(excess, now, |id| Some(id) != replaces)
    }

    pub(super) fn list(&self, key: &UserKey, after: Option<SessionId>) -> Vec<SessionId> {
        let Some(user) = self.users.get(key) else {
            return Vec::new();
        };
        let end = after.map_or(Bound::Unbounded, Bound::Excluded);
        let older = user.sessions.range((Bound::Unbounded, end));
        older.rev().map(|(id, _)| *id).take(MAX_PAGE).collect()
    }

    pub(super) fn contains(&self, key: &UserKey, id: SessionId) -> bool {
        let user = self.users.get(key);
        user.is_some_and(|user| user.sessions.contains_key(&id))
    }

    pub(super) fn remove(&mut self, key: &UserKey, ids: &[SessionId]) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        for id in ids {
            user.remove(*id);
        }
        if user.sessions.is_empty() {
            self.remove_user(key);
        }
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    fn remove_user(&mut self, key: &UserKey) {
        let user = self.users.remove(key);
        if let Some(expires) = user.and_then(|user| user.expires) {
            self.expiries.remove(&(expires, *key));
        }
    }

    /// Removes users whose ids have all expired, a few at a time.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.expiries.first() {
                Some(&(expires, key)) if expires <= now => self.remove_user(&key),
                _ => return,
            }
        }
    }
}

impl UserSessions {
    fn add(&mut self, add_request: &AddRequest) -> AddOutcome {
        let AddRequest { id, now, .. } = *add_request;
        for dead in &add_request.dead {
            self.remove(*dead);
        }
        self.sweep(now);
        let mut over = Vec::new();
        if let Some(limit) = add_request.limit {
            let is_other = |other| other != id && Some(other) != add_request.replaces;
            let own = [Some(id), add_request.replaces];
            let own = own
                .iter()
                .flatten()
                .filter(|own| self.counted.contains(own));
            let others = self.counted.len() - own.count();
            let excess = (others + 1).saturating_sub(limit.most as usize);
            if excess > 0 && !limit.evict_oldest {
                return AddOutcome::LimitReached(self.sample_of_counted(is_other));
            }
            over = self.evict(excess, now, is_other);
        }
        let indexed = self.sessions.get(&id).map(|session| session.deadline);
        let deadline = indexed.unwrap_or(add_request.deadline);
        self.put(id, deadline.max(add_request.deadline), None);
        let sample = self.sample(id, now);
        AddOutcome::Added { over, sample }
    }

    fn put(&mut self, id: SessionId, deadline: Timestamp, evicted: Option<Timestamp>) {
        self.remove(id);
        self.sessions
            .insert(id, IndexedSession { deadline, evicted });
        self.deadlines.insert((deadline, id));
        match evicted {
            Some(since) => self.evicted.insert((since, id)),
            None => self.counted.insert(id),
        };
    }

    fn remove(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.deadlines.remove(&(session.deadline, id));
        match session.evicted {
            Some(since) => self.evicted.remove(&(since, id)),
            None => self.counted.remove(&id),
        };
    }

    /// Removes ids whose deadline is long over, a few at a time.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.deadlines.first() {
                Some(&(deadline, id)) if deadline.plus(STALE_AFTER) <= now => self.remove(id),
                _ => return,
            }
        }
    }

    /// Returns other sessions that count towards the limit, at most [`MAX_COUNTED`]: the oldest, and some that
    /// follow those of the previous call.
    fn sample_of_counted(&mut self, is_other: impl Fn(SessionId) -> bool) -> Vec<SessionId> {
        let others = || self.counted.iter().copied().filter(|id| is_other(*id));
        let mut found: Vec<_> = others().take(MAX_COUNTED + 1).collect();
        if found.len() <= MAX_COUNTED {
            return found;
        }
        found.truncate(MAX_COUNTED / 2);
        let last = found[found.len() - 1];
        let start = self.last_sampled.filter(|id| *id > last).unwrap_or(last);
        let following = (Bound::Excluded(start), Bound::Unbounded);
        let following = self.counted.range(following).copied();
        found.extend(
            following
                .filter(|id| is_other(*id))
                .take(MAX_COUNTED - found.len()),
        );
        self.last_sampled = found.last().copied();
        found
    }

    /// Evicts this many of the oldest sessions that count, and those whose eviction another caller has not completed
    /// in time. Returns all that this caller must end.
    fn evict(
        &mut self,
        excess: usize,
        now: Timestamp,
        is_other: impl Fn(SessionId) -> bool,
    ) -> Vec<SessionId> {
        let oldest = self.counted.iter().copied().filter(|id| is_other(*id));
        let mut over: Vec<_> = oldest.take(excess.min(MAX_EVICTED)).collect();
        let overdue = self.evicted.iter();
        let overdue = overdue.take_while(|(since, _)| now.since(*since) >= LEASE);
        over.extend(overdue.map(|(_, id)| *id).take(MAX_EVICTED - over.len()));
        for id in &over {
            let deadline = self.sessions[id].deadline;
            self.put(*id, deadline, Some(now));
        }
        over
    }

    /// Returns a few old ids of other sessions, in turn, so that each one is returned sooner or later.
    fn sample(&mut self, own: SessionId, now: Timestamp) -> Vec<SessionId> {
        let mut sample = Vec::new();
        for _ in 0..SAMPLED.min(self.sessions.len()) {
            let start = self.last_sampled.map_or(Bound::Unbounded, Bound::Excluded);
            let mut following = self.sessions.range((start, Bound::Unbounded));
            let next = following.next().or_else(|| self.sessions.iter().next());
            let Some((&id, _)) = next else {
                break;
            };
            let is_old = now.since(id.created_at()) > STALE_AFTER;
            // The following ids are newer still.
            self.last_sampled = is_old.then_some(id);
            if is_old && id != own && !sample.contains(&id) {
                sample.push(id);
            }
            if sample.len() == SAMPLE {
                break;
            }
        }
        sample
    }
}
