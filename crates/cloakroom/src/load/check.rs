//! The one check whether a stored record is a live session.
//!
//! Requests ([`lookup`]), watches ([`check_and_sync`]) and lists of sessions ([`check`]) all use it.

use std::sync::Arc;

use cloakroom_core::admin::MAX_AHEAD;
use cloakroom_core::{EndReason, Record, SessionId, Timestamp};

use super::linked::{Link, former_legacy_id_of, legacy_id_of, read_link};
use crate::budget::Budget;
use crate::commit::{CommitContext, end, unlink};
use crate::context::Context;
use crate::error::SessionError;
use crate::migration::LegacyId;
use crate::plan::Lookup;
use crate::state::{Live, limits_of};
use crate::telemetry::{log, metrics};

/// Whether a stored record is a live session.
pub(crate) enum Liveness {
    /// It is live. `linked` is the legacy session that it is linked with.
    Live {
        record: Record,
        linked: Option<LegacyId>,
    },
    /// It has expired by the current rule, which may be stricter than the TTL in the store.
    Expired,
    /// It was created before "revoked before". The record is `None` if the session has been ended as well.
    Revoked(Option<Record>),
    /// Its legacy session has ended. The record is `None` if the session has been ended as well.
    EndedInLegacyStore(Option<Record>),
}

/// Checks a session that a request has authenticated, and logs and counts the result.
pub(super) async fn lookup(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<Lookup<Live>, SessionError> {
    let (lookup, _) = lookup_with_reason(context, live, budget).await?;
    Ok(lookup)
}

/// The same, with the reason if the session has ended.
pub(super) async fn lookup_with_reason(
    context: &Arc<Context>,
    live: Live,
    budget: &Budget,
) -> Result<(Lookup<Live>, Option<EndReason>), SessionError> {
    let Live { token, record } = live;
    let id = token.id();
    let liveness = check_and_sync(context, id, record, budget).await;
    match liveness.inspect_err(|_| metrics::load("error"))? {
        Liveness::Live { record, .. } => {
            metrics::load("hit");
            Ok((Lookup::Live(Live { token, record }), None))
        }
        Liveness::Expired => {
            log::expired(id);
            Ok((Lookup::Absent, Some(EndReason::Expired)))
        }
        Liveness::Revoked(record) => {
            log::revoked(id);
            let reason = Some(EndReason::RevokedByAdmin);
            match record {
                None => Ok((Lookup::Ended, reason)),
                Some(_) => Ok((Lookup::Absent, reason)),
            }
        }
        Liveness::EndedInLegacyStore(_) => {
            let reason = EndReason::EndedInLegacyStore;
            log::ended_token(id, reason);
            Ok((Lookup::Ended, Some(reason)))
        }
    }
}

/// Checks a record, and applies the state of its legacy session: if that has ended, the session ends too;
/// in the second phase of a migration, the link is removed. A session that was revoked together with everyone's ends.
pub(crate) async fn check_and_sync(
    context: &Arc<Context>,
    id: SessionId,
    record: Record,
    budget: &Budget,
) -> Result<Liveness, SessionError> {
    check_and_sync_at(context, id, record, context.clock.now(), budget).await
}

/// The same for a record that was found at `now`, without another look at the clock.
pub(super) async fn check_and_sync_at(
    context: &Arc<Context>,
    id: SessionId,
    record: Record,
    now: Timestamp,
    budget: &Budget,
) -> Result<Liveness, SessionError> {
    match check_at(context, id, record, now, budget).await? {
        Liveness::Live { record, linked } => {
            // Without a link, an earlier request may have failed to end the legacy session, or to record that.
            match linked.or_else(|| former_legacy_id_of(context, id, &record)) {
                Some(legacy) => {
                    Box::pin(unlink_in_cutover(context, id, record, legacy, budget)).await
                }
                None => Ok(Liveness::Live {
                    record,
                    linked: None,
                }),
            }
        }
        Liveness::EndedInLegacyStore(Some(record)) => {
            let cx = CommitContext::without_request(context, budget);
            Box::pin(end(&cx, id, &record, EndReason::EndedInLegacyStore)).await?;
            Ok(Liveness::EndedInLegacyStore(None))
        }
        // Servers that do not know the time yet accept it until it is ended. A time far in the future is perhaps of a wrong
        // clock, and may be replaced: the session is only refused.
        Liveness::Revoked(Some(record)) if is_plausible(context, budget).await? => {
            let cx = CommitContext::without_request(context, budget);
            Box::pin(end(&cx, id, &record, EndReason::RevokedByAdmin)).await?;
            Ok(Liveness::Revoked(None))
        }
        liveness => Ok(liveness),
    }
}

/// Whether "revoked before" is not far in the future.
async fn is_plausible(context: &Context, budget: &Budget) -> Result<bool, SessionError> {
    let latest = context.clock.now().plus(MAX_AHEAD);
    Ok(context.revoked_before(budget).await? <= latest)
}

async fn unlink_in_cutover(
    context: &Arc<Context>,
    id: SessionId,
    mut record: Record,
    legacy: LegacyId,
    budget: &Budget,
) -> Result<Liveness, SessionError> {
    if let Some(migration) = &context.migration
        && migration.is_cutover()
    {
        let cx = CommitContext::without_request(context, budget);
        record = unlink(&cx, id, record, &legacy).await;
    }
    Ok(Liveness::Live {
        record,
        linked: Some(legacy),
    })
}

/// Checks a record. It writes nothing. It costs one read of the legacy store for a session that is linked,
/// and a second read of the session if its legacy session is gone.
pub(crate) async fn check(
    context: &Context,
    id: SessionId,
    record: Record,
    budget: &Budget,
) -> Result<Liveness, SessionError> {
    check_at(context, id, record, context.clock.now(), budget).await
}

/// Whether a record is live, if that can be said without waiting. `None` if something has to be read first, or the
/// session may be linked with a legacy one.
pub(super) fn is_live_now(
    context: &Context,
    id: SessionId,
    record: &Record,
    now: Timestamp,
) -> Option<bool> {
    if context.migration.is_some() {
        return None;
    }
    let rule = context.rule(record.entries());
    if limits_of(id, record, rule).is_expired(now, record.last_seen()) {
        return Some(false);
    }
    Some(id.created_at() >= context.revoked_before_now()?)
}

async fn check_at(
    context: &Context,
    id: SessionId,
    record: Record,
    now: Timestamp,
    budget: &Budget,
) -> Result<Liveness, SessionError> {
    let rule = context.rule(record.entries());
    if limits_of(id, &record, rule).is_expired(now, record.last_seen()) {
        return Ok(Liveness::Expired);
    }
    if id.created_at() < context.revoked_before(budget).await? {
        return Ok(Liveness::Revoked(Some(record)));
    }
    let Some(legacy) = legacy_id_of(context, id, &record) else {
        return Ok(Liveness::Live {
            record,
            linked: None,
        });
    };
    // On the heap, as everything that few sessions need: the futures of all others stay small.
    match Box::pin(read_link(context, id, record, &legacy, budget)).await? {
        Link::Live(record) => Ok(Liveness::Live {
            record,
            linked: Some(legacy),
        }),
        Link::Removed(record) => Ok(Liveness::Live {
            record,
            linked: None,
        }),
        Link::Ended(record) => Ok(Liveness::EndedInLegacyStore(record)),
    }
}
