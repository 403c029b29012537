//! What can go wrong in a store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::codec::CodecError;

/// A store could not do what it was asked.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is known after a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached or is not ready, and the command was not carried out.
    Unavailable,
    /// The command may or may not have been carried out: its answer was lost or came too late.
    OutcomeUnknown,
    /// The command was carried out, and stands; but fewer replicas than asked for were known to have
    /// it in time, so that a failover may lose it.
    NotReplicated,
    /// The store has no memory left for the write, which was not carried out.
    OutOfMemory,
    /// The store refused the command, which was not carried out: rights, wrong configuration.
    Refused,
    /// What is stored cannot be read.
    Unreadable,
    /// What is stored is of a format that a newer release of this crate writes.
    NewerFormat,
    /// The store has no index of users, or no bus for events.
    Unsupported,
}

impl StoreError {
    /// An error of this kind, without a cause.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of this kind, and what caused it.
    pub fn with_source(
        kind: StoreErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into().into()),
        }
    }

    /// What is known after the error.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store cannot be reached",
            StoreErrorKind::OutcomeUnknown => {
                "the session store did not answer in time; the command may have been carried out"
            }
            StoreErrorKind::NotReplicated => {
                "the session store carried the command out, on fewer replicas than asked for"
            }
            StoreErrorKind::OutOfMemory => "the session store is out of memory",
            StoreErrorKind::Refused => "the session store refused the command",
            StoreErrorKind::Unreadable => "a stored session cannot be read",
            StoreErrorKind::NewerFormat => "a stored session is of a newer format",
            StoreErrorKind::Unsupported => "the session store keeps no index of users",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl From<CodecError> for StoreError {
    fn from(error: CodecError) -> Self {
        let kind = match error {
            CodecError::Newer(_) => StoreErrorKind::NewerFormat,
            CodecError::Unreadable(_) | CodecError::TooLong(_) => StoreErrorKind::Unreadable,
        };
        Self::with_source(kind, error)
    }
}
