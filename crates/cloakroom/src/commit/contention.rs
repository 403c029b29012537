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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloakroom_core::MemoryStore;
    use tokio::time::Instant;

    use super::*;
    use crate::budget::Budget;
    use crate::context::Context;
    use crate::error::SessionErrorKind;

    /// Backs off after so many conflicts, with random bits. Returns the result, and for how long it took.
    async fn pause(
        budget: Duration,
        conflicts: u32,
        random: u64,
    ) -> (Result<(), SessionError>, Duration) {
        let context = Arc::new(Context::new(MemoryStore::new()));
        let budget = Budget::new(budget);
        let cx = CommitContext::without_request(&context, &budget);
        let began = Instant::now();
        let backed_off = back_off(&cx, conflicts, Revision::from_bits(random)).await;
        (backed_off, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_with_many_conflicts_waits_for_a_random_time_that_grows_to_sixteen_milliseconds()
     {
        let millis = Duration::from_millis;
        let random = 0b1111;
        for (conflicts, longest) in [
            (CONFLICTS_BEFORE_BACKOFF, millis(1)),
            (CONFLICTS_BEFORE_BACKOFF + 1, millis(3)),
            (CONFLICTS_BEFORE_BACKOFF + 2, millis(7)),
            (CONFLICTS_BEFORE_BACKOFF + 3, millis(15)),
            (CONFLICTS_BEFORE_BACKOFF + 1000, millis(15)),
        ] {
            let (backed_off, paused) = pause(millis(1000), conflicts, random).await;
            assert!(backed_off.is_ok());
            // Tokio's timers are accurate to a millisecond.
            assert!(
                paused >= longest && paused <= longest + millis(1),
                "{paused:?}, {conflicts}"
            );
        }
        for (conflicts, random) in [
            (0, random),
            (15, random),
            (CONFLICTS_BEFORE_BACKOFF, 0b1110),
        ] {
            let (backed_off, paused) = pause(millis(1000), conflicts, random).await;
            assert!(backed_off.is_ok());
            assert!(paused <= millis(1), "{paused:?}, {conflicts}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_has_no_time_left_to_wait_fails() {
        let (backed_off, _) = pause(Duration::from_millis(5), 20, 15).await;
        let error = backed_off.expect_err("it would have to wait for longer");
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    }
}
