//! The results of store commands, as labels of logs and metrics.

use cloakroom_core::index::AddOutcome;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{StoreError, StoreErrorKind};

/// The result of a command as a label, for logs and metrics.
pub(super) trait Outcome {
    fn label(&self) -> &'static str;
}

impl Outcome for Created {
    fn label(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Collision => "collision",
        }
    }
}

impl Outcome for Loaded {
    fn label(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Tombstone(_) => "tombstone",
            Self::Nothing => "nothing",
        }
    }
}

/// Several sessions: each is a record, a tombstone, nothing, or an error.
impl Outcome for Vec<Result<Loaded, StoreError>> {
    fn label(&self) -> &'static str {
        match self.iter().find_map(|loaded| loaded.as_ref().err()) {
            Some(error) => failure(error.kind()),
            None => "loaded",
        }
    }
}

impl Outcome for Updated {
    fn label(&self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Conflict(_) => "conflict",
            Self::Ended(_) => "tombstone",
            Self::Missing => "nothing",
        }
    }
}

impl Outcome for Touched {
    fn label(&self) -> &'static str {
        match self {
            Self::Touched => "touched",
            Self::Superseded => "superseded",
        }
    }
}

impl Outcome for Ended {
    fn label(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Conflict(_) => "conflict",
            Self::AlreadyEnded(_) => "tombstone",
            Self::Missing => "nothing",
        }
    }
}

impl Outcome for UserCreated {
    fn label(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Collision => "collision",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::LimitReached(_) => "limit_reached",
        }
    }
}

impl Outcome for AddOutcome {
    fn label(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::LimitReached(_) => "limit_reached",
        }
    }
}

/// The label of a failed command.
pub(super) fn failure(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Unavailable => "unavailable",
        StoreErrorKind::OutcomeUnknown => "outcome_unknown",
        StoreErrorKind::NotReplicated => "not_replicated",
        StoreErrorKind::OutOfMemory => "out_of_memory",
        StoreErrorKind::Refused => "refused",
        StoreErrorKind::Unreadable => "unreadable",
        StoreErrorKind::NewerFormat => "newer_format",
        StoreErrorKind::Unsupported => "unsupported",
        _ => "other",
    }
}

/// Whether a record exists that this release cannot decode: it is damaged, or of a newer format. Such a session can be
/// ended by its id, but not be used.
pub(crate) fn is_undecodable(error: &StoreError) -> bool {
    use StoreErrorKind::{NewerFormat, Unreadable};
    matches!(error.kind(), Unreadable | NewerFormat)
}

/// Whether a live session was ended by this command. With
/// [`NotReplicated`](StoreErrorKind::NotReplicated) it has ended too, on fewer replicas than required.
pub(crate) fn has_ended(ended: &Result<Ended, StoreError>) -> bool {
    match ended {
        Ok(ended) => *ended == Ended::Ended,
        Err(error) => error.kind() == StoreErrorKind::NotReplicated,
    }
}
