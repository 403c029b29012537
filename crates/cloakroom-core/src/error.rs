//! The error of a store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::codec::CodecError;

/// A store command failed.
#[derive(Clone, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kind of a [`StoreError`]: what is known about the failed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached or is not ready. The command was not executed.
    Unavailable,
    /// The command may or may not have been executed: its response was lost or came too late.
    OutcomeUnknown,
    /// The command was executed and its effect remains, but fewer replicas than required acknowledged it in
    /// time. A failover may lose it.
    NotReplicated,
    /// The store has no memory left for the write, which was not executed.
    OutOfMemory,
    /// The store refused the command, which was not executed: missing permissions or wrong configuration.
    Refused,
    /// A stored value cannot be decoded.
    Unreadable,
    /// A stored value has a format that only a newer release of this crate reads.
    NewerFormat,
    /// The store does not support the operation: it has no user index or no event bus, for instance.
    Unsupported,
}

impl StoreError {
    /// Creates an error without a source.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Creates an error with the error that caused it.
    pub fn with_source(
        kind: StoreErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into().into()),
        }
    }

    /// Returns the kind of the error.
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
                "the session store did not respond in time; the command may have been executed"
            }
            StoreErrorKind::NotReplicated => {
                "the session store executed the command on fewer replicas than required"
            }
            StoreErrorKind::OutOfMemory => "the session store is out of memory",
            StoreErrorKind::Refused => "the session store refused the command",
            StoreErrorKind::Unreadable => "a stored session cannot be decoded",
            StoreErrorKind::NewerFormat => "a stored session has a newer format",
            StoreErrorKind::Unsupported => "the session store does not support this operation",
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
