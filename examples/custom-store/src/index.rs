//! Which sessions a user has: one file for each user.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cloakroom_core::index::{
    AddOutcome, AddRequest, LEASE, MAX_COUNTED, MAX_EVICTED, MAX_PAGE, STALE_AFTER,
};
use cloakroom_core::{SessionId, StoreError, StoreErrorKind, Timestamp, UserIndex, UserKey};

use crate::FileStore;
use crate::files::Files;

impl UserIndex for FileStore {
    async fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> Result<AddOutcome, StoreError> {
        let (user, add_request) = (*user, add_request.clone());
        self.write(move |files| {
            let mut sessions = UserSessions::read(files, &user)?;
            let added = sessions.add(&add_request);
            sessions.write(files, &user)?;
            Ok(added)
        })
        .await
    }

    async fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let user = *user;
        self.write(move |files| {
            let mut sessions = UserSessions::read(files, &user)?;
            let over = sessions.evict_above(most as usize, now, replaces.as_slice());
            sessions.write(files, &user)?;
            Ok(over)
        })
        .await
    }

    async fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let user = *user;
        self.read(move |files| {
            let sessions = UserSessions::read(files, &user)?;
            let newest_first = sessions.0.into_keys().rev();
            let following = newest_first.filter(|id| after.is_none_or(|after| *id < after));
            Ok(following.take(MAX_PAGE).collect())
        })
        .await
    }

    async fn contains(&self, user: &UserKey, id: SessionId) -> Result<bool, StoreError> {
        let user = *user;
        self.read(move |files| {
            let sessions = UserSessions::read(files, &user)?;
            Ok(sessions.0.contains_key(&id))
        })
        .await
    }

    async fn remove(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        let (user, ids) = (*user, ids.to_vec());
        self.write(move |files| {
            let mut sessions = UserSessions::read(files, &user)?;
            sessions.0.retain(|id, _| !ids.contains(id));
            sessions.write(files, &user)
        })
        .await
    }
}

/// The sessions of one user, sorted by id, which is the order in which they were created.
struct UserSessions(BTreeMap<SessionId, Indexed>);

#[derive(Clone, Copy)]
struct Indexed {
    deadline: Timestamp,
    /// When a caller was asked to end the session because of the limit; the Unix epoch if never.
    evicted: Timestamp,
}

impl Indexed {
    const NOT_EVICTED: Timestamp = Timestamp::from_millis(0);

    fn is_evicted(&self) -> bool {
        self.evicted != Self::NOT_EVICTED
    }
}

impl UserSessions {
    fn add(&mut self, add_request: &AddRequest) -> AddOutcome {
        let AddRequest { id, now, .. } = *add_request;
        self.0.retain(|id, session| {
            !add_request.dead.contains(id) && now < session.deadline.plus(STALE_AFTER)
        });
        let mut over = Vec::new();
        if let Some(limit) = add_request.limit {
            let own = [Some(id), add_request.replaces];
            let own: Vec<_> = own.into_iter().flatten().collect();
            let counted = self.counted(&own);
            if counted.len() >= limit.most as usize && !limit.evict_oldest {
                return AddOutcome::LimitReached(some_of(counted, id));
            }
            // One place is for the new session.
            over = self.evict_above(limit.most as usize - 1, now, &own);
        }
        let known = self.0.get(&id).map(|session| session.deadline);
        let session = Indexed {
            deadline: add_request
                .deadline
                .max(known.unwrap_or(add_request.deadline)),
            evicted: Indexed::NOT_EVICTED,
        };
        self.0.insert(id, session);
        AddOutcome::Added {
            over,
            sample: self.sample(id, now),
        }
    }

    /// Returns the sessions that count towards the limit except these, the oldest first.
    fn counted(&self, except: &[SessionId]) -> Vec<SessionId> {
        let sessions = self.0.iter();
        let counted =
            sessions.filter(|(id, session)| !session.is_evicted() && !except.contains(id));
        counted.map(|(id, _)| *id).collect()
    }

    /// Evicts the oldest sessions above a limit, and once more those that another caller should have ended by
    /// now. Returns all that this caller must end.
    fn evict_above(&mut self, most: usize, now: Timestamp, except: &[SessionId]) -> Vec<SessionId> {
        let mut over = self.counted(except);
        over.truncate(over.len().saturating_sub(most).min(MAX_EVICTED));
        for (id, session) in &self.0 {
            let is_overdue = session.is_evicted() && now.since(session.evicted) >= LEASE;
            if is_overdue && over.len() < MAX_EVICTED {
                over.push(*id);
            }
        }
        for id in &over {
            if let Some(session) = self.0.get_mut(id) {
                session.evicted = now;
            }
        }
        over
    }

    /// Returns two old ids of other sessions, chosen by the random end of the new id.
    fn sample(&self, new: SessionId, now: Timestamp) -> Vec<SessionId> {
        let is_old = |id: &&SessionId| **id != new && now.since(id.created_at()) > STALE_AFTER;
        let old: Vec<_> = self.0.keys().filter(is_old).copied().collect();
        let start = random_end(new) % old.len().max(1);
        old.iter()
            .cycle()
            .skip(start)
            .take(old.len().min(2))
            .copied()
            .collect()
    }

    fn read(files: &Files<'_>, user: &UserKey) -> Result<Self, StoreError> {
        let text = files.read(&file_name(user))?.unwrap_or_default();
        let sessions: Option<_> = text.lines().map(parse_line).collect();
        sessions
            .map(Self)
            .ok_or(StoreError::new(StoreErrorKind::Unreadable))
    }

    fn write(&self, files: &Files<'_>, user: &UserKey) -> Result<(), StoreError> {
        let mut text = String::new();
        for (id, session) in &self.0 {
            let (deadline, evicted) = (session.deadline.as_millis(), session.evicted.as_millis());
            writeln!(text, "{id} {deadline} {evicted}").expect("a string grows");
        }
        let deadlines = self.0.values().map(|session| session.deadline);
        // Without sessions, the file expires at once.
        let expires = deadlines
            .max()
            .map_or(files.now, |last| last.plus(STALE_AFTER));
        files.write(&file_name(user), &text, expires)
    }
}

/// The oldest of many ids, and some of the others, chosen by the random end of the new id.
fn some_of(mut counted: Vec<SessionId>, new: SessionId) -> Vec<SessionId> {
    if counted.len() <= MAX_COUNTED {
        return counted;
    }
    let mut others = counted.split_off(MAX_COUNTED / 2);
    let start = random_end(new) % others.len();
    others.rotate_left(start);
    counted.extend(others.into_iter().take(MAX_COUNTED / 2));
    counted
}

fn random_end(id: SessionId) -> usize {
    let [.., high, low] = *id.as_bytes();
    usize::from(u16::from_be_bytes([high, low]))
}

fn file_name(user: &UserKey) -> String {
    format!("user-{user}")
}

fn parse_line(line: &str) -> Option<(SessionId, Indexed)> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let mut time = || Some(Timestamp::from_millis(fields.next()?.parse().ok()?));
    let (deadline, evicted) = (time()?, time()?);
    Some((id, Indexed { deadline, evicted }))
}
