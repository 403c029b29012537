//! The contract of a legacy store: what a migration needs of the system that the app used before.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use cloakroom_core::{Entries, StoreError};

use crate::cookie::CookieConfig;

/// The sessions of the system that the app used before, for [`Migration`](super::Migration).
///
/// `cloakroom-tower-sessions` implements it for tower-sessions with its Redis store (feature
/// `migration`).
///
/// ```
/// use cloakroom::{Entries, StoreError};
/// use cloakroom::{CookieConfig, LegacyEnded, LegacyId, LegacySession, LegacyStore};
///
/// #[derive(Debug)]
/// struct OurOwn {
///     cookie: CookieConfig,
/// }
///
/// impl LegacyStore for OurOwn {
///     fn cookie(&self) -> &CookieConfig {
///         &self.cookie
///     }
///
///     fn open(&self, value: &str) -> Option<LegacyId> {
///         (value.len() == 32).then(|| LegacyId::new(value))
///     }
///
///     async fn read(&self, id: &LegacyId) -> Result<Option<LegacySession>, StoreError> {
///         // … read it from its store:
///         Ok(Some(LegacySession::new(Entries::new())))
///     }
///
///     async fn end(&self, id: &LegacyId) -> Result<LegacyEnded, StoreError> {
///         Ok(LegacyEnded::Missing)
///     }
/// }
/// ```
pub trait LegacyStore: Send + Sync + fmt::Debug + 'static {
    /// Returns the cookie that carries the legacy id: its name, and the path and domain that a removal
    /// has to repeat.
    fn cookie(&self) -> &CookieConfig;

    /// Returns the id in a cookie's value, or `None` if the value is malformed or its signature invalid.
    /// It does no I/O. If several values stand for one session, they must give the same id.
    fn open(&self, value: &str) -> Option<LegacyId>;

    /// Reads a live legacy session. If the legacy system extends sessions on use, this counts as use.
    ///
    /// A record that exists and cannot be decoded is an error of kind
    /// [`Unreadable`](cloakroom_core::StoreErrorKind::Unreadable).
    fn read(
        &self,
        id: &LegacyId,
    ) -> impl Future<Output = Result<Option<LegacySession>, StoreError>> + Send;

    /// Ends a legacy session.
    fn end(&self, id: &LegacyId) -> impl Future<Output = Result<LegacyEnded, StoreError>> + Send;
}

/// The id of a session in the legacy system, where it grants access to the session. `Debug` does not show
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyId(Box<[u8]>);

impl LegacyId {
    /// Creates an id from its bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// Returns the bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LegacyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyId(..)")
    }
}

/// A session as the legacy store keeps it.
#[derive(Clone, Debug)]
#[must_use]
pub struct LegacySession {
    pub(crate) entries: Entries,
    pub(crate) deadline: Option<SystemTime>,
}

impl LegacySession {
    /// Creates a session with these entries. After its migration, the expiry of the layer applies.
    pub const fn new(entries: Entries) -> Self {
        Self {
            entries,
            deadline: None,
        }
    }

    /// Sets the absolute deadline of the session, which also holds after its migration.
    pub const fn until(mut self, deadline: SystemTime) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// The result of [`LegacyStore::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyEnded {
    /// The session existed, and has been removed.
    Ended,
    /// There was no such session.
    Missing,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`LegacyStore`], with its futures boxed.
pub(super) trait DynLegacyStore: Send + Sync + fmt::Debug {
    fn cookie(&self) -> &CookieConfig;
    fn open(&self, value: &str) -> Option<LegacyId>;
    fn read<'a>(&'a self, id: &'a LegacyId) -> BoxFuture<'a, Option<LegacySession>>;
    fn end<'a>(&'a self, id: &'a LegacyId) -> BoxFuture<'a, LegacyEnded>;
}

impl<P: LegacyStore> DynLegacyStore for P {
    fn cookie(&self) -> &CookieConfig {
        LegacyStore::cookie(self)
    }

    fn open(&self, value: &str) -> Option<LegacyId> {
        LegacyStore::open(self, value)
    }

    fn read<'a>(&'a self, id: &'a LegacyId) -> BoxFuture<'a, Option<LegacySession>> {
        Box::pin(LegacyStore::read(self, id))
    }

    fn end<'a>(&'a self, id: &'a LegacyId) -> BoxFuture<'a, LegacyEnded> {
        Box::pin(LegacyStore::end(self, id))
    }
}
