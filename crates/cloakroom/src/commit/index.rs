//! The index of a user's sessions, as commits use it.

use cloakroom_core::index::AddRequest;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Limits, Record, SessionId, StoreError, StoreErrorKind, Tombstone,
    UserKey,
};

use super::context::CommitContext;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::error::SessionError;
use crate::state::{Live, limits_of};

/// Returns the index key of a session's user; `None` for an anonymous session, or a store without an
/// index.
pub(super) fn user_key_of(context: &Context, record: &Record) -> Option<UserKey> {
    if !context.store.has_index() {
        return None;
    }
    let user = Authentication::of(record.entries())?;
    Some(context.user_key(user.user()))
}

/// Moves a session in its user's index to a later deadline, before the deadline of the session itself
/// changes.
pub(super) async fn reindex(
    cx: &CommitContext<'_>,
    live: &Live,
    limits: Limits,
) -> Result<(), SessionError> {
    let Some(user) = user_key_of(cx.context, &live.record) else {
        return Ok(());
    };
    let request = AddRequest {
        id: live.id(),
        deadline: limits.deadline(),
        now: cx.now(),
        limit: None,
        replaces: None,
        dead: Vec::new(),
    };
    cx.budget
        .write(cx.store().index_add(user, &request))
        .await?;
    Ok(())
}

/// Returns those of the indexed ids that have no session. One that has ended is ended again, which fails if
/// too few replicas have the tombstone. One that has expired by the current rule, which may be stricter than its
/// TTL in the store, is ended.
pub(super) async fn dead_among(
    cx: &CommitContext<'_>,
    ids: &[SessionId],
) -> Result<Vec<SessionId>, SessionError> {
    let mut dead = Vec::new();
    for &id in ids {
        let loaded = cx.budget.read(cx.store().load(id)).await;
        let is_dead = match &loaded {
            Ok(Loaded::Tombstone(tombstone)) => {
                let end = cx.store().end(id, None, tombstone, TOMBSTONE_TTL);
                cx.budget.write(end).await?;
                true
            }
            Ok(Loaded::Record(record)) => end_if_expired(cx, id, record).await?,
            Ok(Loaded::Nothing) => is_dead(cx.context, id, &loaded),
            Err(error) if error.kind() == StoreErrorKind::Unreadable => false,
            Err(error) => return Err(error.clone().into()),
        };
        if is_dead {
            dead.push(id);
        }
    }
    Ok(dead)
}

/// Ends a session that has expired by the current rule, unless it is used at the same time. Returns whether it
/// has ended.
async fn end_if_expired(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
) -> Result<bool, SessionError> {
    let rule = cx.context.rule(record.entries());
    if !limits_of(id, record, rule).is_expired(cx.now(), record.last_seen()) {
        return Ok(false);
    }
    let tombstone = Tombstone::new(Some(*record.digest()), cx.now(), EndReason::Expired);
    let expected = Some(record.revision());
    let end = cx.store().end(id, expected, &tombstone, TOMBSTONE_TTL);
    Ok(!matches!(cx.budget.write(end).await?, Ended::Conflict(_)))
}

/// Whether an indexed id has no session, and will never have one. An id without a record may belong to a
/// session that is about to be stored, unless the id is old. One with a tombstone has to be ended again, since
/// the replicas may not have the tombstone.
pub(super) fn is_dead(
    context: &Context,
    id: SessionId,
    loaded: &Result<Loaded, StoreError>,
) -> bool {
    match loaded {
        Ok(Loaded::Nothing) => context.is_old(id),
        Ok(Loaded::Record(_) | Loaded::Tombstone(_)) | Err(_) => false,
    }
}
