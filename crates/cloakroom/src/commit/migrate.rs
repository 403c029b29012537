//! Migrate: creates a migrated session, and later unlinks it from its legacy session.

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::store::Updated;
use cloakroom_core::{Authentication, Record, SessionId};

use super::context::CommitContext;
use super::create::{Attempt, CreateOptions, attempt, follow_up_creation};
use super::record::{check_size, next_record, replace};
use crate::error::SessionError;
use crate::migration::LegacyId;
use crate::state::Live;
use crate::telemetry::log;

/// How many conflicts an attempt to unlink a session accepts.
const MAX_ATTEMPTS: usize = 3;

/// Stores a migrated session. Returns `false` if there is a record or a tombstone under its id.
pub(crate) async fn create_migrated(
    cx: &CommitContext<'_>,
    live: &Live,
) -> Result<bool, SessionError> {
    let entries = live.record.entries();
    check_size(cx, entries)?;
    let user = Authentication::of(entries);
    let user = user.as_ref().map(Authentication::user);
    let options = CreateOptions {
        is_limited: false,
        replaces: None,
        publishes: true,
    };
    let index = match attempt(cx, live, user, options).await? {
        Attempt::Created(index) => index,
        Attempt::Collision => return Ok(false),
        Attempt::Failed(error) => return Err(error.into()),
    };
    log::migrated(live.id());
    follow_up_creation(cx, live.id(), user, index);
    Ok(true)
}

/// Removes the link to the legacy session from a record, and then ends the legacy session: in this order,
/// so that a server which finds no legacy session sees that it need not exist. Returns the record as it is
/// stored then. If the update fails, nothing has changed; if only the end fails, the record still names the legacy
/// session, so that whoever ends the session ends that as well.
pub(crate) async fn unlink(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: Record,
    legacy: &LegacyId,
) -> Record {
    let (record, is_unlinked) = remove_link(cx, id, record).await;
    if let Some(migration) = &cx.context.migration
        && is_unlinked
        && let Err(error) = migration.end(legacy, cx.budget).await
    {
        log::legacy_not_ended(&error);
    }
    record
}

/// Removes the link to the legacy session from a record. Returns the record as it is stored then, and whether this
/// call has removed the link.
pub(crate) async fn remove_link(
    cx: &CommitContext<'_>,
    id: SessionId,
    mut record: Record,
) -> (Record, bool) {
    for _ in 0..MAX_ATTEMPTS {
        match unlink_record(cx, id, &record).await {
            Ok(Unlinked::Done(next)) => return (next, true),
            Ok(Unlinked::Conflict(fresher)) => record = fresher,
            Ok(Unlinked::Nothing) => break,
            Err(error) => {
                log::maintenance_failed(id, &error);
                break;
            }
        }
    }
    (record, false)
}

enum Unlinked {
    Done(Record),
    Conflict(Record),
    /// The record has no link any more, or the session has ended.
    Nothing,
}

async fn unlink_record(
    cx: &CommitContext<'_>,
    id: SessionId,
    base: &Record,
) -> Result<Unlinked, SessionError> {
    let mark = match MigrationMark::of(base.entries()) {
        Some(mark) if mark.from().is_some() => mark,
        _ => return Ok(Unlinked::Nothing),
    };
    let mut entries = base.entries().clone();
    mark.unlinked().put_into(&mut entries);
    let next = next_record(cx, id, base, entries, *base.digest(), None)?;
    Ok(match replace(cx, id, base, &next).await? {
        Updated::Updated => Unlinked::Done(next),
        Updated::Conflict(fresher) => Unlinked::Conflict(fresher),
        Updated::Ended(_) | Updated::Missing => Unlinked::Nothing,
    })
}
