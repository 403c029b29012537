//! The index of a user's sessions, as commits use it.

use std::sync::Arc;

use cloakroom_core::index::AddRequest;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Impersonation, Limits, Record, Revision, SessionId, StoreError,
    StoreErrorKind, Tombstone, UserId, UserKey,
};

use super::concurrent::write_concurrently;
use super::context::CommitContext;
use crate::budget::Budget;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::error::SessionError;
use crate::state::{Live, limits_of};
use crate::store::{is_undecodable, load_many};

/// The user to whose index a session is added.
pub(super) struct Owner<'a> {
    pub(super) user: &'a UserId,
    pub(super) key: UserKey,
}

impl<'a> Owner<'a> {
    /// `None` without a user, and if the store has no index.
    pub(super) fn of(cx: &CommitContext<'_>, user: Option<&'a UserId>) -> Option<Self> {
        let user = user.filter(|_| cx.store().has_index())?;
        let key = cx.context.user_key(user);
        Some(Self { user, key })
    }
}

/// Returns the index key of a session's user; `None` for an anonymous session, or a store without an
/// index.
pub(super) fn user_key_of(context: &Context, record: &Record) -> Option<UserKey> {
    if !context.store.has_index() {
        return None;
    }
    let user = Authentication::of(record.entries())?;
    Some(context.user_key(user.user()))
}

/// Returns the key of the index in which a session is while its user acts as another user, so that it ends when all
/// sessions of that user are revoked.
pub(super) fn impersonation_key_of(context: &Context, record: &Record) -> Option<UserKey> {
    if !context.store.has_index() || !record.entries().contains(Impersonation::KEY) {
        return None;
    }
    let impersonation = Impersonation::of(record.entries())?;
    Some(context.impersonation_key(impersonation.user()))
}

/// Adds a session in which a user acts as another user to the index for that, before the session is stored.
pub(super) async fn index_impersonation(
    cx: &CommitContext<'_>,
    live: &Live,
) -> Result<(), StoreError> {
    match impersonation_key_of(cx.context, &live.record) {
        Some(key) => add(cx, key, live.id(), live.record.limits()).await,
        None => Ok(()),
    }
}

/// Moves a session in its user's index to a later deadline, before the deadline of the session itself
/// changes.
pub(super) async fn reindex(
    cx: &CommitContext<'_>,
    live: &Live,
    limits: Limits,
) -> Result<(), SessionError> {
    let record = &live.record;
    let keys = [
        user_key_of(cx.context, record),
        impersonation_key_of(cx.context, record),
    ];
    for key in keys.into_iter().flatten() {
        add(cx, key, live.id(), limits).await?;
    }
    Ok(())
}

async fn add(
    cx: &CommitContext<'_>,
    key: UserKey,
    id: SessionId,
    limits: Limits,
) -> Result<(), StoreError> {
    let request = AddRequest {
        id,
        deadline: limits.deadline(),
        now: cx.now(),
        limit: None,
        replaces: None,
        dead: Vec::new(),
        has_fresh_token: false,
    };
    cx.budget.write(cx.store().index_add(key, &request)).await?;
    Ok(())
}

/// Returns those of the indexed ids that have no session. There are at most
/// [`MAX_COUNTED`](cloakroom_core::index::MAX_COUNTED). One that has ended is ended again, which fails if
/// too few replicas have the tombstone. One that has expired by the current rule, which may be stricter than its
/// TTL in the store, is ended.
pub(super) async fn dead_among(
    cx: &CommitContext<'_>,
    ids: &[SessionId],
) -> Result<Vec<SessionId>, SessionError> {
    let (mut dead, mut ends) = (Vec::new(), Vec::new());
    for (id, loaded) in load_many(cx.store(), cx.budget, ids).await {
        match loaded {
            Ok(Loaded::Nothing) if cx.context.is_old(id) => dead.push(id),
            Ok(Loaded::Nothing) => {}
            Ok(found @ (Loaded::Record(_) | Loaded::Tombstone(_))) => {
                ends.extend(end_of_dead(cx, id, found));
            }
            Err(error) if is_undecodable(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if ends.is_empty() {
        return Ok(dead);
    }
    let end = |(id, tombstone, expected): &(SessionId, Tombstone, Option<Revision>)| {
        let (context, id, expected) = (Arc::clone(cx.context), *id, *expected);
        let tombstone = tombstone.clone();
        async move {
            let end = context.store.end(id, expected, &tombstone, TOMBSTONE_TTL);
            Budget::new(context.budget).write(end).await
        }
    };
    let Some(ended) = cx.budget.wait(write_concurrently(ends, end)).await else {
        return Err(StoreError::new(StoreErrorKind::OutcomeUnknown).into());
    };
    for ((id, ..), ended) in ended {
        // A session that is used at the same time has another revision.
        if !matches!(ended?, Ended::Conflict(_)) {
            dead.push(id);
        }
    }
    Ok(dead)
}

/// How a session ends, once more, that has ended or has expired by the current rule; `None` for a live one.
fn end_of_dead(
    cx: &CommitContext<'_>,
    id: SessionId,
    found: Loaded,
) -> Option<(SessionId, Tombstone, Option<Revision>)> {
    match found {
        Loaded::Tombstone(tombstone) => Some((id, tombstone, None)),
        Loaded::Record(record) => {
            let rule = cx.context.rule(record.entries());
            if !limits_of(id, &record, rule).is_expired(cx.now(), record.last_seen()) {
                return None;
            }
            let tombstone = Tombstone::new(Some(*record.digest()), cx.now(), EndReason::Expired);
            Some((id, tombstone, Some(record.revision())))
        }
        Loaded::Nothing => None,
    }
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
