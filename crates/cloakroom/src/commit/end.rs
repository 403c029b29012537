//! End: replaces a session by a tombstone.

use std::sync::Arc;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{
    Authentication, EndReason, Record, Revision, SessionClient, SessionId, StoreError,
    StoreErrorKind, Tombstone, UserId,
};
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::context::CommitContext;
use super::end_legacy::{combine, end_legacy_by_id};
use super::follow_up::{FollowUp, client_for_event};
use super::index::{impersonation_key_of, user_key_of};
use crate::budget::Budget;
use crate::context::{Context, TOMBSTONE_TTL};
use crate::error::SessionError;
use crate::migration::LegacyEnded;
use crate::state::Live;
use crate::store::has_ended;
use crate::telemetry::log;

/// Ends a session, whatever was saved to it meanwhile.
pub(crate) async fn end(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
    reason: EndReason,
) -> Result<Ended, SessionError> {
    let ended = end_at(cx, id, record, None, Ending::For(reason)).await;
    if has_ended(&ended) {
        let user = Authentication::of(record.entries());
        let user = user.as_ref().map(Authentication::user);
        let mut follow_up = FollowUp::new(cx.context);
        if ended.is_ok()
            && let Some(key) = impersonation_key_of(cx.context, record)
        {
            follow_up = follow_up.remove_from_index(key, id);
        }
        let end = ReportedEnd {
            id,
            user,
            reason,
            client: client_for_event(cx.context, record.entries()),
            is_confirmed: ended.is_ok(),
        };
        report_end(cx.context, follow_up, end).start();
    }
    if let Err(error) = &ended {
        log::end_failed(id, error);
    }
    Ok(ended?)
}

/// Ends a session of which only the id is known, and perhaps the user. So it also ends one that is just
/// being created. Returns whether the session was live.
pub(crate) async fn end_by_id(
    cx: &CommitContext<'_>,
    id: SessionId,
    user: Option<&UserId>,
    reason: EndReason,
) -> Result<Ended, SessionError> {
    let ended = end_without_report(cx, id, reason).await;
    let follow_up = FollowUp::new(cx.context);
    report_end_by_id(cx.context, follow_up, id, user, reason, &ended).start();
    Ok(ended?.into_ended())
}

/// The end of a session of which only the id is known, and of its legacy session.
pub(super) struct EndedById {
    legacy: LegacyEnded,
    ended: Ended,
}

impl EndedById {
    pub(super) fn into_ended(self) -> Ended {
        combine(self.legacy, self.ended)
    }
}

/// As [`end_by_id`], without what follows from it.
pub(super) async fn end_without_report(
    cx: &CommitContext<'_>,
    id: SessionId,
    reason: EndReason,
) -> Result<EndedById, StoreError> {
    let legacy = end_legacy_by_id(cx, id).await?;
    let tombstone = tombstone_by_id(cx, id, reason).await;
    let end = cx.store().end(id, None, &tombstone, TOMBSTONE_TTL);
    let ended = cx.budget.write(end).await?;
    Ok(EndedById { legacy, ended })
}

/// Returns the tombstone of a session of which only the id is known. The store adds the digest of its secret. If tokens
/// rotate, there may be several: the session is read first, since only their owner may learn why it has ended. That
/// read has a time limit of its own, a quarter of the layer's: the end keeps all of its time, and is sent also if the
/// read fails. Then nobody learns why the session has ended.
async fn tombstone_by_id(cx: &CommitContext<'_>, id: SessionId, reason: EndReason) -> Tombstone {
    if cx.context.rotation.is_some() {
        let budget = Budget::new(cx.context.budget / 4);
        if let Ok(Loaded::Record(record)) = budget.read(cx.store().load(id)).await {
            return tombstone_for(cx, &record, Ending::For(reason));
        }
    }
    Tombstone::new(None, cx.now(), reason)
}

/// Logs the end of a session, and adds what follows from it.
pub(super) fn report_end_by_id(
    context: &Context,
    follow_up: FollowUp,
    id: SessionId,
    user: Option<&UserId>,
    reason: EndReason,
    ended: &Result<EndedById, StoreError>,
) -> FollowUp {
    if let Err(error) = ended {
        log::end_failed(id, error);
    }
    let end = |is_confirmed| ReportedEnd {
        id,
        user,
        reason,
        // The session was not read.
        client: None,
        is_confirmed,
    };
    match (ended, user) {
        (Ok(ended), _) if ended.ended == Ended::Ended => report_end(context, follow_up, end(true)),
        (Err(error), _) if error.kind() == StoreErrorKind::NotReplicated => {
            report_end(context, follow_up, end(false))
        }
        // There was no session, and while the tombstone is kept none can be created under this id.
        (Ok(_), Some(user)) => follow_up.remove_from_index(context.user_key(user), id),
        (Ok(_), None) | (Err(_), _) => follow_up,
    }
}

/// Why a session ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    For(EndReason),
    /// It is renewed: its data continues in this session.
    RenewedAs(SessionId),
}

