//! The contract of a legacy store: what a migration needs of the system that the app used before.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use cloakroom_core::{Entries, StoreError};

use crate::cookie::CookieConfig;

/// The sessions of the system that the app used before, for [`Arrivals`](super::Arrivals).
///
/// `cloakroom-tower-sessions` implements it for tower-sessions with its Redis store (feature
/// `moving-in`).
///
/// ```
/// use cloakroom::{Entries, StoreError};
/// use cloakroom::{CookieConfig, OldEnded, OldId, OldSession, Predecessor};
///
/// #[derive(Debug)]
/// struct OurOwn {
///     cookie: CookieConfig,
/// }
///
/// impl Predecessor for OurOwn {
///     fn cookie(&self) -> &CookieConfig {
///         &self.cookie
///     }
///
///     fn open(&self, value: &str) -> Option<OldId> {
///         (value.len() == 32).then(|| OldId::new(value))
///     }
///
///     async fn read(&self, id: &OldId) -> Result<Option<OldSession>, StoreError> {
///         // … read it from its store:
///         Ok(Some(OldSession::new(Entries::new())))
///     }
///
///     async fn end(&self, id: &OldId) -> Result<OldEnded, StoreError> {
///         Ok(OldEnded::Missing)
///     }
/// }
/// ```
pub trait Predecessor: Send + Sync + fmt::Debug + 'static {
    /// Returns the cookie that carries the legacy id: its name, and the path and domain that a removal
    /// has to repeat.
    fn cookie(&self) -> &CookieConfig;

    /// Returns the id in a cookie's value, or `None` if the value is malformed or its signature invalid.
    /// It does no I/O. If several values stand for one session, they must give the same id.
    fn open(&self, value: &str) -> Option<OldId>;

    /// Reads a live legacy session. If the legacy system extends sessions on use, this counts as use.
    ///
    /// A record that exists and cannot be decoded is an error of kind
    /// [`Unreadable`](cloakroom_core::StoreErrorKind::Unreadable).
    fn read(
        &self,
        id: &OldId,
    ) -> impl Future<Output = Result<Option<OldSession>, StoreError>> + Send;

    /// Ends a legacy session.
    fn end(&self, id: &OldId) -> impl Future<Output = Result<OldEnded, StoreError>> + Send;
}

/// The id of a session in the legacy system, where it grants access to the session. `Debug` does not show
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct OldId(Box<[u8]>);

impl OldId {
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

impl fmt::Debug for OldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OldId(..)")
    }
}

/// A session as the legacy store keeps it.
#[derive(Clone, Debug)]
#[must_use]
pub struct OldSession {
    pub(crate) entries: Entries,
    pub(crate) deadline: Option<SystemTime>,
}

impl OldSession {
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

/// The result of [`Predecessor::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldEnded {
    /// The session existed, and has been removed.
    Ended,
    /// There was no such session.
    Missing,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Predecessor`], with its futures boxed.
pub(super) trait DynLegacyStore: Send + Sync + fmt::Debug {
    fn cookie(&self) -> &CookieConfig;
    fn open(&self, value: &str) -> Option<OldId>;
    fn read<'a>(&'a self, id: &'a OldId) -> BoxFuture<'a, Option<OldSession>>;
    fn end<'a>(&'a self, id: &'a OldId) -> BoxFuture<'a, OldEnded>;
}

impl<P: Predecessor> DynLegacyStore for P {
    fn cookie(&self) -> &CookieConfig {
        Predecessor::cookie(self)
    }

    fn open(&self, value: &str) -> Option<OldId> {
        Predecessor::open(self, value)
    }

    fn read<'a>(&'a self, id: &'a OldId) -> BoxFuture<'a, Option<OldSession>> {
        Box::pin(Predecessor::read(self, id))
    }

    fn end<'a>(&'a self, id: &'a OldId) -> BoxFuture<'a, OldEnded> {
        Box::pin(Predecessor::end(self, id))
    }
}
