//! Ends all sessions of the store, after a leak.

use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, Expiry, Limits, SessionId, Timestamp};
use tokio::time::{Instant, sleep};

use super::sessions::{RevokedBy, Sessions};
use crate::commit::{MAX_GROUP, end_group};
use crate::error::SessionError;
use crate::revocation::MAX_AGE;

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
    /// It runs to its end even if the future is dropped. It holds one page of ids at a time, and ends a few sessions
    /// concurrently.
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
        let (mut count, mut failed) = (0, None);
        let mut from = None;
        loop {
            // Without a budget: the store limits the time of each page.
            let page = store.scan_ids(from.as_ref()).await?;
            for ids in page.ids.chunks(MAX_GROUP) {
                // A session with a later id was created by a clock that is ahead.
                let since_then = written.elapsed().saturating_sub(MAX_AGE + MARGIN);
                let latest = revoked_before.plus(since_then + Limits::CLOCK_TOLERANCE);
                match self.end_created_before(ids, revoked_before, latest).await {
                    Ok(ended) => count += ended,
                    Err(error) => failed = Some(error),
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Ends those sessions that were not created since: after "revoked before", and not after `latest`, which is
    /// in the future. Returns how many have ended. One that fails does not keep the others alive.
    async fn end_created_before(
        &self,
        ids: &[SessionId],
        revoked_before: Timestamp,
        latest: Timestamp,
    ) -> Result<usize, SessionError> {
        // It may have been set to a later time meanwhile.
        let known = self.context.revoked_before(&self.budget()).await?;
        let revoked_before = revoked_before.max(known);
        let (mut sessions, mut failed) = (Vec::new(), None);
        for (id, loaded) in self.load_many(ids).await {
            match loaded {
                Ok(Loaded::Record(record)) => {
                    if !(revoked_before..=latest).contains(&id.created_at()) {
                        let user = Authentication::of(record.entries());
                        sessions.push((id, user.map(|user| user.user().clone())));
                    }
                }
                Ok(Loaded::Tombstone(_) | Loaded::Nothing) => {}
                Err(error) => failed = Some(error.into()),
            }
        }
        let group = end_group(&self.context, sessions, RevokedBy::Admin.reason()).await;
        let (ended, error) = (group.count(), group.error());
        group.follow_up.finish().await;
        error.or(failed).map_or(Ok(ended), Err)
    }
}
