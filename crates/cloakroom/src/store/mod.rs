//! A store behind a pointer, so that neither the layer nor `Session` is generic over it. Every
//! command of the crate goes through here, so here it is told what came of it. What is remembered takes
//! no command.

mod index;
mod instrumented;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use cloakroom_core::store::{Created, Ended, Loaded, Store, Touched, Updated};
use cloakroom_core::{
    EndReason, Record, Revision, SessionId, StoreError, StoreErrorKind, Timestamp, Tombstone,
};

pub(crate) use self::index::AnyUsers;
use self::instrumented::Told;
use crate::telemetry::metrics;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Store`], with its futures boxed. Only requests that use their session pay for a box.
pub(crate) trait AnyStore: AnyUsers + Send + Sync + fmt::Debug + 'static {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created>;

    fn load(&self, id: SessionId) -> Answer<'_, Loaded>;

    fn remembered(&self, id: SessionId) -> Option<Loaded>;

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Updated>;

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Answer<'_, Touched>;

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> Answer<'a, Ended>;
}

impl<S: Store> AnyStore for S {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created> {
        Box::pin(Told::new(
            "create",
            id,
            Store::create(self, id, record, ttl),
        ))
    }

    fn load(&self, id: SessionId) -> Answer<'_, Loaded> {
        Box::pin(Told::new("load", id, Store::load(self, id)))
    }

    fn remembered(&self, id: SessionId) -> Option<Loaded> {
        Store::remembered(self, id)
    }

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Updated> {
        let update = Store::update(self, id, expected, record, ttl);
        Box::pin(Told::new("update", id, update))
    }

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Answer<'_, Touched> {
        let touch = Store::touch(self, id, expected, seen, ttl);
        Box::pin(Told::new("touch", id, touch))
    }

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> Answer<'a, Ended> {
        let end = Store::end(self, id, expected, tombstone, keep);
        let reason = tombstone.reason();
        Box::pin(async move {
            let answer = Told::new("end", id, end).await;
            count_end(&answer, reason);
            answer
        })
    }
}

fn count_end(answer: &Result<Ended, StoreError>, reason: EndReason) {
    if has_ended(answer) {
        metrics::ended(reason.as_str());
    }
}

/// Whether a session was alive and has ended: on fewer replicas than asked for, it has all the same.
pub(crate) fn has_ended(answer: &Result<Ended, StoreError>) -> bool {
    match answer {
        Ok(ended) => *ended == Ended::Ended,
        Err(error) => error.kind() == StoreErrorKind::NotReplicated,
    }
}

/// What came of a command, in a word.
trait Outcome {
    fn word(&self) -> &'static str;
}

impl Outcome for Created {
    fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Collision => "collision",
        }
    }
}

impl Outcome for Loaded {
    fn word(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Tombstone(_) => "tombstone",
            Self::Nothing => "nothing",
        }
    }
}

impl Outcome for Updated {
    fn word(&self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Conflict(_) => "conflict",
            Self::Ended(_) => "tombstone",
            Self::Missing => "nothing",
        }
    }
}

impl Outcome for Touched {
    fn word(&self) -> &'static str {
        match self {
            Self::Touched => "touched",
            Self::Superseded => "superseded",
        }
    }
}

impl Outcome for Ended {
    fn word(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Conflict(_) => "conflict",
            Self::AlreadyEnded(_) => "tombstone",
            Self::Missing => "nothing",
        }
    }
}

fn failure(kind: StoreErrorKind) -> &'static str {
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
