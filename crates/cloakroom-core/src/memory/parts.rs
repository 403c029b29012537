//! The optional parts of the store in memory: the user index, the administration and the event bus.

use std::ops::Bound;
use std::time::Duration;

use super::MemoryStore;
use crate::admin::{ScanCursor, ScanPage, StoreAdmin, next_revoked_before};
use crate::bus::{EventBus, Subscription};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::event::SessionEvent;
use crate::id::SessionId;
use crate::index::{AddOutcome, AddRequest, UserIndex};
use crate::user::UserKey;

/// How many ids [`StoreAdmin::scan_ids`] returns at most.
const SCAN_PAGE: usize = 512;

impl UserIndex for MemoryStore {
    async fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> Result<AddOutcome, StoreError> {
        Ok(self.lock_index().add(user, add_request))
    }

    async fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.lock_index().evict(user, now, most, replaces))
    }

    async fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.lock_index().list(user, after))
    }

    async fn contains(&self, user: &UserKey, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.lock_index().contains(user, id))
    }

    async fn remove(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        self.lock_index().remove(user, ids);
        Ok(())
    }
}

impl StoreAdmin for MemoryStore {
    async fn scan_ids(&self, from: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        let after: Option<SessionId> = from.map(ScanCursor::parse).transpose()?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sessions = self.lock();
        let following = sessions.slots.range((start, Bound::Unbounded));
        let ids: Vec<_> = following.map(|(id, _)| *id).take(SCAN_PAGE).collect();
        let next = (ids.len() == SCAN_PAGE).then(|| ids.last().map(ScanCursor::new));
        Ok(ScanPage {
            ids,
            next: next.flatten(),
        })
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        let revoked = self.lock_index().revoked_before;
        let revoked = revoked.filter(|(_, until)| now < *until);
        Ok(revoked.map_or(Timestamp::from_millis(0), |(at, _)| at))
    }

    async fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        let mut index = self.lock_index();
        let previous = index.revoked_before.filter(|(_, until)| now < *until);
        let at = next_revoked_before(now, delay, previous.map(|(at, _)| at))?;
        if previous.is_none_or(|(previous, _)| previous != at) {
            index.revoked_before = Some((at, now.plus(keep)));
        }
        Ok(at)
    }
}

impl EventBus for MemoryStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        self.bus.send(event.clone());
        Ok(())
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe()
    }
}
