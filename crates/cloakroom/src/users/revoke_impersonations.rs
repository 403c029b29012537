//! Ends the sessions in which others impersonate a user whose sessions are all revoked.

use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, EndReason, SessionId, UserId};

use super::revoke::Progress;
use super::sessions::Sessions;
use crate::commit::{MAX_GROUP, end_group};
use crate::error::SessionError;

impl Sessions {
    /// Ends the sessions in the index of a user's impersonations, group by group, and removes them from it. An id is
    /// added to that index before its session is stored, so one that is about to be stored is ended as well, unless a
    /// session is kept: it may continue in that one.
    pub(super) async fn end_impersonations_once(
        &self,
        user: &UserId,
        kept: Option<SessionId>,
        progress: &mut Progress,
    ) -> Result<(), SessionError> {
        let key = self.context.impersonation_key(user);
        let mut pages = self.pages_of(key, None);
        while let Some(mut ids) = pages.next().await? {
            ids.retain(|id| !progress.failed.contains(id));
            if let Some(kept) = kept {
                ids = self.without_continuations(ids, kept, progress).await?;
                progress.check_failed()?;
            }
            for ids in ids.chunks(MAX_GROUP) {
                let sessions = self.with_their_users(ids).await;
                let group =
                    end_group(&self.context, sessions, EndReason::ImpersonationRevoked).await;
                progress.record_uncounted(&group);
                let mut follow_up = group.follow_up;
                for (id, ended) in &group.results {
                    if ended.is_ok() {
                        follow_up = follow_up.remove_from_index(key, *id);
                    }
                }
                follow_up.finish().await;
                progress.check_failed()?;
            }
        }
        Ok(())
    }

    /// Returns the sessions with those who have signed in to them, whose indexes they are in. One that cannot be read
    /// is ended as well, and its event has no user.
    async fn with_their_users(&self, ids: &[SessionId]) -> Vec<(SessionId, Option<UserId>)> {
        let loaded = self.load_many(ids).await.into_iter();
        let with_user = loaded.map(|(id, loaded)| {
            let user = match loaded {
                Ok(Loaded::Record(record)) => Authentication::of(record.entries()),
                Ok(Loaded::Tombstone(_) | Loaded::Nothing) | Err(_) => None,
            };
            (id, user.map(|user| user.user().clone()))
        });
        with_user.collect()
    }
}
