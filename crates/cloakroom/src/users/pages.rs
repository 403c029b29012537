//! The index of a user, page by page, and the sessions of a page.

use std::collections::HashSet;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::MAX_PAGE;
use cloakroom_core::store::Loaded;
use cloakroom_core::{Authentication, Record, SessionId, StoreError, UserId, UserKey};

use super::info::SessionInfo;
use super::sessions::Sessions;
use crate::commit::FollowUp;
use crate::error::SessionError;
use crate::store::{is_undecodable, load_many};

/// The ids in a user's index, the newest first. It holds at most two pages of them.
pub(super) struct IndexPages<'a> {
    sessions: &'a Sessions,
    user: UserKey,
    after: Option<SessionId>,
    /// The ids of the previous page: the next one may repeat some of them.
    previous: HashSet<SessionId>,
    is_last: bool,
}

impl IndexPages<'_> {
    /// Returns the next page, which may be empty; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<SessionId>>, SessionError> {
        if self.is_last {
            return Ok(None);
        }
        let store = &self.sessions.context.store;
        let list = store.index_list(self.user, self.after);
        let mut page = self.sessions.budget().read(list).await?;
        self.is_last = page.len() < MAX_PAGE;
        self.after = page.last().copied();
        let ids = page.iter().copied().collect();
        let previous = std::mem::replace(&mut self.previous, ids);
        page.retain(|id| !previous.contains(id));
        Ok(Some(page))
    }

    /// The id after which the next page starts; `None` after the last one.
    pub(super) fn next_after(&self) -> Option<SessionId> {
        self.after.filter(|_| !self.is_last)
    }
}

impl Sessions {
    /// The pages of a user's index that follow an id.
    pub(super) fn pages(&self, user: &UserId, after: Option<SessionId>) -> IndexPages<'_> {
        self.pages_of(self.context.user_key(user), after)
    }

    /// The pages of an index that follow an id.
    pub(super) fn pages_of(&self, user: UserKey, after: Option<SessionId>) -> IndexPages<'_> {
        IndexPages {
            sessions: self,
            user,
            after,
            previous: HashSet::new(),
            is_last: false,
        }
    }

    /// Returns those of the indexed ids that are live sessions of a user, the newest first, and those whose records
    /// cannot be read. The entries of the others are removed in the background.
    pub(super) async fn live_among(
        &self,
        user: &UserId,
        ids: &[SessionId],
    ) -> Result<LiveSessions, SessionError> {
        let key = self.context.user_key(user);
        let mut found = LiveSessions::default();
        let mut follow_up = FollowUp::new(&self.context);
        for (id, loaded) in self.load_many(ids).await {
            let loaded = match loaded {
                // It may be live on a server of a newer release, so it stays in the index: a revocation of all sessions
                // of the user must find it.
                Err(error) if is_undecodable(&error) => {
                    self.context.once.unreadable_in_list(id, &error);
                    found.unreadable.push(id);
                    continue;
                }
                loaded => loaded?,
            };
            match loaded {
                Loaded::Record(record) if is_of(&record, user) => {
                    found.sessions.extend(self.info_if_live(id, record).await?);
                }
                Loaded::Tombstone(tombstone) => {
                    follow_up = follow_up.end_again(key, id, tombstone);
                }
                Loaded::Nothing if self.context.is_old(id) => {
                    follow_up = follow_up.remove_from_index(key, id);
                    follow_up = follow_up.publish(SessionEvent::Ended {
                        id,
                        user: Some(user.clone()),
                        reason: cloakroom_core::EndReason::Expired,
                        client: None,
                    });
                }
                // Of another user, or about to be created.
                Loaded::Record(_) | Loaded::Nothing => {}
            }
        }
        // A list of many pages does not get ahead of what follows from them.
        if ids.len() < MAX_PAGE {
            follow_up.start();
        } else {
            follow_up.finish().await;
        }
        Ok(found)
    }

    /// Reads sessions.
    pub(super) async fn load_many(
        &self,
        ids: &[SessionId],
    ) -> Vec<(SessionId, Result<Loaded, StoreError>)> {
        load_many(&*self.context.store, &self.budget(), ids).await
    }
}

/// The live sessions among indexed ids.
#[derive(Debug, Default)]
pub(super) struct LiveSessions {
    pub(super) sessions: Vec<SessionInfo>,
    /// Ids whose records this release cannot decode: it is unknown whether they are live.
    pub(super) unreadable: Vec<SessionId>,
}

fn is_of(record: &Record, user: &UserId) -> bool {
    Authentication::of(record.entries()).is_some_and(|found| found.user() == user)
}
