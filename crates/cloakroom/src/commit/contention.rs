//! Commits that compete for one session: the lock within this process, and backing off for other servers.

use std::time::Duration;

use cloakroom_core::{Revision, SessionId, StoreError, StoreErrorKind};

use super::context::CommitContext;
use crate::error::{Cause, SessionError};
use crate::key_lock::{KeyLock, TooManyWriters};
use crate::telemetry::log;

/// From this number of conflicts in a row on, a commit backs off before it tries again.
const CONFLICTS_BEFORE_BACKOFF: u32 = 16;

/// Waits for the lock of a session, unless too many requests wait for it already: that is an error at once.
pub(super) async fn lock_key<'a>(
    cx: &CommitContext<'a>,
    id: SessionId,
) -> Result<KeyLock<'a>, SessionError> {
    match cx.budget.wait(cx.context.key_locks.lock(id)).await {
        Some(Ok(lock)) => Ok(lock),
        Some(Err(TooManyWriters)) => {
            log::too_many_writers(id);
            Err(Cause::TooManyWriters.into())
        }
        None => Err(timed_out()),
    }
}

/// After many conflicts, waits for a random time that grows with their number, so that another server
/// gets its turn.
pub(super) async fn back_off(
    cx: &CommitContext<'_>,
    conflicts: u32,
    random: Revision,
) -> Result<(), SessionError> {
    let Some(excess) = conflicts.checked_sub(CONFLICTS_BEFORE_BACKOFF) else {
        return Ok(());
    };
    let max_millis = 2 << excess.min(3);
    let pause = Duration::from_millis(random.to_bits() % max_millis);
    let paused = cx.budget.wait(tokio::time::sleep(pause)).await;
    paused.ok_or_else(timed_out)
}

/// The time is used up before anything was written.
fn timed_out() -> SessionError {
    StoreError::new(StoreErrorKind::Unavailable).into()
}
