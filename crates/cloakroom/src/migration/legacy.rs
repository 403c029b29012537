//! What must be known of the system that the app used before.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use cloakroom_core::{Entries, StoreError};

use crate::cookie::CookieConfig;

/// The sessions of another system, which the app used before: for [`Arrivals`](super::Arrivals).
///
/// `cloakroom-tower-sessions` has one for tower-sessions with its Redis store (feature `moving-in`).
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
///         // … from where it is kept:
///         Ok(Some(OldSession::new(Entries::new())))
///     }
///
///     async fn end(&self, id: &OldId) -> Result<OldEnded, StoreError> {
///         Ok(OldEnded::Missing)
///     }
/// }
/// ```
pub trait Predecessor: Send + Sync + fmt::Debug + 'static {
    /// The cookie that carries the old id: its name, and the path and domain that a removal must
    /// repeat.
    fn cookie(&self) -> &CookieConfig;

    /// The id in a cookie's value; `None` for what is none, or is not signed as it should be. Costs no
    /// command. One session has one id, however it is written.
    fn open(&self, value: &str) -> Option<OldId>;

    /// Finds an old session that is alive. If use keeps it alive, this is a use. What is there and
    /// makes no sense is [`Unreadable`](cloakroom_core::StoreErrorKind::Unreadable).
    fn read(
        &self,
        id: &OldId,
    ) -> impl Future<Output = Result<Option<OldSession>, StoreError>> + Send;

    /// Ends an old session.
    fn end(&self, id: &OldId) -> impl Future<Output = Result<OldEnded, StoreError>> + Send;
}

/// The id of a session in another system. There, whoever holds it holds the session: `Debug` does not
/// show it.
#[derive(Clone, PartialEq, Eq)]
pub struct OldId(Box<[u8]>);

impl OldId {
    /// The id of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// The bytes.
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

/// What another system keeps of a session.
#[derive(Clone, Debug)]
#[must_use]
pub struct OldSession {
    pub(crate) entries: Entries,
    pub(crate) deadline: Option<SystemTime>,
}

impl OldSession {
    /// A session with these entries, which lives on here by the layer's rule.
    pub const fn new(entries: Entries) -> Self {
        Self {
            entries,
            deadline: None,
        }
    }

    /// The session ends at this moment, used or not, and no later after it has moved.
    pub const fn until(mut self, deadline: SystemTime) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// What came of [`Predecessor::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldEnded {
    /// It was there, and is gone.
    Ended,
    /// Nothing was there.
    Missing,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Predecessor`], with its futures boxed.
pub(super) trait AnyPredecessor: Send + Sync + fmt::Debug {
    fn cookie(&self) -> &CookieConfig;
    fn open(&self, value: &str) -> Option<OldId>;
    fn read<'a>(&'a self, id: &'a OldId) -> Answer<'a, Option<OldSession>>;
    fn end<'a>(&'a self, id: &'a OldId) -> Answer<'a, OldEnded>;
}

impl<P: Predecessor> AnyPredecessor for P {
    fn cookie(&self) -> &CookieConfig {
        Predecessor::cookie(self)
    }

    fn open(&self, value: &str) -> Option<OldId> {
        Predecessor::open(self, value)
    }

    fn read<'a>(&'a self, id: &'a OldId) -> Answer<'a, Option<OldSession>> {
        Box::pin(Predecessor::read(self, id))
    }

    fn end<'a>(&'a self, id: &'a OldId) -> Answer<'a, OldEnded> {
        Box::pin(Predecessor::end(self, id))
    }
}
