//! How the legacy session of a migrated session ends.

use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{EndReason, Entries, SessionId, StoreError, StoreErrorKind};

use super::context::CommitContext;
use crate::error::SessionError;
use crate::migration::LegacyEnded;
use crate::telemetry::log;

/// Ends the legacy session of this migrated session, and those of the request's legacy
/// cookies. If one has ended, the response removes the legacy cookie.
pub(crate) async fn end_legacy(
    cx: &CommitContext<'_>,
    migrated: Option<(SessionId, &Entries)>,
) -> Result<LegacyEnded, SessionError> {
    let Some(migration) = &cx.context.migration else {
        return Ok(LegacyEnded::Missing);
    };
    let mut outcome = LegacyEnded::Missing;
    if let Some(cookies) = cx.legacy_cookies {
        for id in cookies.ids() {
            let ended = migration.end(id, cx.budget).await;
            if ended.inspect_err(log::legacy_not_ended)? == LegacyEnded::Ended {
                outcome = LegacyEnded::Ended;
            }
        }
    }
    if let Some((id, entries)) = migrated
        && end_legacy_of(cx, id, entries).await? == LegacyEnded::Ended
    {
        outcome = LegacyEnded::Ended;
    }
    if let (LegacyEnded::Ended, Some(cookies)) = (outcome, cx.legacy_cookies) {
        cookies.remove();
    }
    Ok(outcome)
}

/// Ends the legacy session of a migrated session of which only the id is known.
pub(super) async fn end_legacy_by_id(
    cx: &CommitContext<'_>,
    id: SessionId,
) -> Result<LegacyEnded, StoreError> {
    match &cx.context.migration {
        Some(migration) if migration.may_begin(id) => {}
        _ => return Ok(LegacyEnded::Missing),
    }
    match cx.budget.read(cx.store().load(id)).await {
        Ok(Loaded::Record(record)) => end_legacy_of(cx, id, record.entries()).await,
        Ok(_) => Ok(LegacyEnded::Missing),
        // The legacy id cannot be read, on any server. The session ends nevertheless. Servers of a newer release can read
        // that of a session of a newer format, and end both.
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            log::legacy_not_ended(&error);
            Ok(LegacyEnded::Missing)
        }
        Err(error) => Err(error),
    }
}

/// Ends the legacy session of a migrated session, also if they are not linked any more: the request that has removed
/// the link may have failed before it could end the legacy session.
async fn end_legacy_of(
    cx: &CommitContext<'_>,
    id: SessionId,
    entries: &Entries,
) -> Result<LegacyEnded, StoreError> {
    let Some(migration) = &cx.context.migration else {
        return Ok(LegacyEnded::Missing);
    };
    let Some(legacy) = migration.legacy_id(&cx.context.realm, id, entries) else {
        return Ok(LegacyEnded::Missing);
    };
    let ended = migration.end(&legacy, cx.budget).await;
    ended.inspect_err(log::legacy_not_ended)
}

/// Combines the results of ending a legacy session and the migrated session linked with it. If a
/// concurrent request has seen that the legacy session was gone, and has ended the migrated session for
/// it, then both were ended by this request.
pub(crate) fn combine(legacy: LegacyEnded, migrated: Ended) -> Ended {
    match (legacy, &migrated) {
        (LegacyEnded::Ended, Ended::AlreadyEnded(tombstone))
            if tombstone.reason() == EndReason::EndedInLegacyStore =>
        {
            Ended::Ended
        }
        _ => migrated,
    }
}
