//! The legacy session that a migrated session is linked with: they end together.

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::store::Loaded;
use cloakroom_core::{Record, SessionId, StoreErrorKind};

use super::read::read;
use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;
use crate::migration::{LegacyId, Migration};

/// The state of the link between a migrated session and its legacy session.
pub(super) enum Link {
    /// Both sessions are live.
    Live(Record),
    /// The session is not linked any more.
    Removed(Record),
    /// The legacy session has ended, and the session with it. The record is `None` if the session has been
    /// ended already.
    Ended(Option<Record>),
}

/// Returns the legacy session that a session is linked with.
pub(super) fn legacy_id_of(context: &Context, id: SessionId, record: &Record) -> Option<LegacyId> {
    let migration = context.migration.as_ref()?;
    if !record.entries().contains(MigrationMark::KEY) {
        return None;
    }
    migration.linked_id(&context.realm, id, record.entries())
}

/// Returns the legacy session of a session that is linked, or was before and may still have it.
pub(super) fn former_legacy_id_of(
    context: &Context,
    id: SessionId,
    record: &Record,
) -> Option<LegacyId> {
    let migration = context.migration.as_ref()?;
    migration.legacy_id(&context.realm, id, record.entries())
}

/// Reads the legacy session of a linked session.
pub(super) async fn read_link(
    context: &Context,
    id: SessionId,
    record: Record,
    legacy: &LegacyId,
    budget: &Budget,
) -> Result<Link, SessionError> {
    let Some(migration) = &context.migration else {
        return Ok(Link::Removed(record));
    };
    if is_live(migration, legacy, &record, budget).await? {
        return Ok(Link::Live(record));
    }
    // In the second phase, a server may have removed the link and ended the legacy session since the
    // record was read. It removes the link first, so the record shows it by now.
    let Some(Loaded::Record(record)) = read(context, id, budget).await? else {
        return Ok(Link::Ended(None));
    };
    if legacy_id_of(context, id, &record).is_none() {
        return Ok(Link::Removed(record));
    }
    Ok(Link::Ended(Some(record)))
}

/// Whether the legacy session is live, and has the same user. One that cannot be decoded counts as live.
async fn is_live(
    migration: &Migration,
    legacy: &LegacyId,
    record: &Record,
    budget: &Budget,
) -> Result<bool, SessionError> {
    match migration.read(legacy, budget).await {
        Ok(Some(legacy)) => Ok(migration.have_same_user(&legacy.entries, record.entries())),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(true),
        Err(error) => Err(error.into()),
    }
}
