//! From an old cookie to the session that takes the old one's place.

use std::sync::Arc;

use cloakroom_core::entries::is_reserved;
use cloakroom_core::store::Loaded;
use cloakroom_core::{
    Authentication, EndReason, Entries, Limits, Record, Revision, StoreErrorKind, Timestamp, Token,
};

use super::check::live;
use super::read::{read, recent};
use crate::budget::Budget;
use crate::commit::Committer;
use crate::context::Context;
use crate::error::{SessionError, SessionErrorKind};
use crate::migration::{Arrivals, OldId, OldSession, Presented};
use crate::state::{Found, Live, Standing};
use crate::telemetry::log;

/// What an old cookie led to.
#[derive(Debug)]
enum Arrived {
    Live(Live),
    /// The session had moved in, and has ended here.
    Ended,
    /// There is no session, neither here nor there.
    Nothing,
    /// There is one that cannot move in. It is left as it is.
    Refused,
}

/// Finds the session of a request whose own cookie has led to none, by its old cookie. In the last
/// phase, the old session and cookie go.
pub(crate) async fn find(
    context: &Arc<Context>,
    arrivals: &Arrivals,
    presented: Presented<'_>,
    standing: Standing,
    budget: &Budget,
) -> Result<Found, SessionError> {
    let mut found = Found::by_ticket(standing);
    let mut is_left = false;
    if !matches!(found.standing, Standing::Live(_)) {
        for old in presented.ids {
            match (
                arrive(context, arrivals, old, budget).await?,
                &found.standing,
            ) {
                (Arrived::Live(second), Standing::Live(first)) => {
                    log::two_live_cookies(first.token.id(), second.token.id());
                    return Ok(Found::by_ticket(Standing::Nothing));
                }
                (Arrived::Live(live), _) => found = Found::by_old_cookie(live),
                (Arrived::Ended, Standing::Nothing) => found.standing = Standing::Tombstoned,
                (Arrived::Refused, _) => is_left = true,
                (Arrived::Ended | Arrived::Nothing, _) => {}
            }
        }
    }
    if arrivals.is_last_phase() && !is_left {
        leave_behind(arrivals, presented, budget).await;
    }
    Ok(found)
}

/// Nobody uses the old sessions any more. One that cannot be ended now keeps its cookie, so that a
/// later request tries again.
async fn leave_behind(arrivals: &Arrivals, presented: Presented<'_>, budget: &Budget) {
    for old in presented.ids {
        if let Err(error) = arrivals.end(old, budget).await {
            log::old_not_ended(&error);
            return;
        }
    }
    presented.let_cookie_go();
}

