//! The limit of concurrent sessions of one user.

use std::collections::HashSet;

use cloakroom_core::UserKey;
use cloakroom_core::index::Limit;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many concurrent sessions one user may have, and what happens at the limit (ASVS 5.0, 7.1.2).
///
/// It holds for any number of concurrent sign-ins on any number of servers. Sessions that a concurrent
/// sign-in is about to end do not count.
///
/// A sign-in does a limited amount of work, whatever the number of sessions: of a user who is far above the limit,
/// because it was lowered for instance, it ends the 64 oldest sessions, and a task in the background the
/// others. If the server stops before that is done, the next sign-in continues. Of a user with more than 128
/// sessions, a sign-in that meets the limit looks at 128 for sessions that have expired.
///
/// ```
/// use cloakroom::{MemoryStore, SessionLayer, SessionLimit};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_session_limit(SessionLimit::evict_oldest(5))
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimit(pub(crate) Limit);

impl SessionLimit {
    /// Refuses the sign-in of a user who has so many sessions, with
    /// [`TooManySessions`](crate::SessionErrorKind::TooManySessions).
    ///
    /// A renewal is not refused: if the session that a sign-in replaces is renewed at the same time, there is one more.
    #[must_use]
    pub const fn reject_above(most: u32) -> Self {
        Self(Limit {
            most,
            evict_oldest: false,
        })
    }

    /// Ends the oldest session of a user who has so many sessions and signs in again: the one whose sign-in
    /// or renewal is the longest ago.
    ///
    /// A sign-in that has to make room itself fails with [`Ended`](crate::SessionErrorKind::Ended): for a later one, for a
    /// renewal of the session that it replaces, or, after three attempts, for renewals of the session that it ends.
    #[must_use]
    pub const fn evict_oldest(most: u32) -> Self {
        Self(Limit {
            most,
            evict_oldest: true,
        })
    }
}

/// How many users' sessions one server ends at the same time in the background, because they are far above the
/// limit.
const MAX_EVICTIONS: usize = 4;

/// The users whose excess sessions a task of this server is ending: at most [`MAX_EVICTIONS`], one task for each.
#[derive(Debug, Default)]
pub(crate) struct Evictions(Mutex<HashSet<UserKey>>);

impl Evictions {
    /// Begins such a task, unless there is one for the user, or there are too many: a later sign-in of the
    /// user tries again. It has ended when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, user: UserKey) -> Option<Eviction> {
        let mut users = self.lock();
        if users.len() >= MAX_EVICTIONS || !users.insert(user) {
            return None;
        }
        Some(Eviction {
            evictions: Arc::clone(self),
            user,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<UserKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that ends the excess sessions of a user.
#[derive(Debug)]
pub(crate) struct Eviction {
    evictions: Arc<Evictions>,
    user: UserKey,
}

impl Drop for Eviction {
    fn drop(&mut self) {
        self.evictions.lock().remove(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Realm, UserId};

    use super::*;

    #[test]
    fn the_number_of_tasks_is_limited_and_each_user_has_one() {
        let evictions = Arc::new(Evictions::default());
        let user = |number: usize| {
            let id = UserId::from(format!("user {number}"));
            UserKey::new(&Realm::new("test"), &id)
        };
        let mut running: Vec<_> = (0..MAX_EVICTIONS - 1)
            .map(|number| evictions.begin(user(number)).expect("there is room"))
            .collect();
        assert!(evictions.begin(user(0)).is_none(), "it has one");
        running.push(evictions.begin(user(100)).expect("there is room"));
        assert!(evictions.begin(user(200)).is_none(), "there are too many");
        running.pop();
        assert!(evictions.begin(user(200)).is_some());
    }
}
