//! Migrate: creates a migrated session, and in the second phase unlinks it from its legacy session.

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::store::Updated;
use cloakroom_core::{Authentication, Record, SessionId};

use super::context::CommitContext;
use super::create::{Attempt, CreateOptions, attempt, follow_up_creation};
use super::index::Owner;
use super::record::{check_size, next_record, replace};
use crate::error::SessionError;
use crate::migration::LegacyId;
use crate::state::Live;
use crate::telemetry::log;

/// How many conflicts an attempt to edit the mark of a session accepts.
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
        has_fresh_token: false,
    };
    let owner = Owner::of(cx, user);
    let index = match attempt(cx, live, owner.as_ref(), options).await? {
        Attempt::Created(index) => index,
        // It has no limit.
        Attempt::Collision | Attempt::Evicted => return Ok(false),
        Attempt::Failed(error) => return Err(error.into()),
    };
    log::migrated(live.id());
    follow_up_creation(cx, live, user, index);
    Ok(true)
}

/// Removes the link to the legacy session from a record, ends the legacy session, and then removes its id from the
/// record. Returns the record as it is stored then.
///
/// The link goes first, so that a server which finds no legacy session sees that it need not exist. The id goes last: if
/// this fails before, the end of the session also ends the legacy session, and the next request tries again.
pub(crate) async fn unlink(
    cx: &CommitContext<'_>,
    id: SessionId,
    record: Record,
    legacy: &LegacyId,
) -> Record {
    let Some(migration) = &cx.context.migration else {
        return record;
    };
    let remove_link = |mark: MigrationMark| mark.from().is_some().then(|| mark.unlinked());
    let record = edit_mark(cx, id, record, remove_link).await;
    if !is_unlinked(&record) {
        return record;
    }
    if let Err(error) = migration.end(legacy, cx.budget).await {
        log::legacy_not_ended(&error);
        return record;
    }
    // Nothing links a session again.
    let remove_id =
        |mark: MigrationMark| mark.legacy_id().is_some().then(|| mark.without_legacy_id());
    edit_mark(cx, id, record, remove_id).await
}

/// Whether a session is not linked with its legacy session any more, which may still exist.
fn is_unlinked(record: &Record) -> bool {
    let mark = MigrationMark::of(record.entries());
    mark.is_some_and(|mark| mark.from().is_none() && mark.legacy_id().is_some())
}

/// Replaces the mark of a migrated session, unless `edit` returns `None` for the one that is stored. Returns the record
/// as it is stored then. If it cannot be updated, or has ended, nothing has changed.
async fn edit_mark(
    cx: &CommitContext<'_>,
    id: SessionId,
    mut record: Record,
    edit: impl Fn(MigrationMark) -> Option<MigrationMark>,
) -> Record {
    for _ in 0..MAX_ATTEMPTS {
        let Some(mark) = MigrationMark::of(record.entries()).and_then(&edit) else {
            break;
        };
        match replace_mark(cx, id, &record, &mark).await {
            Ok((Updated::Updated, next)) => return next,
            Ok((Updated::Conflict(fresher), _)) => record = fresher,
            Ok((Updated::Ended(_) | Updated::Missing, _)) => break,
            Err(error) => {
                log::maintenance_failed(id, &error);
                break;
            }
        }
    }
    record
}

async fn replace_mark(
    cx: &CommitContext<'_>,
    id: SessionId,
    base: &Record,
    mark: &MigrationMark,
) -> Result<(Updated, Record), SessionError> {
    let mut entries = base.entries().clone();
    mark.put_into(&mut entries);
    let next = next_record(cx, id, base, entries, *base.digest(), None)?;
    let updated = replace(cx, id, base, &next).await?;
    Ok((updated, next))
}
