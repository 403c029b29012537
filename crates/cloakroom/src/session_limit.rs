//! The limit of concurrent sessions of one user.

use cloakroom_core::index::Limit;

/// How many concurrent sessions one user may have, and what happens at the limit (ASVS 5.0, 7.1.2).
///
/// It holds for any number of concurrent sign-ins on any number of servers. Sessions that a concurrent
/// sign-in is about to end do not count.
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
    #[must_use]
    pub const fn reject_above(most: u32) -> Self {
        Self(Limit {
            most,
            evict_oldest: false,
        })
    }

    /// Ends the oldest session of a user who has so many sessions and signs in again: the one whose sign-in
    /// or renewal is the longest ago.
    #[must_use]
    pub const fn evict_oldest(most: u32) -> Self {
        Self(Limit {
            most,
            evict_oldest: true,
        })
    }
}
