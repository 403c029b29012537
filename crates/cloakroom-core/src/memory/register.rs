//! Which sessions each user has, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::index::{Admission, Applicant, LEASE, OLD};
use crate::user::UserKey;

/// How many users' entries one admission looks through for what is over.
const SWEEP: usize = 4;

/// How many entries are handed out to be looked at, at most.
const SAMPLE: usize = 2;

/// The entries of all users.
#[derive(Default)]
pub(super) struct Register {
    users: HashMap<UserKey, User>,
    /// The users by the time after which nothing of theirs can be alive.
    keeps: BTreeSet<(Timestamp, UserKey)>,
    pub(super) epoch: Option<(Timestamp, Timestamp)>,
}

#[derive(Default)]
struct User {
    entries: BTreeMap<SessionId, Entry>,
    keep: Option<Timestamp>,
    /// Where the next sample begins.
    next: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    deadline: Timestamp,
    /// Since when somebody is to end the session, for the limit.
    condemned: Option<Timestamp>,
}

impl Register {
    pub(super) fn admit(&mut self, key: &UserKey, applicant: &Applicant) -> Admission {
        self.sweep(applicant.now);
        let user = self.users.entry(*key).or_default();
        let admission = user.admit(applicant);
        if user.entries.is_empty() {
            self.users.remove(key);
            return admission;
        }
        let keep = applicant.deadline.plus(OLD);
        if user.keep.is_none_or(|before| before < keep) {
            if let Some(before) = user.keep.replace(keep) {
                self.keeps.remove(&(before, *key));
            }
            self.keeps.insert((keep, *key));
        }
        admission
    }

    pub(super) fn entered(&self, key: &UserKey) -> Vec<SessionId> {
        let user = self.users.get(key);
        user.map(|user| user.entries.keys().copied().collect())
            .unwrap_or_default()
    }

    pub(super) fn forget(&mut self, key: &UserKey, ids: &[SessionId]) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        user.entries.retain(|id, _| !ids.contains(id));
        if user.entries.is_empty() {
            let keep = user.keep;
            self.users.remove(key);
            self.keeps
                .retain(|(at, other)| other != key || Some(*at) != keep);
        }
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.keeps.first() {
                Some(&(keep, key)) if keep <= now => {
                    self.keeps.pop_first();
                    self.users.remove(&key);
                }
                _ => return,
            }
        }
    }
}

impl User {
    fn admit(&mut self, applicant: &Applicant) -> Admission {
        let Applicant { id, now, .. } = *applicant;
        self.entries
            .retain(|id, entry| !applicant.dead.contains(id) && now < entry.deadline.plus(OLD));
        let mut over = Vec::new();
        if let Some(limit) = applicant.limit {
            let counts = |(other, entry): &(&SessionId, &Entry)| {
                entry.condemned.is_none() && **other != id && Some(**other) != applicant.replaces
            };
            let others: Vec<_> = self
                .entries
                .iter()
                .filter(counts)
                .map(|(id, _)| *id)
                .collect();
            let excess = (others.len() + 1).saturating_sub(limit.most as usize);
            if excess > 0 && !limit.make_room {
                return Admission::Full(others);
            }
            // In the order of their ids, which is that of their beginning.
            let newly = &others[..excess.min(others.len())];
            let is_left = |entry: &Entry| {
                let since = entry.condemned?;
                (now.since(since) >= LEASE).then_some(())
            };
            for (id, entry) in &mut self.entries {
                if newly.contains(id) || is_left(entry).is_some() {
                    entry.condemned = Some(now);
                    over.push(*id);
                }
            }
        }
        let deadline = self.entries.get(&id).map(|entry| entry.deadline);
        let entry = Entry {
            deadline: applicant
                .deadline
                .max(deadline.unwrap_or(applicant.deadline)),
            condemned: None,
        };
        self.entries.insert(id, entry);
        let sample = self.sample(id, now);
        Admission::Admitted { over, sample }
    }

    /// A few others that are old, in turn: none is passed over for ever.
    fn sample(&mut self, mine: SessionId, now: Timestamp) -> Vec<SessionId> {
        let is_old = |id: &&SessionId| **id != mine && now.since(id.created_at()) > OLD;
        let old: Vec<_> = self.entries.keys().filter(is_old).collect();
        let start = self.next.checked_rem(old.len()).unwrap_or(0);
        let in_turn = old.iter().cycle().skip(start);
        let sample: Vec<_> = in_turn.take(SAMPLE.min(old.len())).map(|id| **id).collect();
        self.next = start + sample.len();
        sample
    }
}
