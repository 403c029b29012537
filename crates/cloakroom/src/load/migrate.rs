//! Finds the session of a request by its legacy cookie, and migrates it if that has not been done.

use std::sync::Arc;

use cloakroom_core::entries::is_reserved;
use cloakroom_core::store::Loaded;
use cloakroom_core::{
    Authentication, EndReason, Entries, Limits, Record, Revision, StoreErrorKind, Timestamp, Token,
};

use super::cached::accept_cached;
use super::check::lookup;
use super::linked::legacy_id_of;
use super::read::read;
use crate::budget::Budget;
use crate::commit::{CommitContext, create_migrated, unlink};
use crate::context::Context;
use crate::error::{SessionError, SessionErrorKind};
use crate::migration::{LegacyCookies, LegacyId, LegacySession, Migration};
use crate::plan::Lookup;
use crate::state::{Found, Live};
use crate::telemetry::log;

/// The result of looking up a session by a legacy id.
#[derive(Debug)]
enum Migrated {
    Live(Live),
    /// The session was migrated, and has ended since.
    Ended,
    /// There is no session, neither here nor in the legacy store.
    Absent,
    /// There is one that cannot be migrated. It is kept as it is.
    Refused,
}

/// One legacy session, the token to which it is migrated, and what the steps need.
#[derive(Clone, Copy)]
struct MigrationStep<'a> {
    context: &'a Arc<Context>,
    migration: &'a Migration,
    legacy: &'a LegacyId,
    token: &'a Token,
    budget: &'a Budget,
}

/// Finds the session of a request by its legacy cookies, unless its own cookie has led to a live session.
/// In the second phase, the legacy sessions and the legacy cookie are removed.
pub(super) async fn find(
    context: &Arc<Context>,
    migration: &Migration,
    cookies: &LegacyCookies,
    mut found: Found,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let mut is_kept = false;
    if !matches!(found.lookup, Lookup::Live(_)) {
        let mut sessions = Vec::new();
        for legacy in cookies.ids() {
            let token = &migration.token(&context.realm, legacy);
            let step = MigrationStep {
                context,
                migration,
                legacy,
                token,
                budget,
            };
            match (find_or_migrate(step).await?, &found.lookup) {
                (Migrated::Live(live), _) => sessions.push(live),
                (Migrated::Ended, Lookup::Absent) => found.lookup = Lookup::Ended,
                (Migrated::Refused, _) => is_kept = true,
                (Migrated::Ended | Migrated::Absent, _) => {}
            }
        }
        if let [first, second, ..] = &*sessions {
            log::two_live_cookies(first.id(), second.id());
            return Ok(Found::several(sessions));
        }
        if let Some(live) = sessions.pop() {
            found = Found::by_other_cookie(live);
        }
    }
    // A session that could not be unlinked would end with its legacy session: the next request tries again.
    if migration.is_cutover() && !is_kept && !is_linked(context, &found) {
        end_legacy_sessions(migration, cookies, budget).await;
    }
    Ok(found)
}

/// Whether the session that was found is still linked with a legacy session.
fn is_linked(context: &Context, found: &Found) -> bool {
    match &found.lookup {
        Lookup::Live(live) => legacy_id_of(context, live.id(), &live.record).is_some(),
        Lookup::Ended | Lookup::Absent => false,
    }
}

/// Ends the legacy sessions of a request, which no version of the app uses any more. If one cannot be
/// ended, the cookie is kept, so that a later request tries again. A session that was unlinked does not show that its
/// legacy session has ended: an old server may have saved it again, and earlier releases did not record a failure.
async fn end_legacy_sessions(migration: &Migration, cookies: &LegacyCookies, budget: &Budget) {
    for id in cookies.ids() {
        if let Err(error) = migration.end(id, budget).await {
            log::legacy_not_ended(&error);
            return;
        }
    }
    cookies.remove();
}

