//! Ending everything, after a leak.

use std::time::Duration;

use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, Expiry, SessionId};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::sessions::{EndedBy, Sessions};
use crate::error::SessionError;
use crate::revocation::VALID;

/// So many sessions are ended at a time.
const AT_A_TIME: usize = 64;

/// What clocks may differ by, beyond what the sweep makes up for.
const MARGIN: Duration = Duration::from_secs(1);

impl Sessions {
    /// Ends every session in the store: of all users and of nobody, of every layer that shares the
    /// store's key prefix. For the day after a leak. Gives how many ended.
    ///
    /// It takes nine seconds and the sweep, and during the nine seconds nobody can sign in (503).
    /// When it returns, no session that began before the call opens anything, on any server, nor does
    /// one that a backup or a failover brings back:
    ///
    /// 1. An epoch is written to the store. Every server looks at it at least every eight seconds
    ///    while it serves sessions; one that cannot refuses them (503). A session that began before
    ///    the epoch is refused.
    /// 2. After that time, all sessions on all nodes are ended, one by one, so that who watches them
    ///    hears of it, and nothing is left of what they held.
    ///
    /// It goes on if nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// When the store fails, or keeps no index of users: call it again. Once the epoch is written it
    /// holds, whatever becomes of the sweep.
    pub async fn end_everything(&self) -> Result<usize, SessionError> {
        let sessions = self.clone();
        let task = tokio::spawn(async move { sessions.end_it_all().await });
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

    async fn end_it_all(self) -> Result<usize, SessionError> {
        let store = &self.context.store;
        let begins = self.context.clock.now().plus(VALID + MARGIN);
        let begin = store.begin_epoch(begins, Expiry::LONGEST);
        self.budget().write(begin).await?;
        self.context
            .epoch
            .look(&self.context, &self.budget())
            .await?;
        // By then every server goes by it, or by nothing.
        sleep(VALID + MARGIN).await;
        // As long as it takes: each of its commands has a time limit of its own.
        let ids = store.everything().await?;
        let (mut count, mut failed) = (0, None);
        for some in ids.chunks(AT_A_TIME) {
            let mut tasks = JoinSet::new();
            for &id in some {
                let sessions = self.clone();
                tasks.spawn(async move { sessions.end_if_alive(id).await });
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

    async fn end_if_alive(&self, id: SessionId) -> Result<bool, SessionError> {
        let Loaded::Record(record) = self.load(id).await? else {
            return Ok(false);
        };
        // Signed in since.
        if id.created_at()
            >= self
                .context
                .epoch
                .began(&self.context, &self.budget())
                .await?
        {
            return Ok(false);
        }
        let user = Authentication::of(record.entries());
        let user = user.as_ref().map(Authentication::user);
        self.end_one(id, user, EndedBy::Admin.reason()).await
    }
}
