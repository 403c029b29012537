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
    follow_up_creation(cx, live, user, index);
    Ok(true)
}

/// Removes the link to the legacy session from a record, and then ends the legacy session: in this order,
/// so that a server which finds no legacy session sees that it need not exist. Returns the record as it is
/// stored then. If the update fails, nothing has changed; if only the end fails, the legacy session expires
/// by itself.
pub(crate) async fn unlink(
    cx: &CommitContext<'_>,
    id: SessionId,
    mut record: Record,
    legacy: &LegacyId,
) -> Record {
    for _ in 0..MAX_ATTEMPTS {
        match unlink_record(cx, id, &record).await {
            Ok(Unlinked::Done(next)) => {
                record = next;
                break;
            }
            Ok(Unlinked::Conflict(fresher)) => record = fresher,
            Ok(Unlinked::Nothing) => return record,
            Err(error) => {
                log::maintenance_failed(id, &error);
                return record;
            }
        }
    }
    let is_linked = MigrationMark::of(record.entries()).is_some_and(|mark| mark.from().is_some());
    if let Some(migration) = &cx.context.migration
        && !is_linked
        && let Err(error) = migration.end(legacy, cx.budget).await
    {
        log::legacy_not_ended(&error);
    }
    record
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
    mark.without_legacy_id().put_into(&mut entries);
    let next = next_record(cx, id, base, entries, *base.digest(), None)?;
    Ok(match replace(cx, id, base, &next).await? {
        Updated::Updated => Unlinked::Done(next),
        Updated::Conflict(fresher) => Unlinked::Conflict(fresher),
        Updated::Ended(_) | Updated::Missing => Unlinked::Nothing,
    })
}