async fn find_or_migrate(step: MigrationStep<'_>) -> Result<Migrated, SessionError> {
    let MigrationStep {
        context,
        migration,
        legacy,
        token,
        budget,
    } = step;
    let id = token.id();
    let now = context.clock.now();
    if now.since(id.created_at()) > context.longest_life() {
        return Ok(Migrated::Absent);
    }
    if let Some(live) = accept_cached(context, token, now, budget).await? {
        return Ok(Migrated::Live(live));
    }
    let stored = read(context, id, budget).await?;
    if let Some(found) = find_migrated(step, stored).await? {
        return Ok(found);
    }
    match migration.read(legacy, budget).await {
        Ok(Some(session)) => migrate(step, &session).await,
        // A concurrent request may have migrated it, and ended the legacy session.
        Ok(None) => find_migrated_again(step).await,
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            context.once.migration_failed(id, "unreadable");
            Ok(Migrated::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the migrated session again, from the store itself.
async fn find_migrated_again(step: MigrationStep<'_>) -> Result<Migrated, SessionError> {
    let stored = read(step.context, step.token.id(), step.budget).await?;
    let found = find_migrated(step, stored).await?;
    Ok(found.unwrap_or(Migrated::Absent))
}

/// Returns the migrated session, or `None` if nothing is stored under its id.
async fn find_migrated(
    step: MigrationStep<'_>,
    stored: Option<Loaded>,
) -> Result<Option<Migrated>, SessionError> {
    let MigrationStep {
        context,
        migration,
        legacy,
        token,
        budget,
    } = step;
    match stored {
        Some(Loaded::Nothing) => Ok(None),
        Some(Loaded::Record(record)) if *record.digest() == context.realm.digest(token) => {
            let token = token.clone();
            let lookup = lookup(context, Live { token, record }, budget).await?;
            Ok(Some(match lookup {
                Lookup::Live(live) => Migrated::Live(live),
                Lookup::Ended => Migrated::Ended,
                Lookup::Absent => Migrated::Absent,
            }))
        }
        Some(Loaded::Tombstone(tombstone)) => {
            log::ended_token(token.id(), tombstone.reason());
            // If it was ended here, the legacy session may still be live: the request that ended it did not
            // know of the legacy session, or could not end it. It must not be migrated again once the
            // tombstone has expired. If it ended in the legacy store, a legacy session of that id is a new
            // one.
            if tombstone.reason() != EndReason::EndedInLegacyStore
                && let Err(error) = migration.end(legacy, budget).await
            {
                log::legacy_not_ended(&error);
            }
            Ok(Some(Migrated::Ended))
        }
        // A record that cannot be decoded, or has another token.
        Some(Loaded::Record(_)) | None => Ok(Some(Migrated::Refused)),
    }
}

/// Stores the migrated session. Of several concurrent attempts one succeeds, and the others find its
/// session.
async fn migrate(
    step: MigrationStep<'_>,
    session: &LegacySession,
) -> Result<Migrated, SessionError> {
    let MigrationStep {
        context,
        token,
        budget,
        ..
    } = step;
    let id = token.id();
    if id.created_at() < context.revoked_before(budget).await? {
        log::revoked(id);
        return Ok(Migrated::Absent);
    }
    let live = migrated_session(step, session)?;
    let cx = CommitContext::without_request(context, budget);
    match create_migrated(&cx, &live).await {
        Ok(true) => Ok(Migrated::Live(unlinked_in_cutover(step, &cx, live).await)),
        Ok(false) => find_migrated_again(step).await,
        Err(error) => match error.kind() {
            SessionErrorKind::TooLarge => {
                context.once.migration_failed(id, "too_large");
                Ok(Migrated::Refused)
            }
            SessionErrorKind::Ended => {
                context.once.migration_failed(id, "expired");
                Ok(Migrated::Refused)
            }
            SessionErrorKind::OutcomeUnknown => find_after_unknown(step, error).await,
            _ => Err(error),
        },
    }
}

/// In the second phase, ends the legacy session. If that fails, the next request tries again.
async fn unlinked_in_cutover(
    step: MigrationStep<'_>,
    cx: &CommitContext<'_>,
    mut live: Live,
) -> Live {
    if step.migration.is_cutover() {
        live.record = Box::pin(unlink(cx, live.id(), live.record, step.legacy)).await;
    }
    live
}

/// After an attempt of unknown outcome, returns the session if it is stored. It does not matter by which
/// request: all of them store the same session.
async fn find_after_unknown(
    step: MigrationStep<'_>,
    error: SessionError,
) -> Result<Migrated, SessionError> {
    let stored = read(step.context, step.token.id(), step.budget).await;
    let Ok(stored) = stored else {
        return Err(error);
    };
    match find_migrated(step, stored).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) | Err(_) => Err(error),
    }
}

fn migrated_session(
    step: MigrationStep<'_>,
    session: &LegacySession,
) -> Result<Live, SessionError> {
    let MigrationStep { context, token, .. } = step;
    let now = context.clock.now();
    let entries = migrated_entries(step, session, now);
    let mut limits = Limits::begin(context.rule(&entries), now);
    if let Some(deadline) = session.deadline {
        limits = limits.capped_at(deadline.into());
    }
    let record = Record::new(
        Revision::draw(&*context.rng)?,
        now,
        limits,
        context.realm.digest(token),
        entries,
    );
    Ok(Live {
        token: token.clone(),
        record,
    })
}

/// Returns the entries of a migrated session. Those with reserved keys are left out: they would be taken
/// for the library's own.
fn migrated_entries(step: MigrationStep<'_>, session: &LegacySession, now: Timestamp) -> Entries {
    let MigrationStep {
        migration,
        legacy,
        token,
        ..
    } = step;
    let id = token.id();
    let mut entries = session.entries.clone();
    let reserved: Vec<String> = entries
        .keys()
        .filter(|key| is_reserved(key))
        .map(str::to_owned)
        .collect();
    for key in reserved {
        entries.remove(&key);
        log::legacy_entry_skipped(id, &key);
    }
    migration.mark(id, legacy, now).put_into(&mut entries);
    if let Some(user) = migration.user(&session.entries) {
        // The time of the sign-in is unknown: so long ago that it never counts as recent.
        Authentication::new(user, Timestamp::from_millis(0)).put_into(&mut entries);
    }
    entries
}
