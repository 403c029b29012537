//! How many sessions one user may have.

use cloakroom_core::index::Limit;

/// How many sessions one user may have at a time, and what happens to one too many (ASVS 5.0, 7.1.2).
///
/// It holds under any number of log-ins at once, on any number of servers: sessions that a log-in
/// beside this one is about to end do not count.
///
/// ```
/// use cloakroom::{MemoryStore, SessionLayer, SessionLimit};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .with_session_limit(SessionLimit::end_oldest(5))
///     .build()?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimit(pub(crate) Limit);

impl SessionLimit {
    /// A user with so many sessions cannot sign in once more: the error is
    /// [`TooManySessions`](crate::SessionErrorKind::TooManySessions).
    #[must_use]
    pub const fn refuse_more_than(most: u32) -> Self {
        Self(Limit {
            most,
            make_room: false,
        })
    }

    /// A user with so many sessions who signs in once more loses the oldest: the one that was signed
    /// in to, or renewed, longest ago.
    #[must_use]
    pub const fn end_oldest(most: u32) -> Self {
        Self(Limit {
            most,
            make_room: true,
        })
    }
}
