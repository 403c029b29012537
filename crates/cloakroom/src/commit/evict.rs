//! Evict: ends the oldest sessions of a user who has more than the limit allows.
//!
//! A sign-in ends those that the index has given to it, which are few, before its own session is stored. If there
//! are more, because the limit is new or was lowered, a task in the background ends the others, group by
//! group. Each group has made progress when it is done: if the server stops in between, the next sign-in
//! continues.

use std::sync::Arc;

use cloakroom_core::index::MAX_EVICTED;
use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, SessionId, StoreError, StoreErrorKind, UserId};
use tracing::Instrument;

use super::context::CommitContext;
use super::group::end_group;
use super::successor::MAX_RENEWALS;
use crate::budget::Budget;
use crate::context::Context;
use crate::error::{Cause, SessionError};
use crate::telemetry::log;

/// How many groups one task ends at most: 65,536 sessions.
const MAX_GROUPS: usize = 1024;

/// What is known of the sessions that exceeded the limit, now that all of them have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evicted {
    All,
    /// At least one had been renewed after the index gave it to this sign-in. Its successor, which was added to the index
    /// before that and counts, may exceed the limit.
    WithSuccessor,
}

/// Ends the sessions that the index has given to the sign-in of a `new` one, and returns whether that is left: not if it had
/// to make room for one that was renewed meanwhile. `replaced` does not count.
///
/// # Errors
///
/// Fails if the store does.
pub(super) async fn make_room(
    cx: &CommitContext<'_>,
    user: &UserId,
    ids: &[SessionId],
    new: SessionId,
    replaced: Option<SessionId>,
) -> Result<bool, SessionError> {
    match evict(cx, user, ids).await? {
        Evicted::All => Ok(true),
        Evicted::WithSuccessor => is_left_after_eviction(cx, user, new, replaced).await,
    }
}

/// Ends sessions that exceed the limit, at most [`MAX_EVICTED`], within the time of the request.
async fn evict(
    cx: &CommitContext<'_>,
    user: &UserId,
    ids: &[SessionId],
) -> Result<Evicted, SessionError> {
    let ends = end_group(cx.context, of_user(user, ids), EndReason::LimitExceeded);
    let Some(group) = cx.budget.wait(ends).await else {
        return Err(StoreError::new(StoreErrorKind::OutcomeUnknown).into());
    };
    let error = group.error();
    let mut results = group.results.iter();
    let evicted = if results.any(|(_, ended)| was_renewed(ended)) {
        Evicted::WithSuccessor
    } else {
        Evicted::All
    };
    group.follow_up.start();
    error.map_or(Ok(evicted), Err)
}

fn was_renewed(ended: &Result<Ended, SessionError>) -> bool {
    matches!(ended, Ok(Ended::AlreadyEnded(tombstone)) if tombstone.reason() == EndReason::Renewed)
}

/// The new session of a sign-in was counted in place of the old one. But another request has renewed that in the meantime
/// (`ended`), or a sign-in has joined it, so there may be one session too many: ends the oldest. If the store fails, the
/// user's next sign-in does it.
///
/// # Errors
///
/// Fails if the new session is among those that are ended: the renewed one is newer.
pub(super) async fn evict_excess(
    cx: &CommitContext<'_>,
    user: &UserId,
    new: SessionId,
    ended: Option<SessionId>,
) -> Result<(), SessionError> {
    match is_left_after_eviction(cx, user, new, ended).await {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => {
            log::eviction_failed(&error);
            return Ok(());
        }
    }
    log::revoked_during_sign_in(new);
    Err(Cause::Undone.into())
}

/// Ends the oldest sessions above the limit, and returns whether the new one is left. `replaced` does not count. If one
/// of them is renewed meanwhile, its successor counts: it looks again, at most [`MAX_RENEWALS`] times in all.
///
/// # Errors
///
/// Fails if the store does. Then there may be one session too many, if the new one is kept.
async fn is_left_after_eviction(
    cx: &CommitContext<'_>,
    user: &UserId,
    new: SessionId,
    replaced: Option<SessionId>,
) -> Result<bool, SessionError> {
    let limit = cx.context.session_limit;
    let Some(limit) = limit.filter(|limit| limit.0.evict_oldest) else {
        return Ok(true);
    };
    let (key, now) = (cx.context.user_key(user), cx.now());
    let mut is_left = true;
    for _ in 0..MAX_RENEWALS {
        let excess = cx.store().index_evict(key, now, limit.0.most, replaced);
        let ids = cx.budget.write(excess).await?;
        is_left &= !ids.contains(&new);
        let evicted = evict(cx, user, &ids).await;
        evict_others(cx.context, user, ids.len(), replaced);
        if evicted? == Evicted::All {
            break;
        }
    }
    Ok(is_left)
}

/// After a sign-in that had to end as many sessions as it may: ends the others in the background.
/// `replaces` is the session that the sign-in is about to replace.
pub(super) fn evict_others(
    context: &Arc<Context>,
    user: &UserId,
    evicted: usize,
    replaces: Option<SessionId>,
) {
    if evicted < MAX_EVICTED {
        return;
    }
    let (Some(limit), Some(eviction)) = (
        context.session_limit,
        context.evictions.begin(context.user_key(user)),
    ) else {
        return;
    };
    let (context, user) = (Arc::clone(context), user.clone());
    let task = async move {
        let _eviction = eviction;
        if let Err(error) = evict_all(&context, &user, limit.0.most, replaces).await {
            log::eviction_failed(&error);
        }
    };
    tokio::spawn(task.in_current_span());
}

async fn evict_all(
    context: &Arc<Context>,
    user: &UserId,
    most: u32,
    replaces: Option<SessionId>,
) -> Result<(), SessionError> {
    let key = context.user_key(user);
    for _ in 0..MAX_GROUPS {
        let budget = Budget::new(context.budget);
        let now = context.clock.now();
        let excess = context.store.index_evict(key, now, most, replaces);
        let ids = budget.write(excess).await?;
        if ids.is_empty() {
            break;
        }
        let group = end_group(context, of_user(user, &ids), EndReason::LimitExceeded).await;
        let error = group.error();
        group.follow_up.finish().await;
        if let Some(error) = error {
            return Err(error);
        }
    }
    Ok(())
}

fn of_user(user: &UserId, ids: &[SessionId]) -> Vec<(SessionId, Option<UserId>)> {
    ids.iter().map(|id| (*id, Some(user.clone()))).collect()
}
