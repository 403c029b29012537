//! Ends all sessions of the store, after a leak.

use std::ops::RangeInclusive;
use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, Expiry, Limits, SessionId, Timestamp};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::sessions::{RevokedBy, Sessions};
use crate::commit::{MAX_GROUP, WorstError, end_group};
use crate::error::SessionError;
use crate::revocation::MAX_AGE;
use crate::store::is_undecodable;

/// How much the clocks of servers may differ.
const MARGIN: Duration = Duration::from_secs(1);

/// The sessions that a pass over the store spares.
#[derive(Clone, Copy)]
enum Spared {
    /// Those that were created before "revoked before". While that is in the future, any other one is of a clock that
    /// is ahead. Later it would look like one that was created since, so the pass ends at this time.
    Earlier(Instant),
    /// Those that were created since "revoked before", which applies from this time on.
    Since(Instant),
}

impl Spared {
    /// The times of creation of these sessions.
    fn times(self, revoked_before: Timestamp) -> RangeInclusive<Timestamp> {
        match self {
            Self::Earlier(_) => {
                let last = revoked_before.as_millis().saturating_sub(1);
                Timestamp::from_millis(0)..=Timestamp::from_millis(last)
            }
            Self::Since(applies_at) => {
                // A session with a later id was created by a clock that is ahead.
                let since_then = applies_at.elapsed() + Limits::CLOCK_TOLERANCE;
                revoked_before..=revoked_before.plus(since_then)
            }
        }
    }
}

impl Sessions {
    /// Ends every session in the store, of all users and anonymous ones, of every layer that shares the
    /// store's key prefix: after a leak, for instance. Returns how many it has ended.
    ///
    /// It takes nine seconds plus the time to end the sessions, and for nine seconds nobody can sign in
    /// (503). When it returns, no session that was created before the call is accepted by any server, not
    /// even one that a backup or a failover brings back:
    ///
    /// 1. The time "revoked before" is written to the store, by the store's clock. Every server reads it at
    ///    least every eight seconds while it serves sessions; a server that cannot refuses sessions (503). A
    ///    session that was created before that time is refused, and the request that presents it ends it on all servers.
    /// 2. The sessions whose ids are from a later time already are ended: those of clocks that are ahead. That stops
    ///    after nine seconds, when others can sign in again. So if it takes longer to read the ids of all sessions, one
    ///    of a clock that was more than nine seconds ahead may be kept.
    /// 3. After nine seconds, all sessions on all nodes are ended, one by one, so that watches are notified,
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
    /// Fails if the store fails: call it again. Fails with
    /// [`Unsupported`](crate::SessionErrorKind::Unsupported) if the store has no
    /// [`StoreAdmin`](cloakroom_core::StoreAdmin). Once "revoked before" is written it applies, even if not
    /// all sessions could be ended.
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
        let delay = MAX_AGE + MARGIN;
        // By the clock of the store, it applies at this time or later.
        let earliest = Instant::now() + delay;
        // In the future, so that every server has read it when it begins to apply.
        let write = store.set_revoked_before(delay, Expiry::MAX);
        let revoked_before = self.budget().write(write).await?;
        let known = &self.context.revoked_before;
        let clock = &*self.context.clock;
        known.read(&**store, clock, &self.budget()).await?;
        let applies_at = Instant::now() + delay;
        let ahead = self
            .end_unless_spared(revoked_before, Spared::Earlier(earliest))
            .await;
        sleep_until(applies_at).await;
        let all = self
            .end_unless_spared(revoked_before, Spared::Since(applies_at))
            .await;
        let mut failed = WorstError::default();
        failed.add_all(ahead.as_ref().err().cloned());
        failed.add_all(all.as_ref().err().cloned());
        failed.take()?;
        Ok(ahead.unwrap_or_default() + all.unwrap_or_default())
    }

    /// Ends all sessions of the store that are not spared. Returns how many have ended.
    async fn end_unless_spared(
        &self,
        revoked_before: Timestamp,
        spared: Spared,
    ) -> Result<usize, SessionError> {
        let (mut count, mut failed) = (0, WorstError::default());
        let mut from = None;
        loop {
            // Without a budget: the store limits the time of each page.
            let scan = self.context.store.scan_ids(from.as_ref());
            let mut page = match spared {
                Spared::Earlier(until) => match timeout_at(until, scan).await {
                    Ok(page) if Instant::now() < until => page?,
                    // The other pass goes over all sessions again.
                    Ok(_) | Err(_) => break,
                },
                Spared::Since(_) => scan.await?,
            };
            if let Spared::Earlier(_) = spared {
                page.ids.retain(|id| id.created_at() >= revoked_before);
            }
            for ids in page.ids.chunks(MAX_GROUP) {
                match self.end_found(ids, revoked_before, spared).await {
                    Ok(ended) => count += ended,
                    Err(error) => failed.add(error),
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        failed.take().map(|()| count)
    }

    /// Ends those of these sessions that are not spared. Returns how many have ended. One that fails does not keep the
    /// others alive.
    async fn end_found(
        &self,
        ids: &[SessionId],
        revoked_before: Timestamp,
        spared: Spared,
    ) -> Result<usize, SessionError> {
        // It may have been set to a later time meanwhile.
        let known = self.context.revoked_before(&self.budget()).await?;
        let spared = spared.times(revoked_before.max(known));
        let (mut sessions, mut failed) = (Vec::new(), WorstError::default());
        for (id, loaded) in self.load_many(ids).await {
            let user = match loaded {
                Ok(Loaded::Record(record)) => Authentication::of(record.entries()),
                Ok(Loaded::Tombstone(_) | Loaded::Nothing) => continue,
                // The tombstone replaces whatever is stored.
                Err(error) if is_undecodable(&error) => None,
                Err(error) => {
                    failed.add(error.into());
                    continue;
                }
            };
            if !spared.contains(&id.created_at()) {
                sessions.push((id, user.map(|user| user.user().clone())));
            }
        }
        let group = end_group(&self.context, sessions, RevokedBy::Admin.reason()).await;
        let ended = group.count();
        failed.add_all(group.error());
        group.follow_up.finish().await;
        failed.take().map(|()| ended)
    }
}
