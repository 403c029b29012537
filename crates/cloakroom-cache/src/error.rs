//! Errors of a cache and of its configuration.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use cloakroom_core::StoreError;

/// A value could not be read, or a change could not be stored. Clones share the cause: all requests that wait
/// for one load get its error.
#[derive(Clone, Debug)]
pub struct CacheError {
    kind: CacheErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kind of a [`CacheError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheErrorKind {
    /// The loader returned an error, which is the source, or panicked.
    LoaderFailed,
    /// The loader, or the wait for it, took longer than
    /// [`with_load_timeout`](crate::CachedBuilder::with_load_timeout).
    LoadTimedOut,
    /// More requests than [`with_max_waiting`](crate::CachedBuilder::with_max_waiting) wait already.
    Overloaded,
    /// A change could not be stored; the source is a [`StoreError`]. It is sent again in the background. Until then, servers may return the old value for as long as it is cached.
    ChangeNotStored,
    /// The value cannot be encoded as JSON, or is longer than 1 MiB.
    InvalidValue,
}

impl CacheError {
    pub(crate) const fn new(kind: CacheErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn loader(source: Box<dyn Error + Send + Sync>) -> Self {
        Self {
            kind: CacheErrorKind::LoaderFailed,
            source: Some(source.into()),
        }
    }

    pub(crate) fn store(source: StoreError) -> Self {
        Self {
            kind: CacheErrorKind::ChangeNotStored,
            source: Some(Arc::new(source)),
        }
    }

    pub(crate) fn value(source: serde_json::Error) -> Self {
        Self {
            kind: CacheErrorKind::InvalidValue,
            source: Some(Arc::new(source)),
        }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> CacheErrorKind {
        self.kind
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            CacheErrorKind::LoaderFailed => "the value could not be loaded",
            CacheErrorKind::LoadTimedOut => "the value was not loaded in time",
            CacheErrorKind::Overloaded => "too many requests wait for values",
            CacheErrorKind::ChangeNotStored => {
                "the change could not be stored; the old value may be returned until it expires"
            }
            CacheErrorKind::InvalidValue => "the value cannot be stored",
        })
    }
}

impl Error for CacheError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// A cache cannot be built like this. The text names the option, and says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    option: &'static str,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(option: &'static str, message: impl Into<String>) -> Self {
        Self {
            option,
            message: message.into(),
        }
    }

    /// Returns the method that was given what cannot be: `with_fresh_for`, for instance.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        self.option
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.option, self.message)
    }
}

impl Error for ConfigError {}
