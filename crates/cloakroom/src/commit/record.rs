//! The records that commits write.

use std::time::Duration;

use cloakroom_core::change::Replay;
use cloakroom_core::lifetime::Lifetimes;
use cloakroom_core::migration::MigrationMark;
use cloakroom_core::store::{Loaded, Updated};
use cloakroom_core::{Digest, Entries, Limits, Record, Revision, SessionId, StoreErrorKind, codec};

use super::context::CommitContext;
use crate::context::ConflictPolicy;
use crate::error::{Cause, SessionError};
use crate::state::Draft;
use crate::telemetry::log;

/// Returns the entries of a new session: these, the user who signs in, and the device.
pub(super) fn with_metadata(cx: &CommitContext<'_>, draft: &Draft, entries: Entries) -> Entries {
    let mut entries = draft.entries_of_new_session(entries);
    Lifetimes::expire(&mut entries, cx.now());
    if draft.signing_in.is_some()
        && let Some(client) = cx.client
    {
        client.put_into(&mut entries);
    }
    entries
}

/// Replays the edits on a fresher record.
pub(super) fn merge(
    cx: &CommitContext<'_>,
    id: SessionId,
    draft: &Draft,
    fresher: &Record,
) -> Result<Replay, SessionError> {
    let [base, fresher] =
        [&draft.base, fresher.entries()].map(|entries| Lifetimes::live(entries, cx.now()));
    let merged = draft.changes.replay(&base, &fresher)?;
    if !merged.overwritten.is_empty() && cx.context.conflict_policy == ConflictPolicy::Reject {
        return Err(Cause::Conflict(merged.overwritten).into());
    }
    log::replayed(id);
    for key in &merged.overwritten {
        log::overwritten(id, key);
    }
    Ok(merged)
}

/// Returns the record that follows `base`.
pub(super) fn next_record(
    cx: &CommitContext<'_>,
    id: SessionId,
    base: &Record,
    mut entries: Entries,
    digest: Digest,
    chosen: Option<Limits>,
) -> Result<Record, SessionError> {
    let now = cx.now();
    Lifetimes::expire(&mut entries, now);
    // A record above a limit that was lowered since it was stored may still shrink step by step.
    if entries.json_len() > base.entries().json_len() {
        check_size(cx, &entries)?;
    }
    let limits = chosen
        .unwrap_or_else(|| base.limits())
        .clamped_to(
            cx.context.rule(&entries),
            MigrationMark::created_at(id, &entries),
        )
        // An older token is refused without a read, so the session must not outlive it.
        .capped_at(id.created_at().plus(cx.context.longest_life()));
    Ok(Record::new(
        Revision::draw(&*cx.context.rng)?,
        base.seen_at(now),
        limits,
        digest,
        entries,
    ))
}

/// Checks the size of a record. The layer's limit is for the entries of the app. Those of the library are
/// small, but a user id may be long, and a record that could not be decoded must not be written.
pub(super) fn check_size(cx: &CommitContext<'_>, entries: &Entries) -> Result<(), SessionError> {
    let of_the_app = codec::HEAD_LEN + entries.app_json_len();
    let limit = cx.context.max_session_size;
    if of_the_app > limit {
        let size = of_the_app;
        return Err(Cause::TooLarge { size, limit }.into());
    }
    let (size, limit) = (codec::encoded_len(entries), codec::MAX_LEN);
    if size > limit {
        return Err(Cause::TooLarge { size, limit }.into());
    }
    Ok(())
}

/// Returns the TTL of a record that is stored now.
pub(super) fn ttl_of(cx: &CommitContext<'_>, record: &Record) -> Result<Duration, SessionError> {
    let ttl = record.limits().ttl(cx.now());
    ttl.ok_or_else(|| Cause::Ended.into())
}

/// Replaces `base` by `next` in the store, if nothing else has replaced it. If the outcome is unknown,
/// one read finds out whether `next` was stored.
pub(super) async fn replace(
    cx: &CommitContext<'_>,
    id: SessionId,
    base: &Record,
    next: &Record,
) -> Result<Updated, SessionError> {
    let Some(ttl) = next.limits().ttl(cx.now()) else {
        return expired_at(cx, id, base).await;
    };
    let store = cx.store();
    let update = store.update(id, base.revision(), next, ttl);
    match cx.budget.write(update).await {
        Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => {
            match cx.budget.read(store.load(id)).await {
                Ok(Loaded::Record(stored)) if stored.revision() == next.revision() => {
                    Ok(Updated::Updated)
                }
                _ => Err(error.into()),
            }
        }
        result => Ok(result?),
    }
}

/// The result of replacing a record whose deadline has passed. Another request may have moved the deadline
/// since the record was read, so the store decides.
async fn expired_at(
    cx: &CommitContext<'_>,
    id: SessionId,
    base: &Record,
) -> Result<Updated, SessionError> {
    let load = cx.store().load(id);
    Ok(match cx.budget.read(load).await? {
        Loaded::Record(stored) if stored.revision() != base.revision() => Updated::Conflict(stored),
        Loaded::Tombstone(tombstone) => Updated::Ended(tombstone),
        Loaded::Record(_) | Loaded::Nothing => Updated::Missing,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloakroom_core::MemoryStore;

    use super::*;
    use crate::budget::Budget;
    use crate::context::Context;

    #[test]
    fn a_record_has_at_most_the_length_that_can_be_decoded() {
        let mut context = Context::new(MemoryStore::new());
        context.max_session_size = usize::MAX;
        let (context, budget) = (Arc::new(context), Budget::new(Duration::from_secs(1)));
        let cx = CommitContext::without_request(&context, &budget);
        let of_length = |length: usize| {
            let mut entries = Entries::new();
            let set = entries.set("text", &"x".repeat(length));
            set.expect("text is JSON");
            entries
        };
        let longest = codec::MAX_LEN - codec::encoded_len(&of_length(0));
        assert!(check_size(&cx, &of_length(longest)).is_ok());
        assert!(check_size(&cx, &of_length(longest + 1)).is_err());
    }
}