async fn arrive(
    context: &Arc<Context>,
    arrivals: &Arrivals,
    old: &OldId,
    budget: &Budget,
) -> Result<Arrived, SessionError> {
    let token = arrivals.token(&context.realm, old);
    let id = token.id();
    if context.clock.now().since(id.created_at()) > context.longest_life() {
        return Ok(Arrived::Nothing);
    }
    let there = recent(context, id, budget).await?;
    if let Some(arrived) = look(context, arrivals, (old, &token), there, budget).await? {
        return Ok(arrived);
    }
    match arrivals.read(old, budget).await {
        Ok(Some(session)) => begin(context, arrivals, (old, token), session, budget).await,
        Ok(None) => {
            // It may have moved in just now, and be gone there for that.
            let now = read(context, id, budget).await?;
            let arrived = look(context, arrivals, (old, &token), now, budget).await?;
            Ok(arrived.unwrap_or(Arrived::Nothing))
        }
        Err(error) if error.kind() == StoreErrorKind::Unreadable => {
            context.once.not_moved(id, "unreadable");
            Ok(Arrived::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is there in the old session's place; `None` if nothing is.
async fn look(
    context: &Arc<Context>,
    arrivals: &Arrivals,
    (old, token): (&OldId, &Token),
    there: Option<Loaded>,
    budget: &Budget,
) -> Result<Option<Arrived>, SessionError> {
    let id = token.id();
    let digest = context.realm.digest(token);
    Ok(match there {
        Some(Loaded::Nothing) => None,
        Some(Loaded::Record(record)) if *record.digest() == digest => {
            let token = token.clone();
            Some(match live(context, Live { token, record }, budget).await? {
                Standing::Live(live) => Arrived::Live(live),
                Standing::Tombstoned => Arrived::Ended,
                Standing::Nothing => Arrived::Nothing,
            })
        }
        Some(Loaded::Tombstone(tombstone)) => {
            log::ended_token(id, tombstone.reason());
            // Whoever ended it here did not know of the old session, or could not reach it; once the
            // tombstone is gone, it must not begin again. But if it had ended there, this may be
            // its successor.
            if tombstone.reason() != EndReason::AtOrigin
                && let Err(error) = arrivals.end(old, budget).await
            {
                log::old_not_ended(&error);
            }
            Some(Arrived::Ended)
        }
        // Unreadable, or not to be opened by this token.
        Some(Loaded::Record(_)) | None => Some(Arrived::Refused),
    })
}

/// Begins the session. Of several who try, one succeeds, and the others find its session.
async fn begin(
    context: &Arc<Context>,
    arrivals: &Arrivals,
    (old, token): (&OldId, Token),
    session: OldSession,
    budget: &Budget,
) -> Result<Arrived, SessionError> {
    let id = token.id();
    let epoch = context.epoch.began(context, budget).await?;
    if id.created_at() < epoch {
        log::before_epoch(id);
        return Ok(Arrived::Nothing);
    }
    let now = context.clock.now();
    let entries = entries_of(arrivals, (old, &token), &session, now);
    let begun = Limits::begin(context.rule(&entries), now);
    let limits = match session.deadline {
        Some(deadline) => begun.until(deadline.into()),
        None => begun,
    };
    let record = Record::new(
        Revision::draw(&*context.entropy)?,
        now,
        limits,
        context.realm.digest(&token),
        entries,
    );
    let live = Live {
        token: token.clone(),
        record,
    };
    match Committer::of(context, budget).move_in(&live).await {
        Ok(true) => return Ok(Arrived::Live(live)),
        Ok(false) => {}
        Err(error) if error.kind() == SessionErrorKind::TooLarge => {
            context.once.not_moved(id, "too_large");
            return Ok(Arrived::Refused);
        }
        Err(error) if error.kind() == SessionErrorKind::Ended => {
            context.once.not_moved(id, "expired");
            return Ok(Arrived::Refused);
        }
        Err(error) if error.kind() != SessionErrorKind::OutcomeUnknown => return Err(error),
        // It does not matter whose creation it was: all of them write the same session.
        Err(error) => {
            let Ok(there) = read(context, id, budget).await else {
                return Err(error);
            };
            let arrived = look(context, arrivals, (old, &token), there, budget).await;
            return arrived.ok().flatten().ok_or(error);
        }
    }
    let there = read(context, id, budget).await?;
    let arrived = look(context, arrivals, (old, &token), there, budget).await?;
    Ok(arrived.unwrap_or(Arrived::Nothing))
}

/// What the session begins with. An old entry of the library's own name could pass for it.
fn entries_of(
    arrivals: &Arrivals,
    (old, token): (&OldId, &Token),
    session: &OldSession,
    now: Timestamp,
) -> Entries {
    let mut entries = session.entries.clone();
    let reserved: Vec<String> = entries
        .keys()
        .filter(|key| is_reserved(key))
        .map(str::to_owned)
        .collect();
    for key in reserved {
        entries.remove(&key);
        log::old_entry_left(token.id(), &key);
    }
    arrivals.mark(token.id(), old, now).put_into(&mut entries);
    if let Some(user) = arrivals.user(&session.entries) {
        // Longer ago than anybody asks for.
        Authentication::new(user, Timestamp::from_millis(0)).put_into(&mut entries);
    }
    entries
}
