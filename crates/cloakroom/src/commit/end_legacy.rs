//! How the legacy session of a migrated session ends.

use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{EndReason, Entries, SessionId, StoreErrorKind};

use super::context::CommitContext;
use crate::error::SessionError;
use crate::migration::OldEnded;
use crate::telemetry::log;

/// Ends the legacy session that is linked with this migrated session, and those of the request's legacy
/// cookies. If one has ended, the response removes the legacy cookie.
pub(crate) async fn end_legacy(
    cx: &CommitContext<'_>,
    migrated: Option<(SessionId, &Entries)>,
) -> Result<OldEnded, SessionError> {
    let Some(arrivals) = &cx.context.arrivals else {
        return Ok(OldEnded::Missing);
    };
    let mut outcome = OldEnded::Missing;
    if let Some(cookies) = cx.legacy_cookies {
        for id in cookies.ids() {
            let ended = arrivals.end(id, cx.budget).await;
            if ended.inspect_err(log::legacy_not_ended)? == OldEnded::Ended {
                outcome = OldEnded::Ended;
            }
        }
    }
    if let Some((id, entries)) = migrated
        && end_linked(cx, id, entries).await? == OldEnded::Ended
    {
        outcome = OldEnded::Ended;
    }
    if let (OldEnded::Ended, Some(cookies)) = (outcome, cx.legacy_cookies) {
        cookies.remove();
    }
    Ok(outcome)
}

/// Ends the legacy session that is linked with a migrated session of which only the id is known.
pub(super) async fn end_linked_by_id(
    cx: &CommitContext<'_>,
    id: SessionId,
) -> Result<OldEnded, SessionError> {
    match &cx.context.arrivals {
        Some(arrivals) if arrivals.may_begin(id) => {}
        _ => return Ok(OldEnded::Missing),
    }
    match cx.budget.read(cx.store().load(id)).await {
        Ok(Loaded::Record(record)) => end_linked(cx, id, record.entries()).await,
        Ok(_) => Ok(OldEnded::Missing),
        Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(OldEnded::Missing),
        Err(error) => Err(error.into()),
    }
}

async fn end_linked(
    cx: &CommitContext<'_>,
    id: SessionId,
    entries: &Entries,
) -> Result<OldEnded, SessionError> {
    let Some(arrivals) = &cx.context.arrivals else {
        return Ok(OldEnded::Missing);
    };
    let Some(legacy) = arrivals.linked_id(&cx.context.realm, id, entries) else {
        return Ok(OldEnded::Missing);
    };
    let ended = arrivals.end(&legacy, cx.budget).await;
    Ok(ended.inspect_err(log::legacy_not_ended)?)
}

/// Combines the results of ending a legacy session and the migrated session linked with it. If a
/// concurrent request has seen that the legacy session was gone, and has ended the migrated session for
/// it, then both were ended by this request.
pub(crate) fn combine(legacy: OldEnded, migrated: Ended) -> Ended {
    match (legacy, &migrated) {
        (OldEnded::Ended, Ended::AlreadyEnded(tombstone))
            if tombstone.reason() == EndReason::EndedInLegacyStore =>
        {
            Ended::Ended
        }
        _ => migrated,
    }
}