/// Ends a session; if a revision is expected, only at that revision.
pub(super) async fn end_at(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: &Record,
    expected: Option<Revision>,
    ending: Ending,
) -> Result<Ended, StoreError> {
    let tombstone = tombstone_for(cx, record, ending);
    let end = cx.store().end(id, expected, &tombstone, TOMBSTONE_TTL);
    cx.budget.write(end).await
}

/// Returns the tombstone of a session. With several valid tokens it has no digest: any client that presents the
/// id learns that the session has ended. While tokens rotate, the record may be older than the latest rotation.
///
/// A client that presents only the id must not get at the session in which a renewed one continues. So its
/// tombstone has the digests of all valid tokens: a renewal ends the session at the revision of the record.
fn tombstone_for(cx: &CommitContext<'_>, record: &Record, ending: Ending) -> Tombstone {
    let now = cx.now();
    let rotates = cx.context.rotation(record.entries()).is_some();
    let has_several = rotates || Secrets::are_rotating(record.entries());
    let digest = (!has_several).then_some(*record.digest());
    match ending {
        Ending::For(reason) if has_several => {
            Tombstone::new(None, now, reason).with_secrets(Secrets::valid(record, now))
        }
        Ending::For(reason) => Tombstone::new(digest, now, reason),
        Ending::RenewedAs(successor) if has_several => {
            Tombstone::renewed_with_secrets(Secrets::valid(record, now), now, successor)
        }
        Ending::RenewedAs(successor) => Tombstone::renewed(digest, now, successor),
    }
}

/// Ends a new session whose creation or renewal has failed. No client has its token, so no request has to
/// wait: a task does it, with a budget of its own.
///
/// If the old session has ended although the renewal has failed, because the reply was lost, its tombstone leads
/// other sign-ins to the new one. One that they have joined stays.
pub(super) fn roll_back(cx: &CommitContext<'_>, new: Live) -> JoinHandle<()> {
    let context = Arc::clone(cx.context);
    let task = async move {
        let budget = Budget::new(context.budget);
        let cx = CommitContext::without_request(&context, &budget);
        let ended = end_unless_joined(&cx, &new).await;
        match ended {
            // It has ended, on fewer replicas than required, so it stays in the index.
            Err(error) if error.kind() == StoreErrorKind::NotReplicated => {}
            Ok(Ended::Conflict(_)) => {}
            Err(error) => log::rollback_failed(new.id(), &error),
            Ok(_) => remove_from_index(&cx, &new),
        }
    };
    tokio::spawn(task.in_current_span())
}

/// Ends a session, or returns [`Ended::Conflict`] if a client has a secret of it. With the same secrets, the other
/// revision is one that the renewal has written itself, without learning of it.
async fn end_unless_joined(cx: &CommitContext<'_>, new: &Live) -> Result<Ended, StoreError> {
    let mut record = new.record.clone();
    loop {
        let (expected, ending) = (record.revision(), Ending::For(EndReason::Abandoned));
        match end_at(cx, new.id(), &record, Some(expected), ending).await? {
            Ended::Conflict(fresher) if !has_same_secrets(&new.record, &fresher) => {
                return Ok(Ended::Conflict(fresher));
            }
            Ended::Conflict(fresher) => record = fresher,
            ended => return Ok(ended),
        }
    }
}

/// Whether no secret was added to a session, or has replaced another one.
fn has_same_secrets(before: &Record, after: &Record) -> bool {
    before.digest() == after.digest() && !Secrets::have_gained(before.entries(), after.entries())
}

/// Removes a session from its user's index, in the background: no session can be created under its id.
pub(super) fn remove_from_index(cx: &CommitContext<'_>, live: &Live) {
    let (context, record) = (cx.context, &live.record);
    let keys = [
        user_key_of(context, record),
        impersonation_key_of(context, record),
    ];
    let mut follow_up = FollowUp::new(context);
    for key in keys.into_iter().flatten() {
        follow_up = follow_up.remove_from_index(key, live.id());
    }
    follow_up.start();
}

/// The end of a session, to be logged and published.
struct ReportedEnd<'a> {
    id: SessionId,
    user: Option<&'a UserId>,
    reason: EndReason,
    client: Option<SessionClient>,
    is_confirmed: bool,
}

/// Logs that a session has ended, and adds its event and the removal from its user's index. An end that is not
/// confirmed, because too few replicas have it, leaves the entry, and that of an impersonation: a failover can bring
/// the session back, so it must be found when the app ends the user's sessions again.
fn report_end(context: &Context, follow_up: FollowUp, end: ReportedEnd<'_>) -> FollowUp {
    let (id, reason) = (end.id, end.reason);
    log::ended(id, reason);
    let follow_up = follow_up.publish(SessionEvent::Ended {
        id,
        user: end.user.cloned(),
        reason,
        client: end.client,
    });
    match end.user {
        Some(user) if end.is_confirmed => follow_up.remove_from_index(context.user_key(user), id),
        _ => follow_up,
    }
}
