//! Ends all sessions of the store, after a leak.

use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, Expiry, Limits, SessionId, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::sessions::{RevokedBy, Sessions};
use crate::error::SessionError;
use crate::revocation::MAX_AGE;

/// How many sessions are ended concurrently.
const CONCURRENCY: usize = 64;

/// How much the clocks of servers may differ.
const MARGIN: Duration = Duration::from_secs(1);

impl Sessions {
    /// Ends every session in the store, of all users and anonymous ones, of every layer that shares the
    /// store's key prefix: after a leak, for instance. Returns how many have ended.
    ///
    /// It takes nine seconds plus the time to end the sessions, and for nine seconds nobody can sign in
    /// (503). When it returns, no session that was created before the call is accepted by any server, not
    /// even one that a backup or a failover brings back:
    ///
    /// 1. The time "revoked before" is written to the store, by the store's clock. Every server reads it at
    ///    least every eight seconds while it serves sessions; a server that cannot refuses sessions (503). A
    ///    session that was created before that time is refused.
    /// 2. After nine seconds, all sessions on all nodes are ended, one by one, so that watches are notified,
    ///    and their data is removed.
    ///
    /// The sessions of a server whose clock is ahead of the store's are ended as well. But one of them that a
    /// backup brings back is accepted, if it was created at a time that was later by that clock. A server whose
    /// clock is behind the store's refuses sign-ins for that much longer.
    ///
    /// If a clock was wrong when "revoked before" was written, it may be far in the future: nobody can sign in
    /// until then, and an error is logged. Calling this again repairs it: a time more than a minute later than
    /// it should be is replaced.
    ///
    /// It runs to its end even if the future is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the store fails, or keeps no index of users: call it again. Once "revoked before" is
    /// written it applies, even if not all sessions could be ended.
    pub async fn revoke_everyone(&self) -> Result<usize, SessionError> {
        let sessions = self.clone();
        let task = tokio::spawn(async move { sessions.revoke_and_end_all().await });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(cloakroom_core::StoreError::new(
                cloakroom_core::StoreErrorKind::OutcomeUnknown,
            )
            .into()),
        }
    }

    async fn revoke_and_end_all(self) -> Result<usize, SessionError> {
        let store = &self.context.store;
        // In the future, so that every server has read it when it begins to apply.
        let write = store.set_revoked_before(MAX_AGE + MARGIN, Expiry::MAX);
        let revoked_before = self.budget().write(write).await?;
        let known = &self.context.revoked_before;
        let clock = &*self.context.clock;
        known.read(&**store, clock, &self.budget()).await?;
        let written = Instant::now();
        sleep(MAX_AGE + MARGIN).await;
        // Without a budget: the scan takes as long as it takes, and the store limits each of its commands.
        let ids = store.scan_ids().await?;
        let (mut count, mut failed) = (0, None);
        for chunk in ids.chunks(CONCURRENCY) {
            let mut tasks = JoinSet::new();
            for &id in chunk {
                let sessions = self.clone();
                // A session with a later id was created by a clock that is ahead.
                let since_then = written.elapsed().saturating_sub(MAX_AGE + MARGIN);
                let latest = revoked_before.plus(since_then + Limits::CLOCK_TOLERANCE);
                tasks.spawn(async move { sessions.end_if_alive(id, latest).await });
            }
            for ended in tasks.join_all().await {
                match ended {
                    Ok(ended) => count += usize::from(ended),
                    Err(error) => failed = Some(error),
                }
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Ends a session, unless it was created since: after "revoked before", and not after `latest`, which is
    /// in the future.
    async fn end_if_alive(&self, id: SessionId, latest: Timestamp) -> Result<bool, SessionError> {
        let Loaded::Record(record) = self.load(id).await? else {
            return Ok(false);
        };
        let created = id.created_at();
        let revoked_before = self.context.revoked_before(&self.budget()).await?;
        if (revoked_before..=latest).contains(&created) {
            return Ok(false);
        }
        let user = Authentication::of(record.entries());
        let user = user.as_ref().map(Authentication::user);
        self.end_one(id, user, RevokedBy::Admin.reason()).await
    }
}
